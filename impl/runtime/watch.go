package runtime

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// reapGrace is for the new parent of an init that lost its monitor to take its
// status; some take their time.
const reapGrace = 5 * time.Second

// UnknownCode is the exit code of a container whose real one nobody kept.
const UnknownCode = 255

// Exit is the end of a container's init.
type Exit struct {
	Code  int32 // 128+n for death by signal n
	At    time.Time
	OOM   bool // the kernel killed a process of the container for want of memory
	Known bool // false: the monitor died first and the code is UnknownCode, or At is when it was noticed
}

// Watch blocks until the container has ended and its log is complete, or until
// ctx ends. Only the ID and what Create returned are needed: the container may
// be another process's, may have ended long ago, and after a reboot its numbers
// may be other processes'.
//
// The monitor's exit file is the truth. Where a monitor was killed, the kernel
// is asked (Linux 6.15, and only if Watch was there when it happened). Watching
// costs a goroutine and two descriptors, no thread and no polling.
func (r *OCI) Watch(ctx context.Context, id string, p Process) (Exit, error) {
	exit, err := r.watch(ctx, id, p)
	if err != nil {
		return Exit{}, r.fail("watch", id, err)
	}
	return exit, nil
}

func (r *OCI) watch(ctx context.Context, id string, p Process) (Exit, error) {
	if !idPattern.MatchString(id) {
		return Exit{}, errors.New("bad container ID")
	}
	mon, err := openProcess(p.MonitorPID, p.MonitorStart)
	if err != nil && !errors.Is(err, errGone) {
		return Exit{}, err
	}
	if mon != nil {
		defer mon.close()
		if err := mon.signal(unix.SIGCONT); err != nil {
			return Exit{}, err
		}
	}
	init, err := openProcess(p.PID, p.StartTime)
	if err != nil && !errors.Is(err, errGone) {
		return Exit{}, err
	}
	r.nudge(id) // in case somebody died between a start and telling it
	if init != nil {
		defer init.close()
		if err := init.wait(ctx); err != nil {
			return Exit{}, err
		}
	}
	ended := time.Now()
	if err := r.awaitMonitor(ctx, id, mon); err != nil {
		return Exit{}, err
	}
	return r.conclude(id, init, ended), nil
}

// awaitMonitor waits until the monitor has drained the output and written the
// exit code. It gives up, without an error, on one that is stuck.
func (r *OCI) awaitMonitor(ctx context.Context, id string, mon *pidfd) error {
	if mon == nil {
		return nil
	}
	bound, cancel := context.WithTimeout(ctx, r.grace)
	defer cancel()
	err := mon.wait(bound)
	if err != nil && ctx.Err() == nil && bound.Err() != nil {
		r.log.Warn("monitor does not end after its container", "container", id, "waited", r.grace)
		return nil
	}
	return err
}

func (r *OCI) conclude(id string, init *pidfd, ended time.Time) Exit {
	oom := r.outOfMemory(id)
	code, at, err := r.exitFile(id)
	if err == nil {
		return Exit{Code: code, At: at, OOM: oom, Known: true}
	}
	if init != nil {
		if ws, ok := init.exitStatus(min(r.grace, reapGrace)); ok {
			return Exit{Code: exitCode(ws), At: ended, OOM: oom, Known: true}
		}
	}
	r.log.Warn("exit code is lost", "container", id, "error", err)
	return Exit{Code: UnknownCode, At: ended, OOM: oom}
}

// exitFile reads what the monitor left. It is written under another name first,
// so that it is whole if it is there.
func (r *OCI) exitFile(id string) (int32, time.Time, error) {
	path := filepath.Join(r.dir(id), exitFile)
	info, err := os.Stat(path)
	if err != nil {
		return 0, time.Time{}, err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return 0, time.Time{}, err
	}
	code, err := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 32)
	if err != nil {
		return 0, time.Time{}, fmt.Errorf("exit file: %w", err)
	}
	return int32(code), info.ModTime(), nil
}
