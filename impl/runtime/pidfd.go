package runtime

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// errGone says that the process asked for is not there any more; its number may
// belong to another one.
var errGone = errors.New("process is gone")

// pidfd is a process held by a file descriptor in Go's network poller: waiting
// for its end costs a parked goroutine and no thread.
type pidfd struct{ f *os.File }

// openProcess opens process pid if it is the one that started at start, else
// returns errGone. The descriptor is opened before the start time is read: if
// the number had been reused in between, the start times would differ.
func openProcess(pid int, start uint64) (*pidfd, error) {
	if pid <= 0 || start == 0 {
		return nil, errGone
	}
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EINVAL) {
		return nil, errGone
	}
	if err != nil {
		return nil, fmt.Errorf("pidfd_open %d: %w", pid, err)
	}
	p := &pidfd{f: os.NewFile(uintptr(fd), fmt.Sprintf("pidfd:%d", pid))}
	if st, err := readStat(pid); err != nil || st.start != start {
		p.close()
		return nil, errGone
	}
	return p, nil
}

func (p *pidfd) close() { _ = p.f.Close() }

// wait blocks until the process has ended (a zombie has) or ctx has.
func (p *pidfd) wait(ctx context.Context) error { return p.await(ctx, unix.POLLIN) }

// exitStatus is the wait status of an ended process, whoever its parent is. It
// needs Linux 6.15; ok is false where the kernel doesn't know. The status is
// there once the parent has reaped the process, for which it waits up to within.
func (p *pidfd) exitStatus(within time.Duration) (ws unix.WaitStatus, ok bool) {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	if err := p.await(ctx, unix.POLLHUP); err != nil {
		return 0, false
	}
	conn, err := p.f.SyscallConn()
	if err != nil {
		return 0, false
	}
	info := unix.PidfdInfo{Mask: unix.PIDFD_INFO_EXIT}
	var ioctlErr error
	err = conn.Control(func(fd uintptr) { ioctlErr = unix.IoctlPidfdInfo(int(fd), &info) })
	if err != nil || ioctlErr != nil || info.Mask&unix.PIDFD_INFO_EXIT == 0 {
		return 0, false
	}
	return unix.WaitStatus(info.Exit_code), true
}

// await parks until poll(2) reports one of events.
func (p *pidfd) await(ctx context.Context, events int16) error {
	conn, err := p.f.SyscallConn()
	if err != nil {
		return err
	}
	if err := p.f.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = p.f.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	var pollErr error
	err = conn.Read(func(fd uintptr) bool {
		fds := []unix.PollFd{{Fd: int32(fd), Events: events}}
		if _, pollErr = unix.Poll(fds, 0); errors.Is(pollErr, unix.EINTR) {
			pollErr = nil
			return false
		}
		return pollErr != nil || fds[0].Revents&events != 0
	})
	if pollErr != nil {
		return fmt.Errorf("poll pidfd: %w", pollErr)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// exitCode is a shell's view of a wait status: 128+n for death by signal n.
func exitCode(ws unix.WaitStatus) int32 {
	if ws.Signaled() {
		return 128 + int32(ws.Signal())
	}
	return int32(ws.ExitStatus())
}
