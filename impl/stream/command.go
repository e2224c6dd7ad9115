package stream

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
	"k8s.io/streaming/pkg/httpstream/wsstream"
	"k8s.io/utils/exec"
)

// serveCommand serves a client of Exec or Attach. The library knows every
// protocol but the newest of WebSocket.
func (s *Server) serveCommand(w http.ResponseWriter, r *http.Request, o Options, run Command) {
	e := executor{ctx: r.Context(), opts: o, run: run}
	if wsstream.IsWebSocketRequestWithStreamCloseProtocol(r) {
		s.serveV5(w, r, e)
		return
	}
	remotecommand.ServeExec(w, r, e, "", "", "", nil, &remotecommand.Options{Stdin: o.Stdin, Stdout: o.Stdout, Stderr: o.Stderr, TTY: o.TTY},
		s.cfg.IdleTimeout, createTimeout, remotecommand.SupportedStreamingProtocols)
}

// executor runs one command in the form that the library calls it.
type executor struct {
	ctx  context.Context
	opts Options
	run  Command
}

// ExecInContainer runs the command; only the streams and the terminal are the
// caller's choice, all else stands behind the URL.
//
//revive:disable-next-line:argument-limit the library's interface
func (e executor) ExecInContainer(_ context.Context, _, _, _ string, _ []string, in io.Reader, out, err io.WriteCloser, _ bool, resize <-chan remotecommand.TerminalSize, _ time.Duration) error {
	streams := Streams{TTY: e.opts.TTY}
	if e.opts.Stdin {
		streams.Stdin = in
	}
	if e.opts.Stdout {
		streams.Stdout = out
		defer out.Close()
	}
	if e.opts.Stderr {
		streams.Stderr = err
		defer err.Close()
	}
	if e.opts.TTY {
		streams.Resize = resize
	} else if resize != nil {
		go drain(resize)
	}
	code, failed := e.run(e.ctx, streams)
	switch {
	case failed != nil:
		giveUp(e.ctx)
		return failed
	case code != 0:
		return exec.CodeExitError{Err: fmt.Errorf("exit code %d", code), Code: int(code)}
	}
	return nil
}

// drain takes what nobody wants, so that its sender is not held up.
func drain(sizes <-chan Size) {
	for range sizes {
	}
}
