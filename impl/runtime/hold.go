package runtime

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	pollCall  = 7                      // poll(2) on amd64; others, and nobody else of a monitor's calls, have ppoll(2)
	stopGrace = 10 * time.Millisecond  // for a process to stop
	stopLook  = 20 * time.Microsecond  // between two looks at whether it has
	lineRetry = 500 * time.Microsecond // between the first two tries to find a monitor between two lines,
	lineRest  = time.Millisecond       // and at most: a monitor that has no time to write gets to no line's end
	emptyTime = 500 * time.Millisecond // for which only empty pipes count as whole lines
)

// betweenLines calls do at a moment at which a monitor has read nothing that it
// has not written to its log, and the log ends with a whole line: what the
// monitor is told then it does before it reads on. For that the monitor is
// stopped for an instant; Watch wakes one up that somebody who died in the
// instant has left. If there is no such moment until the log has not grown for a
// second, the container leaves a line unfinished, and do is called all the same.
func betweenLines(ctx context.Context, mon *pidfd, monitor int, log string, do func() error) error {
	ctx, cancel := context.WithTimeout(ctx, lineMost)
	defer cancel()
	begin := time.Now()
	size, changed, retry := int64(-1), begin, lineRetry
	for {
		if info, err := os.Stat(log); err == nil && info.Size() != size {
			size, changed = info.Size(), time.Now()
		}
		if st, err := readStat(monitor); err == nil && st.dead() {
			return ErrNotRunning
		}
		if err := mon.signal(unix.SIGSTOP); err != nil {
			return err
		}
		if idle(monitor, log, time.Since(begin) < emptyTime) || time.Since(changed) > lineGrace || ctx.Err() != nil {
			return errors.Join(do(), mon.signal(unix.SIGCONT))
		}
		if err := mon.signal(unix.SIGCONT); err != nil {
			return err
		}
		sleep(ctx, retry)
		retry = min(retry+retry/8, lineRest)
	}
}

// idle says whether a monitor that is being stopped waits for something to do,
// will read whole lines if any, and has written whole lines. Whole lines in a
// pipe can grow by a part of one before the monitor reads them, so nothing at
// all is better; but a container that writes without a pause never leaves that.
func idle(monitor int, log string, empty bool) bool {
	if !stopped(monitor) || !polls(monitor) {
		return false
	}
	if tail, err := readTail(log); err != nil || unfinished(tail) {
		return false
	}
	return !slices.ContainsFunc(descriptors(monitor), func(d descriptor) bool { return d.outputPipe() && d.breaksOff(empty) })
}

// stopped waits for a process to stop, for which there is no event but its
// parent's.
func stopped(pid int) bool {
	for end := time.Now().Add(stopGrace); time.Now().Before(end); time.Sleep(stopLook) {
		if st, err := readStat(pid); err != nil || st.state == 'T' {
			return err == nil
		}
	}
	return false
}

// polls says whether the last system call of a stopped process is poll(2).
func polls(pid int) bool {
	data, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "syscall"))
	if err != nil {
		return false
	}
	number, _, _ := strings.Cut(string(data), " ")
	return slices.Contains([]string{strconv.Itoa(pollCall), strconv.Itoa(unix.SYS_PPOLL)}, number)
}

// wholeLines makes the pipes that a monitor reads a container's output from
// small enough for it to empty at once. The kernel never parts a short write to
// a pipe, so that a line that is written in one piece is read in one piece.
func wholeLines(monitor int) error {
	for _, d := range descriptors(monitor) {
		if !d.outputPipe() {
			continue
		}
		err := d.onPipe(func(fd uintptr) error {
			_, err := unix.FcntlInt(fd, unix.F_SETPIPE_SZ, readSize)
			return err
		})
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("pipe of monitor: %w", err)
		}
	}
	return nil
}

// A descriptor is another process's open file.
type descriptor struct{ proc, name, path string }

func descriptors(pid int) (all []descriptor) {
	proc := filepath.Join("/proc", strconv.Itoa(pid))
	entries, err := os.ReadDir(filepath.Join(proc, "fd"))
	if err != nil {
		return nil
	}
	for _, e := range entries {
		all = append(all, descriptor{proc, e.Name(), filepath.Join(proc, "fd", e.Name())})
	}
	return all
}

// outputPipe says whether it is the reading end of a pipe.
func (d descriptor) outputPipe() bool {
	target, err := os.Readlink(d.path)
	return err == nil && strings.HasPrefix(target, "pipe:") && d.access() == unix.O_RDONLY
}

// access is O_RDONLY, O_WRONLY, O_RDWR, or -1 if the descriptor is gone.
func (d descriptor) access() int {
	data, err := os.ReadFile(filepath.Join(d.proc, "fdinfo", d.name))
	if err != nil {
		return -1
	}
	var pos, flags int
	if _, err := fmt.Sscanf(string(data), "pos:\t%d\nflags:\t%o", &pos, &flags); err != nil {
		return -1
	}
	return flags & unix.O_ACCMODE
}

// breaksOff says whether what stands in a pipe of an output ends inside a line,
// or with empty whether anything does. It looks without taking anything.
func (d descriptor) breaksOff(empty bool) bool {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return true
	}
	defer func() { _, _ = unix.Close(p[0]), unix.Close(p[1]) }()
	buf := make([]byte, readSize)
	n := 0
	err := d.onPipe(func(fd uintptr) error {
		_, err := unix.Tee(int(fd), p[1], readSize, unix.SPLICE_F_NONBLOCK)
		if errors.Is(err, unix.EAGAIN) {
			return nil
		}
		if err == nil {
			n, err = unix.Read(p[0], buf)
		}
		return err
	})
	return err != nil || n > 0 && (empty || buf[n-1] != '\n')
}

// onPipe opens a pipe without reading from it.
func (d descriptor) onPipe(do func(fd uintptr) error) error {
	f, err := os.OpenFile(d.path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	return errors.Join(do(f.Fd()), f.Close())
}
