package runtime

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// DefaultLimit is how many bytes of each stream an Exec keeps unless told.
const DefaultLimit = 16 << 20

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
	if !idPattern.MatchString(id) {
		return ExecResult{}, r.fail("exec", strconv.Quote(clip(id)), errors.New("bad container ID"))
	}
	if e.Process.Terminal {
		return ExecResult{}, r.fail("exec", id, errors.New("terminal is not supported"))
	}
	if e.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, e.Timeout, ErrTimeout)
		defer cancel()
	}
	dir, err := r.execFiles(id, e.Process)
	if err != nil {
		return ExecResult{}, r.fail("exec", id, err)
	}
	defer os.RemoveAll(dir)
	return r.exec(ctx, id, dir, e)
}

func (r *OCI) execFiles(id string, p specs.Process) (string, error) {
	data, err := json.Marshal(p)
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp(r.dir(id), "exec-")
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%w: %w", ErrNotRunning, ErrNotFound)
	}
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(dir, "process.json"), data, 0o600); err != nil {
		return "", errors.Join(err, os.RemoveAll(dir))
	}
	return dir, nil
}

func (r *OCI) exec(ctx context.Context, id, dir string, e Exec) (ExecResult, error) {
	out, err := openExecStreams(e.Limit)
	if err != nil {
		return ExecResult{}, r.fail("exec", id, err)
	}
	defer out.close()
	pidPath := filepath.Join(dir, pidFile)
	cmd := r.command(ctx, r.path, append(append([]string{}, r.global...),
		"exec", "--process", filepath.Join(dir, "process.json"), "--pid-file", pidPath, id)...)
	cmd.Stdout, cmd.Stderr = out.stdout.w, out.stderr.w
	w := &execWatch{cmd: cmd, pidPath: pidPath, out: out}
	cmd.Cancel = w.kill
	if err := cmd.Start(); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return ExecResult{}, r.fail("exec", id, err)
	}
	out.begin()
	stop := w.begin(ctx)
	err = cmd.Wait()
	stop()
	res := out.finish()
	_, pidErr := os.Stat(pidPath)
	switch ps := cmd.ProcessState; {
	case ps.Exited() && (pidErr == nil || ps.Success()):
		res.ExitCode = int32(ps.ExitCode())
		return res, nil
	case ctx.Err() != nil:
		return res, r.fail("exec", id, context.Cause(ctx))
	case ps.Exited():
		return ExecResult{}, r.notStarted(ctx, id, ps.ExitCode(), res.Stderr)
	default:
		return res, r.fail("exec", id, fmt.Errorf("%w: runtime: %w", ErrNoExit, err))
	}
}

// notStarted is the error of a runtime that ended before there was a process.
func (r *OCI) notStarted(ctx context.Context, id string, code int, stderr []byte) error {
	e := r.fail("exec", id, ErrExecFailed)
	e.ExitCode, e.Message = code, message(stderr)
	return r.explain(ctx, id, e)
}
