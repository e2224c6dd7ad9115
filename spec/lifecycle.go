package spec

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"
)

// States is a set of states; a single State is a set of one.
type States uint16

// State is a set of exactly one state.
type State = States

// Absent is a state like any other: what the daemon answers about an object
// it does not know is a row, not a special case in a handler. Creating,
// Starting, Stopping and Removing hold while an operation is in flight.
const (
	Absent State = 1 << iota
	Creating
	Created
	Starting
	Running
	Ready
	Stopping
	Exited
	NotReady // not serving, but something of it may still be open
	Stopped  // not serving and everything but its record is gone
	Removing
)

var stateNames = []string{"Absent", "Creating", "Created", "Starting", "Running", "Ready", "Stopping", "Exited", "NotReady", "Stopped", "Removing"}

// Each returns the single states of the set, in order of declaration.
func (s States) Each() (all []State) {
	for ; s != 0; s &= s - 1 {
		all = append(all, 1<<bits.TrailingZeros16(uint16(s)))
	}
	return all
}

func (s States) String() string {
	var names []string
	for _, one := range s.Each() {
		names = append(names, stateNames[bits.TrailingZeros16(uint16(one))])
	}
	return strings.Join(names, ", ")
}

// MarshalText gives the names: what is written down outlives the numbers.
func (s States) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the names.
func (s *States) UnmarshalText(text []byte) error {
	*s = 0
	for name := range strings.SplitSeq(string(text), ", ") {
		i := slices.Index(stateNames, name)
		if i < 0 {
			return fmt.Errorf("no state is called %q", name)
		}
		*s |= 1 << i
	}
	return nil
}

// An Event is what happens to an object: a call, or something by itself.
type Event string

// Act is what an event makes of an object.
type Act uint8

// There is no fifth act.
const (
	Do     Act = iota // perform the work, then enter To (Else if the work fails)
	Done              // already so, or a mere question: answer OK, change nothing
	Refuse            // answer Code, change nothing
	Join              // an operation is in flight: wait for it; an equal one's answer is the answer, else look again
)

func (a Act) String() string { return [...]string{"do", "done", "refuse", "join"}[a] }

// A Transition is one row of a lifecycle: what On means in the states From.
type Transition struct {
	Rule
	On   Event
	From States
	Act  Act
	// Via, if Act is Do, is the state while the work runs: From itself, if the
	// work changes something about the object and not its life; 0 if there is no
	// work.
	Via  State
	To   State // if Act is Do: the state after the work
	Else State // if Act is Do: the state if the work fails; 0 is the state before
	// Stuck, if Act is Do and the work is a plan that is taken back: the state
	// if that fails too, so that the object stays visible and can be removed.
	Stuck State
	Code  Code // if Act is Refuse
}

// A Lifecycle is total: every event has exactly one row in every state.
type Lifecycle struct {
	Object string // "sandbox", "container"
	States States // every state that the object can be in
	Rows   []Transition
}

// Next returns the row that governs event e in state s, nil if there is none.
func (l Lifecycle) Next(s State, e Event) *Transition {
	for i := range l.Rows {
		if l.Rows[i].On == e && l.Rows[i].From&s != 0 {
			return &l.Rows[i]
		}
	}
	return nil
}

// Events returns the events of the lifecycle in table order.
func (l Lifecycle) Events() (events []Event) {
	for _, t := range l.Rows {
		if !slices.Contains(events, t.On) {
			events = append(events, t.On)
		}
	}
	return events
}

// Check reports cells of the event × state matrix with no row or several, and
// rows whose columns contradict one another.
func (l Lifecycle) Check() (errs []error) {
	for _, e := range l.Events() {
		for _, s := range l.States.Each() {
			var ids []ID
			for _, t := range l.Rows {
				if t.On == e && t.From&s != 0 {
					ids = append(ids, t.ID)
				}
			}
			if len(ids) != 1 {
				errs = append(errs, fmt.Errorf("%s: %s in %s: %d rows %v", l.Object, e, s, len(ids), ids))
			}
		}
	}
	for _, t := range l.Rows {
		errs = append(errs, l.checkRow(t)...)
	}
	return errs
}

// busy returns the states that only hold while an operation is in flight.
func (l Lifecycle) busy() (s States) {
	for _, t := range l.Rows {
		if !t.Stays() {
			s |= t.Via
		}
	}
	return s
}

// Stays says that the work of the row leaves the object in the state it is in.
func (t Transition) Stays() bool { return t.Via != 0 && t.Via == t.From }

func (l Lifecycle) checkRow(t Transition) (errs []error) {
	bad := func(ok bool, what string) {
		if !ok {
			errs = append(errs, fmt.Errorf("%s: %s", t.ID, what))
		}
	}
	bad((t.From|t.Via|t.To|t.Else|t.Stuck)&^l.States == 0, "names a state the object does not have")
	bad((t.Act == Do) == (t.To != 0), "To belongs to Do and to nothing else")
	bad(t.Act == Do || t.Via == 0, "Via belongs to Do")
	bad(!t.Stays() || t.To == t.From, "work that leaves the state alone does not lead to another")
	bad(t.Via != 0 || t.Else|t.Stuck == 0, "Else and Stuck belong to work, and so to Via")
	bad(t.Act != Join || t.From&^l.busy() == 0, "a Join is only for states in which an operation is in flight")
	bad((t.Act == Refuse) == (t.Code != 0), "Code belongs to Refuse and to nothing else")
	bad(len(t.Via.Each()) <= 1 && len(t.To.Each()) <= 1 && len(t.Else.Each()) <= 1 && len(t.Stuck.Each()) <= 1, "Via, To, Else and Stuck are single states")
	return errs
}
