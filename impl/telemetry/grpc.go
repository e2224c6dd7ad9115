package telemetry

import (
	"context"
	"fmt"
	"path"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.26.0"
	"go.opentelemetry.io/otel/trace/noop"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
)

const million = 1_000_000

// openTraces connects to the collector. Its errors are logged, never more.
func (t *Telemetry) openTraces(ctx context.Context, o Options) error {
	t.tracer = noop.NewTracerProvider().Tracer("")
	if o.TraceEndpoint == "" {
		return nil
	}
	opts := []otlptracegrpc.Option{otlptracegrpc.WithEndpoint(o.TraceEndpoint)}
	if o.TraceInsecure {
		opts = append(opts, otlptracegrpc.WithInsecure())
	}
	exporter, err := otlptracegrpc.New(ctx, opts...)
	if err != nil {
		return fmt.Errorf("traces: %w", err)
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { t.log.Warn("traces", "err", err) }))
	t.traces = sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(exporter),
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(float64(o.TraceRatio)/million))),
		sdktrace.WithResource(resource.NewSchemaless(semconv.ServiceName("ocid"), semconv.ServiceVersion(o.Version))),
	)
	t.tracer = t.traces.Tracer("ocid")
	return nil
}

// ServerOptions are what a gRPC server needs to be measured.
func (t *Telemetry) ServerOptions() []grpc.ServerOption {
	if t.traces == nil {
		return nil
	}
	return []grpc.ServerOption{grpc.StatsHandler(otelgrpc.NewServerHandler(
		otelgrpc.WithTracerProvider(t.traces), otelgrpc.WithPropagators(propagation.TraceContext{}),
	))}
}

// Unary counts the calls that have one answer. It stands before what refuses.
func (t *Telemetry) Unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	res, err := t.calls.UnaryServerInterceptor()(ctx, req, info, handle)
	t.refused(info.FullMethod, err)
	return res, err
}

// Stream counts the calls that have many answers.
func (t *Telemetry) Stream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	err := t.calls.StreamServerInterceptor()(srv, stream, info, handle)
	t.refused(info.FullMethod, err)
	return err
}

// Known counts 0 for each call of a server, so that a first one is seen as an
// increase.
func (t *Telemetry) Known(server *grpc.Server) { t.calls.InitializeMetrics(server) }

// refused counts the rule of a refusal.
func (t *Telemetry) refused(method string, err error) {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			t.refusals.WithLabelValues(path.Base(method), info.Reason).Inc()
		}
	}
}
