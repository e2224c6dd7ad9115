package ledger

import (
	"context"
	"errors"

	"ocid/spec"
)

// A Creation is the wish for a new object under a name.
type Creation[T any] struct {
	Key    string                                               // the name
	Digest string                                               // of the request
	Event  spec.Event                                           // if the name is free, or held by an equal request
	Other  spec.Event                                           // if a different request holds the name
	Make   func(context.Context) (id string, data T, err error) // if the name is free
	Work   Work
}

// StepNew makes the creation's event happen to whoever holds its name, or to a
// new object if nobody does, and returns the ID of the object. The name comes
// first: what can't be made any more is found if it has been made. The work is
// finished even if the caller goes away; an equal request finds the result.
func (t *Table[T]) StepNew(ctx context.Context, c Creation[T]) (string, error) {
	var made *object[T]
	for {
		id, err := t.createOnce(ctx, c, made)
		if err == nil {
			return id, nil
		}
		if errors.Is(err, errMake) {
			made, err = c.object(ctx)
		}
		if err != nil && !errors.Is(err, errLook) {
			return "", err
		}
	}
}

// errMake tells that the name is free.
var errMake = errors.New("make it")

func (t *Table[T]) createOnce(ctx context.Context, c Creation[T], made *object[T]) (string, error) {
	t.mu.Lock()
	e, o := c.Event, t.objs[t.keys[c.Key]]
	switch {
	case o == nil && made == nil:
		t.mu.Unlock()
		return "", errMake
	case o == nil:
		o = made
	case o.Digest != c.Digest:
		e = c.Other
	}
	id := o.ID
	return id, t.obey(ctx, o, e, t.life.Next(o.now(), e), Finish, c.Work)
}

func (c *Creation[T]) object(ctx context.Context) (*object[T], error) {
	id, data, err := c.Make(ctx)
	return &object[T]{Entry: Entry[T]{ID: id, Key: c.Key, Digest: c.Digest, State: spec.Absent, Data: data}}, err
}
