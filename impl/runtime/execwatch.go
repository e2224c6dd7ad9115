package runtime

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// execLook is how long an Exec runs before the command's process is looked at
// besides the runtime's. Most have ended by then; the rest have a pid file.
const execLook = 500 * time.Millisecond

// execWatch follows a command beside the runtime's process that runs it.
//
// runc copies the command's output through pipes of its own, and when the
// command has ended it waits for their end before it passes the exit code on. A
// process that the command left behind may keep them open for ever. execWatch
// sees the command's end itself and makes the runtime give up waiting.
type execWatch struct {
	cmd     *exec.Cmd
	pidPath string
	score   *int // oom_score_adj; nil leaves what the runtime gives
	out     *execStreams
	inside  func() // kills what the host has no process for; nil if there is nothing

	mu      sync.Mutex
	session int // the command's, 0 as long as that is not verified
	killed  bool
}

// begin looks after the command from another goroutine until stop is called.
func (w *execWatch) begin(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if w.awaitEnd(ctx) && w.out.silent(ctx) {
			w.out.hangUp()
			w.nudge()
		}
	}()
	return func() { cancel(); <-done }
}

// awaitEnd returns true when the command has ended and the runtime runs on, and
// false if ctx ends or the command's process can't be told.
func (w *execWatch) awaitEnd(ctx context.Context) bool {
	for wait := execLook; sleep(ctx, wait); wait *= 2 {
		pid, err := readPID(w.pidPath)
		if err != nil {
			continue
		}
		st, err := readStat(pid)
		if err != nil {
			return true
		}
		if st.parent != w.cmd.Process.Pid {
			return false // not the command's process
		}
		if ours, err := unix.Getsid(0); err == nil && st.session != ours {
			w.mu.Lock()
			w.session = st.session
			w.mu.Unlock()
		}
		if w.score != nil { // runc gives a command the score that the container was created with
			_ = setScore(map[int]int{}, pid, *w.score)
		}
		p, err := openProcess(st.pid, st.start)
		if err != nil {
			return true
		}
		defer p.close()
		return p.wait(ctx) == nil
	}
	return false
}

// nudge writes a byte into every pipe the runtime reads from, so that each of
// its copiers wakes, fails to write to the pipes that hangUp has closed, and
// ends. The byte reaches nobody: a pipe's one reader is the runtime.
func (w *execWatch) nudge() {
	for _, d := range descriptors(w.cmd.Process.Pid) {
		if !d.outputPipe() {
			continue
		}
		if f, err := os.OpenFile(d.path, os.O_WRONLY|unix.O_NONBLOCK, 0); err == nil {
			_, _ = f.Write([]byte{'\n'})
			_ = f.Close()
		}
	}
}

// kill ends runtime, command, and what the command left in its session.
func (w *execWatch) kill() error {
	w.mu.Lock()
	session := w.session
	w.killed = w.inside != nil // the runtime may end before it is killed, as its command does
	w.mu.Unlock()
	if w.inside != nil {
		w.inside()
	}
	err := killCommand(w.cmd, session)
	if !errors.Is(err, os.ErrProcessDone) {
		w.mu.Lock()
		w.killed = true
		w.mu.Unlock()
	}
	return err
}

// cut says whether the command was killed: the runtime's exit code is not that
// of a command that ended by itself then.
func (w *execWatch) cut() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.killed
}

// sleep waits for d; it returns false if ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
