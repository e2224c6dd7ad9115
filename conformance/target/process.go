package target

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// process is one life of the daemon.
type process struct {
	cmd       *exec.Cmd
	logOffset int64         // where its output begins in the log file
	exited    chan struct{} // closed when it is waited for
}

func startProcess(command, env []string, dir string, log *logFile) (*process, error) {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env, cmd.Dir = env, dir
	cmd.Stdout, cmd.Stderr = log.file, log.file
	// A group of its own: a Ctrl-C is for the suite, which stops the daemon.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p := &process{cmd: cmd, logOffset: log.size(), exited: make(chan struct{})}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = cmd.Wait() // the outcome is in ProcessState
		close(p.exited)
	}()
	return p, nil
}

func (p *process) running() bool {
	if p == nil {
		return false
	}
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// String says how it ended, or that it runs.
func (p *process) String() string {
	if p.running() {
		return fmt.Sprintf("pid %d running", p.cmd.Process.Pid)
	}
	return p.cmd.ProcessState.String()
}

// signal sends a signal and waits for the exit until ctx ends. It returns the
// exit code, -1 for a death by signal.
func (p *process) signal(ctx context.Context, sig os.Signal) (int, error) {
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return 0, fmt.Errorf("signal daemon: %w", err)
	}
	select {
	case <-p.exited:
		return p.cmd.ProcessState.ExitCode(), nil
	case <-ctx.Done():
		return 0, fmt.Errorf("daemon lives on after %v: %w", sig, context.Cause(ctx))
	}
}

// logFile is where the daemon's output goes.
type logFile struct {
	path string
	file *os.File
}

func openLog(path string) (*logFile, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	return &logFile{path: path, file: f}, nil
}

func (l *logFile) size() int64 {
	info, err := l.file.Stat()
	if err != nil {
		return 0
	}
	return info.Size()
}

const (
	tailBytes = 16 << 10
	tailLines = 25
)

// tail returns the last lines written since offset.
func (l *logFile) tail(offset int64) string {
	f, err := os.Open(l.path)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = f.Close() }()
	offset = max(offset, l.size()-tailBytes)
	data, err := io.ReadAll(io.NewSectionReader(f, offset, tailBytes))
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(string(bytes.TrimSpace(data)), "\n")
	return strings.Join(lines[max(0, len(lines)-tailLines):], "\n")
}
