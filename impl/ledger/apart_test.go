package ledger

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"ocid/spec"
)

// Two equal events that stand apart both happen, one after the other, while
// other questions about the object are answered.
func TestApartIsNotShared(t *testing.T) {
	bubble(t, spec.Default().Container, func(t *testing.T, l *lab) {
		first, c := l.begin(t.Context(), doer(l.life, spec.UpdateContainer), Apart)
		require.Equal(t, spec.Running, l.state(theID), "the work leaves the state alone")
		second, other := newJob(), newJob()
		d := l.call(t.Context(), spec.UpdateContainer, Apart, second.work)
		synctest.Wait()
		require.Zero(t, second.runs)
		_, err := l.step(t.Context(), spec.ContainerStatus, Finish, nil)
		require.NoError(t, err)

		first.let <- nil
		<-c.done
		<-second.begun
		require.NoError(t, c.err)
		stop := l.call(t.Context(), spec.StopContainer, GiveUp, other.work)
		synctest.Wait()
		require.Zero(t, other.runs, "a stop waits")
		second.let <- nil
		<-d.done
		require.NoError(t, d.err)
		<-other.begun
		require.Equal(t, spec.Stopping, l.state(theID))
		other.let <- nil
		<-stop.done
		require.Equal(t, spec.Exited, l.state(theID))
		l.durable()
	})
}
