package target

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"
	"google.golang.org/grpc"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const subscribeTime = 5 * time.Second // until a stream's headers are there

// An EventStream is a subscription to the daemon's events.
type EventStream = grpc.ServerStreamingClient[runtimeapi.ContainerEventResponse]

// EventStream subscribes, and returns when the stream's headers say that the
// daemon has taken the subscription. The case's end gives it up. Nothing reads
// from it: that is for a probe of a slow reader.
func (t *T) EventStream(ctx context.Context) EventStream {
	ginkgo.GinkgoHelper()
	ctx, cancel := context.WithCancel(ctx)
	t.Cleanup("event stream", func(context.Context) error { cancel(); return nil })
	stream, err := t.Runtime.GetContainerEvents(ctx, &runtimeapi.GetEventsRequest{})
	gomega.Expect(err).NotTo(gomega.HaveOccurred(), "GetContainerEvents")
	began := make(chan error, 1)
	go func() {
		_, err := stream.Header()
		began <- err
	}()
	gomega.Eventually(ctx, began).WithTimeout(subscribeTime).Should(gomega.Receive(gomega.BeNil()), "headers of GetContainerEvents")
	return stream
}

// Events is a subscription that is read all the time.
type Events struct {
	mu   sync.Mutex
	all  []*runtimeapi.ContainerEventResponse
	err  error
	done chan struct{} // closed when the stream has ended
}

// Events subscribes and reads until the end of the case.
func (t *T) Events(ctx context.Context) *Events {
	ginkgo.GinkgoHelper()
	return Follow(t.EventStream(ctx))
}

// Follow reads a stream to its end, aside.
func Follow(stream EventStream) *Events {
	e := &Events{done: make(chan struct{})}
	go func() {
		defer close(e.done)
		for {
			event, err := stream.Recv()
			e.mu.Lock()
			if err != nil {
				e.err = err
				e.mu.Unlock()
				return
			}
			e.all = append(e.all, event)
			e.mu.Unlock()
		}
	}()
	return e
}

// All returns the events so far.
func (e *Events) All() []*runtimeapi.ContainerEventResponse {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.all)
}

// Done is closed when the stream has ended.
func (e *Events) Done() <-chan struct{} { return e.done }

// Err returns what the stream ended with; nil while it goes on.
func (e *Events) Err() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.err
}
