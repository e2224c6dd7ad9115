package target

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// tearDown reports what the stopped daemon left on the host, and removes it with
// the work directory.
func (t *T) tearDown(ctx context.Context) error {
	var errs []error
	if t.Registry != nil {
		errs = append(errs, suiteError(t.Registry.Close()))
	}
	if t.observer != nil {
		errs = append(errs, t.clearHost(ctx, "after the daemon's end: "), t.removeBridges())
	}
	if t.daemonLog != nil {
		errs = append(errs, t.daemonLog.file.Close())
	}
	errs = append(errs, suiteError(os.RemoveAll(t.work)))
	return errors.Join(errs...)
}

// clearHost kills the daemon's processes, unmounts its mounts, removes its
// network namespaces and cgroups, and says which processes, mounts and
// namespaces there were.
func (t *T) clearHost(ctx context.Context, when string) error {
	var errs []error
	killed, err := t.killAll(ctx)
	errs = append(errs, err)
	for _, p := range killed {
		errs = append(errs, fmt.Errorf("%sprocess left: %s", when, p))
	}
	unmounted, err := t.unmountAll()
	errs = append(errs, err)
	for _, m := range unmounted {
		errs = append(errs, fmt.Errorf("%smount left: %s", when, m))
	}
	if len(killed)+len(unmounted) > 0 && t.daemonLog != nil {
		t.log.Debug("traces left", "when", when, "log", t.LogTail())
	}
	return errors.Join(append(errs, t.removeNetns(when), t.removeCgroups(ctx))...)
}

const killTime = 10 * time.Second

// killAll kills the daemon's processes until there is none, zombies aside, and
// returns those of the first look.
func (t *T) killAll(ctx context.Context) ([]Process, error) {
	ctx, cancel := context.WithTimeout(ctx, killTime)
	defer cancel()
	var first []Process
	for look := 0; ; look++ {
		ours, err := t.observer.Ours()
		if err != nil {
			return first, suiteError(err)
		}
		ours = slices.DeleteFunc(ours, func(p Process) bool { return p.State == 'Z' })
		if look == 0 {
			first = ours
		}
		if len(ours) == 0 {
			return first, nil
		}
		for _, p := range ours {
			if err := syscall.Kill(p.PID, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
				return first, suiteError(fmt.Errorf("kill %s: %w", p, err))
			}
		}
		select {
		case <-time.After(settlePoll):
		case <-ctx.Done():
			return first, suiteError(fmt.Errorf("processes survive SIGKILL: %v", ours))
		}
	}
}

// unmountAll unmounts the daemon's mounts, the last first, and returns the
// mount points of those that are not ignored.
func (t *T) unmountAll() ([]string, error) {
	mounts, err := t.observer.Mounts()
	if err != nil {
		return nil, suiteError(err)
	}
	var points []string
	var errs []error
	for _, m := range slices.Backward(mounts) {
		if slices.Contains(t.observer.at.Netns, m.Mountpoint) && !below(t.work, m.Mountpoint) {
			continue // the directory's own mount may serve others, too
		}
		if ignored, _ := t.observer.ignored(m.Mountpoint); !ignored {
			points = append(points, m.Mountpoint)
		}
		if err := unix.Unmount(m.Mountpoint, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil && !errors.Is(err, unix.EINVAL) {
			errs = append(errs, suiteError(fmt.Errorf("unmount %s: %w", m.Mountpoint, err)))
		}
	}
	return points, errors.Join(errs...)
}

// removeNetns deletes the files of network namespaces below the work directory;
// those elsewhere may be others' and are only reported by the audit.
func (t *T) removeNetns(when string) error {
	all, err := t.observer.Netns()
	errs := []error{suiteError(err)}
	for _, n := range all {
		if below(t.work, n.Path) {
			errs = append(errs, fmt.Errorf("%snetwork namespace left: %s", when, n.Path), suiteError(os.Remove(n.Path)))
		}
	}
	return errors.Join(errs...)
}

// removeCgroups removes the pods' cgroup parent with all below it, in every
// hierarchy. A cgroup whose last process just ended may be busy for a moment.
func (t *T) removeCgroups(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, killTime)
	defer cancel()
	all, err := t.observer.Cgroups()
	if err != nil {
		return suiteError(err)
	}
	parent, _ := t.observer.state()
	for _, root := range t.observer.cgroups {
		all = append(all, filepath.Join(root, parent))
	}
	slices.SortFunc(all, func(a, b string) int { return len(b) - len(a) })
	for _, dir := range all {
		for {
			err := os.Remove(dir)
			if err == nil || errors.Is(err, fs.ErrNotExist) {
				break
			}
			select {
			case <-time.After(settlePoll):
			case <-ctx.Done():
				return suiteError(err)
			}
		}
	}
	return nil
}

func (t *T) removeBridges() error {
	var errs []error
	for _, name := range t.observer.at.Bridges {
		link, err := netlink.LinkByName(name)
		if err == nil {
			err = netlink.LinkDel(link)
		}
		var absent netlink.LinkNotFoundError
		if err != nil && !errors.As(err, &absent) {
			errs = append(errs, suiteError(fmt.Errorf("remove bridge %s: %w", name, err)))
		}
	}
	return errors.Join(errs...)
}

// Reboot does to the daemon what a reboot of the host would: it and all its
// processes are killed, mounts, network namespaces and cgroups go, the volatile
// directories are emptied; then the daemon starts. The boot ID stays.
func (t *T) Reboot(ctx context.Context) error {
	t.Need(FeatureRestart)
	if err := t.KillDaemon(ctx); err != nil {
		return err
	}
	if err := t.wipeVolatile(ctx); err != nil {
		return err
	}
	return t.StartDaemon(ctx)
}

// reset takes everything from the daemon, its persistent directory too, and
// starts it.
func (t *T) reset(ctx context.Context) error {
	if err := t.KillDaemon(ctx); err != nil {
		return err
	}
	if err := t.wipeVolatile(ctx); err != nil {
		return err
	}
	for _, dir := range slices.Concat([]string{t.vars["ROOT"], t.vars["RUNROOT"]}, t.observer.at.Leases) {
		if err := os.RemoveAll(dir); err != nil {
			return suiteError(err)
		}
	}
	if err := t.StartDaemon(ctx); err != nil {
		return err
	}
	return t.pullDefault(ctx)
}

func (t *T) wipeVolatile(ctx context.Context) error {
	if _, err := t.killAll(ctx); err != nil {
		return err
	}
	if _, err := t.unmountAll(); err != nil {
		return err
	}
	if err := t.removeCgroups(ctx); err != nil {
		return err
	}
	for _, dir := range t.observer.at.Volatile {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return suiteError(err)
		}
		for _, e := range entries {
			if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
				return suiteError(err)
			}
		}
	}
	return nil
}
