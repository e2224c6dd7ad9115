package namespace

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/containernetworking/plugins/pkg/ns"
	"golang.org/x/sys/unix"
)

// State tells whether path is a mounted namespace. A missing file and a file
// without a mount are closed; that is no error.
func State(path string) (open bool, err error) {
	var st unix.Statfs_t
	switch err := unix.Statfs(path, &st); {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("statfs %s: %w", path, err)
	}
	return st.Type == unix.NSFS_MAGIC, nil
}

// Remove takes the pin away: every namespace mounted on path, one above the
// other, then the file. The namespace itself goes with its last process. A file
// without a mount is deleted; a missing one is no error, so Remove can be
// repeated. What cannot be a pin (a directory, a symbolic link, a file with
// content) is refused and left alone.
func Remove(path string) error {
	for {
		open, err := State(path)
		if err != nil {
			return err
		}
		if !open {
			break
		}
		err = unix.Unmount(path, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("unmount namespace %s: %w", path, err)
		}
	}
	if err := checkEmpty(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove namespace file: %w", err)
	}
	return nil
}

// Do runs fn inside the network namespace pinned at path and returns its error.
// fn must stay on its goroutine: goroutines it starts run outside.
func Do(path string, fn func() error) error {
	open, err := State(path)
	if err != nil {
		return err
	}
	if !open {
		return fmt.Errorf("%s holds no namespace: %w", path, fs.ErrNotExist)
	}
	return ns.WithNetNSPath(path, func(ns.NetNS) error { return fn() })
}

// claim makes the file to mount on, or takes over one that a crash left without
// its mount.
func claim(p Pin) error {
	dir := filepath.Dir(p.Path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make namespace directory: %w", err)
	}
	if err := shareDir(dir); err != nil {
		return err
	}
	f, err := os.OpenFile(p.Path, os.O_CREATE|os.O_EXCL|os.O_RDONLY, 0o444)
	if err == nil {
		return f.Close()
	}
	if !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make namespace file: %w", err)
	}
	open, err := State(p.Path)
	if err != nil {
		return err
	}
	if open {
		return &PinnedError{Path: p.Path}
	}
	return checkEmpty(p.Path)
}

func checkEmpty(path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return fmt.Errorf("look at namespace file: %w", err)
	}
	if !info.Mode().IsRegular() || info.Size() != 0 {
		return fmt.Errorf("%s is not a namespace file (%s, %d bytes)", path, info.Mode(), info.Size())
	}
	return nil
}

// mount pins the namespace of the kind that a directory of /proc links to.
func (p Pin) mount(links string) error {
	if err := unix.Mount(filepath.Join(links, string(p.Kind)), p.Path, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("pin %s namespace on %s: %w", p.Kind, p.Path, err)
	}
	return nil
}
