package ledger

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"ocid/spec"
)

// doer returns the row of an event that does work.
func doer(l spec.Lifecycle, e spec.Event) spec.Transition {
	for _, r := range l.Rows {
		if r.On == e && r.Act == spec.Do {
			return r
		}
	}
	panic("no such row: " + string(e))
}

var errGone = errors.New("the caller has gone")

// bubble runs a test whose goroutines can be waited for.
func bubble(t *testing.T, life spec.Lifecycle, test func(t *testing.T, l *lab)) {
	synctest.Test(t, func(t *testing.T) { test(t, newLab(t, life)) })
}

func TestGiveUpEndsWithItsLastWaiter(t *testing.T) {
	bubble(t, spec.Default().Container, func(t *testing.T, l *lab) {
		l.put(spec.Running)
		first, leave := context.WithCancelCause(t.Context())
		second, leaveToo := context.WithCancelCause(t.Context())
		j, other := newJob(), newJob()
		a := l.call(first, spec.StopContainer, GiveUp, j.work)
		<-j.begun
		b := l.call(second, spec.StopContainer, GiveUp, other.work)
		synctest.Wait()

		leave(errGone)
		<-a.done
		require.ErrorIs(t, a.err, errGone)
		synctest.Wait()
		require.NoError(t, j.ctx.Err(), "the second still waits")
		require.False(t, b.over())
		require.Equal(t, spec.Stopping, l.state(theID))

		leaveToo(errGone)
		<-b.done
		synctest.Wait()
		require.Error(t, j.ctx.Err(), "nobody waits")
		require.Zero(t, other.runs)
		require.Equal(t, spec.Running, l.state(theID))
		l.durable()

		anew := newJob()
		c := l.call(t.Context(), spec.StopContainer, GiveUp, anew.work)
		<-anew.begun
		anew.let <- nil
		<-c.done
		require.NoError(t, c.err)
		require.Equal(t, spec.Exited, l.state(theID))
	})
}

// An equal call that comes while what was given up still ends does not get the
// answer of that, but starts anew.
func TestEqualCallDoesNotShareWhatWasGivenUp(t *testing.T) {
	bubble(t, spec.Default().Container, func(t *testing.T, l *lab) {
		l.put(spec.Running)
		ctx, leave := context.WithCancelCause(t.Context())
		slow := make(chan struct{})
		begun := make(chan struct{})
		a := l.call(ctx, spec.StopContainer, GiveUp, func(ctx context.Context, _ string) error {
			close(begun)
			<-slow // told to end, and takes its time
			return ctx.Err()
		})
		<-begun
		leave(errGone)
		<-a.done
		anew := newJob()
		b := l.call(t.Context(), spec.StopContainer, GiveUp, anew.work)
		synctest.Wait()
		require.False(t, b.over())
		require.Zero(t, anew.runs, "one operation at a time")
		close(slow)
		<-anew.begun
		anew.let <- nil
		<-b.done
		require.NoError(t, b.err)
		require.Equal(t, spec.Exited, l.state(theID))
	})
}

func TestWorkKnowsTheValuesButNotTheEndOfItsCaller(t *testing.T) {
	type key struct{}
	bubble(t, spec.Default().Container, func(t *testing.T, l *lab) {
		ctx, leave := context.WithCancelCause(context.WithValue(t.Context(), key{}, "value"))
		j, c := l.begin(ctx, doer(l.life, spec.StartContainer), Finish)
		leave(errGone)
		<-c.done
		require.ErrorIs(t, c.err, errGone)
		synctest.Wait()
		require.NoError(t, j.ctx.Err())
		require.Equal(t, "value", j.ctx.Value(key{}))
		require.Equal(t, spec.Starting, l.state(theID))
		j.let <- nil
		synctest.Wait()
		require.Equal(t, spec.Running, l.state(theID))
		require.Error(t, j.ctx.Err(), "the context of work that is over has ended")
	})
}

func TestFinishGoesOnAndTheRetryFindsTheResult(t *testing.T) {
	for _, life := range lives() {
		row := life.Rows[0] // the creation
		for _, early := range []bool{true, false} {
			bubble(t, life, func(t *testing.T, l *lab) {
				ctx, leave := context.WithCancelCause(t.Context())
				j, c := l.begin(ctx, row, Finish)
				leave(errGone)
				<-c.done
				require.ErrorIs(t, c.err, errGone)
				synctest.Wait()
				var retry *call
				if early {
					retry = l.call(t.Context(), row.On, Finish, newJob().work)
					synctest.Wait()
					require.False(t, retry.over())
				}
				j.let <- nil
				synctest.Wait()
				if !early {
					retry = l.call(t.Context(), row.On, Finish, newJob().work)
				}
				<-retry.done
				require.NoError(t, retry.err)
				require.Equal(t, theID, retry.id)
				require.Equal(t, row.To, l.state(theID))
			})
		}
	}
}

// Someone who waits for another operation leaves without harm to it.
func TestLeavingWhileWaitingForAnotherOperation(t *testing.T) {
	bubble(t, spec.Default().Container, func(t *testing.T, l *lab) {
		j, first := l.begin(t.Context(), doer(l.life, spec.StopContainer), GiveUp)
		ctx, leave := context.WithCancelCause(t.Context())
		remove := newJob()
		c := l.call(ctx, spec.RemoveContainer, Finish, remove.work)
		synctest.Wait()
		leave(errGone)
		<-c.done
		require.ErrorIs(t, c.err, errGone)
		synctest.Wait()
		require.NoError(t, j.ctx.Err())
		j.let <- nil
		<-first.done
		require.NoError(t, first.err)
		require.Zero(t, remove.runs)
		require.Equal(t, spec.Exited, l.state(theID))
	})
}
