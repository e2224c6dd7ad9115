package ledger

import (
	"context"
	"errors"
	"fmt"

	"ocid/spec"
)

// A Creation is the wish for a new object under a name.
type Creation[T any] struct {
	Key    string     // the name
	Digest string     // of the request
	Event  spec.Event // if the name is free, or held by an equal request
	Other  spec.Event // if a different request holds the name
	Make   func() (id string, data T)
	Work   Work
}

// StepNew makes the creation's event happen to whoever holds its name, or to a
// new object if nobody does, and returns the ID of the object. The work is
// finished even if the caller goes away; an equal request finds the result.
func (t *Table[T]) StepNew(ctx context.Context, c Creation[T]) (string, error) {
	for {
		id, err := t.createOnce(ctx, c)
		if !errors.Is(err, errLook) {
			return id, err
		}
	}
}

func (t *Table[T]) createOnce(ctx context.Context, c Creation[T]) (string, error) {
	t.mu.Lock()
	e, o := c.Event, t.objs[t.keys[c.Key]]
	if o == nil {
		id, data := c.Make()
		o = &object[T]{Entry: Entry[T]{ID: id, Key: c.Key, Digest: c.Digest, State: spec.Absent, Data: data}}
	} else if o.Digest != c.Digest {
		e = c.Other
	}
	row := t.life.Next(o.State, e)
	switch {
	case row == nil:
		t.mu.Unlock()
		return "", fmt.Errorf("no rule for %s of a %s that is %s", e, t.life.Object, o.State)
	case row.Act == spec.Do:
		return o.ID, t.begin(ctx, o, row, Finish, c.Work)
	case row.Act == spec.Join && o.op != nil:
		return o.ID, t.join(ctx, o.op, e)
	case row.Act == spec.Refuse:
		defer t.mu.Unlock()
		return "", refusal(t.life.Object, o.ID, o.State, row)
	}
	t.mu.Unlock()
	return o.ID, nil
}
