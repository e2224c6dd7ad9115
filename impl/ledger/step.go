package ledger

import (
	"context"
	"errors"
	"fmt"

	"ocid/spec"
)

// An op is an operation in flight on one object. It runs by itself; those who
// asked for it, or joined it, wait.
type op struct {
	event   spec.Event
	stay    Stay
	done    chan struct{}
	err     error
	waiters int
	cancel  context.CancelFunc
	given   bool // given up: the last waiter has gone and it was told to end
}

// Work is what an operation does with its object.
type Work func(ctx context.Context, id string) error

// A Stay says what becomes of an operation when nobody waits for it any more.
type Stay bool

// The stays.
const (
	Finish Stay = true  // it is finished; who asks again finds the result
	GiveUp Stay = false // its context ends
)

// errLook tells a caller to look the row up again.
var errLook = errors.New("look again")

// Step makes an event happen to the object with the ID, as the row for the
// event in the object's state says. work runs if the row says so and may be
// nil if the row has none. Errors: a *spec.Refusal, what work returned, or the
// context's end while waiting.
func (t *Table[T]) Step(ctx context.Context, id string, e spec.Event, stay Stay, work Work) error {
	for {
		err := t.once(ctx, id, e, stay, work)
		if !errors.Is(err, errLook) {
			return err
		}
	}
}

func (t *Table[T]) once(ctx context.Context, id string, e spec.Event, stay Stay, work Work) error {
	t.mu.Lock()
	o, ok := t.objs[id]
	if !ok {
		o = &object[T]{Entry: Entry[T]{ID: id, State: spec.Absent}}
	}
	row := t.life.Next(o.State, e)
	if row != nil && row.Act == spec.Do && !ok {
		// Only StepNew makes an object out of nothing.
		row = nil
	}
	return t.obey(ctx, o, e, row, stay, work)
}

// obey does what the row says; t.mu is held and is released. An object that an
// operation has just claimed is joined, whatever its state still says.
func (t *Table[T]) obey(ctx context.Context, o *object[T], e spec.Event, row *spec.Transition, stay Stay, work Work) error {
	switch {
	case row == nil:
		defer t.mu.Unlock()
		return fmt.Errorf("no rule for %s of a %s that is %s", e, t.life.Object, o.State)
	case (row.Act == spec.Join || row.Act == spec.Do) && o.op != nil:
		return t.join(ctx, o.op, e)
	case row.Act == spec.Join:
		defer t.mu.Unlock()
		return fmt.Errorf("%s: %s %q is %s and nobody works on it: restart the daemon", row.ID, t.life.Object, o.ID, o.State)
	case row.Act == spec.Do:
		return t.begin(ctx, o, row, stay, work)
	case row.Act == spec.Refuse:
		defer t.mu.Unlock()
		return refusal(t.life.Object, o.ID, o.State, row)
	}
	t.mu.Unlock()
	return nil
}

func refusal(kind, id string, s spec.State, row *spec.Transition) error {
	reason := "is " + s.String()
	if s == spec.Absent {
		reason = "is not known"
	}
	return &spec.Refusal{Rule: row.Rule, Code: row.Code, Object: fmt.Sprintf("%s %q", kind, id), Reason: reason}
}

// begin claims the object and starts the row's work; t.mu is held and is
// released.
func (t *Table[T]) begin(ctx context.Context, o *object[T], row *spec.Transition, stay Stay, work Work) error {
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	p := &op{event: row.On, stay: stay, done: make(chan struct{}), cancel: cancel}
	o.op = p
	t.objs[o.ID] = o
	if o.Key != "" {
		t.keys[o.Key] = o.ID
	}
	before := o.State
	go func() {
		defer cancel()
		t.end(o, t.carryOut(run, o, row, before, work))
	}()
	return t.wait(ctx, p)
}

// carryOut goes through the states of a row, with the work between them.
func (t *Table[T]) carryOut(ctx context.Context, o *object[T], row *spec.Transition, before spec.State, work Work) error {
	if row.Via != 0 && work != nil {
		if err := t.enter(o, row.Via); err != nil {
			return err
		}
		if err := work(ctx, o.ID); err != nil {
			return errors.Join(err, t.enter(o, t.after(o, row, before)))
		}
	}
	return t.complete(o, row.To)
}

// complete enters the state that an operation leads to, and closes the journal
// of its plan with it.
func (t *Table[T]) complete(o *object[T], s spec.State) error {
	return t.become(o, s, func(e *Entry[T]) { e.State, e.Journal = s, Journal{} })
}

// after is the state that failed work leads to.
func (t *Table[T]) after(o *object[T], row *spec.Transition, before spec.State) spec.State {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case row.Stuck != 0 && o.Journal.Open():
		return row.Stuck
	case row.Else != 0:
		return row.Else
	}
	return before
}

// enter changes the state durably. If the disk refuses, memory says what is
// true, and the disk still says what a restart has to look into.
func (t *Table[T]) enter(o *object[T], s spec.State) error {
	return t.become(o, s, func(e *Entry[T]) { e.State = s })
}

func (t *Table[T]) become(o *object[T], s spec.State, change func(*Entry[T])) error {
	err := t.write(o, change)
	if err == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.transient(s) {
		o.State = s
		if s == spec.Absent {
			t.drop(o)
		}
	}
	return err
}

// transient says that a state only holds while work is in flight.
func (t *Table[T]) transient(s spec.State) bool {
	for _, row := range t.life.Rows {
		if row.Via == s {
			return true
		}
	}
	return false
}

// end records what an operation has come to and wakes those who wait. An
// object that never came to be is forgotten.
func (t *Table[T]) end(o *object[T], err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if o.State == spec.Absent {
		t.drop(o)
	}
	o.op.err = err
	close(o.op.done)
	o.op = nil
}

// join waits for an operation in flight; t.mu is held and is released. An
// equal operation's answer is the answer, unless it was given up.
func (t *Table[T]) join(ctx context.Context, p *op, e spec.Event) error {
	if p.event == e && !p.given {
		return t.wait(ctx, p)
	}
	t.mu.Unlock()
	select {
	case <-p.done:
		return errLook
	case <-ctx.Done():
		return fmt.Errorf("waiting for %s: %w", p.event, context.Cause(ctx))
	}
}

// wait waits for an operation as one of those it runs for; t.mu is held and is
// released.
func (t *Table[T]) wait(ctx context.Context, p *op) error {
	p.waiters++
	t.mu.Unlock()
	select {
	case <-p.done:
		return p.err
	case <-ctx.Done():
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	p.waiters--
	if p.waiters == 0 && p.stay == GiveUp {
		p.given = true
		p.cancel()
	}
	return fmt.Errorf("%s goes on: %w", p.event, context.Cause(ctx))
}
