package server

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"ocid/impl/gate"
	"ocid/impl/ledger"
	"ocid/impl/runtime"
	"ocid/spec"
)

// Exit codes and reasons that a container has without its process's doing.
const (
	startFailedCode   = 128
	startFailedReason = "StartError"
	lostReason        = "ContainerStatusUnknown"
)

// StartContainer starts a created container.
func (s *Server) StartContainer(ctx context.Context, req *runtimeapi.StartContainerRequest) (*runtimeapi.StartContainerResponse, error) {
	id := s.containers.Resolve(req.ContainerId)
	if err := s.refuseStart(id); err != nil {
		return nil, err
	}
	if err := s.containers.Step(ctx, id, spec.StartContainer, ledger.Finish, s.startContainer); err != nil {
		return nil, err
	}
	return &runtimeapi.StartContainerResponse{}, nil
}

func (s *Server) startContainer(ctx context.Context, id string) error {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	e, _ := s.containers.Get(id)
	at := time.Now().UnixNano() // noted first: a daemon that dies in the start still knows it
	err := s.containers.Change(id, func(c *Container) { c.StartedAt = at })
	if err == nil {
		err = s.startInRuntime(ctx, id, e.Data.Handler)
	}
	if err != nil {
		return &gate.Ruled{Rule: "container.start.fails", Err: errors.Join(err, s.startFailed(context.WithoutCancel(ctx), id, &e.Data, err))}
	}
	return nil
}

// startFailed ends a container that could not be started and says so in its
// status, where kubelet looks for it.
func (s *Server) startFailed(ctx context.Context, id string, c *Container, cause error) error {
	now := time.Now().UnixNano()
	return errors.Join(
		s.containers.Change(id, func(c *Container) {
			c.StartedAt, c.FinishedAt, c.ExitCode = now, now, startFailedCode
			c.Reason, c.Message = startFailedReason, cause.Error()
		}),
		s.killContainer(ctx, id, c))
}

// StopContainer stops a running container.
func (s *Server) StopContainer(ctx context.Context, req *runtimeapi.StopContainerRequest) (*runtimeapi.StopContainerResponse, error) {
	id := s.containers.Resolve(req.ContainerId)
	deadline := time.Now().Add(time.Duration(req.Timeout) * time.Second)
	if e, _ := s.containers.Get(id); e.State&(spec.Running|spec.Stopping) != 0 {
		if w := s.watched(id); w != nil {
			w.shorten(deadline)
		}
	}
	err := s.containers.Step(ctx, id, spec.StopContainer, ledger.GiveUp, func(ctx context.Context, id string) error {
		return s.stopContainer(ctx, id, deadline)
	})
	if err != nil {
		return nil, err
	}
	return &runtimeapi.StopContainerResponse{}, nil
}

// stopContainer sends the stop signal and, when the grace period is over,
// SIGKILL; it returns when the container has exited.
func (s *Server) stopContainer(ctx context.Context, id string, deadline time.Time) error {
	e, _ := s.containers.Get(id)
	rt, w := s.Runtimes[e.Data.Handler], s.watched(id)
	if w == nil {
		return fmt.Errorf("container %q is not watched", id)
	}
	w.shorten(deadline)
	if at, _ := w.grace(); time.Until(at) > 0 && w.once() {
		if err := kill(ctx, rt, id, syscall.Signal(e.Data.StopWith), false); err != nil {
			return err
		}
	}
	if exited, err := w.expire(ctx); exited || err != nil {
		w.forgive()
		return err
	}
	return s.killContainer(ctx, id, &e.Data)
}

// killContainer kills a container if it lives, and waits for its end.
func (s *Server) killContainer(ctx context.Context, id string, c *Container) error {
	w := s.watched(id)
	if w == nil {
		return nil
	}
	if !w.over() {
		if err := kill(ctx, s.Runtimes[c.Handler], id, syscall.SIGKILL, sharesPID(c)); err != nil {
			return err
		}
	}
	return w.settle(ctx)
}

// sharesPID says that the container's processes do not end with its first one.
func sharesPID(c *Container) bool {
	return c.Config.M.GetLinux().GetSecurityContext().GetNamespaceOptions().GetPid() != runtimeapi.NamespaceMode_CONTAINER
}

// hurry ends the grace period of a stop in flight: who ends a container by
// force does not wait for it.
func (s *Server) hurry(id string) {
	if e, _ := s.containers.Get(id); e.State == spec.Stopping {
		if w := s.watched(id); w != nil {
			w.shorten(time.Now())
		}
	}
}

// endWithSandbox ends a container because its sandbox stops.
func (s *Server) endWithSandbox(ctx context.Context, id string) error {
	s.hurry(id)
	return s.containers.Step(ctx, id, spec.SandboxStops, ledger.Finish, func(ctx context.Context, id string) error {
		return s.withContainer(id, s.killContainer)(ctx)
	})
}

// RemoveContainer removes a container by the plan of that name.
func (s *Server) RemoveContainer(ctx context.Context, req *runtimeapi.RemoveContainerRequest) (*runtimeapi.RemoveContainerResponse, error) {
	if err := s.removeContainer(ctx, s.containers.Resolve(req.ContainerId)); err != nil {
		return nil, err
	}
	return &runtimeapi.RemoveContainerResponse{}, nil
}

func (s *Server) removeContainer(ctx context.Context, id string) error {
	s.hurry(id)
	return s.containers.Step(ctx, id, spec.RemoveContainer, ledger.Finish, func(ctx context.Context, id string) error {
		ctx, cancel := s.bounded(ctx)
		defer cancel()
		return s.Runner.Run(ctx, s.containers, id, s.Book.RemoveContainer, 0, s.removeContainerWorks(id))
	})
}

// watchContainer makes the exit of a container an event of it.
func (s *Server) watchContainer(id string) {
	e, _ := s.containers.Get(id)
	rt := s.Runtimes[e.Data.Handler]
	s.sampleContainer(id)
	s.watch(id, rt, e.Data.Process, onExit{
		exited: func(ctx context.Context, exit runtime.Exit) error {
			return s.containers.Change(id, func(c *Container) { c.finish(exit) })
		},
		tell: func(ctx context.Context) error {
			return s.containers.Step(ctx, id, spec.ContainerExited, ledger.Finish, nil)
		},
		settle: func(ctx context.Context) error { return s.freeContainer(ctx, id, rt) },
	})
}

// freeContainer frees what only a live container needs: its runtime's state
// and cgroup, and the mounts of its root filesystem and its volumes.
func (s *Server) freeContainer(ctx context.Context, id string, rt *runtime.OCI) error {
	s.Stats.Forget(id)
	if err := rt.Delete(ctx, id); err != nil {
		return err
	}
	return s.withContainer(id, s.unmountRoot)(ctx)
}

// finish notes an exit, unless the container's end has been noted before.
func (c *Container) finish(exit runtime.Exit) {
	if c.FinishedAt != 0 {
		return
	}
	c.FinishedAt, c.ExitCode, c.Reason = exit.At.UnixNano(), exit.Code, "Completed"
	switch {
	case exit.OOM && exit.Code != 0:
		c.Reason = "OOMKilled"
	case !exit.Known:
		c.Reason, c.Message = lostReason, "the container's exit was not seen"
	case exit.Code != 0:
		c.Reason = "Error"
	}
	opts := c.Config.M.GetLinux().GetSecurityContext().GetNamespaceOptions()
	if c.StartedAt == 0 && opts.GetPid() == runtimeapi.NamespaceMode_TARGET {
		c.Reason, c.Message = startFailedReason, fmt.Sprintf("ended before it was started, as it does with container %.80q, whose PID namespace it shares", opts.GetTargetId())
	}
}

// ExecSync runs a command in a running container.
func (s *Server) ExecSync(ctx context.Context, req *runtimeapi.ExecSyncRequest) (*runtimeapi.ExecSyncResponse, error) {
	id := s.containers.Resolve(req.ContainerId)
	if err := s.containers.Step(ctx, id, spec.ExecSync, ledger.Finish, nil); err != nil {
		return nil, err
	}
	rt, process, err := s.command(id, req.Cmd, false)
	if err != nil {
		return nil, err
	}
	res, err := rt.Exec(ctx, id, runtime.Exec{Process: process, Timeout: time.Duration(req.Timeout) * time.Second})
	if errors.Is(err, runtime.ErrTimeout) {
		return nil, s.refusal("exec.timeout", spec.DeadlineExceeded, "", err)
	}
	if err != nil {
		return nil, &gate.Ruled{Rule: "exec.missing", Err: err}
	}
	stdout, stderr := fit(res.Stdout, res.Stderr)
	return &runtimeapi.ExecSyncResponse{Stdout: stdout, Stderr: stderr, ExitCode: res.ExitCode}, nil
}

// maxAnswer is how many bytes of output fit into an answer that kubelet takes.
const maxAnswer = 16<<20 - 1<<10

// fit cuts two outputs so that both together fit into an answer. The shorter one
// is cut only if it takes more than half.
func fit(a, b []byte) (fitA, fitB []byte) {
	roomB := max(maxAnswer/2, maxAnswer-len(a))
	b = b[:min(len(b), roomB)]
	return a[:min(len(a), maxAnswer-len(b))], b
}
