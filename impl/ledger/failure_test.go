package ledger

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"ocid/spec"
)

type namedError struct{}

func (namedError) Error() string   { return "named" }
func (namedError) RuleID() spec.ID { return "a.promise" }

func TestFailedWorkNamesItsRow(t *testing.T) {
	l := newLab(t, spec.Default().Container)
	l.put(spec.Running)
	fail := func(err error) error {
		return l.table.Step(t.Context(), theID, spec.StopContainer, Finish, func(context.Context, string) error { return err })
	}
	cause := errors.New("broken")
	var failed *Failure
	err := fail(cause)
	require.ErrorAs(t, err, &failed)
	require.ErrorIs(t, err, cause)
	require.Equal(t, spec.ID("container.stop.running"), failed.RuleID())
	require.EqualError(t, err, "container.stop.running: broken")
	for _, says := range []error{fmt.Errorf("outer: %w", namedError{}), &spec.Refusal{Rule: spec.Rule{ID: "a.promise"}}} {
		err := fail(says)
		require.ErrorIs(t, err, says)
		require.False(t, errors.As(err, &failed), "%v says more", says)
	}
	err = l.table.Step(t.Context(), theID, spec.StopContainer, Finish, func(context.Context, string) error { panic("oh") })
	require.EqualError(t, err, "container.stop.running: panic: oh")
}
