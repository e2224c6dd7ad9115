package daemon

import (
	"context"

	"ocid/impl/telemetry"
	"ocid/impl/version"
)

// openTelemetry comes first, so that the plans of the recovery are seen too.
func (d *daemon) openTelemetry(ctx context.Context) (err error) {
	d.telemetry, err = telemetry.Open(ctx, telemetry.Options{
		MetricsAddress: d.cfg.Metrics.Address, TraceEndpoint: d.cfg.Tracing.Endpoint, TraceInsecure: d.cfg.Tracing.Insecure,
		TraceRatio: d.cfg.Tracing.SamplesPerMillion, Version: version.String(), Log: d.log,
	})
	if err != nil {
		return err
	}
	d.runner.Trace = d.telemetry.Step
	return nil
}

// showObjects makes what the server holds, and what it pulls, visible.
func (d *daemon) showObjects() {
	d.telemetry.Objects("sandbox", "sandboxes", d.server.SandboxStates)
	d.telemetry.Objects("container", "containers", d.server.ContainerStates)
	images := d.server.Images
	d.telemetry.Gauge("ocid_image_pulls", "Pulls of images in flight.", func() float64 { return float64(len(images.Pulls())) })
	d.telemetry.Counter("ocid_image_pull_bytes_total", "Bytes that pulls of images have received.", func() float64 { return float64(images.Totals().Bytes) })
}
