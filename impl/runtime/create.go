package runtime

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// Create describes a container to create.
type Create struct {
	ID        string
	Bundle    string // absolute; holds config.json, and the monitor's attach socket "attach" and fifos "ctl" and "winsz"
	LogPath   string // absolute; CRI log format; "" keeps no log
	Terminal  bool   // must agree with process.terminal of config.json
	Stdin     bool   // stdin is a pipe fed through the attach socket, not /dev/null
	StdinOnce bool   // stdin closes when the first attached client leaves

	// MonitorCgroup are absolute cgroup directories (one per hierarchy) the
	// monitor is moved to before it forks; none leaves it in our cgroup.
	MonitorCgroup []string
}

func (c Create) check() error {
	switch {
	case !idPattern.MatchString(c.ID):
		return fmt.Errorf("bad container ID %.80q", c.ID)
	case !filepath.IsAbs(c.Bundle):
		return fmt.Errorf("bundle %q is not absolute", c.Bundle)
	case c.LogPath != "" && !filepath.IsAbs(c.LogPath):
		return fmt.Errorf("log path %q is not absolute", c.LogPath)
	}
	return nil
}

// Create starts a monitor that creates the container, and returns when its init
// waits for Start. The monitor is in a session of its own, holds none of our
// descriptors and outlives us.
//
// If it fails, or ctx ends before it is done, nothing is left: no process of
// monitor or runtime, no state, no cgroup, no file; the error carries the
// runtime's message. Only if that undoing failed too (the error says so) are
// the run files kept, for Delete to try again. ErrExists means that the ID has
// a run directory already; that one is not touched.
func (r *OCI) Create(ctx context.Context, c Create) (Process, error) {
	if err := c.check(); err != nil {
		return Process{}, r.fail("create", strconv.Quote(clip(c.ID)), err)
	}
	if err := ctx.Err(); err != nil {
		return Process{}, r.fail("create", c.ID, err)
	}
	switch err := os.Mkdir(r.dir(c.ID), 0o700); {
	case os.IsExist(err):
		return Process{}, r.fail("create", c.ID, ErrExists)
	case err != nil:
		return Process{}, r.fail("create", c.ID, err)
	}
	before := r.footprint(c)
	p, err := r.create(ctx, c, before.cgroups)
	if err != nil {
		return Process{}, r.abandon(ctx, c, before, err)
	}
	return p, nil
}

func (r *OCI) create(ctx context.Context, c Create, cgroups []string) (Process, error) {
	if err := removeBundleFiles(c.Bundle); err != nil {
		return Process{}, r.fail("create", c.ID, err)
	}
	if err := r.saveRecord(c.ID, record{Bundle: c.Bundle, Cgroups: cgroups}); err != nil {
		return Process{}, r.fail("create", c.ID, err)
	}
	rep, err := r.launch(ctx, c)
	if err != nil {
		return Process{}, r.fail("create", c.ID, err)
	}
	if rep.PID <= 0 {
		e := r.fail("create", c.ID, nil)
		if e.Message = message([]byte(rep.Message)); e.Message == "" {
			e.Message = noMessage
		}
		return Process{}, e
	}
	p, err := r.identify(c.ID, rep.PID)
	if err != nil {
		return Process{}, r.fail("create", c.ID, err)
	}
	if err := errors.Join(r.saveRecord(c.ID, record{Bundle: c.Bundle, Process: p, Cgroups: cgroups}), r.placeKeeper(c, p)); err != nil {
		return Process{}, r.fail("create", c.ID, err)
	}
	if err := wholeLines(p.MonitorPID); err != nil {
		return Process{}, r.fail("create", c.ID, err)
	}
	return p, nil
}

// identify completes what the monitor reported. It refuses an init that is not
// the monitor's child: nobody would learn its exit, and its number is not to be
// trusted.
func (r *OCI) identify(id string, pid int) (Process, error) {
	p := Process{PID: pid}
	var err error
	if p.MonitorPID, err = readPID(filepath.Join(r.dir(id), monitorFile)); err != nil {
		return p, fmt.Errorf("monitor: %w", err)
	}
	if st, err := readStat(p.MonitorPID); err == nil && r.isMonitor(st.pid, id) {
		p.MonitorStart = st.start
	}
	st, err := readStat(pid)
	if err != nil {
		return p, nil // ended already; the monitor has its exit
	}
	if st.parent != p.MonitorPID {
		return p, fmt.Errorf("runtime gave process %d as the container's, which is not its child", pid)
	}
	p.StartTime, p.Program = st.start, program(pid)
	return p, nil
}

// abandon undoes a failed Create and returns its error.
func (r *OCI) abandon(ctx context.Context, c Create, before traces, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	began := time.Now()
	err := r.killMonitors(c.ID)
	if err == nil {
		err = r.deleteForce(ctx, c.ID)
	}
	if err == nil {
		err = errors.Join(before.restore(c), r.removeLeft(c.ID))
	}
	if err == nil {
		err = r.removeFiles(c.ID, c.Bundle)
	}
	r.log.Debug("create undone", "container", c.ID, "cause", cause, "took", time.Since(began), "error", err)
	if err != nil {
		return errors.Join(cause, fmt.Errorf("undo: %w", err))
	}
	return cause
}
