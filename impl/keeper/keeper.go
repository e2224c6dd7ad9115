// Package keeper is the process that stands for a container whose runtime keeps
// it elsewhere: in a sandbox that is one process for all containers of a pod.
// Monitors such as conmon know a container by the process that `create` leaves
// behind as their child, and its exit status is that of this child.
//
// The monitor runs the keeper in the runtime's place. The keeper runs the
// runtime's `create` and leaves a child, the keeper proper, whose number it
// writes over the runtime's in the PID file. The child holds the streams that
// the monitor gave, so that the `start` of the container can have them, waits
// for Nudge, which says that the container has been started or killed, then
// asks the runtime's `wait`, and ends as the container has.
//
// It refuses to change a container. It passes the monitor's signals on by the
// runtime's `kill`, and knows no runtime by name.
package keeper

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Nudge is the signal that tells a keeper to look at its container again.
const Nudge = syscall.SIGUSR1

const (
	keep   = "keep"                 // first argument of the keeper proper
	lost   = 128 + 9                // exit status of a container that is gone without one
	broken = 125                    // of a keeper that can't do its work
	again  = 100 * time.Millisecond // until a runtime that knows nothing yet is asked again
)

// Main runs a keeper with the arguments
//
//	ocid-keeper RUNTIME [GLOBAL…] create --bundle … --pid-file FILE … ID
//
// and returns its exit status, which is that of `create`.
func Main(argv []string) int {
	args := argv[1:]
	if len(args) > 2 && args[0] == keep {
		return container{command: args[1 : len(args)-1], id: args[len(args)-1]}.keep()
	}
	at := slices.Index(args, "create")
	file := slices.Index(args, "--pid-file") + 1
	if at < 1 || file == 0 || file >= len(args)-1 {
		return fail(fmt.Errorf("not the arguments of a monitor: %q", args))
	}
	create := command(args...)
	create.Stdin, create.Stdout, create.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := create.Run(); err != nil {
		if create.ProcessState != nil && create.ProcessState.Exited() {
			return create.ProcessState.ExitCode()
		}
		return fail(err)
	}
	if _, err := os.Stat(args[file]); err != nil {
		return fail(fmt.Errorf("runtime made no container: %w", err))
	}
	if err := leave(append(slices.Clone(args[:at]), args[len(args)-1]), args[file]); err != nil {
		return fail(err)
	}
	return 0
}

func fail(err error) int {
	fmt.Fprintln(os.Stderr, filepath.Base(os.Args[0])+":", err)
	return broken
}

func command(args ...string) *exec.Cmd { return exec.Command(args[0], args[1:]...) }

// leave starts the keeper proper and writes its number to the PID file. It is
// there for signals by then.
func leave(args []string, pidFile string) error {
	ready, begun, err := os.Pipe()
	if err != nil {
		return err
	}
	defer ready.Close()
	child := exec.Command("/proc/self/exe", append([]string{keep}, args...)...)
	child.Args[0] = os.Args[0]
	child.Stdin, child.Stdout, child.Stderr = os.Stdin, os.Stdout, os.Stderr
	child.ExtraFiles = []*os.File{begun}
	child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = child.Start()
	_ = begun.Close()
	if err != nil {
		return err
	}
	if n, err := ready.Read(make([]byte, 1)); n != 1 {
		return fmt.Errorf("keeper did not begin: %w", err)
	}
	return os.WriteFile(pidFile, []byte(strconv.Itoa(child.Process.Pid)), 0o600)
}

// A container as its keeper knows it.
type container struct {
	command []string // the runtime with its global arguments
	id      string
}

// keep returns the container's exit status when it has ended.
func (c container) keep() int {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, Nudge, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT)
	begun := os.NewFile(3, "begun")
	_, _ = begun.Write([]byte{'\n'})
	_ = begun.Close()
	over := make(chan int, 1)
	look := func() { over <- c.status() }
	looking, nudged := false, false
	for {
		select {
		case status := <-over:
			if status >= 0 {
				return status
			}
			if looking, nudged = nudged, false; looking {
				go look()
			}
		case sig := <-signals:
			switch {
			case sig != Nudge:
				_ = command(append(slices.Clone(c.command), "kill", c.id, strconv.Itoa(int(sig.(syscall.Signal))))...).Run()
			case looking:
				nudged = true
			default:
				looking = true
				go look()
			}
		}
	}
}

// status waits for the container; -1 says that it has not been started. One that
// has stopped is asked for once more: it may have been started, and have ended,
// since it was asked.
func (c container) status() int {
	for stopped := false; ; {
		var end struct {
			Status *int `json:"exitStatus"`
		}
		if c.ask("wait", &end) && end.Status != nil {
			return *end.Status
		}
		var st specs.State
		switch known := c.ask("state", &st); {
		case known && st.Status == specs.StateCreated:
			return -1
		case known && st.Status == specs.StateRunning: // about to end, or the runtime could not be asked
			time.Sleep(again)
		case known && !stopped:
			stopped = true
		default:
			return lost
		}
	}
}

// ask runs a subcommand whose answer is JSON.
func (c container) ask(op string, answer any) bool {
	out, err := command(append(slices.Clone(c.command), op, c.id)...).Output()
	return err == nil && json.Unmarshal(bytes.TrimSpace(out), answer) == nil
}
