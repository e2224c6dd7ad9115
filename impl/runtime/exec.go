package runtime

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// DefaultLimit is how many bytes of each stream an Exec keeps unless told.
const DefaultLimit = 16 << 20

// Names in a container's run directory while a command runs.
const (
	execPrefix  = "exec-"        // of a directory, which also has pidFile
	processFile = "process.json" // in it: the command
)

// Exec is a command to run in a container.
type Exec struct {
	Process specs.Process // without a terminal
	Limit   int64         // bytes kept of each of stdout and stderr; 0 is DefaultLimit
	Timeout time.Duration // 0 is none
}

// ExecResult is the end of a command that has run.
type ExecResult struct {
	Stdout, Stderr []byte // the first Exec.Limit bytes
	ExitCode       int32  // 128+n for death by signal n
}

// Exec runs a command in a running container and returns its output and exit
// code; stdin is /dev/null. The code may be any, 126, 127 and 255 too: a command
// that could not be started is the error ErrExecFailed with the runtime's
// message, joined by ErrNotRunning if that is why.
//
// When Timeout is over (ErrTimeout) or ctx ends, the command is killed with its
// children and its session. Both errors come with the output so far.
//
// A process of the command that keeps the output open holds Exec for at most two
// seconds after the command's end; what it writes later is lost.
func (r *OCI) Exec(ctx context.Context, id string, e Exec) (ExecResult, error) {
	if e.Process.Terminal {
		return ExecResult{}, r.fail("exec", id, errors.New("terminal is not supported"))
	}
	if e.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, e.Timeout, ErrTimeout)
		defer cancel()
	}
	if e.Limit <= 0 {
		e.Limit = DefaultLimit
	}
	stdout, stderr := &capped{limit: e.Limit}, &capped{limit: e.Limit}
	code, err := r.execIn(ctx, id, e.Process, &execStreams{stdout: execStream{to: stdout}, stderr: execStream{to: stderr}})
	res := ExecResult{Stdout: stdout.Bytes(), Stderr: stderr.Bytes(), ExitCode: code}
	if errors.Is(err, ErrExecFailed) {
		res = ExecResult{} // the runtime's output, not the command's
	}
	return res, err
}

// WinSize is a terminal's size in characters.
type WinSize struct{ Width, Height uint16 }

// Streams are what a client has for a command or a container. What is nil is
// not wanted. Stdin has to end when the client goes.
type Streams struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer      // with a terminal all output goes to Stdout
	Resize         <-chan WinSize // closed when the client goes
}

// ExecStream runs a command in a running container, with a terminal if the
// process has one, and returns its exit code; errors are those of Exec. When ctx
// ends, the command is killed with its children and its session.
//
// Output waits for a slow client and is never cut. A process of the command that
// keeps the output open holds ExecStream until it has been silent for a second.
// Stdin is read to its end, by the command and after it: ExecStream returns
// before that.
func (r *OCI) ExecStream(ctx context.Context, id string, p specs.Process, s Streams) (int32, error) {
	return r.execIn(ctx, id, p, &execStreams{
		stdout: execStream{to: s.Stdout}, stderr: execStream{to: s.Stderr}, patient: true,
		terminal: p.Terminal, stdin: s.Stdin, resize: s.Resize,
	})
}

func (r *OCI) execIn(ctx context.Context, id string, p specs.Process, streams *execStreams) (int32, error) {
	if !idPattern.MatchString(id) {
		return 0, r.fail("exec", strconv.Quote(clip(id)), errors.New("bad container ID"))
	}
	dir, err := r.execFiles(id, p)
	if err != nil {
		return 0, r.fail("exec", id, err)
	}
	defer os.RemoveAll(dir)
	return r.exec(ctx, id, dir, p.OOMScoreAdj, streams)
}

func (r *OCI) execFiles(id string, p specs.Process) (string, error) {
	data, err := json.Marshal(p)
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp(r.dir(id), execPrefix)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%w: %w", ErrNotRunning, ErrNotFound)
	}
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(dir, processFile), data, 0o600); err != nil {
		return "", errors.Join(err, os.RemoveAll(dir))
	}
	return dir, nil
}

func (r *OCI) exec(ctx context.Context, id, dir string, score *int, streams *execStreams) (int32, error) {
	pidPath := filepath.Join(dir, pidFile)
	args := append(append([]string{}, r.global...), "exec", "--process", filepath.Join(dir, processFile), "--pid-file", pidPath)
	if streams.cooked = r.guestExec; r.guestExec {
		args = append(args, "--internal-pid-file", filepath.Join(dir, guestPidFile))
	}
	cmd := r.command(ctx, r.path, append(args, id)...)
	if err := streams.open(cmd); err != nil {
		return 0, r.fail("exec", id, err)
	}
	defer streams.close()
	w := &execWatch{cmd: cmd, pidPath: pidPath, score: score, out: streams}
	if r.guestExec {
		w.inside = func() { r.killGuest(id, dir) }
	}
	cmd.Cancel = w.kill
	if err := cmd.Start(); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return 0, r.fail("exec", id, err)
	}
	streams.begin()
	stop := w.begin(ctx)
	err := cmd.Wait()
	stop()
	streams.finish()
	_, pidErr := os.Stat(pidPath)
	switch ps := cmd.ProcessState; {
	case ps.Exited() && (pidErr == nil || ps.Success()) && !w.cut():
		return int32(ps.ExitCode()), nil
	case ctx.Err() != nil:
		return 0, r.fail("exec", id, context.Cause(ctx))
	case ps.Exited():
		return 0, r.notStarted(ctx, id, ps.ExitCode(), streams.said())
	default:
		return 0, r.fail("exec", id, fmt.Errorf("%w: runtime: %w", ErrNoExit, err))
	}
}

// notStarted is the error of a runtime that ended before there was a process.
func (r *OCI) notStarted(ctx context.Context, id string, code int, stderr []byte) error {
	e := r.fail("exec", id, ErrExecFailed)
	e.ExitCode, e.Message = code, message(stderr)
	return r.explain(ctx, id, e)
}
