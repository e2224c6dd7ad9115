package probe

import (
	"context"
	"encoding/hex"
	"net"
	"sync"

	"ocid/conformance/target"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// spans is a collector of OpenTelemetry traces.
type spans struct {
	collector.UnimplementedTraceServiceServer
	mu  sync.Mutex
	all []*tracepb.Span
}

// Export keeps what it gets.
func (s *spans) Export(_ context.Context, req *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range req.GetResourceSpans() {
		for _, scope := range r.GetScopeSpans() {
			s.all = append(s.all, scope.GetSpans()...)
		}
	}
	return &collector.ExportTraceServiceResponse{}, nil
}

// named returns the span with a name in a trace, nil if there is none.
func (s *spans) named(trace, name string) *tracepb.Span {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, span := range s.all {
		if span.GetName() == name && hex.EncodeToString(span.GetTraceId()) == trace {
			return span
		}
	}
	return nil
}

// collect starts a collector.
func collect(t *target.T) (*spans, string) {
	GinkgoHelper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	Expect(err).NotTo(HaveOccurred())
	s, server := &spans{}, grpc.NewServer()
	collector.RegisterTraceServiceServer(server, s)
	go func() { _ = server.Serve(l) }()
	t.Cleanup("stop the collector", func(context.Context) error { server.Stop(); return nil })
	return s, l.Addr().String()
}

// "OpenTelemetry traces (gRPC and each plan step as a span)" (design notes); the
// caller's trace is in the header traceparent (W3C Trace Context).
var _ = Describe("A trace", func() {
	It("has the call and the steps of its plan, below the caller's span", target.Covers("operation.traces"), restartLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureOperations)
		s, address := collect(t)
		Expect(t.Reconfigure(ctx, map[string]string{"TRACES": address})).To(Succeed())
		const trace, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
		traced := metadata.AppendToOutgoingContext(ctx, "traceparent", "00-"+trace+"-"+parent+"-01")
		_, err := t.RunPod(traced, t.PodRequest())
		Expect(err).NotTo(HaveOccurred())
		Expect(t.StopDaemon(ctx)).To(Succeed()) // sends what it has
		startDaemon(ctx, t)
		call := s.named(trace, "runtime.v1.RuntimeService/RunPodSandbox")
		Expect(call).NotTo(BeNil(), "span of the call")
		Expect(hex.EncodeToString(call.GetParentSpanId())).To(Equal(parent))
		step := s.named(trace, "RunPodSandbox netns")
		Expect(step).NotTo(BeNil(), "span of a step")
		Expect(step.GetParentSpanId()).To(Equal(call.GetSpanId()))
	})
})
