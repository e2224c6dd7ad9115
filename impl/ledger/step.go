package ledger

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"ocid/spec"
)

// An op is an operation in flight on one object. It runs by itself; those who
// asked for it, or joined it, wait.
type op struct {
	event   spec.Event
	via     spec.State // the state while it is in flight; 0: it takes no time
	stay    Stay
	done    chan struct{}
	err     error
	waiters int
	cancel  context.CancelFunc
	given   bool // given up: the last waiter has gone and it was told to end
}

// Work is what an operation does with its object.
type Work func(ctx context.Context, id string) error

// A Stay says what becomes of an operation when nobody waits for it any more,
// and whether it is shared.
type Stay uint8

// The stays.
const (
	Finish Stay = iota // it is finished; who asks again finds the result
	GiveUp             // its context ends
	Apart              // it is finished; an equal event waits for it and then happens as well
)

// errLook tells a caller to look the row up again.
var errLook = errors.New("look again")

// Step makes an event happen to the object with the ID, as the row for the
// event in the object's state says. work runs if the row says so and may be
// nil if the row has none. Errors: a *spec.Refusal, what work returned, or the
// context's end while waiting. An error of work that names no rule names the row.
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
	row := t.life.Next(o.now(), e)
	if row != nil && row.Act == spec.Do && !ok {
		// Only StepNew makes an object out of nothing.
		row = nil
	}
	return t.obey(ctx, o, e, row, stay, work)
}

// now is the state of the object: also before it has reached the disk. The
// table's mu is held.
func (o *object[T]) now() spec.State {
	if o.op != nil && o.op.via != 0 {
		return o.op.via
	}
	return o.State
}

// obey does what the row says; t.mu is held and is released.
func (t *Table[T]) obey(ctx context.Context, o *object[T], e spec.Event, row *spec.Transition, stay Stay, work Work) error {
	switch {
	case row == nil:
		defer t.mu.Unlock()
		return fmt.Errorf("no rule for %s of a %s that is %s", e, t.life.Object, o.now())
	case (row.Act == spec.Join || row.Act == spec.Do) && o.op != nil:
		return t.join(ctx, o.op, e)
	case row.Act == spec.Join:
		defer t.mu.Unlock()
		return failure(row, fmt.Errorf("%s %q is %s and nobody works on it: restart the daemon", t.life.Object, o.ID, o.State))
	case row.Act == spec.Do:
		return t.begin(ctx, o, row, stay, work)
	case row.Act == spec.Refuse:
		defer t.mu.Unlock()
		return refusal(t.life.Object, o.ID, o.now(), row)
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
	if work != nil {
		p.via = row.Via
	}
	o.op = p
	t.objs[o.ID] = o
	if o.Key != "" {
		t.keys[o.Key] = o.ID
	}
	trip := trip[T]{t: t, o: o, id: o.ID, row: row, before: o.State, work: work}
	go func() {
		defer cancel()
		t.end(o, trip.carryOut(run))
	}()
	return t.wait(ctx, p)
}

// A trip is one object's way along a row.
type trip[T any] struct {
	t      *Table[T]
	o      *object[T]
	id     string
	row    *spec.Transition
	before spec.State
	work   Work
}

// carryOut goes through the states of the row, with the work between them.
func (p trip[T]) carryOut(ctx context.Context) error {
	if p.row.Via == 0 || p.work == nil {
		return p.t.enter(p.o, p.row.To)
	}
	if err := p.t.enter(p.o, p.row.Via); err != nil {
		return err
	}
	if err := p.run(ctx); err != nil {
		return errors.Join(err, p.t.enter(p.o, p.t.after(p.o, p.row, p.before)))
	}
	return p.t.complete(p.o, p.row.To)
}

// run does the work. A panic is an error of this object's, not the end of all.
func (p trip[T]) run(ctx context.Context) (err error) {
	defer func() {
		if r := recover(); r != nil {
			p.t.log.Error("panic", "event", p.row.On, "id", p.id, "panic", r, "stack", string(debug.Stack()))
			err = failure(p.row, fmt.Errorf("panic: %v", r))
		}
	}()
	return failure(p.row, p.work(ctx, p.id))
}

// complete enters the state that an operation leads to, and closes the journal
// of its plan with it.
func (t *Table[T]) complete(o *object[T], s spec.State) error {
	return t.write(o, func(e *Entry[T]) { e.State, e.Journal = s, Journal{} }, true)
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

// enter changes the state durably. That work begins is no fact before it is
// on disk; what has come of it is.
func (t *Table[T]) enter(o *object[T], s spec.State) error {
	return t.write(o, func(e *Entry[T]) { e.State = s }, !t.transient(s))
}

// transient says that a state only holds while work is in flight.
func (t *Table[T]) transient(s spec.State) bool {
	for _, row := range t.life.Rows {
		if row.Via == s && !row.Stays() {
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
// equal operation's answer is the answer, unless it was given up or stands apart.
func (t *Table[T]) join(ctx context.Context, p *op, e spec.Event) error {
	if p.event == e && !p.given && p.stay != Apart {
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
	if p.given {
		return fmt.Errorf("%s given up: %w", p.event, context.Cause(ctx))
	}
	return fmt.Errorf("%s goes on: %w", p.event, context.Cause(ctx))
}

// Drain waits until no operation is in flight, or until ctx ends.
func (t *Table[T]) Drain(ctx context.Context) error {
	for {
		p := t.anyOp()
		if p == nil {
			return nil
		}
		select {
		case <-p.done:
		case <-ctx.Done():
			return fmt.Errorf("%s of a %s is still in flight: %w", p.event, t.life.Object, context.Cause(ctx))
		}
	}
}

func (t *Table[T]) anyOp() *op {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, o := range t.objs {
		if o.op != nil {
			return o.op
		}
	}
	return nil
}
