package runtime

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

const (
	firstSize = 100 * time.Millisecond // for a client to tell its terminal's size before the command starts
	endOfFile = 4                      // what a terminal reads as the end of the input
)

// openTerminal makes the terminal that the runtime has. The command gets one of
// its own in the container, which the runtime connects with this one; it is raw,
// so that only the command's cooks what is typed. Some runtimes pass it on.
func (o *execStreams) openTerminal(cmd *exec.Cmd) error {
	master, tty, err := pty.Open()
	if err != nil {
		return fmt.Errorf("terminal: %w", err)
	}
	defer master.Close()
	o.stdout.head.limit, o.stdout.done = maxStderr, make(chan struct{})
	o.stdout.w = tty
	if !o.cooked {
		if _, err := term.MakeRaw(int(tty.Fd())); err != nil {
			return fmt.Errorf("terminal: %w", err)
		}
	}
	// The library leaves the master blocking, so that nothing could end a read.
	fd, err := unix.FcntlInt(master.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err == nil {
		err = unix.SetNonblock(fd, true)
	}
	if err != nil {
		return fmt.Errorf("terminal: %w", err)
	}
	o.stdout.r = os.NewFile(uintptr(fd), master.Name())
	select {
	case size := <-o.resize:
		o.setSize(size)
	case <-time.After(firstSize):
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	return nil
}

// follow gives the terminal the sizes that the client's has.
func (o *execStreams) follow() {
	for {
		select {
		case size, ok := <-o.resize:
			if !ok {
				return
			}
			o.setSize(size)
		case <-o.over:
			return
		}
	}
}

func (o *execStreams) setSize(size WinSize) {
	if conn, err := o.stdout.r.SyscallConn(); err == nil && size != (WinSize{}) {
		_ = conn.Control(func(fd uintptr) {
			_ = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: size.Height, Col: size.Width})
		})
	}
}

// typeIn types the input. Its end is the terminal's end of file, twice where the
// last line has no end.
func (o *execStreams) typeIn() {
	last := lastByte{Writer: o.stdout.r, last: '\n'}
	if _, err := io.Copy(&last, o.stdin); err != nil {
		return
	}
	end := []byte{endOfFile, endOfFile}
	if last.last == '\n' || last.last == '\r' {
		end = end[1:]
	}
	_, _ = o.stdout.r.Write(end)
}

// lastByte remembers the last byte written.
type lastByte struct {
	io.Writer
	last byte
}

func (l *lastByte) Write(p []byte) (int, error) {
	if len(p) > 0 {
		l.last = p[len(p)-1]
	}
	return l.Writer.Write(p)
}
