package target

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const (
	startTimeout = 20 * time.Second
	stopTimeout  = 20 * time.Second
)

// render writes the daemon's files into the work directory.
func (t *T) render() error {
	if t.cfg.Profile.Daemon == nil {
		return nil
	}
	vars := t.effective()
	for name, text := range t.cfg.Profile.Daemon.Files {
		content, err := vars.Expand(text)
		if err != nil {
			return fmt.Errorf("daemon.files: %s: %w", name, err)
		}
		path := filepath.Join(t.work, name)
		if err := replace(path, []byte(content)); err != nil {
			return fmt.Errorf("daemon.files: %w", err)
		}
	}
	return nil
}

// replace writes a file whole or not at all, and leaves one alone that has the
// content already: daemons watch their files.
func replace(path string, content []byte) error {
	old, err := os.ReadFile(path)
	if err == nil && bytes.Equal(old, content) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(path+".next", content, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".next", path)
}

// StartDaemon starts the daemon, if the profile has one and it is not running,
// and waits until it answers.
func (t *T) StartDaemon(ctx context.Context) error {
	d := t.cfg.Profile.Daemon
	timeout := startTimeout
	if d != nil {
		timeout = d.StartTimeout.or(startTimeout)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("not ready after %v", timeout))
	defer cancel()
	if d != nil && !t.daemon.running() {
		command, env, err := t.commandLine()
		if err != nil {
			return suiteError(err)
		}
		p, err := startProcess(command, env, t.work, t.daemonLog)
		if err != nil {
			return suiteError(fmt.Errorf("start daemon: %w", err))
		}
		t.daemon = p
		t.observer.exclude(p.cmd.Process.Pid)
	}
	return t.waitReady(ctx)
}

func (t *T) commandLine() (command, env []string, err error) {
	vars := t.effective()
	command, err = vars.expandAll(t.cfg.Profile.Daemon.Command)
	if err != nil {
		return nil, nil, fmt.Errorf("daemon.command: %w", err)
	}
	env = os.Environ()
	for _, name := range slices.Sorted(maps.Keys(t.cfg.Profile.Daemon.Env)) {
		value, err := vars.Expand(t.cfg.Profile.Daemon.Env[name])
		if err != nil {
			return nil, nil, fmt.Errorf("daemon.env: %s: %w", name, err)
		}
		env = append(env, name+"="+value)
	}
	return command, env, nil
}

// SignalDaemon sends the daemon a signal, waits until it has exited, and returns
// its exit code, -1 for a death by signal. The next [T.StartDaemon], or the end
// of the case, starts it again.
func (t *T) SignalDaemon(ctx context.Context, sig os.Signal) (int, error) {
	if !t.daemon.running() {
		return 0, errors.New("daemon is not running")
	}
	timeout := t.cfg.Profile.Daemon.StopTimeout.or(stopTimeout)
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("no exit after %v", timeout))
	defer cancel()
	p := t.daemon
	code, err := p.signal(ctx, sig)
	if err == nil {
		t.daemon = nil
	}
	return code, err
}

// TellDaemon sends the daemon a signal that does not end it.
func (t *T) TellDaemon(sig os.Signal) error {
	if !t.daemon.running() {
		return errors.New("daemon is not running")
	}
	return t.daemon.cmd.Process.Signal(sig)
}

// StopDaemon sends SIGTERM and waits for the exit. An exit code but 0 is an
// error; so is no exit in time, and then SIGKILL follows. A daemon that is not
// running is no error.
func (t *T) StopDaemon(ctx context.Context) error {
	if !t.daemon.running() {
		return nil
	}
	p := t.daemon
	code, err := t.SignalDaemon(ctx, syscall.SIGTERM)
	if err != nil {
		kill := t.KillDaemon(context.WithoutCancel(ctx))
		return errors.Join(fmt.Errorf("%w; killed; it wrote: %s", err, t.daemonLog.tail(p.logOffset)), kill)
	}
	if code != 0 {
		return fmt.Errorf("daemon exits with %s on SIGTERM: %s", p, t.daemonLog.tail(p.logOffset))
	}
	return nil
}

// KillDaemon sends SIGKILL and waits for the death.
func (t *T) KillDaemon(ctx context.Context) error {
	if !t.daemon.running() {
		return nil
	}
	_, err := t.SignalDaemon(ctx, syscall.SIGKILL)
	return err
}

// Restart ends the daemon with the signal, waits for its exit, starts it again
// and waits until it answers. SIGTERM has to lead to exit code 0.
func (t *T) Restart(ctx context.Context, sig os.Signal) error {
	t.Need(FeatureRestart)
	code, err := t.SignalDaemon(ctx, sig)
	if err != nil {
		return err
	}
	if sig == syscall.SIGTERM && code != 0 {
		return fmt.Errorf("daemon exits with code %d on SIGTERM: %s", code, t.daemonLog.tail(t.caseOffset))
	}
	return t.StartDaemon(ctx)
}

// Reconfigure restarts the daemon with other values of the profile's variables,
// until the end of the case. A variable that the profile does not have makes the
// case unsupported.
func (t *T) Reconfigure(ctx context.Context, overrides map[string]string) error {
	t.Need(FeatureRestart)
	for _, name := range slices.Sorted(maps.Keys(overrides)) {
		if _, ok := t.cfg.Profile.Variables[name]; !ok {
			unsupported("variable " + name)
		}
	}
	previous := t.overrides
	t.Cleanup("configure the daemon as before", func(ctx context.Context) error {
		t.overrides = previous
		return t.reload(ctx)
	})
	t.overrides = previous.with(overrides)
	return t.reload(ctx)
}

func (t *T) reload(ctx context.Context) error {
	if err := t.StopDaemon(ctx); err != nil {
		return err
	}
	if err := t.render(); err != nil {
		return suiteError(err)
	}
	return t.StartDaemon(ctx)
}

func (t *T) chooseCgroup(ctx context.Context) error {
	t.cgroup = t.vars["CGROUP"]
	resp, err := t.Runtime.RuntimeConfig(ctx, &runtimeapi.RuntimeConfigRequest{})
	if err != nil {
		return nil // kubelet falls back to its own driver, which is cgroupfs for the suite
	}
	if resp.GetLinux().GetCgroupDriver() == runtimeapi.CgroupDriver_SYSTEMD {
		t.cgroup = filepath.Base(t.cgroup) + ".slice"
	}
	t.observer.setCgroup(t.cgroup)
	return nil
}
