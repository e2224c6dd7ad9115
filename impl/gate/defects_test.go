package gate_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"ocid/impl/gate"
	"ocid/spec"
)

// A call that is not implemented says so: kubelet branches on the code.
func TestUnimplementedStaysUnimplemented(t *testing.T) {
	g, _ := newGate()
	var server runtimeapi.UnimplementedRuntimeServiceServer
	_, err := g.Unary(t.Context(), &runtimeapi.CheckpointContainerRequest{}, &grpc.UnaryServerInfo{FullMethod: "/runtime.v1.RuntimeService/CheckpointContainer"},
		func(ctx context.Context, req any) (any, error) {
			return server.CheckpointContainer(ctx, req.(*runtimeapi.CheckpointContainerRequest))
		})
	s, _ := status.FromError(err)
	require.Equal(t, codes.Unimplemented, s.Code())
	require.Equal(t, "method CheckpointContainer not implemented", s.Message())
	require.Equal(t, "service.unimplemented", reasonOf(t, s))
}

// A list in a message that is not there has no elements, so nothing of an
// element is missing.
func TestRequiredInAListThatIsNotThere(t *testing.T) {
	require.NoError(t, gate.Validate([]spec.Requirement{row("config.envs[].key", spec.Required)}, ctr(nil)))
}
