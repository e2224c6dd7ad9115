package gate_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"ocid/impl/flow"
	"ocid/impl/gate"
	"ocid/spec"
)

var info = &grpc.UnaryServerInfo{FullMethod: "/runtime.v1.RuntimeService/StopContainer"}

func newGate(rows ...spec.Requirement) (*gate.Gate, *bytes.Buffer) {
	var log bytes.Buffer
	return gate.New(rows, slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))), &log
}

// answers returns what a call gets whose method returns err.
func answers(err error) (any, error) {
	g, _ := newGate()
	return g.Unary(context.Background(), &runtimeapi.StopContainerRequest{}, info, func(context.Context, any) (any, error) { return "answer", err })
}

func TestStatusOfAnError(t *testing.T) {
	refusal := &spec.Refusal{Rule: spec.Rule{ID: "container.start.again"}, Code: spec.FailedPrecondition, Object: `container "1"`, Reason: "is Running"}
	step := &flow.StepError{Step: spec.Step{Rule: spec.Rule{ID: "sandbox.run.network"}}, Err: errors.New("cni says no")}
	for name, c := range map[string]struct {
		err     error
		code    codes.Code
		rule    string
		message string
	}{
		"refusal":            {refusal, codes.FailedPrecondition, "container.start.again", `container.start.again: container "1" is Running`},
		"refusal wrapped":    {fmt.Errorf("outer: %w", refusal), codes.FailedPrecondition, "container.start.again", `outer: container.start.again: container "1" is Running`},
		"step":               {step, codes.Internal, "sandbox.run.network", "sandbox.run.network: cni says no"},
		"step not undone":    {errors.Join(step, errors.New("undo fails")), codes.Internal, "sandbox.run.network", "sandbox.run.network: cni says no\nundo fails"},
		"step's code":        {&gate.Coded{Code: codes.InvalidArgument, Err: step}, codes.InvalidArgument, "sandbox.run.network", "sandbox.run.network: cni says no"},
		"code":               {&gate.Coded{Code: codes.NotFound, Err: errors.New("no image")}, codes.NotFound, "", "no image"},
		"deadline":           {fmt.Errorf("waiting: %w", context.DeadlineExceeded), codes.DeadlineExceeded, "", "waiting: context deadline exceeded"},
		"cancelled":          {fmt.Errorf("waiting: %w", context.Canceled), codes.Canceled, "", "waiting: context canceled"},
		"step past deadline": {&flow.StepError{Step: step.Step, Err: context.DeadlineExceeded}, codes.DeadlineExceeded, "sandbox.run.network", "sandbox.run.network: context deadline exceeded"},
		"ruled":              {&gate.Ruled{Rule: "container.start.fails", Err: context.DeadlineExceeded}, codes.DeadlineExceeded, "container.start.fails", "container.start.fails: context deadline exceeded"},
		"anything":           {errors.New("broken"), codes.Internal, "service.internal", "service.internal: broken"},
	} {
		t.Run(name, func(t *testing.T) {
			res, err := answers(c.err)
			require.Nil(t, res)
			s, ok := status.FromError(err)
			require.True(t, ok)
			require.Equal(t, c.code, s.Code())
			require.Equal(t, c.message, s.Message())
			require.Equal(t, c.rule, reasonOf(t, s))
		})
	}
}

// reasonOf returns the rule that a status names for machines.
func reasonOf(t *testing.T, s *status.Status) string {
	t.Helper()
	if len(s.Details()) == 0 {
		return ""
	}
	require.Len(t, s.Details(), 1)
	info, ok := s.Details()[0].(*errdetails.ErrorInfo)
	require.True(t, ok)
	require.Equal(t, "ocid", info.Domain)
	return info.Reason
}

func TestCodedUnwraps(t *testing.T) {
	cause := errors.New("cause")
	err := &gate.Coded{Code: codes.NotFound, Err: cause}
	require.ErrorIs(t, err, cause)
	require.Equal(t, "cause", err.Error())
}

func TestRequestIsHeldAgainstTheRowsOfItsCall(t *testing.T) {
	mine := row("container_id", spec.Required)
	mine.RPC, mine.ID = "StopContainer", "request.stop.container"
	others := row("container_id", spec.Required)
	others.RPC = "StartContainer"
	g, _ := newGate(others, mine)
	ran := 0
	handle := func(context.Context, any) (any, error) { ran++; return "answer", nil }
	_, err := g.Unary(t.Context(), &runtimeapi.StopContainerRequest{}, info, handle)
	require.Equal(t, codes.InvalidArgument, status.Code(err))
	s, _ := status.FromError(err)
	require.Equal(t, "request.stop.container: container_id is not set", s.Message())
	require.Equal(t, "request.stop.container", reasonOf(t, s))
	require.Zero(t, ran, "nothing is done")
	res, err := g.Unary(t.Context(), &runtimeapi.StopContainerRequest{ContainerId: "1"}, info, handle)
	require.NoError(t, err)
	require.Equal(t, "answer", res)
	require.Equal(t, 1, ran)
}

// flight is a call whose method waits to be let go.
func flight(g *gate.Gate) (let func(), done <-chan error) {
	go_, over := make(chan struct{}), make(chan error, 1)
	go func() {
		_, err := g.Unary(context.Background(), &runtimeapi.StopContainerRequest{}, info, func(context.Context, any) (any, error) { <-go_; return nil, nil })
		over <- err
	}()
	return func() { close(go_) }, over
}

var refuseRow = spec.Rule{ID: "shutdown.refuse"}

func TestCloseAndDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _ := newGate()
		let, done := flight(g)
		letToo, doneToo := flight(g)
		synctest.Wait()
		g.Close(refuseRow, "is shutting down")
		_, err := g.Unary(t.Context(), &runtimeapi.StopContainerRequest{}, info, func(context.Context, any) (any, error) {
			t.Error("a closed gate lets a call through")
			return nil, nil
		})
		s, _ := status.FromError(err)
		require.Equal(t, codes.Unavailable, s.Code())
		require.Equal(t, "shutdown.refuse: daemon is shutting down", s.Message())
		require.Equal(t, "shutdown.refuse", reasonOf(t, s))

		drained := make(chan error, 1)
		go func() { drained <- g.Drain(t.Context()) }()
		let()
		require.NoError(t, <-done, "a call in flight goes on")
		synctest.Wait()
		require.Empty(t, drained, "one is still in flight")
		g.Close(refuseRow, "again")
		letToo()
		require.NoError(t, <-doneToo)
		require.NoError(t, <-drained)
		g.Close(refuseRow, "and again")
		require.NoError(t, g.Drain(t.Context()))
	})
}

func TestDrainHasABound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _ := newGate()
		let, done := flight(g)
		synctest.Wait()
		g.Close(refuseRow, "is shutting down")
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		start := time.Now()
		err := g.Drain(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "1 calls are still in flight")
		require.Equal(t, 3*time.Second, time.Since(start))
		let()
		<-done
		require.NoError(t, g.Drain(t.Context()))
	})
}

func TestDrainOfAnIdleGate(t *testing.T) {
	g, _ := newGate()
	g.Close(refuseRow, "is shutting down")
	require.NoError(t, g.Drain(t.Context()))
}

// A call that is refused or that panics is not in flight any more, and a panic
// is that call's error.
func TestCallsAreCountedOut(t *testing.T) {
	bad := row("container_id", spec.Required)
	bad.RPC = "StopContainer"
	g, _ := newGate(bad)
	_, err := g.Unary(t.Context(), &runtimeapi.StopContainerRequest{}, info, nil)
	require.Error(t, err)
	_, err = g.Unary(t.Context(), &runtimeapi.StopContainerRequest{ContainerId: "1"}, info, func(context.Context, any) (any, error) { panic("a bug") })
	require.ErrorContains(t, err, "panic: a bug")
	g.Close(refuseRow, "is shutting down")
	require.NoError(t, g.Drain(t.Context()))
}

func TestEveryCallHasAnIDInTheLog(t *testing.T) {
	g, log := newGate()
	for _, fail := range []error{nil, errors.New("broken")} {
		_, _ = g.Unary(t.Context(), &runtimeapi.StopContainerRequest{}, info, func(ctx context.Context, _ any) (any, error) {
			gate.Log(ctx).Info("inside")
			return nil, fail
		})
	}
	var lines []map[string]any
	for _, line := range bytes.Split(bytes.TrimSpace(log.Bytes()), []byte("\n")) {
		m := map[string]any{}
		require.NoError(t, json.Unmarshal(line, &m))
		require.Equal(t, "StopContainer", m["call"])
		require.NotEmpty(t, m["request"])
		lines = append(lines, m)
	}
	require.Len(t, lines, 4)
	require.Equal(t, lines[0]["request"], lines[1]["request"])
	require.Equal(t, lines[2]["request"], lines[3]["request"])
	require.NotEqual(t, lines[0]["request"], lines[2]["request"])
	require.Equal(t, "broken", lines[3]["err"])
	require.NotNil(t, gate.Log(t.Context()), "outside of a call too")
}

func TestCut(t *testing.T) {
	g, _ := newGate()
	_, err := g.Unary(t.Context(), &runtimeapi.StopContainerRequest{}, info, func(context.Context, any) (any, error) {
		g.Close(spec.Rule{ID: "shutdown.refuse"}, "is shutting down")
		done, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorContains(t, g.Drain(done), "1 calls")
		g.Cut(spec.Rule{ID: "shutdown.drain"})
		return nil, errors.New("broken")
	})
	s, _ := status.FromError(err)
	require.Equal(t, codes.Unavailable, s.Code())
	require.Equal(t, "shutdown.drain", reasonOf(t, s))
}
