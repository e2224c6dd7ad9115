package runtime

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/opencontainers/cgroups"
	"golang.org/x/sys/unix"
)

const (
	forkGrace  = 2 * time.Second // for the monitor's first process to end after ctx has
	maxSync    = 64 << 10        // bytes of the monitor's report
	noMessage  = "runtime failed without a message"
	syncPipeFD = 3 // first of exec.Cmd.ExtraFiles
	startFD    = 4
)

// report is what the monitor writes to the sync pipe: the container's init, or
// a number <= 0 and the head of the runtime's stderr.
type report struct {
	PID     int    `json:"pid"`
	Message string `json:"message"`
}

func (r *OCI) monitorArgs(c Create) []string {
	dir := r.dir(c.ID)
	args := []string{
		"--cid", c.ID, "--cuuid", c.ID, "--name", c.ID,
		"--bundle", c.Bundle, "--full-attach",
		r.persistArg(c.ID),
		"--container-pidfile", filepath.Join(dir, pidFile),
		"--conmon-pidfile", filepath.Join(dir, monitorFile),
	}
	if r.keeper == "" {
		args = append(args, "--runtime", r.path)
	} else {
		args = append(args, "--runtime", r.keeper, "--runtime-arg="+r.path)
	}
	for _, a := range r.global {
		args = append(args, "--runtime-arg="+a)
	}
	if c.LogPath == "" {
		args = append(args, "--log-path=null:")
	} else {
		args = append(args, "--log-path=k8s-file:"+c.LogPath)
	}
	if r.opts.LogSizeMax > 0 {
		args = append(args, "--log-size-max="+strconv.FormatInt(r.opts.LogSizeMax, 10))
	}
	for flag, on := range map[string]bool{
		"--systemd-cgroup":   r.opts.SystemdCgroup,
		"--terminal":         c.Terminal,
		"--stdin":            c.Stdin,
		"--leave-stdin-open": c.Stdin && !c.StdinOnce,
	} {
		if on {
			args = append(args, flag)
		}
	}
	return args
}

// persistArg is the argument by which a container's monitors are recognised.
func (r *OCI) persistArg(id string) string { return "--persist-dir=" + r.dir(id) }

// mark is an environment entry of everything a container's monitor runs.
func (r *OCI) mark(id string) string { return "OCID_MONITOR_DIR=" + r.dir(id) }

// launch starts the monitor, which runs `runtime create`, and returns what it
// reports. The monitor is a session of its own with nothing of ours but the two
// pipes: it forks, the first process ends, the second stays.
func (r *OCI) launch(ctx context.Context, c Create) (report, error) {
	files, err := openLaunchFiles()
	if err != nil {
		return report{}, err
	}
	defer files.close()
	cmd := exec.Command(r.monitor, r.monitorArgs(c)...)
	cmd.Dir = r.dir(c.ID)
	cmd.Env = append(append([]string{}, r.env...), r.mark(c.ID),
		fmt.Sprintf("_OCI_SYNCPIPE=%d", syncPipeFD), fmt.Sprintf("_OCI_STARTPIPE=%d", startFD))
	cmd.ExtraFiles = []*os.File{files.syncW, files.startR}
	cmd.Stdout, cmd.Stderr = files.said, files.said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return report{}, fmt.Errorf("monitor: %w", err)
	}
	_ = files.syncW.Close()
	_ = files.startR.Close()
	for _, dir := range c.MonitorCgroup {
		if err := cgroups.WriteCgroupProc(dir, cmd.Process.Pid); err != nil {
			return report{}, errors.Join(fmt.Errorf("monitor: %w", err), killCommand(cmd, 0), cmd.Wait())
		}
	}
	_, _ = files.startW.Write([]byte("\n"))
	if err := waitFork(ctx, cmd); err != nil {
		return report{}, fmt.Errorf("monitor: %w: %s", err, files.text())
	}
	return readReport(ctx, files.syncR)
}

// waitFork waits for the first process of the monitor, which lives for some
// milliseconds. It is not cut short when ctx ends: before it has ended nobody
// knows the second process.
func waitFork(ctx context.Context, cmd *exec.Cmd) error {
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-done:
		return err
	case <-time.After(forkGrace):
		return errors.Join(context.Cause(ctx), killCommand(cmd, 0), <-done)
	}
}

// readReport reads the monitor's one line. The pipe's other end is the monitor's
// alone, so that an end without a line means that the monitor has given up.
func readReport(ctx context.Context, sync *os.File) (report, error) {
	stop := context.AfterFunc(ctx, func() { _ = sync.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	line, err := bufio.NewReader(io.LimitReader(sync, maxSync)).ReadBytes('\n')
	switch {
	case ctx.Err() != nil && errors.Is(err, os.ErrDeadlineExceeded):
		return report{}, context.Cause(ctx)
	case len(line) == 0 && errors.Is(err, io.EOF):
		return report{}, errors.New(noMessage)
	case len(line) == 0:
		return report{}, fmt.Errorf("monitor's report: %w", err)
	}
	var rep report
	if err := json.Unmarshal(line, &rep); err != nil {
		return report{Message: string(line)}, nil // conmon leaves some control characters unescaped
	}
	return rep, nil
}

// launchFiles are what a starting monitor and we share: two pipes, and a file in
// memory for what it says before it cuts itself off. A pipe could be inherited
// and held open.
type launchFiles struct{ syncR, syncW, startR, startW, said *os.File }

func openLaunchFiles() (f launchFiles, err error) {
	defer func() {
		if err != nil {
			f.close()
		}
	}()
	if f.syncR, f.syncW, err = os.Pipe(); err != nil {
		return f, err
	}
	if f.startR, f.startW, err = os.Pipe(); err != nil {
		return f, err
	}
	fd, err := unix.MemfdCreate("monitor-stderr", unix.MFD_CLOEXEC)
	if err != nil {
		return f, fmt.Errorf("memfd_create: %w", err)
	}
	f.said = os.NewFile(uintptr(fd), "monitor-stderr")
	return f, nil
}

func (f launchFiles) close() {
	for _, file := range []*os.File{f.syncR, f.syncW, f.startR, f.startW, f.said} {
		if file != nil {
			_ = file.Close()
		}
	}
}

func (f launchFiles) text() string {
	buf := make([]byte, maxMessage)
	n, _ := f.said.ReadAt(buf, 0)
	return message(bytes.TrimRight(buf[:n], "\x00"))
}
