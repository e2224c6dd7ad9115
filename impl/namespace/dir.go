package namespace

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// shareDir makes dir a shared mount, as ip-netns(8) does with its directory:
// pins made later then show up in containers that have dir mounted, and are
// gone there when they are removed here. A directory that is no mount point yet
// is bind-mounted on itself. All kinds share their directory, because a pin made
// before that mount would be there twice, and its file could not be deleted.
func shareDir(dir string) error {
	done, err := makeShared(dir)
	if done || err != nil {
		return err
	}
	// Two callers must not both stack a mount: the first one's pins would be
	// hidden below the second's. The lock also holds between processes.
	f, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("open namespace directory: %w", err)
	}
	defer f.Close()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("lock namespace directory %s: %w", dir, err)
	}
	if done, err := makeShared(dir); done || err != nil {
		return err
	}
	// Recursive, so that pins already there stay in sight.
	if err := unix.Mount(dir, dir, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("bind namespace directory %s on itself: %w", dir, err)
	}
	if done, err := makeShared(dir); err != nil {
		return err
	} else if !done {
		return fmt.Errorf("namespace directory %s is no mount point after mounting it", dir)
	}
	return nil
}

// makeShared reports false if dir is not a mount point.
func makeShared(dir string) (bool, error) {
	err := unix.Mount("", dir, "", unix.MS_SHARED, "")
	if errors.Is(err, unix.EINVAL) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("make namespace directory %s shared: %w", dir, err)
	}
	return true, nil
}

// ReleaseDir takes back what Create did to a directory of pins: the
// mount of the directory on itself. A missing directory, one that is no mount of
// itself, and one that still holds an entry are left as they are; that is no
// error. The directory is not deleted. It is for those who own the directory
// alone; /run/netns belongs to every program on the machine.
func ReleaseDir(dir string) error {
	resolved, err := filepath.EvalSymlinks(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("resolve namespace directory: %w", err)
	}
	for {
		entries, err := os.ReadDir(resolved)
		if err != nil {
			return fmt.Errorf("read namespace directory: %w", err)
		}
		mounts, err := mountinfo.GetMounts(mountinfo.SingleEntryFilter(resolved))
		if err != nil {
			return fmt.Errorf("read mounts: %w", err)
		}
		// Root "/" is a file system of its own, not a part of one bound here.
		if len(entries) > 0 || len(mounts) == 0 || mounts[len(mounts)-1].Root == "/" {
			return nil
		}
		if err := unix.Unmount(resolved, unix.UMOUNT_NOFOLLOW); err != nil {
			return fmt.Errorf("unmount namespace directory %s: %w", resolved, err)
		}
	}
}
