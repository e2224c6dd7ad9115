package runtime

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sys/unix"
)

const (
	ctlFile    = "ctl"          // in the bundle: the monitor's control fifo
	reopenLine = "2 0 0\n"      // what the control fifo takes for "open the log anew"
	logSuffix  = ".tmp"         // what the monitor adds to the log's path until the file is in place
	logMode    = 0o640          // as the monitor gives it
	lineGrace  = time.Second    // for a container that writes nothing to end a line before its log is closed
	lineMost   = 10 * lineGrace // for one that writes
	tailSize   = 64 << 10       // bytes of a log looked at for lines that go on
	readSize   = 8 << 10        // bytes that the monitor reads at once
)

// ReopenLog makes the monitor close the file that it writes the container's log
// to and go on in a new one at path, which is there when ReopenLog returns. If
// the monitor still writes to the file at path, nobody has moved it and it
// stays: what stands in it is not lost.
//
// The file that is closed ends with a whole line, unless the container leaves
// a line unfinished for longer than a second, or is for ten seconds never seen
// between two lines. After an error there is no new
// file; ErrNotRunning is the error if the monitor has gone.
func (r *OCI) ReopenLog(ctx context.Context, id string, p Process, path string) error {
	if err := r.reopenLog(ctx, id, p, path); err != nil {
		return r.fail("reopen log of", id, err)
	}
	return nil
}

func (r *OCI) reopenLog(ctx context.Context, id string, p Process, path string) error {
	if !idPattern.MatchString(id) {
		return errors.New("bad container ID")
	}
	mon, err := openProcess(p.MonitorPID, p.MonitorStart)
	if errors.Is(err, errGone) {
		return ErrNotRunning
	}
	if err != nil {
		return err
	}
	defer mon.close()
	old, err := openLogOf(p.MonitorPID)
	if err != nil || isFile(old, path) {
		return err
	}
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return err
	}
	defer func() { _ = watcher.Close() }()
	// The monitor ends, and its container loses its output, if it can't make the
	// file: so it is made for it.
	if err := makeLog(path); err != nil {
		return err
	}
	err = watcher.Add(filepath.Dir(path))
	if err == nil {
		err = betweenLines(ctx, mon, p.MonitorPID, old, func() error {
			return writeControl(filepath.Join(r.loadRecord(id).Bundle, ctlFile), reopenLine)
		})
	}
	if err == nil {
		err = awaitLog(ctx, watcher, mon, p.MonitorPID, path)
	}
	if err != nil {
		_ = os.Remove(path + logSuffix)
	}
	return err
}

// makeLog makes the file that the monitor empties and puts in place.
func makeLog(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("log directory: %w", err)
	}
	f, err := os.OpenFile(path+logSuffix, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|unix.O_NOFOLLOW, logMode)
	if err != nil {
		return fmt.Errorf("log: %w", err)
	}
	return f.Close()
}

// openLogOf is the path, in /proc, of the file that a monitor writes to.
func openLogOf(monitor int) (string, error) {
	for _, fd := range descriptors(monitor) {
		info, err := os.Stat(fd.path)
		if err == nil && info.Mode().IsRegular() && fd.access() == unix.O_WRONLY {
			return fd.path, nil
		}
	}
	return "", fmt.Errorf("monitor %d has no log open", monitor)
}

// isFile says whether two paths lead to one file.
func isFile(a, b string) bool {
	x, errX := os.Stat(a)
	y, errY := os.Stat(b)
	return errX == nil && errY == nil && os.SameFile(x, y)
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, os.ErrNotExist)
}

// writeControl writes to a fifo that a monitor reads; ErrNotRunning if none does.
func writeControl(fifo, line string) error {
	f, err := os.OpenFile(fifo, os.O_WRONLY|unix.O_NONBLOCK, 0)
	if errors.Is(err, unix.ENXIO) || errors.Is(err, os.ErrNotExist) {
		return ErrNotRunning
	}
	if err != nil {
		return err
	}
	_, err = f.WriteString(line)
	return errors.Join(err, f.Close())
}

func readTail(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	buf := make([]byte, min(info.Size(), tailSize))
	n, err := f.ReadAt(buf, info.Size()-int64(len(buf)))
	return string(buf[:n]), err
}

// unfinished says whether the end of a log in CRI format breaks off in a line:
// in a record, or behind a record that is a part.
func unfinished(tail string) bool {
	parts := map[string]bool{} // by stream: the last record is a part
	for line := range strings.Lines(tail) {
		if !strings.HasSuffix(line, "\n") {
			return true
		}
		if fields := strings.SplitN(line, " ", 4); len(fields) == 4 {
			parts[fields[1]] = fields[2] == "P"
		}
	}
	return parts["stdout"] || parts["stderr"]
}

// awaitLog waits until the monitor writes to the file at path.
func awaitLog(ctx context.Context, watcher *fsnotify.Watcher, mon *pidfd, monitor int, path string) error {
	ctx, cancel := context.WithTimeout(ctx, cleanupTimeout)
	defer cancel()
	gone := make(chan error, 1)
	go func() { gone <- mon.wait(ctx) }()
	for {
		if now, err := openLogOf(monitor); err == nil && isFile(now, path) {
			return nil
		}
		select {
		case <-watcher.Events:
		case err := <-gone:
			if err == nil && !exists(path+logSuffix) {
				return nil // it put the file in place and ended then
			}
			if err == nil {
				return ErrNotRunning
			}
			return err
		case <-ctx.Done():
			return fmt.Errorf("monitor does not open its log anew: %w", context.Cause(ctx))
		}
	}
}
