package runtime

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	goruntime "runtime"
	"strconv"
	"strings"
	"syscall"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/opencontainers/runtime-spec/specs-go/features"
)

// maxOutput bounds what is kept of a runtime's own output, in bytes per stream.
const maxOutput = 1 << 20

// capped keeps the first limit bytes written to it and drops the rest.
type capped struct {
	bytes.Buffer
	limit int64
}

func (c *capped) Write(p []byte) (int, error) {
	if room := c.limit - int64(c.Len()); room > 0 {
		c.Buffer.Write(p[:min(int64(len(p)), room)])
	}
	return len(p), nil
}

// ReadFrom hides Buffer's, which has no limit.
func (c *capped) ReadFrom(src io.Reader) (int64, error) {
	return io.Copy(struct{ io.Writer }{c}, src)
}

type outputs struct{ stdout, stderr capped }

// command prepares a program of ours to run as a direct child. When ctx ends it
// is killed with everything below it; output that outlives it is cut off.
func (r *OCI) command(ctx context.Context, path string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = r.env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = pipeGrace
	cmd.Cancel = func() error { return killCommand(cmd, 0) }
	return cmd
}

// killCommand ends a child that has not been waited for, with all below it.
func killCommand(cmd *exec.Cmd, session int) error {
	st, err := readStat(cmd.Process.Pid)
	if err != nil || st.parent != os.Getpid() {
		return os.ErrProcessDone
	}
	return killTree(st, session)
}

// output runs cmd to its end. A child that keeps the output open is no error.
func output(cmd *exec.Cmd) (*outputs, error) {
	out := &outputs{stdout: capped{limit: maxOutput}, stderr: capped{limit: maxOutput}}
	cmd.Stdout, cmd.Stderr = &out.stdout, &out.stderr
	return out, ignoreOpen(cmd.Run())
}

// run executes one subcommand of the runtime on a container and returns its stdout.
func (r *OCI) run(ctx context.Context, id, op string, args ...string) ([]byte, error) {
	if !idPattern.MatchString(id) {
		return nil, r.fail(op, strconv.Quote(clip(id)), errors.New("bad container ID"))
	}
	out := &outputs{stdout: capped{limit: maxOutput}, stderr: capped{limit: maxOutput}}
	cmd := r.command(ctx, r.path, append(append(append([]string{}, r.global...), op), args...)...)
	cmd.Stdout, cmd.Stderr = &out.stdout, &out.stderr
	if err := runBound(cmd); err != nil {
		return nil, r.commandError(ctx, op, id, err, out.stderr.Bytes())
	}
	return out.stdout.Bytes(), nil
}

// runBound runs a command that must not outlive the daemon and start or kill a
// container behind the next one's back. A child that keeps its output open is no
// error.
func runBound(cmd *exec.Cmd) error {
	// The signal comes when the thread ends, so it is held.
	goruntime.LockOSThread()
	defer goruntime.UnlockOSThread()
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	return ignoreOpen(cmd.Run())
}

func ignoreOpen(err error) error {
	if errors.Is(err, exec.ErrWaitDelay) {
		return nil
	}
	return err
}

// commandError explains err of a runtime command that ran under ctx.
func (r *OCI) commandError(ctx context.Context, op, id string, err error, stderr []byte) *Error {
	e := r.fail(op, id, err)
	e.Message = message(stderr)
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		e.Err = context.Cause(ctx)
	case errors.As(err, &exit) && exit.Exited():
		e.ExitCode = exit.ExitCode()
		if e.Message != "" {
			e.Err = nil
		}
		if op == "state" && gone(e.Message) {
			e.Err = ErrNotFound
		}
	}
	return e
}

// gone recognises the runtimes' ways to say that they don't know a container.
func gone(msg string) bool {
	msg = strings.ToLower(msg)
	for _, s := range []string{"does not exist", "no such file or directory", "not found", "no such container"} {
		if strings.Contains(msg, s) {
			return true
		}
	}
	return false
}

// Start runs a created container's process.
func (r *OCI) Start(ctx context.Context, id string) error {
	defer r.nudge(id)
	if r.startStreams {
		return r.startWithStreams(ctx, id)
	}
	_, err := r.run(ctx, id, "start", id)
	return err
}

// State asks the runtime. The error is ErrNotFound if it doesn't know the
// container. It costs a process: for recovery and for judging a failure.
func (r *OCI) State(ctx context.Context, id string) (specs.State, error) {
	out, err := r.run(ctx, id, "state", id)
	if err != nil {
		return specs.State{}, err
	}
	var s specs.State
	if err := json.Unmarshal(out, &s); err != nil {
		e := r.fail("state", id, err)
		e.Message = "bad answer: " + firstLine(out)
		return specs.State{}, e
	}
	return s, nil
}

// Kill has the runtime send a signal to the container's init, or with all to
// every process in the container. The error is ErrNotRunning if the container
// has stopped or is not there.
func (r *OCI) Kill(ctx context.Context, id string, sig syscall.Signal, all bool) error {
	args := []string{id, strconv.Itoa(int(sig))}
	if all {
		args = append([]string{"--all"}, args...)
	}
	_, err := r.run(ctx, id, "kill", args...)
	r.nudge(id)
	return r.explain(ctx, id, err)
}

// explain adds to err whether the container is stopped or absent. It asks the
// runtime instead of reading messages, which differ.
func (r *OCI) explain(ctx context.Context, id string, err error) error {
	var e *Error
	if !errors.As(err, &e) || ctx.Err() != nil {
		return err
	}
	s, stateErr := r.State(ctx, id)
	switch {
	case errors.Is(stateErr, ErrNotFound):
		e.Err = joinCauses(e.Err, fmt.Errorf("%w: %w", ErrNotRunning, ErrNotFound))
	case stateErr == nil && s.Status == specs.StateStopped, r.keeperEnds(ctx, id):
		e.Err = joinCauses(e.Err, ErrNotRunning)
	}
	return e
}

// Features asks the runtime what it can do. Old runtimes don't answer.
func (r *OCI) Features(ctx context.Context) (*features.Features, error) {
	out, err := output(r.command(ctx, r.path, append(append([]string{}, r.global...), "features")...))
	if err != nil {
		return nil, r.commandError(ctx, "features", "", err, out.stderr.Bytes())
	}
	var f features.Features
	if err := json.Unmarshal(out.stdout.Bytes(), &f); err != nil {
		return nil, r.fail("features", "", err)
	}
	return &f, nil
}

// joinCauses keeps an earlier cause, which may be nil, in front of the one found.
func joinCauses(first, found error) error {
	if first == nil {
		return found
	}
	return fmt.Errorf("%w: %w", first, found)
}
