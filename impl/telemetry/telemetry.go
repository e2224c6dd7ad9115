// Package telemetry shows what the daemon does: Prometheus metrics on an HTTP
// address of their own, and OpenTelemetry traces sent to a collector, of gRPC
// calls and of the steps of plans.
//
// It counts and measures, and refuses to decide: it never answers a call,
// never fails one, and a collector that is away costs nothing but its spans.
package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	grpcprom "github.com/grpc-ecosystem/go-grpc-middleware/providers/prometheus"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel/attribute"
	otelcodes "go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Options are what the configuration says.
type Options struct {
	MetricsAddress string // host:port of the HTTP endpoint /metrics; "" is none
	TraceEndpoint  string // host:port of an OTLP collector (gRPC); "" is none
	TraceInsecure  bool   // without TLS
	TraceRatio     int64  // traces begun here, per million calls; callers' decisions are kept
	Version        string // of the daemon
	Log            *slog.Logger
}

// buckets are bounds of durations, in seconds: from a list to an image's pull.
var buckets = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 240}

// Telemetry is what is open of both. Its methods may be called from any
// goroutine.
type Telemetry struct {
	registry *prometheus.Registry
	calls    *grpcprom.ServerMetrics
	refusals *prometheus.CounterVec
	steps    *prometheus.HistogramVec
	reloads  *prometheus.CounterVec

	traces *sdktrace.TracerProvider // nil: none
	tracer trace.Tracer

	web      *http.Server // nil: none
	listener net.Listener
	log      *slog.Logger
}

// Open opens the endpoint and connects to the collector, which need not be
// there. It fails if the address can't be listened on.
func Open(ctx context.Context, o Options) (*Telemetry, error) {
	t := &Telemetry{registry: prometheus.NewRegistry(), log: o.Log}
	t.calls = grpcprom.NewServerMetrics(grpcprom.WithServerHandlingTimeHistogram(grpcprom.WithHistogramBuckets(buckets)))
	make := promauto.With(t.registry)
	t.refusals = make.NewCounterVec(prometheus.CounterOpts{
		Name: "ocid_refusals_total", Help: "Calls that were refused, by the rule that refused them.",
	}, []string{"call", "rule"})
	t.steps = make.NewHistogramVec(prometheus.HistogramOpts{
		Name: "ocid_step_duration_seconds", Help: "Time that steps of plans took, in seconds.", Buckets: buckets,
	}, []string{"plan", "step", "outcome"})
	t.reloads = make.NewCounterVec(prometheus.CounterOpts{
		Name: "ocid_reloads_total", Help: "Times that the configuration was read again while the daemon ran.",
	}, []string{"outcome"})
	make.NewGaugeVec(prometheus.GaugeOpts{
		Name: "ocid_build_info", Help: "1, with the version of the daemon.",
	}, []string{"version"}).WithLabelValues(o.Version).Set(1)
	t.registry.MustRegister(t.calls, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if err := t.openTraces(ctx, o); err != nil {
		return nil, err
	}
	return t, t.openMetrics(ctx, o.MetricsAddress)
}

func (t *Telemetry) openMetrics(ctx context.Context, address string) (err error) {
	if address == "" {
		return nil
	}
	if t.listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", address); err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(t.registry, promhttp.HandlerOpts{Registry: t.registry}))
	t.web = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(t.log.Handler(), slog.LevelWarn)}
	go func() {
		if err := t.web.Serve(t.listener); !errors.Is(err, http.ErrServerClosed) {
			t.log.Error("metrics", "err", err)
		}
	}()
	t.log.Info("metrics", "address", t.listener.Addr().String())
	return nil
}

// Objects makes count, the number of objects of a kind by state, a gauge:
// Objects("sandbox", …) is ocid_sandboxes{state}.
func (t *Telemetry) Objects(kind, plural string, count func() map[string]int) {
	t.registry.MustRegister(&gauges{
		desc: prometheus.NewDesc("ocid_"+plural, "Objects of the kind "+kind+", by state.", []string{"state"}, nil), count: count,
	})
}

// Gauge makes a number that is asked for when it is read a gauge.
func (t *Telemetry) Gauge(name, help string, value func() float64) {
	t.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
}

// Counter makes a number that only grows a counter.
func (t *Telemetry) Counter(name, help string, value func() float64) {
	t.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, value))
}

// gauges is a family of gauges that are counted when they are read.
type gauges struct {
	desc  *prometheus.Desc
	count func() map[string]int
}

func (g *gauges) Describe(out chan<- *prometheus.Desc) { out <- g.desc }

func (g *gauges) Collect(out chan<- prometheus.Metric) {
	for state, n := range g.count() {
		out <- prometheus.MustNewConstMetric(g.desc, prometheus.GaugeValue, float64(n), state)
	}
}

// Step begins the record of a step of a plan: a span below the call's, which
// the returned function ends together with the measurement.
func (t *Telemetry) Step(ctx context.Context, plan, step, object string) (context.Context, func(error)) {
	start := time.Now()
	ctx, span := t.tracer.Start(ctx, plan+" "+step, trace.WithAttributes(attribute.String("ocid.object", object)))
	return ctx, func(err error) {
		outcome := "ok"
		if err != nil {
			outcome = "error"
			span.SetStatus(otelcodes.Error, err.Error())
		}
		t.steps.WithLabelValues(plan, step, outcome).Observe(time.Since(start).Seconds())
		span.End()
	}
}

// Reloaded counts a reload of the configuration.
func (t *Telemetry) Reloaded(err error) {
	outcome := "ok"
	if err != nil {
		outcome = "error"
	}
	t.reloads.WithLabelValues(outcome).Inc()
}

// Close sends what is left of the traces and closes the endpoint, until ctx
// ends.
func (t *Telemetry) Close(ctx context.Context) error {
	var errs []error
	if t.web != nil {
		errs = append(errs, t.web.Shutdown(ctx))
	}
	if t.traces != nil {
		errs = append(errs, t.traces.Shutdown(ctx))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("telemetry: %w", err)
	}
	return nil
}
