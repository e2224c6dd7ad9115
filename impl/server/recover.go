package server

import (
	"context"
	"errors"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sync/errgroup"

	"ocid/impl/facts"
	"ocid/impl/ledger"
	"ocid/impl/namespace"
	"ocid/impl/runtime"
	"ocid/spec"
)

// recoverers is how many objects are looked at side by side.
const recoverers = 8

// Recover brings every object that the last daemon has left to a state that is
// true, before the first call is served. What can't be finished is logged and
// stays, EXITED or NOTREADY, for a removal to try again; it keeps nothing else
// from recovering.
func (s *Server) Recover(ctx context.Context) {
	var group errgroup.Group
	group.SetLimit(recoverers)
	for _, e := range s.containers.List() {
		group.Go(func() error {
			if err := s.recoverContainer(ctx, e); err != nil {
				s.Log.Error("container not recovered", "id", e.ID, "err", errors.Join(err, s.leaveContainer(ctx, e)))
			}
			return nil
		})
	}
	_ = group.Wait()
	for _, e := range s.sandboxes.List() {
		group.Go(func() error {
			err := s.recoverSandbox(ctx, e)
			if err != nil && ctx.Err() == nil {
				err = errors.Join(err, s.sandboxes.Settle(e.ID, spec.NotReady))
			}
			if err != nil {
				s.Log.Error("sandbox not recovered", "id", e.ID, "err", err)
			}
			return nil
		})
	}
	_ = group.Wait()
}

// leaveContainer settles a container that could not be recovered so that it
// can be removed. One that lives is what it was, if nobody can say better; one
// that was not looked at to the end is left to the next daemon.
func (s *Server) leaveContainer(ctx context.Context, e ledger.Entry[Container]) error {
	_, known := s.Runtimes[e.Data.Handler]
	switch alive := e.Data.Process.Alive(); {
	case ctx.Err() != nil:
		return nil
	case !alive:
		return s.containers.Settle(e.ID, spec.Exited)
	case !known:
		return s.containers.Settle(e.ID, spec.Running)
	case e.State == spec.Created:
		return s.adoptContainer(ctx, e.ID, spec.Created)
	}
	return s.adoptContainer(ctx, e.ID, spec.Running)
}

func (s *Server) recoverContainer(ctx context.Context, e ledger.Entry[Container]) error {
	alive := e.Data.Process.Alive()
	row := s.Book.RecoverContainer.Decide(facts.Bits(map[spec.Facts]bool{
		spec.CreateOpen:          e.Journal.Plan == s.Book.CreateContainer.Name || e.State == spec.Creating,
		spec.ContainerRemoveOpen: e.Journal.Plan == s.Book.RemoveContainer.Name || e.State == spec.Removing,
		spec.InDoubt:             e.State&(spec.Starting|spec.Stopping) != 0,
		spec.WasLive:             e.State&(spec.Created|spec.Running) != 0,
		spec.Alive:               alive,
	}))
	if row == nil {
		return errors.New("no rule decides")
	}
	switch row.Then {
	case spec.FinishRemove:
		if err := s.containers.Settle(e.ID, spec.Exited); err != nil {
			return err
		}
		return s.removeContainer(ctx, e.ID)
	case spec.UndoRun:
		return s.undoCreate(ctx, e.ID)
	case spec.AskRuntime:
		return s.askRuntime(ctx, e)
	case spec.Adopt:
		return s.adoptContainer(ctx, e.ID, e.State)
	}
	return s.lostContainer(ctx, e)
}

// undoCreate takes a creation back that a crash cut short.
func (s *Server) undoCreate(ctx context.Context, id string) error {
	if err := s.Runner.Undo(ctx, s.containers, id, s.Book.CreateContainer, s.createWorks(id)); err != nil {
		return err
	}
	return s.containers.Settle(id, spec.Absent)
}

// askRuntime settles a container whose start or stop was in flight.
func (s *Server) askRuntime(ctx context.Context, e ledger.Entry[Container]) error {
	rt, err := s.runtimeOf(e.Data.Handler)
	if err != nil {
		return err
	}
	st, err := rt.State(ctx, e.ID)
	if err != nil && !errors.Is(err, runtime.ErrNotFound) {
		return err
	}
	switch st.Status {
	case specs.StateCreated:
		if !e.Data.Process.Started() {
			return s.adoptContainer(ctx, e.ID, spec.Created)
		}
		// The start was cut short when it had only to be written down.
		return s.adoptContainer(ctx, e.ID, spec.Running)
	case specs.StateRunning:
		return s.adoptContainer(ctx, e.ID, spec.Running)
	}
	return s.lostContainer(ctx, e)
}

func (s *Server) adoptContainer(ctx context.Context, id string, st spec.State) error {
	e, _ := s.containers.Get(id)
	rt, err := s.runtimeOf(e.Data.Handler)
	if err != nil {
		return err
	}
	logged(s.Log.With("container", id), "a command may be left", rt.EndExecs(id, e.Data.Process))
	if err := s.containers.Settle(id, st); err != nil {
		return err
	}
	if err := s.settleLimits(ctx, id, &e.Data); err != nil {
		s.Log.Error("an update that was cut short is not taken back", "container", id, "err", err)
	}
	s.watchContainer(id)
	return nil
}

// lostContainer settles a container that does not live: its exit is known to
// the ledger, or to the runtime's monitor, or to nobody.
func (s *Server) lostContainer(ctx context.Context, e ledger.Entry[Container]) error {
	rt, err := s.runtimeOf(e.Data.Handler)
	if err != nil {
		return err
	}
	if e.Data.FinishedAt == 0 {
		exit, err := rt.Watch(ctx, e.ID, e.Data.Process)
		if err != nil {
			return err
		}
		if err := s.containers.Change(e.ID, func(c *Container) { c.finish(exit) }); err != nil {
			return err
		}
	}
	if err := s.containers.Settle(e.ID, spec.Exited); err != nil {
		return err
	}
	return s.freeContainer(ctx, e.ID, rt)
}

func (s *Server) recoverSandbox(ctx context.Context, e ledger.Entry[Sandbox]) error {
	f := e.Data.facts()
	open, err := namespace.State(s.netnsPath(e.ID))
	if err != nil {
		return err
	}
	_, recordErr := s.Store.Record(e.ID)
	row := s.Book.RecoverSandbox.Decide(facts.Bits(map[spec.Facts]bool{
		spec.RunOpen:    e.Journal.Plan == s.Book.RunPodSandbox.Name || e.State == spec.Creating,
		spec.StopOpen:   e.Journal.Plan == s.Book.StopPodSandbox.Name || e.State == spec.Stopping,
		spec.RemoveOpen: e.Journal.Plan == s.Book.RemovePodSandbox.Name || e.State == spec.Removing,
		spec.WasReady:   e.State == spec.Ready,
		spec.WasStopped: e.State == spec.Stopped,
		spec.NetNSOpen:  open || f&spec.OnHostNetwork != 0,
		spec.InfraAlive: !e.Data.HasInfra || e.Data.Infra.Alive(),
		spec.RecordKept: recordErr == nil,
	}))
	if row == nil {
		return errors.New("no rule decides")
	}
	return s.settleSandbox(ctx, e, row.Then)
}

func (s *Server) settleSandbox(ctx context.Context, e ledger.Entry[Sandbox], then spec.Recovery) error {
	if then == spec.Adopt {
		if e.State == spec.Ready {
			s.watchInfra(e.ID, &e.Data)
			s.samplePod(e.ID)
		}
		return nil
	}
	if then == spec.UndoRun {
		if err := s.Runner.Undo(ctx, s.sandboxes, e.ID, s.Book.RunPodSandbox, s.sandboxWorks(e.ID)); err != nil {
			return err
		}
		return s.sandboxes.Settle(e.ID, spec.Absent)
	}
	if err := s.sandboxes.Settle(e.ID, spec.NotReady); err != nil {
		return err
	}
	switch then {
	case spec.FinishStop:
		return s.stopSandbox(ctx, e.ID)
	case spec.FinishRemove:
		return s.removeSandbox(ctx, e.ID)
	}
	return nil
}
