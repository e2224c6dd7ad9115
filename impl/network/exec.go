package network

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"time"

	"github.com/containernetworking/cni/pkg/invoke"
	"github.com/containernetworking/cni/pkg/types"
	"github.com/containernetworking/cni/pkg/version"
)

const (
	// outputWait is how long a plugin that has ended may leave its output open,
	// in the hands of a process it started.
	outputWait = time.Second
	// A plugin being installed at this moment cannot be executed.
	busyRetries = 10
	busyWait    = 50 * time.Millisecond
	// quoteLimit bounds how much of a plugin's output an error quotes, in bytes.
	quoteLimit = 1024
)

// A pluginExec runs plugins for libcni. Unlike libcni's own, it leaves no process
// behind when the context ends: the plugin leads a process group, and the whole
// group is killed.
type pluginExec struct {
	version.PluginDecoder
	log *slog.Logger
}

var _ invoke.Exec = (*pluginExec)(nil)

// FindInPath is libcni's.
func (e *pluginExec) FindInPath(plugin string, paths []string) (string, error) {
	return invoke.FindInPath(plugin, paths)
}

// ExecPlugin runs one plugin and returns its output. The error of a plugin that
// the context ended wraps ctx.Err().
func (e *pluginExec) ExecPlugin(ctx context.Context, path string, stdin []byte, env []string) ([]byte, error) {
	for try := 0; ; try++ {
		out, err := e.run(ctx, path, stdin, env)
		if !errors.Is(err, syscall.ETXTBSY) || try == busyRetries {
			return out, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%s: %w", filepath.Base(path), ctx.Err())
		case <-time.After(busyWait):
		}
	}
}

func (e *pluginExec) run(ctx context.Context, path string, stdin []byte, env []string) ([]byte, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, path)
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = env, bytes.NewReader(stdin), &stdout, &stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return killGroup(cmd.Process.Pid) }
	cmd.WaitDelay = outputWait
	if slices.Contains(env, "CNI_COMMAND=ADD") {
		// An ADD must not outlive the daemon: the next one begins with a DEL. (A
		// DEL may: to be cut short only makes it leave more behind.) The signal
		// comes when the thread ends, so the thread is held.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	}
	err := cmd.Run()
	e.log.Debug("cni plugin", "path", path, "stderr", stderr.String(), "error", err)
	switch {
	case err == nil:
		return stdout.Bytes(), nil
	case ctx.Err() != nil:
		return nil, fmt.Errorf("%s was ended: %w", filepath.Base(path), ctx.Err())
	case errors.Is(err, exec.ErrWaitDelay):
		return stdout.Bytes(), nil // it succeeded, and left a process behind on purpose
	}
	return nil, failure(err, stdout.Bytes(), stderr.Bytes())
}

func killGroup(leader int) error {
	err := syscall.Kill(-leader, syscall.SIGKILL)
	if errors.Is(err, syscall.ESRCH) {
		return os.ErrProcessDone
	}
	return err
}

// failure is the error a plugin reports on its output (CNI specification, "Error"),
// or what else is known.
func failure(err error, stdout, stderr []byte) error {
	var reported types.Error
	if json.Unmarshal(stdout, &reported) == nil && reported.Msg != "" {
		return &reported
	}
	if len(stdout) == 0 && len(stderr) == 0 {
		return fmt.Errorf("%w, without a word", err)
	}
	return fmt.Errorf("%w: stdout %q, stderr %q", err, quote(stdout), quote(stderr))
}

func quote(b []byte) []byte {
	return b[:min(len(b), quoteLimit)]
}
