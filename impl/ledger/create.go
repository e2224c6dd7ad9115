package ledger

import (
	"context"
	"errors"

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
		if err == nil {
			return id, nil
		}
		if !errors.Is(err, errLook) {
			return "", err
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
	id := o.ID
	return id, t.obey(ctx, o, e, t.life.Next(o.now(), e), Finish, c.Work)
}
