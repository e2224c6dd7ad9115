package ledger

import (
	"cmp"
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ocid/spec"
)

// everyCell calls test for every event in every state, with the row that
// governs it.
func everyCell(t *testing.T, act spec.Act, test func(t *testing.T, l *lab, s spec.State, row *spec.Transition)) {
	cells := 0
	for _, life := range lives() {
		for _, e := range life.Events() {
			for _, s := range life.States.Each() {
				row := life.Next(s, e)
				require.NotNil(t, row)
				if row.Act != act || !met(e, s) {
					continue
				}
				cells++
				t.Run(life.Object+"/"+string(e)+"/"+s.String(), func(t *testing.T) { test(t, newLab(t, life), s, row) })
			}
		}
	}
	require.NotZero(t, cells)
}

// reach brings the object into a state, by an operation in flight if the state
// is one that holds while one is; finish ends it.
func (l *lab) reach(s spec.State) (finish func()) {
	for _, row := range l.life.Rows {
		if row.Via == s && !row.Stays() && met(row.On, row.From.Each()[0]) {
			j, c := l.begin(l.t.Context(), row, Finish)
			return func() { j.let <- nil; <-c.done }
		}
	}
	l.put(s)
	return func() {}
}

func TestDoneAnswersAndChangesNothing(t *testing.T) {
	everyCell(t, spec.Done, func(t *testing.T, l *lab, s spec.State, row *spec.Transition) {
		finish := l.reach(s)
		before := l.table.List()
		j := newJob()
		id, err := l.step(t.Context(), row.On, Finish, j.work)
		require.NoError(t, err)
		if isCreation(row.On) {
			require.Equal(t, before[0].ID, id)
		}
		require.Zero(t, j.runs)
		require.Equal(t, before, l.table.List())
		l.durable()
		finish()
	})
}

func TestRefuseNamesTheRowAndChangesNothing(t *testing.T) {
	everyCell(t, spec.Refuse, func(t *testing.T, l *lab, s spec.State, row *spec.Transition) {
		finish := l.reach(s)
		before := l.table.List()
		j := newJob()
		_, err := l.step(t.Context(), row.On, Finish, j.work)
		refusedBy(t, err, row)
		require.Regexp(t, "^"+string(row.ID)+`: `+l.life.Object+` "`, err.Error())
		if s != spec.Absent {
			require.ErrorContains(t, err, "is "+s.String())
		}
		require.Zero(t, j.runs)
		require.Equal(t, before, l.table.List())
		l.durable()
		finish()
	})
}

// A row with work: the state while it runs and after it, in memory and on disk.
func TestDo(t *testing.T) {
	everyCell(t, spec.Do, func(t *testing.T, l *lab, s spec.State, row *spec.Transition) {
		l.put(s)
		var ran string
		id, err := l.step(t.Context(), row.On, Finish, func(ctx context.Context, id string) error {
			ran = id
			assert.Equal(t, row.Via, l.state(id))
			assert.Equal(t, l.table.List(), l.crash().List())
			return ctx.Err()
		})
		require.NoError(t, err)
		if row.Via != 0 {
			require.Equal(t, id, ran)
		} else {
			require.Empty(t, ran, "a row without Via has no work")
		}
		require.Equal(t, row.To, l.state(id))
		l.durable()
		if row.To == spec.Absent {
			require.Empty(t, l.table.List())
			require.Empty(t, l.table.keys, "the name is free")
		}
	})
}

func TestFailedWork(t *testing.T) {
	everyCell(t, spec.Do, func(t *testing.T, l *lab, s spec.State, row *spec.Transition) {
		if row.Via == 0 {
			return
		}
		for _, open := range []bool{false, true} {
			l := newLab(t, l.life)
			l.put(s)
			var id string
			_, err := l.step(t.Context(), row.On, Finish, func(_ context.Context, made string) error {
				id = made
				if open {
					assert.NoError(t, l.table.Begin(id, "Plan", "step"))
				}
				return errWork
			})
			require.ErrorIs(t, err, errWork)
			require.Equal(t, afterFailure(s, row, open), l.state(id))
			require.Equal(t, open && l.state(id) != spec.Absent, len(l.table.Begun(id)) == 1)
			l.durable()
			if l.state(id) == spec.Absent {
				require.Empty(t, l.table.keys, "the name is free")
			}
		}
	})
}

func afterFailure(before spec.State, row *spec.Transition, open bool) spec.State {
	switch {
	case open && row.Stuck != 0:
		return row.Stuck
	case row.Else != 0:
		return row.Else
	}
	return before
}

// Whoever joins an equal operation gets its answer; whoever joins another one
// waits for it and then looks its own row up again.
func TestJoin(t *testing.T) {
	everyCell(t, spec.Join, func(t *testing.T, l *lab, s spec.State, row *spec.Transition) {
		tried := 0
		for _, holder := range l.life.Rows {
			if holder.Via != s || !met(holder.On, holder.From.Each()[0]) {
				continue
			}
			for _, fail := range []error{nil, errWork} {
				tried++
				t.Run(string(holder.On), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { join(t, newLab(t, l.life), holder, row, fail) })
				})
			}
		}
		require.NotZero(t, tried, "no operation holds this state")
	})
}

func join(t *testing.T, l *lab, holder spec.Transition, row *spec.Transition, fail error) {
	j, first := l.begin(t.Context(), holder, Finish)
	second := newJob()
	c := l.call(t.Context(), row.On, Finish, second.work)
	synctest.Wait()
	require.False(t, c.over(), "it waits")
	require.Zero(t, second.runs)
	l.durable()
	j.let <- fail
	<-first.done
	synctest.Wait()
	if row.On == holder.On {
		require.True(t, c.over())
		require.Equal(t, first.err, c.err)
		require.ErrorIs(t, c.err, fail)
		require.Equal(t, first.id, c.id)
		require.Zero(t, second.runs, "one operation, two answers")
		return
	}
	after := holder.To
	if fail != nil {
		after = afterFailure(holder.From.Each()[0], &holder, false)
	}
	l.lookedAgain(row.On, after, c, second)
	if c.err == nil {
		require.Equal(t, after == spec.Absent && isCreation(row.On), c.id != theID, "a new object only in place of one that is gone")
	}
}

// lookedAgain asserts that a call does what the row for the state says that it
// found after its wait.
func (l *lab) lookedAgain(e spec.Event, s spec.State, c *call, j *job) {
	if isCreation(e) && s == spec.Absent {
		e = creation(e, "", nil).Event // the name is free: nobody's request is another one
	}
	row := l.life.Next(s, e)
	switch {
	case row.Act == spec.Do && row.Via != 0:
		require.False(l.t, c.over())
		require.Equal(l.t, 1, j.runs)
		require.Equal(l.t, row.Via, l.state(j.id))
		j.let <- nil
		<-c.done
		require.NoError(l.t, c.err)
		require.Equal(l.t, row.To, l.state(j.id))
	case row.Act == spec.Refuse:
		require.True(l.t, c.over())
		refusedBy(l.t, c.err, row)
		require.Zero(l.t, j.runs)
	default:
		require.True(l.t, c.over())
		require.NoError(l.t, c.err)
		require.Zero(l.t, j.runs)
		require.Equal(l.t, cmp.Or(row.To, s), l.state(theID))
	}
	l.durable()
}

func TestEventWithoutRow(t *testing.T) {
	l := newLab(t, spec.Default().Sandbox)
	require.ErrorContains(t, l.table.Step(t.Context(), theID, "no such event", Finish, nil), "no rule")
	_, err := l.table.StepNew(t.Context(), Creation[data]{Key: theKey, Event: "no such event", Make: func(context.Context) (string, data, error) { return theID, data{}, nil }})
	require.ErrorContains(t, err, "no rule")
	require.Empty(t, l.table.List())
}
