// Package flow runs the plans of the spec: steps in order, a journal before
// each, undo in reverse. It knows no step's work and decides no order.
package flow

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"ocid/spec"
)

// A Work is what the daemon does for a step. Undo must be idempotent and must
// tolerate a Do that never ran or ran half; it is needed only for steps whose
// row says so. In a plan that only goes forward, Do itself is idempotent.
type Work struct {
	Do, Undo func(context.Context) error
}

// Works are the works of a plan's steps.
type Works map[spec.StepName]Work

// A Journal remembers, across crashes, which steps an object has begun.
type Journal interface {
	Begin(object, plan string, step spec.StepName) error // durable before Do runs
	Begun(object string) []spec.StepName
	Forget(object string) error // the plan is fully undone
}

// A Moment is a point of a plan at which an observer is told.
type Moment struct {
	Plan   string
	Step   spec.StepName
	Undo   bool // the step is being taken back
	After  bool // after the effect; otherwise before it, with the journal written
	Object string
}

// A Runner runs plans. Log gives the logger of a call; Trace begins the record
// of a step and returns what ends it; Observe is for tests that stop the daemon
// at a moment. Each may be nil.
type Runner struct {
	Observe func(Moment)
	Log     func(context.Context) *slog.Logger
	Trace   func(ctx context.Context, plan, step, object string) (context.Context, func(error))
}

func (r Runner) trace(ctx context.Context, plan, step, object string) (context.Context, func(error)) {
	if r.Trace == nil {
		return ctx, func(error) {}
	}
	return r.Trace(ctx, plan, step, object)
}

func (r Runner) tell(m Moment) {
	if r.Observe != nil {
		r.Observe(m)
	}
}

// A StepError says which row of a plan could not be kept.
type StepError struct {
	Step spec.Step
	Err  error
}

func (e *StepError) Error() string { return string(e.Step.ID) + ": " + e.Err.Error() }

func (e *StepError) Unwrap() error { return e.Err }

// RuleID names the row for the client.
func (e *StepError) RuleID() spec.ID { return e.Step.ID }

// Run takes an object through the plan's steps for its facts. If a step fails,
// what has begun is undone if the plan goes backward; if that fails too, or if
// the plan only goes forward, the journal stays open. It stays open after the
// last step too: whoever keeps the object closes it together with the state
// that the plan leads to, so that no crash comes between the two.
func (r Runner) Run(ctx context.Context, j Journal, object string, p spec.Plan, f spec.Facts, w Works) error {
	for _, s := range p.For(f) {
		if err := r.step(ctx, j, object, p, s, w); err != nil {
			err = &StepError{Step: s, Err: err}
			if p.Backward {
				err = errors.Join(err, r.Undo(context.WithoutCancel(ctx), j, object, p, w))
			}
			return err
		}
	}
	return nil
}

func (r Runner) step(ctx context.Context, j Journal, object string, p spec.Plan, s spec.Step, w Works) error {
	work, ok := w[s.Name]
	if !ok || work.Do == nil {
		return fmt.Errorf("step %q has no work", s.Name)
	}
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	if err := j.Begin(object, p.Name, s.Name); err != nil {
		return err
	}
	m := Moment{Plan: p.Name, Step: s.Name, Object: object}
	r.tell(m)
	start := time.Now()
	traced, end := r.trace(ctx, p.Name, string(s.Name), object)
	err := work.Do(traced)
	end(err)
	m.After = true
	r.tell(m)
	if r.Log != nil {
		r.Log(ctx).Debug("step", "plan", p.Name, "step", s.Name, "object", object, "took", time.Since(start), "err", err)
	}
	return err
}

// Undo takes back, in reverse, what an object has begun of a plan. It stops at
// the first undo that fails and leaves the journal open, so that the next
// start, or a removal, tries again.
func (r Runner) Undo(ctx context.Context, j Journal, object string, p spec.Plan, w Works) error {
	begun := j.Begun(object)
	for _, s := range slices.Backward(p.Steps) {
		if !s.Undo || !slices.Contains(begun, s.Name) {
			continue
		}
		m := Moment{Plan: p.Name, Step: s.Name, Object: object, Undo: true}
		r.tell(m)
		undo := w[s.Name].Undo
		if undo == nil {
			return fmt.Errorf("undo %s: step %q has no undo", s.ID, s.Name)
		}
		traced, end := r.trace(ctx, p.Name, "undo "+string(s.Name), object)
		err := undo(traced)
		end(err)
		if err != nil {
			return fmt.Errorf("undo %s: %w", s.ID, err)
		}
		m.After = true
		r.tell(m)
	}
	return j.Forget(object)
}
