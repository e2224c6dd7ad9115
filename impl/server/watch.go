package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"syscall"
	"time"

	"ocid/impl/runtime"
)

// A watch waits for the exit of one container. What stops it shares the time
// at which it is killed.
type watch struct {
	known    chan struct{} // closed when the exit is known and noted
	settled  chan struct{} // closed when what the exit set off is done
	mu       sync.Mutex
	deadline time.Time     // of the grace period; zero while nobody stops it
	changed  chan struct{} // closed when deadline has changed
	asked    bool          // the stop signal has been sent
	starting chan struct{} // closed when the runtime's start is over; nil before there is one
}

// onExit is what the exit of a container sets off, in this order but for
// tell, which waits for operations on the object and holds nothing up.
type onExit struct {
	exited func(context.Context, runtime.Exit) error // note the exit; before anybody who waits knows of it
	tell   func(context.Context) error               // make it an event of the object
	settle func(context.Context) error               // free what only a live container needs
}

// watch begins to watch a container.
func (s *Server) watch(id string, rt *runtime.OCI, p runtime.Process, on onExit) {
	w := &watch{known: make(chan struct{}), settled: make(chan struct{}), changed: make(chan struct{})}
	s.mu.Lock()
	s.watches[id] = w
	s.mu.Unlock()
	s.tasks.Go(func() {
		exit, err := rt.Watch(s.live, id, p)
		if errors.Is(err, context.Canceled) {
			return
		}
		ctx, log := context.WithoutCancel(s.live), s.Log.With("container", id)
		if err != nil {
			log.Error("exit can't be watched", "err", err)
			exit = runtime.Exit{Code: runtime.UnknownCode, At: time.Now()}
		}
		logged(log, "exit not noted", on.exited(ctx, exit))
		close(w.known)
		s.tasks.Go(func() { logged(log, "exit not recorded", on.tell(ctx)) })
		w.awaitStart()
		logged(log, "not freed after its exit", on.settle(ctx))
		close(w.settled)
	})
}

func logged(log *slog.Logger, what string, err error) {
	if err != nil {
		log.Error(what, "err", err)
	}
}

func (s *Server) watched(id string) *watch {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.watches[id]
}

func (s *Server) forget(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.watches, id)
}

// over says whether the exit is known.
func (w *watch) over() bool {
	select {
	case <-w.known:
		return true
	default:
		return false
	}
}

// settle waits until the exit is known and all that it has set off is done.
func (w *watch) settle(ctx context.Context) error {
	select {
	case <-w.settled:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for the exit: %w", context.Cause(ctx))
	}
}

// begin notes that the runtime starts the container, until end: a container that
// ends at once is not taken from under the runtime's hands.
func (w *watch) begin() (end func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	over := make(chan struct{})
	w.starting = over
	return func() { close(over) }
}

// awaitStart waits for the end of a start in flight, which has a bound.
func (w *watch) awaitStart() {
	w.mu.Lock()
	over := w.starting
	w.mu.Unlock()
	if over != nil {
		<-over
	}
}

// startInRuntime makes the runtime start what it has created.
func (s *Server) startInRuntime(ctx context.Context, id, handler string) error {
	rt, err := s.runtimeOf(handler)
	if err != nil {
		return err
	}
	if w := s.watched(id); w != nil {
		defer w.begin()()
	}
	return rt.Start(ctx, id)
}

// shorten brings the end of the grace period forward, never back.
func (w *watch) shorten(to time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.deadline.IsZero() || to.Before(w.deadline) {
		w.deadline = to
		close(w.changed)
		w.changed = make(chan struct{})
	}
}

// forgive ends the grace period of a stop that nobody waits for any more: the
// next one has its own.
func (w *watch) forgive() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.deadline = time.Time{}
}

func (w *watch) grace() (deadline time.Time, changed <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.deadline, w.changed
}

// once reports whether the stop signal is still to be sent, and notes that it
// is.
func (w *watch) once() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	first := !w.asked
	w.asked = true
	return first
}

// expire waits for the exit or the end of the grace period, whichever is
// first, and says whether it was the exit.
func (w *watch) expire(ctx context.Context) (exited bool, err error) {
	for {
		deadline, changed := w.grace()
		timer := time.NewTimer(time.Until(deadline))
		select {
		case <-w.known:
			timer.Stop()
			return true, nil
		case <-timer.C:
			return false, nil
		case <-changed:
			timer.Stop()
		case <-ctx.Done():
			timer.Stop()
			return false, context.Cause(ctx)
		}
	}
}

// kill sends a signal through the runtime; a container that has gone is none
// of its errors.
func kill(ctx context.Context, rt *runtime.OCI, id string, sig syscall.Signal, all bool) error {
	if err := rt.Kill(ctx, id, sig, all); err != nil && !errors.Is(err, runtime.ErrNotRunning) {
		return err
	}
	return nil
}
