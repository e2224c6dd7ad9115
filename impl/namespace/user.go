package namespace

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// buildOwned is build for namespaces with a user namespace as their owner. A
// thread of this process could not enter that one, so a child makes all of them
// and is ended as soon as they are pinned. The thread enters the others only: as
// the machine's root it may set in them what it likes.
func (s Spec) buildOwned() (err error) {
	child, err := s.startChild()
	if err != nil {
		return err
	}
	defer func() {
		_ = child.Kill()
		if _, werr := child.Wait(); werr != nil {
			err = errors.Join(err, fmt.Errorf("end the maker of %v namespaces: %w", s.kinds(), werr))
		}
	}()
	links := fmt.Sprintf("/proc/%d/ns", child.Pid)
	for _, p := range s.Pins {
		if p.Kind == User {
			continue
		}
		if err := enter(links+"/"+string(p.Kind), p.Kind); err != nil {
			return err
		}
	}
	if err := s.inside(); err != nil {
		return err
	}
	return s.pin(links)
}

// startChild starts a process in new namespaces that is stopped before its
// first instruction, and dies with the calling thread. It is this program, but
// it never gets to run.
func (s Spec) startChild() (*os.Process, error) {
	var flags uintptr
	for _, p := range s.Pins {
		flags |= uintptr(p.Kind.flag())
	}
	ids := func(r Range) []syscall.SysProcIDMap {
		return []syscall.SysProcIDMap{{HostID: int(r.Host), Size: int(r.Size)}}
	}
	child, err := os.StartProcess("/proc/self/exe", []string{"namespaces"}, &os.ProcAttr{Sys: &syscall.SysProcAttr{
		Cloneflags: flags, UidMappings: ids(s.UIDs), GidMappings: ids(s.GIDs), GidMappingsEnableSetgroups: true,
		Ptrace: true, Pdeathsig: syscall.SIGKILL,
	}})
	if err != nil {
		return nil, fmt.Errorf("make %v namespaces: %w", s.kinds(), err)
	}
	return child, nil
}

// enter moves the calling thread into a namespace.
func enter(path string, kind Kind) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.Setns(int(f.Fd()), kind.flag()); err != nil {
		return fmt.Errorf("enter %s: %w", path, err)
	}
	return nil
}

// writeSysctl writes on the calling thread. The sysctls of an IPC namespace obey
// the root of the user namespace that owns it and nobody else.
func (s Spec) writeSysctl(kind Kind, path, value string) (err error) {
	if kind == IPC && s.has(User) {
		if err := become(s.UIDs.Host); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, become(0)) }()
	}
	return writeSysctl(path, value)
}

// become changes the effective user of the calling thread alone.
func become(uid uint32) error {
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, ^uintptr(0), uintptr(uid), ^uintptr(0)); errno != 0 {
		return fmt.Errorf("become user %d: %w", uid, errno)
	}
	return nil
}

// BindMapped mounts source, a file or directory without a symbolic link in its
// path, on target, so that the owners of its files are seen through the user
// namespace pinned at userns: what belongs to 0 belongs to that namespace's 0.
// Mounts below source come along as they are. target is made. The filesystem has to know such mounts
// (mount_setattr(2), MOUNT_ATTR_IDMAP); one that does not gives an error.
func BindMapped(source, target, userns string) error {
	if err := makeTarget(source, target); err != nil {
		return err
	}
	owner, err := os.Open(userns)
	if err != nil {
		return fmt.Errorf("user namespace: %w", err)
	}
	defer owner.Close()
	tree, err := unix.OpenTree(unix.AT_FDCWD, source, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
	if err != nil {
		return &os.PathError{Op: "open_tree", Path: source, Err: err}
	}
	defer unix.Close(tree)
	attr := &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_IDMAP, Userns_fd: uint64(owner.Fd())}
	if err := unix.MountSetattr(tree, "", unix.AT_EMPTY_PATH, attr); err != nil {
		return fmt.Errorf("map the owners of %s (does its filesystem know ID-mapped mounts?): %w", source, err)
	}
	if err := unix.MoveMount(tree, "", unix.AT_FDCWD, target, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return &os.PathError{Op: "move_mount", Path: target, Err: err}
	}
	return nil
}

func makeTarget(source, target string) error {
	info, err := os.Stat(source)
	if err != nil {
		return err
	}
	if info.IsDir() {
		err = os.Mkdir(target, 0o700)
	} else {
		err = os.WriteFile(target, nil, 0o600)
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// Unbind takes a mount of BindMapped away, and its target. Neither of them being
// there is no error. A target that holds anything once nothing is mounted on it
// is left alone, with an error: nothing below it is ever deleted.
func Unbind(target string) error {
	for {
		err := unix.Unmount(target, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
		if errors.Is(err, unix.EINVAL) || errors.Is(err, fs.ErrNotExist) {
			break
		}
		if err != nil {
			return fmt.Errorf("unmount %s: %w", target, err)
		}
	}
	if err := os.Remove(target); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
