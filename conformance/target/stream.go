package target

import (
	"context"
	"errors"
	"io"

	"google.golang.org/grpc"
)

// A StreamCall is a call of the CRI that answers with a stream.
type StreamCall[Q, R any] func(context.Context, *Q, ...grpc.CallOption) (grpc.ServerStreamingClient[R], error)

// Collect makes a call and returns its messages when the daemon has ended the
// stream.
func Collect[Q, R any](ctx context.Context, call StreamCall[Q, R], req *Q) ([]*R, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := call(ctx, req)
	if err != nil {
		return nil, err
	}
	var all []*R
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		all = append(all, m)
	}
}
