package gate_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"ocid/fixtures/requests"
	"ocid/impl/gate"
	"ocid/spec"
)

func rowsByCall() map[string][]spec.Requirement {
	all := map[string][]spec.Requirement{}
	for _, r := range spec.Default().Requests {
		all[r.RPC] = append(all[r.RPC], r)
	}
	return all
}

func demand(r spec.Requirement) requests.Demand {
	return requests.Demand{Field: r.Field, Check: string(r.Check), Other: r.Other, Lo: r.Lo, Hi: r.Hi}
}

func TestValidRequestsPassAllRows(t *testing.T) {
	calls := rowsByCall()
	require.NotEmpty(t, calls)
	for call, rows := range calls {
		m := requests.Valid(call)
		require.NotNil(t, m, "no fixture of %s", call)
		require.NoError(t, gate.Validate(rows, m), call)
	}
}

// Each row refuses what breaks it, and no row before it does.
func TestBrokenRequestIsRefusedByItsRow(t *testing.T) {
	calls := rowsByCall()
	for _, row := range spec.Default().Requests {
		t.Run(string(row.ID), func(t *testing.T) {
			broken := requests.BreakAll(requests.Valid(row.RPC), demand(row))
			require.NotEmpty(t, broken)
			for _, m := range broken {
				refused(t, gate.Validate([]spec.Requirement{row}, m), row)
			}
			refused(t, gate.Validate(calls[row.RPC], broken[0]), row)
			for _, o := range calls[row.RPC] {
				if !strings.HasPrefix(o.Field, row.Field) {
					require.NoError(t, gate.Validate([]spec.Requirement{o}, broken[0]), "%s is about something else", o.ID)
				}
			}
		})
	}
}

// An empty request breaks no more than what has to be set.
func TestEmptyRequestBreaksOnlyRequired(t *testing.T) {
	for _, row := range spec.Default().Requests {
		empty := proto.Clone(requests.Valid(row.RPC))
		proto.Reset(empty)
		err := gate.Validate([]spec.Requirement{row}, empty)
		switch {
		case row.Check == spec.Required && strings.Contains(row.Field, "[]"):
			// see TestRequiredInAListThatIsNotThere
		case row.Check == spec.Required:
			refused(t, err, row)
			require.ErrorContains(t, err, row.Field+" is not set")
		case row.Check == spec.OneSet:
			refused(t, err, row)
		default:
			require.NoError(t, err, row.ID)
		}
	}
}

func refused(t *testing.T, err error, row spec.Requirement) *spec.Refusal {
	t.Helper()
	var r *spec.Refusal
	require.ErrorAs(t, err, &r, row.ID)
	require.Equal(t, row.ID, r.Rule.ID)
	require.Equal(t, row.Code, r.Code)
	require.NotEmpty(t, r.Reason)
	return r
}
