package runtime

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Delete removes a container, running, stopped, half created or absent, with
// its cgroup, its monitor and our run files. It is idempotent, and a Delete that
// failed or was cut off can be repeated. The log stays.
func (r *OCI) Delete(ctx context.Context, id string) error {
	if !idPattern.MatchString(id) {
		return r.fail("delete", strconv.Quote(clip(id)), errors.New("bad container ID"))
	}
	rec := r.loadRecord(id)
	if rec.Process == (Process{}) {
		if err := r.killMonitors(id); err != nil {
			return r.fail("delete", id, err)
		}
		if err := r.deleteForce(ctx, id); err != nil {
			return err
		}
	} else if err := r.deleteKnown(ctx, id, rec.Process); err != nil {
		return err
	}
	if err := errors.Join(removeCgroups(rec.Cgroups), r.removeLeft(id)); err != nil {
		return r.fail("delete", id, err)
	}
	if err := r.removeFiles(id, rec.Bundle); err != nil {
		return r.fail("delete", id, err)
	}
	return nil
}

// deleteKnown deletes a container whose processes are known. `delete --force`
// of runc waits for the init it killed by looking ten times a second; killing
// first and waiting for the event takes a fraction of that.
func (r *OCI) deleteKnown(ctx context.Context, id string, p Process) error {
	if err := r.end(ctx, id, p); err != nil {
		return err
	}
	r.unmountClones(id)
	if _, err := r.run(ctx, id, "delete", id); err != nil {
		if ctx.Err() != nil {
			return err
		}
		r.log.Debug("delete falls back to --force", "container", id, "error", err)
		if err := r.deleteForce(ctx, id); err != nil {
			return err
		}
	}
	if err := r.endMonitor(ctx, id, p); err != nil {
		return r.fail("delete", id, err)
	}
	return nil
}

// end kills the container if its init lives and waits for init's end.
func (r *OCI) end(ctx context.Context, id string, p Process) error {
	init, err := openProcess(p.PID, p.StartTime)
	if errors.Is(err, errGone) {
		return nil
	}
	if err != nil {
		return r.fail("delete", id, err)
	}
	defer init.close()
	if st, err := readStat(p.PID); err == nil && st.dead() {
		return nil
	}
	if err := r.Kill(ctx, id, syscall.SIGKILL, false); err != nil {
		if ctx.Err() != nil {
			return err
		}
		return nil // stopped meanwhile, or the runtime lost it: delete decides
	}
	if err := init.wait(ctx); err != nil {
		return r.fail("delete", id, fmt.Errorf("killed init %d does not end: %w", p.PID, err))
	}
	return nil
}

// endMonitor waits for the monitor to write the last of log and exit code, which
// it does within milliseconds of init's end, and kills one that doesn't.
func (r *OCI) endMonitor(ctx context.Context, id string, p Process) error {
	mon, err := openProcess(p.MonitorPID, p.MonitorStart)
	if errors.Is(err, errGone) {
		return nil
	}
	if err != nil {
		return err
	}
	defer mon.close()
	bound, cancel := context.WithTimeout(ctx, min(r.grace, killTimeout))
	defer cancel()
	if mon.wait(bound) == nil {
		return nil
	}
	r.log.Warn("monitor outlived its container, killing it", "container", id, "monitor", p.MonitorPID)
	return killTree(stat{pid: p.MonitorPID, start: p.MonitorStart}, 0)
}

// deleteForce has the runtime remove whatever it knows of a container. A runtime
// that is missing or can do nothing is no obstacle if it can't have left a state.
func (r *OCI) deleteForce(ctx context.Context, id string) error {
	r.unmountClones(id)
	_, err := r.run(ctx, id, "delete", "--force", id)
	if err == nil || errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if ctx.Err() == nil {
		if _, stateErr := r.State(ctx, id); errors.Is(stateErr, ErrNotFound) {
			return nil
		}
	}
	if r.stateless(id) {
		r.log.Debug("delete failed, but there is no state", "container", id, "error", err)
		return nil
	}
	return err
}

// unmountClones undoes what a runc that was killed as it began leaves in the
// container's state directory: a mount of itself, which keeps runc from removing
// the directory.
func (r *OCI) unmountClones(id string) {
	if r.root == "" {
		return
	}
	dir := filepath.Join(r.root, id)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return // nothing is mounted in what is not there
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "runc.") {
			_ = unix.Unmount(filepath.Join(dir, e.Name()), unix.MNT_DETACH) // one that was unmounted is a file
		}
	}
}

// stateless is true if the runtime's state directory is known and holds nothing
// that is named after the container.
func (r *OCI) stateless(id string) bool {
	if r.root == "" {
		return false
	}
	entries, err := os.ReadDir(r.root)
	if err != nil {
		return os.IsNotExist(err)
	}
	return !slices.ContainsFunc(entries, func(e os.DirEntry) bool { return strings.HasPrefix(e.Name(), id) })
}

// removeLeft removes what a runtime that keeps a pod's containers together leaves
// in its state directory, named after the container: locks, when one container is
// deleted while it looks at another, and sockets, when it is killed in its create.
func (r *OCI) removeLeft(id string) error {
	if r.keeper == "" || r.root == "" {
		return nil
	}
	entries, err := os.ReadDir(r.root)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	var errs []error
	for _, e := range entries {
		if e.IsDir() || !strings.Contains(e.Name(), id) {
			continue
		}
		if err := os.Remove(filepath.Join(r.root, e.Name())); err != nil && !os.IsNotExist(err) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// isMonitor says whether process pid is a monitor of container id of our run directory.
func (r *OCI) isMonitor(pid int, id string) bool {
	return procHas(pid, "cmdline", r.persistArg(id))
}

// procHas says whether a list of strings in /proc/PID, arguments or environment, has s.
func procHas(pid int, file, s string) bool {
	data, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), file))
	if err != nil {
		return false
	}
	return slices.ContainsFunc(bytes.Split(data, []byte{0}), func(b []byte) bool { return string(b) == s })
}

// killMonitors ends all monitors of a container that was not completely created,
// with runtime and init below them, and what a runtime left behind when its
// monitor was gone. It knows them by arguments and environment: a monitor that
// has not got far has written no pid file.
func (r *OCI) killMonitors(id string) error {
	all, err := processes()
	if err != nil {
		return err
	}
	for _, st := range all {
		if !st.dead() && (r.isMonitor(st.pid, id) || procHas(st.pid, "environ", r.mark(id))) {
			err = errors.Join(err, killTree(st, 0))
		}
	}
	return err
}

// removeFiles removes our files of a container; the run directory goes last, so
// that a repeated call still finds the record.
func (r *OCI) removeFiles(id, bundle string) error {
	if err := removeBundleFiles(bundle); err != nil {
		return err
	}
	return os.RemoveAll(r.dir(id))
}
