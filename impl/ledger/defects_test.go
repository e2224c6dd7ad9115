package ledger

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	berrors "go.etcd.io/bbolt/errors"

	"ocid/impl/flow"
	"ocid/spec"
)

// A daemon that is killed between the end of a creation's plan and the state
// after it leaves an object that is complete, or a journal from which it can be
// taken back: there is no moment without both.
func TestKilledBetweenPlanAndState(t *testing.T) {
	book := spec.Default()
	for _, c := range []struct {
		life spec.Lifecycle
		plan spec.Plan
	}{{book.Sandbox, book.RunPodSandbox}, {book.Container, book.CreateContainer}} {
		l := newLab(t, c.life)
		nothing := func(context.Context) error { return nil }
		works := flow.Works{}
		for _, s := range c.plan.Steps {
			works[s.Name] = flow.Work{Do: nothing, Undo: nothing}
		}
		_, err := l.hold(t.Context(), c.life.Rows[0].On, Finish, func(ctx context.Context, id string) error {
			err := flow.Runner{}.Run(ctx, l.table, id, c.plan, spec.HasInfra, works)
			e, _ := l.crash().Get(id) // what a daemon finds if this one is killed here
			assert.True(t, e.State == c.life.Rows[0].To || e.Journal.Open(), "%s: all steps are done, the state is %s and the journal is closed", c.plan.Name, e.State)
			return err
		})
		require.NoError(t, err)
		e, _ := l.crash().Get(theID)
		require.Equal(t, c.life.Rows[0].To, e.State)
		require.False(t, e.Journal.Open())
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
	require.ErrorIs(t, err, berrors.ErrDatabaseNotOpen)
	require.Empty(t, l.table.List())
	require.Empty(t, l.table.keys)
	_, ok := l.table.Get(theID)
	require.False(t, ok)
}

// The name of an object belongs to it only as long as no other one has it.
func TestForgettingAnObjectLeavesTheNameOfAnother(t *testing.T) {
	l := newLab(t, spec.Default().Sandbox)
	l.put(spec.Removing)
	l.insert(Entry[data]{ID: "4567", Key: theKey, State: spec.Ready})
	require.NoError(t, l.table.Settle(theID, spec.Absent))
	require.Equal(t, map[string]string{theKey: "4567"}, l.table.keys)
}

// A state that memory has and the disk refused comes with its journal: a later
// change that the disk takes must not bring a plan back that is complete.
func TestJournalIsClosedWithAStateThatCouldNotBeSaved(t *testing.T) {
	l := newLab(t, spec.Default().Sandbox)
	_, err := l.hold(t.Context(), spec.RunPodSandbox, Finish, func(_ context.Context, id string) error {
		assert.NoError(t, l.table.Begin(id, "RunPodSandbox", "record"))
		return l.db.Close()
	})
	require.ErrorIs(t, err, berrors.ErrDatabaseNotOpen)
	e, _ := l.table.Get(theID)
	require.Equal(t, spec.Ready, e.State)
	require.False(t, e.Journal.Open())
}
