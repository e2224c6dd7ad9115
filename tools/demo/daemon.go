package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// daemon is the running ocid.
type daemon struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed at its exit
	err   error         // of its exit; read after ended
}

func (d *demo) startDaemon(ctx context.Context) error {
	log, err := os.Create(d.path("ocid.log"))
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command("bin/ocid", "--config=", "--config-dir=", "--listen="+d.path("ocid.sock"),
		"--root="+d.path("root"), "--runroot="+d.path("run"))
	cmd.Stderr = log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // out of Ctrl-C's reach
	d.show(strings.Join(cmd.Args, " "))
	if err := cmd.Start(); err != nil {
		return err
	}
	d.daemon = &daemon{cmd: cmd, ended: make(chan struct{})}
	go func() {
		d.daemon.err = cmd.Wait()
		close(d.daemon.ended)
	}()
	d.later("remove what the default network's bridge left", d.removeBridge)
	d.later("stop ocid (SIGTERM) and wait for its end", d.stopDaemon)
	if err := d.writeCrictlConfig(); err != nil {
		return err
	}
	return d.awaitDaemon(ctx)
}

// awaitDaemon waits until the daemon answers, or ends.
func (d *demo) awaitDaemon(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-d.daemon.ended:
			cancel(fmt.Errorf("ocid ended: %w", d.daemon.err))
		case <-ctx.Done():
		}
	}()
	var out string
	err := eventually(ctx, func() (err error) {
		out, err = d.crictl(ctx, "version")
		return err
	})
	if err != nil {
		return errors.Join(context.Cause(ctx), err, d.logTail())
	}
	d.show(out)
	return nil
}

// stopDaemon sends SIGTERM and waits; a daemon that does not exit by itself
// with status 0 is an error, and is killed so that nothing is left.
func (d *demo) stopDaemon(ctx context.Context) error {
	if err := d.daemon.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-d.daemon.ended:
	case <-ctx.Done():
		return errors.Join(ctx.Err(), d.daemon.cmd.Process.Kill(), d.logTail())
	}
	if d.daemon.err != nil {
		return errors.Join(d.daemon.err, d.logTail())
	}
	return nil
}

// logTail is the end of the daemon's log as an error, for failures.
func (d *demo) logTail() error {
	text, err := os.ReadFile(d.path("ocid.log"))
	if err != nil {
		return err
	}
	return fmt.Errorf("end of ocid's log:\n%s", text[max(0, len(text)-4000):])
}
