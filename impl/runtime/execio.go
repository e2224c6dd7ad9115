package runtime

import (
	"context"
	"io"
	"os"
	"os/exec"
	"sync/atomic"
	"time"
)

// execStream is one output of a command: the runtime writes to w, we read r.
type execStream struct {
	r, w *os.File
	to   io.Writer    // nil throws the output away
	head capped       // the first of it, for the error of a command that did not start
	idle atomic.Int64 // since when (ns since 1970) there has been nothing to read; 0 while output is passed on
	done chan struct{}
}

func (s *execStream) open() (err error) {
	s.head.limit, s.done = maxStderr, make(chan struct{})
	s.r, s.w, err = os.Pipe()
	return err
}

// copy passes the output on until its end. A client that can't take it any more
// does not keep the command from writing.
func (s *execStream) copy() {
	defer close(s.done)
	buf := make([]byte, 32<<10)
	for {
		s.idle.Store(time.Now().UnixNano())
		n, err := s.r.Read(buf)
		if n > 0 {
			s.idle.Store(0)
			_, _ = s.head.Write(buf[:n])
			if s.to != nil {
				if _, werr := s.to.Write(buf[:n]); werr != nil {
					s.to = nil
				}
			}
		}
		if err != nil {
			return
		}
	}
}

// rest is how much longer the stream has to be silent.
func (s *execStream) rest() time.Duration {
	select {
	case <-s.done:
		return 0
	default:
	}
	since := s.idle.Load()
	if since == 0 {
		return pipeGrace
	}
	return pipeGrace - time.Since(time.Unix(0, since))
}

// execStreams are a command's streams. The pipes are ours and not os/exec's,
// because the reading ends must be closable while the runtime still runs.
type execStreams struct {
	stdout, stderr execStream // with a terminal only stdout, which is the terminal
	stdin          io.Reader  // nil is /dev/null
	patient        bool       // output waits for its reader; else all is over pipeGrace after the command
	terminal       bool
	cooked         bool // the command has this very terminal, not one of the runtime's behind it
	resize         <-chan WinSize

	in, inR *os.File      // stdin, our end and the runtime's; nil without
	over    chan struct{} // closed at the end
}

// open makes the pipes, or the terminal, and gives cmd its ends.
func (o *execStreams) open(cmd *exec.Cmd) (err error) {
	defer func() {
		if err != nil {
			o.close()
		}
	}()
	o.over = make(chan struct{})
	if o.terminal {
		return o.openTerminal(cmd)
	}
	for _, s := range o.outputs() {
		if err := s.open(); err != nil {
			return err
		}
	}
	cmd.Stdout, cmd.Stderr = o.stdout.w, o.stderr.w
	if o.stdin != nil {
		if o.inR, o.in, err = os.Pipe(); err != nil {
			return err
		}
		cmd.Stdin = o.inR
	}
	return nil
}

func (o *execStreams) outputs() []*execStream {
	if o.terminal {
		return []*execStream{&o.stdout}
	}
	return []*execStream{&o.stdout, &o.stderr}
}

// begin copies; the runtime has its ends by now.
func (o *execStreams) begin() {
	if o.inR != nil {
		_ = o.inR.Close()
	}
	for _, s := range o.outputs() {
		_ = s.w.Close()
		go s.copy()
	}
	if o.stdin != nil {
		go o.feed()
	}
	if o.terminal {
		go o.follow()
	}
}

// feed passes the input on and reads it to its end whatever becomes of it, so
// that the client is never held up.
func (o *execStreams) feed() {
	if o.terminal {
		o.typeIn()
	} else {
		_, _ = io.Copy(o.in, o.stdin)
		_ = o.in.Close()
	}
	_, _ = io.Copy(io.Discard, o.stdin)
}

// silent waits, when the command has ended, until what holds its output open may
// be given up; it returns false if ctx ended first.
func (o *execStreams) silent(ctx context.Context) bool {
	rest := pipeGrace
	for rest > 0 {
		if !sleep(ctx, rest) {
			return false
		}
		if rest = 0; o.patient {
			for _, s := range o.outputs() {
				rest = max(rest, s.rest())
			}
		}
	}
	return true
}

// finish reads what is left when the runtime has ended, and gives up somebody
// who keeps the pipes open.
func (o *execStreams) finish() {
	ctx, cancel := context.WithCancel(context.Background())
	given := make(chan struct{})
	go func() {
		defer close(given)
		if o.silent(ctx) {
			for _, s := range o.outputs() {
				_ = s.r.SetReadDeadline(time.Unix(1, 0))
			}
		}
	}()
	for _, s := range o.outputs() {
		<-s.done
	}
	cancel()
	<-given
}

// said is the beginning of what the runtime or the command wrote to stderr.
func (o *execStreams) said() []byte {
	if o.terminal {
		return o.stdout.head.Bytes()
	}
	return o.stderr.head.Bytes()
}

// hangUp closes the reading ends: a later write fails in the writer.
func (o *execStreams) hangUp() {
	for _, s := range o.outputs() {
		_ = s.r.Close()
	}
}

func (o *execStreams) close() {
	close(o.over)
	for _, f := range []*os.File{o.stdout.r, o.stdout.w, o.stderr.r, o.stderr.w, o.in, o.inR} {
		if f != nil {
			_ = f.Close()
		}
	}
}
