// Package server is the CRI: one short method per call, which asks the tables
// what to do and lets the adapters do it. It holds no rule of its own and no
// gRPC status.
package server

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"go.etcd.io/bbolt"
	"google.golang.org/protobuf/proto"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"ocid/impl/config"
	"ocid/impl/flight"
	"ocid/impl/flow"
	"ocid/impl/ledger"
	"ocid/impl/network"
	"ocid/impl/oci"
	"ocid/impl/runtime"
	"ocid/impl/stats"
	"ocid/impl/store"
	"ocid/impl/store/image"
	"ocid/impl/store/usage"
	"ocid/impl/stream"
	"ocid/spec"
)

// Parts are what a Server is made of.
type Parts struct {
	Book     spec.Book
	Config   *config.Config
	DB       *bbolt.DB
	Store    *store.Store
	Images   *image.Images
	Disk     *usage.Meter
	Stats    *stats.Sampler
	Network  *network.Manager
	Runtimes map[string]*runtime.OCI // by handler
	Streams  *stream.Server
	Host     oci.Host
	Infra    string // path of the infra program; "" if there is none
	Runner   flow.Runner
	Log      *slog.Logger
}

// Server is the CRI's RuntimeService and ImageService.
type Server struct {
	runtimeapi.UnimplementedRuntimeServiceServer
	runtimeapi.UnimplementedImageServiceServer
	Parts

	sandboxes  *ledger.Table[Sandbox]
	containers *ledger.Table[Container]
	pods       *pods

	live  context.Context // ends when exits are no longer watched
	end   context.CancelFunc
	tasks sync.WaitGroup

	reopening flight.Group[struct{}] // logs, by container

	attaching sync.Mutex // held while a sandbox's host ports are compared and taken

	mu      sync.Mutex
	podCIDR string            // as kubelet told it, "" if it has not
	watches map[string]*watch // of infra and other containers that may live
}

// New returns a server that has read its ledger. Recover comes before the
// first call.
func New(p Parts) (*Server, error) {
	s := &Server{Parts: p, watches: map[string]*watch{}}
	var err error
	if s.sandboxes, err = ledger.NewTable[Sandbox](p.DB, p.Book.Sandbox, p.Log); err != nil {
		return nil, err
	}
	if s.containers, err = ledger.NewTable[Container](p.DB, p.Book.Container, p.Log); err != nil {
		return nil, err
	}
	s.pods = watchPods(s.sandboxes, s.containers)
	s.live, s.end = context.WithCancel(context.Background())
	s.tasks.Go(func() { s.Stats.Run(s.live) })
	s.tasks.Go(func() { s.Disk.Run(s.live) })
	return s, nil
}

// Close ends the watching of exits and the sampling, and waits, until ctx ends, for what they
// have set off.
func (s *Server) Close(ctx context.Context) error {
	s.end()
	done := make(chan struct{})
	go func() {
		s.tasks.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("clean-up after exits goes on: %w", context.Cause(ctx))
	}
}

// Drain waits until no operation is in flight, or until ctx ends.
func (s *Server) Drain(ctx context.Context) error {
	return errors.Join(s.sandboxes.Drain(ctx), s.containers.Drain(ctx))
}

// newID returns a random ID of 64 hexadecimal digits.
func newID() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails, see crypto/rand
	return hex.EncodeToString(b[:])
}

// digest of a request: equal requests have equal digests.
func digest(m proto.Message) (string, error) {
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return "", fmt.Errorf("request: %w", err)
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]), nil
}

// runtimeOf returns the runtime of a handler that an object was made with.
func (s *Server) runtimeOf(handler string) (*runtime.OCI, error) {
	rt, ok := s.Runtimes[handler]
	if !ok {
		return nil, fmt.Errorf("runtime handler %q is no longer configured", handler)
	}
	return rt, nil
}

// bounded gives an operation that may outlive its caller its own limit.
func (s *Server) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, s.Config.Runtime.CreateTimeout.Duration)
}

// refusal says no in the name of a promise; its ID is one of the few that code
// mentions, since no table executes it.
func (s *Server) refusal(promise spec.ID, code spec.Code, object string, reason error) error {
	return &spec.Refusal{Rule: spec.Rule{ID: promise}, Code: code, Object: object, Reason: reason.Error()}
}
