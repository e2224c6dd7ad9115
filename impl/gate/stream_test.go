package gate_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"ocid/impl/gate"
	"ocid/spec"
)

var streamInfo = &grpc.StreamServerInfo{FullMethod: "/runtime.v1.RuntimeService/StreamContainers", IsServerStream: true}

// incoming is a stream that brings one request.
type incoming struct {
	grpc.ServerStream
	ctx context.Context
	req proto.Message
}

func (s *incoming) Context() context.Context { return s.ctx }

func (s *incoming) RecvMsg(m any) error {
	proto.Merge(m.(proto.Message), s.req)
	return nil
}

// stream makes a call as the generated code does: the method runs once the
// request is there.
func stream(t *testing.T, g *gate.Gate, id string, method func(context.Context) error) error {
	in := &incoming{ctx: t.Context(), req: &runtimeapi.ContainerStatusRequest{ContainerId: id}}
	return g.Stream(nil, in, streamInfo, func(_ any, s grpc.ServerStream) error {
		if err := s.RecvMsg(&runtimeapi.ContainerStatusRequest{}); err != nil {
			return err
		}
		return method(s.Context())
	})
}

func TestStreamRequestIsHeldAgainstTheRowsOfItsCall(t *testing.T) {
	mine := row("container_id", spec.Required)
	mine.RPC = "StreamContainers"
	g, _ := newGate(mine)
	ran := 0
	method := func(context.Context) error { ran++; return nil }
	err := stream(t, g, "", method)
	s, _ := status.FromError(err)
	require.Equal(t, codes.InvalidArgument, s.Code())
	require.Equal(t, "test.rule", reasonOf(t, s))
	require.Zero(t, ran, "nothing is done")
	require.NoError(t, stream(t, g, "1", method))
	require.Equal(t, 1, ran)
}

func TestStreamThatPanicsIsThatCallsError(t *testing.T) {
	g, log := newGate()
	err := stream(t, g, "1", func(context.Context) error { panic("a bug") })
	require.Equal(t, codes.Internal, status.Code(err))
	require.ErrorContains(t, err, "StreamContainers: panic: a bug")
	require.Contains(t, log.String(), "stack")
}

func TestStreamIsACallInFlight(t *testing.T) {
	g, _ := newGate()
	require.NoError(t, stream(t, g, "1", func(ctx context.Context) error {
		require.NotNil(t, gate.Log(ctx))
		g.Close(refuseRow, "is shutting down")
		soon, cancel := context.WithCancel(ctx)
		cancel()
		require.ErrorContains(t, g.Drain(soon), "1 calls are still in flight")
		return nil
	}))
	require.NoError(t, g.Drain(t.Context()))
	err := stream(t, g, "1", func(context.Context) error { return errors.New("not called") })
	require.Equal(t, codes.Unavailable, status.Code(err))
}
