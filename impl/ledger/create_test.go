package ledger

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"ocid/spec"
)

func TestCreationRecordsWhatItMakes(t *testing.T) {
	for _, life := range lives() {
		l := newLab(t, life)
		id, err := l.table.StepNew(t.Context(), creation(life.Rows[0].On, theID, func(context.Context, string) error { return nil }))
		require.NoError(t, err)
		require.Equal(t, theID, id)
		want := Entry[data]{ID: theID, Key: theKey, Digest: theDigest, State: life.Rows[0].To, Data: data{Note: "made"}}
		require.Equal(t, []Entry[data]{want}, l.table.List())
		l.durable()
	}
}

// A name is held until its object is gone, whoever asks.
func TestNames(t *testing.T) {
	for _, life := range lives() {
		bubble(t, life, func(t *testing.T, l *lab) {
			e, other := life.Rows[0].On, spec.RunOther
			if e == spec.CreateContainer {
				other = spec.CreateOther
			}
			j, first := l.begin(t.Context(), life.Rows[0], Finish)
			_, err := l.step(t.Context(), other, Finish, newJob().work)
			refusedBy(t, err, life.Next(spec.Creating, other))
			j.let <- errWork
			<-first.done
			require.ErrorIs(t, first.err, errWork)
			require.Empty(t, l.table.List())

			ok := func(context.Context, string) error { return nil }
			id, err := l.step(t.Context(), other, Finish, ok)
			require.NoError(t, err, "after a failure the name is free")
			_, err = l.step(t.Context(), e, Finish, ok)
			refusedBy(t, err, life.Next(l.state(id), other))

			remove := spec.RemovePodSandbox
			if e == spec.CreateContainer {
				remove = spec.RemoveContainer
			}
			gone := newJob()
			a := fly(func() (string, error) { return id, l.table.Step(t.Context(), id, remove, Finish, gone.work) })
			<-gone.begun
			b := l.call(t.Context(), e, Finish, ok)
			synctest.Wait()
			require.False(t, b.over(), "a name waits for its holder to go")
			gone.let <- nil
			<-a.done
			<-b.done
			require.NoError(t, b.err)
			require.NotEqual(t, id, b.id)
			require.Len(t, l.table.List(), 1)
			l.durable()
		})
	}
}

// What can't be made holds no name, and what has been made is found even if it
// could not be made again.
func TestOnlyAFreeNameAsksForTheObject(t *testing.T) {
	for _, life := range lives() {
		l := newLab(t, life)
		c := creation(life.Rows[0].On, theID, func(context.Context, string) error { return nil })
		can := c.Make
		c.Make = func(context.Context) (string, data, error) { return "", data{}, errWork }
		_, err := l.table.StepNew(t.Context(), c)
		require.ErrorIs(t, err, errWork)
		require.Empty(t, l.table.List())
		require.Empty(t, l.table.keys)

		c.Make = can
		_, err = l.table.StepNew(t.Context(), c)
		require.NoError(t, err)
		c.Make = func(context.Context) (string, data, error) { return "", data{}, errWork }
		id, err := l.table.StepNew(t.Context(), c)
		require.NoError(t, err)
		require.Equal(t, theID, id)
	}
}

func TestNamesAreFreeOrHeldAfterARestart(t *testing.T) {
	life := spec.Default().Sandbox
	l := newLab(t, life)
	l.put(spec.Ready)
	next := l.crash()
	require.Equal(t, map[string]string{theKey: theID}, next.keys)
	id, err := next.StepNew(t.Context(), creation(spec.RunPodSandbox, "new", nil))
	require.NoError(t, err)
	require.Equal(t, theID, id, "an equal request finds the sandbox that the last daemon made")
	_, err = next.StepNew(t.Context(), creation(spec.RunOther, "new", nil))
	refusedBy(t, err, life.Next(spec.Ready, spec.RunOther))
}
