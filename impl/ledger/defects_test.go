package ledger

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"ocid/impl/flow"
	"ocid/spec"
)

// A daemon that is killed between the end of a creation's plan and the state
// after it leaves a journal from which the creation can be taken back.
func TestKilledBetweenPlanAndState(t *testing.T) {
	book := spec.Default()
	for _, c := range []struct {
		life spec.Lifecycle
		plan spec.Plan
	}{{book.Sandbox, book.RunPodSandbox}, {book.Container, book.CreateContainer}} {
		l := newLab(t, c.life)
		var next *Table[data]
		things := map[spec.StepName]bool{}
		works := flow.Works{}
		for _, s := range c.plan.Steps {
			works[s.Name] = flow.Work{
				Do:   func(context.Context) error { things[s.Name] = s.Undo; return nil },
				Undo: func(context.Context) error { delete(things, s.Name); return nil },
			}
		}
		_, err := l.hold(t.Context(), c.life.Rows[0].On, Finish, func(ctx context.Context, id string) error {
			err := flow.Runner{}.Run(ctx, l.table, id, c.plan, spec.HasInfra, works)
			next = l.crash() // killed here
			return err
		})
		require.NoError(t, err)
		if e, _ := next.Get(theID); e.State == c.life.Rows[0].To {
			continue // it is complete on disk
		}
		db := open(t, l.path+".next")
		restarted := table(t, db, c.life)
		restarted.objs, restarted.keys = next.objs, next.keys
		require.NoError(t, flow.Runner{}.Undo(t.Context(), restarted, theID, c.plan, works))
		for s, there := range things {
			require.False(t, there, "%s of %s is left and no journal knows it", s, c.plan.Name)
		}
	}
}

// An object in a state that holds while an operation is in flight, without an
// operation, as a recovery that failed leaves it: no call may answer that it
// has done what it has not.
func TestNoFalseSuccessWithoutAnOperation(t *testing.T) {
	everyCell(t, spec.Join, func(t *testing.T, l *lab, s spec.State, row *spec.Transition) {
		l.put(s)
		ran := false
		_, err := l.step(t.Context(), row.On, Finish, func(context.Context, string) error { ran = true; return nil })
		require.True(t, err != nil || ran, "%s answers OK and %s stays", row.On, l.state(theID))
	})
}

// An event that would make a new object is not an answer about an ID.
func TestStepDoesNotCreate(t *testing.T) {
	for _, life := range lives() {
		l := newLab(t, life)
		require.Error(t, l.table.Step(t.Context(), "none", life.Rows[0].On, Finish, newJob().work))
	}
}

// A removal whose end can't be saved frees the name in memory too: the next
// creation makes what it was asked for, not what was removed.
func TestNameOfARemovedObjectThatCannotBeForgotten(t *testing.T) {
	l := newLab(t, spec.Default().Sandbox)
	l.put(spec.Stopped)
	err := l.table.Step(t.Context(), theID, spec.RemovePodSandbox, Finish, func(context.Context, string) error { return l.db.Close() })
	require.ErrorIs(t, err, bbolt.ErrDatabaseNotOpen) //nolint:staticcheck // the alias is what bbolt returns
	require.Empty(t, l.table.List())
	require.Empty(t, l.table.keys)
	_, ok := l.table.Get(theID)
	require.False(t, ok)
}

// The name of an object belongs to it only as long as no other one has it.
func TestForgettingAnObjectLeavesTheNameOfAnother(t *testing.T) {
	l := newLab(t, spec.Default().Sandbox)
	l.put(spec.Removing)
	require.NoError(t, l.table.enter(&object[data]{Entry: Entry[data]{ID: "4567", Key: theKey}}, spec.Ready))
	require.NoError(t, l.table.Settle(theID, spec.Absent))
	require.Equal(t, map[string]string{theKey: "4567"}, l.table.keys)
}

// States are on disk by name: a state that is declared between two others
// does not change what older ledgers say.
func TestStatesAreOnDiskByName(t *testing.T) {
	l := newLab(t, spec.Default().Sandbox)
	l.put(spec.NotReady)
	require.NoError(t, l.db.View(func(tx *bbolt.Tx) error {
		require.Contains(t, string(tx.Bucket([]byte("sandbox")).Get([]byte(theID))), `"NotReady"`)
		return nil
	}))
}

// Work that panics ends its operation with an error; it takes neither the
// daemon nor the object's name with it.
func TestWorkThatPanics(t *testing.T) {
	l := newLab(t, spec.Default().Sandbox)
	l.put(spec.Stopped)
	err := l.table.Step(t.Context(), theID, spec.RemovePodSandbox, Finish, func(context.Context, string) error { panic("a bug") })
	require.ErrorContains(t, err, "a bug")
	require.Equal(t, spec.NotReady, l.state(theID))
}
