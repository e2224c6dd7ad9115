// Package flight lets callers that want the same thing at the same time share
// one run of the work, while each caller keeps its own right to walk away.
//
// It refuses to cache: a result is handed to those who waited for it and then
// forgotten. It refuses to let one caller's cancellation reach another, and to
// keep working for nobody.
package flight

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
)

// ErrLeft is the cause a run's context ends with when its last caller has left.
var ErrLeft = errors.New("nobody waits for the result any more")

// A Group shares runs by key. The zero value is ready for use; a Group must
// not be copied after its first use.
type Group[T any] struct {
	mu   sync.Mutex
	runs map[string]*run[T]
}

// A run is one execution of a function and the callers who wait for it.
// callers is guarded by the Group's mutex; value and err are written before
// done is closed and read only after.
type run[T any] struct {
	callers int
	cancel  context.CancelCauseFunc
	done    chan struct{}
	value   T
	err     error
}

// Do returns what fn returns. If a run with an equal key is in flight, its
// result is returned instead and fn is not called.
//
// A caller whose context ends gets the context's cause at once; the run goes on
// for the others. When the last caller is gone, the run's context is cancelled
// with ErrLeft and the key is free: a later Do starts a new run and does not wait
// for the old one to notice. fn's context carries the values of the context of
// the caller who started the run, but neither its deadline nor its cancellation.
// A panic of fn becomes an error for everybody who waits.
func (g *Group[T]) Do(ctx context.Context, key string, fn func(context.Context) (T, error)) (T, error) {
	if ctx.Err() != nil {
		var zero T
		return zero, context.Cause(ctx)
	}
	r := g.join(ctx, key, fn)
	select {
	case <-r.done:
		return r.value, r.err
	case <-ctx.Done():
	}
	g.leave(key, r)
	var zero T
	return zero, context.Cause(ctx)
}

// Waiting returns how many callers wait for the run of key; 0 means no run.
func (g *Group[T]) Waiting(key string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	if r := g.runs[key]; r != nil {
		return r.callers
	}
	return 0
}

// join adds the caller to the run of key, starting it when there is none.
func (g *Group[T]) join(ctx context.Context, key string, fn func(context.Context) (T, error)) *run[T] {
	g.mu.Lock()
	defer g.mu.Unlock()
	if r := g.runs[key]; r != nil {
		r.callers++
		return r
	}
	runCtx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	r := &run[T]{callers: 1, cancel: cancel, done: make(chan struct{})}
	if g.runs == nil {
		g.runs = make(map[string]*run[T])
	}
	g.runs[key] = r
	go g.execute(runCtx, key, r, fn)
	return r
}

// execute runs fn and publishes its result.
func (g *Group[T]) execute(ctx context.Context, key string, r *run[T], fn func(context.Context) (T, error)) {
	r.value, r.err = call(ctx, fn)
	g.mu.Lock()
	g.forget(key, r)
	g.mu.Unlock()
	close(r.done)
	r.cancel(nil)
}

// call runs fn and turns a panic into an error.
func call[T any](ctx context.Context, fn func(context.Context) (T, error)) (value T, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic in a shared run: %v\n%s", p, debug.Stack())
		}
	}()
	return fn(ctx)
}

// leave takes one caller off the run and cancels it when it was the last.
func (g *Group[T]) leave(key string, r *run[T]) {
	g.mu.Lock()
	r.callers--
	last := r.callers == 0
	if last {
		g.forget(key, r)
	}
	g.mu.Unlock()
	if last {
		r.cancel(ErrLeft)
	}
}

// forget frees the key if it still belongs to r. The caller holds g.mu.
func (g *Group[T]) forget(key string, r *run[T]) {
	if g.runs[key] == r {
		delete(g.runs, key)
	}
}
