package ledger

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"ocid/spec"
)

func TestObserverIsToldOfEachChangeInOrder(t *testing.T) {
	l := newLab(t, spec.Default().Container)
	l.put(spec.Running)
	var told []Entry[data]
	l.table.Observe(func(e Entry[data]) {
		if len(told) > 0 { // not of what was there before
			require.False(t, l.table.mu.TryLock(), "nobody can see the change yet")
		}
		told = append(told, e)
	})
	require.NoError(t, l.table.Change(theID, func(d *data) { d.Note = "changed" }))
	ok := func(context.Context, string) error { return nil }
	require.NoError(t, l.table.Step(t.Context(), theID, spec.StopContainer, Finish, ok))
	require.NoError(t, l.table.Step(t.Context(), theID, spec.StopContainer, Finish, ok), "changes nothing")
	require.NoError(t, l.table.Step(t.Context(), theID, spec.RemoveContainer, Finish, ok))
	var states []spec.State
	for _, e := range told {
		require.Equal(t, theID, e.ID)
		states = append(states, e.State)
	}
	require.Equal(t, []spec.State{spec.Running, spec.Running, spec.Stopping, spec.Exited, spec.Removing, spec.Absent}, states)
	require.Equal(t, "changed", told[1].Data.Note)
	require.Equal(t, "changed", told[5].Data.Note, "of one that has gone, too")
}
