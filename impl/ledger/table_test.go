package ledger

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"ocid/spec"
)

func TestTwoDaemonsOnOneFile(t *testing.T) {
	l := newLab(t, spec.Default().Sandbox)
	_, err := Open(l.path)
	require.ErrorContains(t, err, "another daemon uses it")
	require.ErrorContains(t, err, l.path)
	require.NoError(t, l.db.Close())
	db, err := Open(l.path)
	require.NoError(t, err)
	require.NoError(t, db.Close())
}

func TestOpenFails(t *testing.T) {
	dir := t.TempDir()
	_, err := Open(dir)
	require.ErrorContains(t, err, dir)
	require.NotContains(t, err.Error(), "another daemon")
}

func TestTablesOfOneFileAreApart(t *testing.T) {
	l := newLab(t, spec.Default().Sandbox)
	l.put(spec.Ready)
	require.Empty(t, table(t, l.db, spec.Default().Container).List())
}

func TestUnreadableEntryIsKeptAndLeftOut(t *testing.T) {
	l := newLab(t, spec.Default().Sandbox)
	l.put(spec.Ready)
	require.NoError(t, l.db.Update(func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte("sandbox")).Put([]byte("bad"), []byte("{"))
	}))
	next := table(t, l.db, l.life)
	require.Len(t, next.List(), 1)
	require.NoError(t, l.db.View(func(tx *bbolt.Tx) error {
		require.Equal(t, "{", string(tx.Bucket([]byte("sandbox")).Get([]byte("bad"))))
		return nil
	}))
}

func TestResolve(t *testing.T) {
	l := newLab(t, spec.Default().Sandbox)
	for _, id := range []string{"abc1", "abc2", "abd", "ab"} {
		l.insert(Entry[data]{ID: id, Key: id, State: spec.Ready})
	}
	for prefix, want := range map[string]string{
		"abc1": "abc1", "abd": "abd",
		"ab":  "ab", // an ID is itself, whatever else it begins
		"abc": "abc", "a": "a",
		"x": "x", "abc12": "abc12", "": "",
	} {
		require.Equal(t, want, l.table.Resolve(prefix), "%q", prefix)
	}
	require.NoError(t, l.table.Settle("abc1", spec.Absent))
	require.Equal(t, "abc2", l.table.Resolve("abc"))
}

func TestListIsOrdered(t *testing.T) {
	l := newLab(t, spec.Default().Sandbox)
	for _, id := range []string{"c", "a", "b"} {
		l.insert(Entry[data]{ID: id, Key: id, State: spec.Ready})
	}
	var ids []string
	for _, e := range l.table.List() {
		ids = append(ids, e.ID)
	}
	require.Equal(t, []string{"a", "b", "c"}, ids)
}

func TestGetOfNothing(t *testing.T) {
	l := newLab(t, spec.Default().Sandbox)
	e, ok := l.table.Get("none")
	require.False(t, ok)
	require.Equal(t, spec.Absent, e.State)
	require.NoError(t, l.table.Change("none", func(*data) { t.Fail() }))
	require.Empty(t, l.table.Begun("none"))
}

func TestChangeIsDurable(t *testing.T) {
	l := newLab(t, spec.Default().Sandbox)
	l.put(spec.Ready)
	before, _ := l.table.Get(theID)
	require.NoError(t, l.table.Change(theID, func(d *data) { d.Note = "changed" }))
	require.Empty(t, before.Data.Note, "what was handed out does not change")
	e, _ := l.table.Get(theID)
	require.Equal(t, "changed", e.Data.Note)
	require.Equal(t, spec.Ready, e.State)
	l.durable()
}

func TestJournal(t *testing.T) {
	l := newLab(t, spec.Default().Sandbox)
	l.put(spec.Creating)
	steps := []spec.StepName{"one", "two"}
	for i, s := range steps {
		require.NoError(t, l.table.Begin(theID, "Run", s))
		require.NoError(t, l.table.Begin(theID, "Run", s), "a step that begins again is one step")
		require.Equal(t, steps[:i+1], l.table.Begun(theID))
		l.durable()
		require.Equal(t, steps[:i+1], l.crash().Begun(theID))
	}
	held := l.table.Begun(theID)
	require.NoError(t, l.table.Begin(theID, "Stop", "three"))
	require.Equal(t, []spec.StepName{"three"}, l.table.Begun(theID), "another plan begins its own journal")
	require.Equal(t, steps, held)
	e, _ := l.table.Get(theID)
	require.True(t, e.Journal.Open())
	require.NoError(t, l.table.Forget(theID))
	e, _ = l.table.Get(theID)
	require.False(t, e.Journal.Open())
	l.durable()
}

func TestSettle(t *testing.T) {
	for _, life := range lives() {
		for _, s := range life.States.Each() {
			l := newLab(t, life)
			l.put(life.Rows[0].Via)
			require.NoError(t, l.table.Settle(theID, s))
			require.Equal(t, s, l.state(theID))
			require.Equal(t, s != spec.Absent, len(l.table.keys) == 1)
			l.durable()
			require.NoError(t, l.table.Settle("none", s))
		}
	}
}

// Work that can't be written down does not begin. What happens by itself has
// happened whether it can be written down or not.
func TestSaveFails(t *testing.T) {
	everyCell(t, spec.Do, func(t *testing.T, l *lab, s spec.State, row *spec.Transition) {
		l.put(s)
		before := l.table.List()
		require.NoError(t, l.db.Close())
		j := newJob()
		j.let <- nil
		_, err := l.step(t.Context(), row.On, Finish, j.work)
		require.ErrorIs(t, err, berrors.ErrDatabaseNotOpen)
		require.Zero(t, j.runs)
		require.Equal(t, before, l.crash().List())
		require.Len(t, l.table.keys, len(before))
		if row.Via == 0 {
			require.Equal(t, row.To, l.state(theID))
		} else {
			require.Equal(t, before, l.table.List())
		}
	})
}

func TestEditThatCannotBeSavedChangesNothing(t *testing.T) {
	l := newLab(t, spec.Default().Sandbox)
	l.put(spec.Ready)
	before := l.table.List()
	require.NoError(t, l.db.Close())
	require.Error(t, l.table.Change(theID, func(d *data) { d.Note = "changed" }))
	require.Error(t, l.table.Begin(theID, "Run", "one"))
	require.Error(t, l.table.Forget(theID))
	require.Error(t, l.table.Settle(theID, spec.NotReady))
	require.Error(t, l.table.Settle(theID, spec.Absent))
	require.Equal(t, before, l.table.List())
	require.Equal(t, map[string]string{theKey: theID}, l.table.keys)
}

// What the work has done can't be undone: memory is true, the disk has what a
// restart looks into, and the caller gets an error.
func TestSaveFailsAfterTheWork(t *testing.T) {
	everyCell(t, spec.Do, func(t *testing.T, l *lab, s spec.State, row *spec.Transition) {
		if row.Via == 0 {
			return
		}
		for _, fail := range []error{nil, errWork} {
			l := newLab(t, l.life)
			l.put(s)
			var id string
			_, err := l.step(t.Context(), row.On, Finish, func(_ context.Context, made string) error {
				id = made
				assert.NoError(t, l.db.Close())
				return fail
			})
			require.ErrorIs(t, err, berrors.ErrDatabaseNotOpen)
			want := row.To
			if fail != nil {
				require.ErrorIs(t, err, fail)
				want = afterFailure(s, row, false)
			}
			require.Equal(t, want, l.state(id))
			require.Equal(t, row.Via, l.crash().List()[0].State)
		}
	})
}
