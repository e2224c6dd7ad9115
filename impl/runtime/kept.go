package runtime

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/opencontainers/cgroups"
	"golang.org/x/sys/unix"
)

// keeperNudge tells a container's keeper to look at it again; see package keeper.
const keeperNudge = unix.SIGUSR1

// startLog is where a runtime that has the container's streams says why a start
// failed.
const startLog = "start.log"

// nudge makes the keeper of a container look whether it has been started, or has
// ended before it was. It looks at its own time: nothing is waited for.
func (r *OCI) nudge(id string) {
	if r.keeper == "" {
		return
	}
	p := r.loadRecord(id).Process
	keeper, err := openProcess(p.PID, p.StartTime)
	if err != nil {
		return // the container has ended
	}
	defer keeper.close()
	if err := keeper.signal(keeperNudge); err != nil {
		r.log.Warn("keeper can't be told", "container", id, "error", err)
	}
}

// stateLag is how long a runtime may call a container running that has ended with
// its sandbox (measured with gVisor: up to 2 s).
const stateLag = 3 * time.Second

// keeperEnds waits for the end of a container's keeper as long as the runtime's
// state may lag behind it, and reports whether it has come.
func (r *OCI) keeperEnds(ctx context.Context, id string) bool {
	if r.keeper == "" {
		return false
	}
	p := r.loadRecord(id).Process
	keeper, err := openProcess(p.PID, p.StartTime)
	if err != nil {
		return errors.Is(err, errGone)
	}
	defer keeper.close()
	bound, cancel := context.WithTimeout(ctx, stateLag)
	defer cancel()
	return keeper.wait(bound) == nil
}

// placeKeeper moves a keeper to the container's cgroup, as far as the runtime has
// made one: what it uses is the pod's, and what is in the cgroup is alive.
func (r *OCI) placeKeeper(c Create, p Process) error {
	if r.keeper == "" {
		return nil
	}
	for _, dir := range r.cgroupDirs(c.Bundle) {
		if _, err := os.Stat(dir); err != nil {
			continue
		}
		if err := cgroups.WriteCgroupProc(dir, p.PID); err != nil {
			return fmt.Errorf("keeper: %w", err)
		}
	}
	return nil
}

// startWithStreams runs the runtime's start with the streams that the monitor
// gave to the keeper. The runtime's message is in a file, for what it writes to
// its stderr is in the container's log; a container with a terminal has got it
// when it was created.
func (r *OCI) startWithStreams(ctx context.Context, id string) error {
	p := r.loadRecord(id).Process
	if !p.Alive() {
		return r.explain(ctx, id, r.fail("start", id, ErrNotRunning))
	}
	said := filepath.Join(r.dir(id), startLog)
	cmd := r.command(ctx, r.path, append(append([]string{}, r.global...), "--log="+said, "start", id)...)
	streams, err := streamsOf(p.PID)
	if err != nil {
		return r.fail("start", id, err)
	}
	defer func() {
		for _, f := range streams {
			_ = f.Close()
		}
	}()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = streams[0], streams[1], streams[2]
	if err := runBound(cmd); err != nil {
		text, _ := os.ReadFile(said)
		return r.commandError(ctx, "start", id, err, text)
	}
	return nil
}

// streamsOf opens a process's three streams anew, so that they are as it has
// them and are closed apart from its.
func streamsOf(pid int) (streams [3]*os.File, err error) {
	for n, flags := range []int{unix.O_RDONLY, unix.O_WRONLY, unix.O_WRONLY} {
		path := filepath.Join("/proc", strconv.Itoa(pid), "fd", strconv.Itoa(n))
		fd, openErr := unix.Open(path, flags|unix.O_NONBLOCK|unix.O_CLOEXEC, 0) // a pipe without its other end would hold us
		if errors.Is(openErr, unix.ENXIO) {
			fd, openErr = unix.Open(os.DevNull, flags|unix.O_CLOEXEC, 0)
		}
		if openErr == nil {
			openErr = unix.SetNonblock(fd, false)
		}
		if openErr != nil {
			for _, f := range streams[:n] {
				_ = f.Close()
			}
			return streams, &os.PathError{Op: "open", Path: path, Err: openErr}
		}
		streams[n] = os.NewFile(uintptr(fd), path)
	}
	return streams, nil
}
