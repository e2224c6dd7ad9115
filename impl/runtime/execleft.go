package runtime

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// EndExecs ends the commands that an earlier process ran in a container by Exec
// and ExecStream and was not there to end: nobody reads what they write, and
// nobody would ever end them. Commands of this process must not be in flight.
func (r *OCI) EndExecs(id string, p Process) error {
	dirs, err := filepath.Glob(filepath.Join(r.dir(id), execPrefix+"*"))
	if err != nil || len(dirs) == 0 {
		return err
	}
	all, err := processes()
	if err != nil {
		return r.fail("exec", id, err)
	}
	var errs []error
	for _, dir := range dirs {
		if r.guestExec {
			r.killGuest(id, dir)
		}
		root, found := leftExec(all, dir, p)
		if found {
			err := killTree(root, 0)
			r.log.Info("ended a command that was left", "container", id, "pid", root.pid, "err", err)
			errs = append(errs, err)
		}
		errs = append(errs, os.RemoveAll(dir))
	}
	if err := errors.Join(errs...); err != nil {
		return r.fail("exec", id, err)
	}
	return nil
}

// leftExec finds the runtime that runs a command, or the command if the runtime
// has gone: the process that has the number in the PID file, is in the
// container and was there when the file was written.
func leftExec(all []stat, dir string, p Process) (stat, bool) {
	for _, st := range all {
		if !st.dead() && procHas(st.pid, "cmdline", filepath.Join(dir, processFile)) {
			return st, true
		}
	}
	path := filepath.Join(dir, pidFile)
	pid, err := readPID(path)
	if err != nil {
		return stat{}, false
	}
	st, err := readStat(pid)
	if err != nil || st.dead() {
		return stat{}, false
	}
	info, err := os.Stat(path)
	if err != nil || !sameMounts(pid, p.PID) || info.ModTime().Before(startedAt(pid)) {
		return stat{}, false
	}
	return st, true
}

// sameMounts says whether two processes are in one mount namespace.
func sameMounts(a, b int) bool {
	of := func(pid int) string {
		ns, _ := os.Readlink(filepath.Join("/proc", strconv.Itoa(pid), "ns/mnt"))
		return ns
	}
	return of(a) != "" && of(a) == of(b)
}

// startedAt is when a process started, some milliseconds too early at most; the
// far future if there is none.
func startedAt(pid int) time.Time {
	st, err := readStat(pid)
	var now unix.Timespec
	if err != nil || unix.ClockGettime(unix.CLOCK_BOOTTIME, &now) != nil {
		return time.Unix(1<<40, 0)
	}
	const tick = time.Second / 100 // USER_HZ, the same on all architectures
	return time.Now().Add(time.Duration(st.start)*tick - time.Duration(now.Nano()))
}
