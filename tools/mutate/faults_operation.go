package main

// faultsOperation break the promises about how the daemon is operated.
var faultsOperation = []fault{
	{rule: "operation.metrics", op: "refusals are not counted", file: "impl/telemetry/grpc.go",
		old: `t.refusals.WithLabelValues(path.Base(method), info.Reason).Inc()`, with: `_ = path.Base(method + info.Reason)`},
	{rule: "operation.metrics", op: "steps are not measured", file: "impl/telemetry/telemetry.go",
		old: `t.steps.WithLabelValues(plan, step, outcome).Observe(time.Since(start).Seconds())`, with: `_, _ = outcome, start`},
	{rule: "operation.metrics", op: "objects are not counted", file: "impl/daemon/telemetry.go",
		old: `d.telemetry.Objects("sandbox", "sandboxes", d.server.SandboxStates)`, with: ``},
	{rule: "operation.traces", op: "no span of steps", file: "impl/telemetry/telemetry.go",
		old: `ctx, span := t.tracer.Start(ctx, plan+" "+step, trace.WithAttributes(attribute.String("ocid.object", object)))`,
		with: `span := trace.SpanFromContext(context.Background())
	_ = attribute.String("ocid.object", object)`},
	{rule: "operation.traces", op: "the caller's trace is not heard of", file: "impl/telemetry/grpc.go",
		old: `otelgrpc.WithPropagators(propagation.TraceContext{}),`, with: `otelgrpc.WithPropagators(propagation.Baggage{}),`},
	{rule: "operation.check", op: "never fails", file: "impl/check/check.go",
		old: `if f.Level == Fail {`, with: `if f.Level == Fail && false {`},
	{rule: "operation.check", op: "leaves its storage", file: "impl/check/parts.go",
		old: "	defer os.RemoveAll(dir)\n	s, err := store.Open", with: "	s, err := store.Open"},
	{rule: "operation.check", op: "no word of the network", file: "impl/check/check.go",
		old: `{"network", lookNetwork},`, with: ``},
	{rule: "operation.notify", op: "ready is not told", file: "impl/daemon/daemon.go",
		old: `d.notify(sdnotify.SdNotifyReady)`, with: ``},
	{rule: "operation.notify", op: "the end is not told", file: "impl/daemon/daemon.go",
		old: `defer d.notify(sdnotify.SdNotifyStopping)`, with: ``},
	{rule: "operation.watchdog", op: "half as often", file: "impl/daemon/systemd.go",
		old: `time.NewTicker(interval / 2)`, with: `time.NewTicker(interval)`},
	{rule: "operation.watchdog", op: "without asking itself", file: "impl/daemon/systemd.go",
		old: `d.log.Error("watchdog: the daemon does not answer itself", "err", err)
		return`, with: `d.log.Error("watchdog: the daemon does not answer itself", "err", err)`},
	{rule: "operation.reload", op: "files are not watched", file: "impl/daemon/reload.go",
		old: `func() { quiet.Reset(settle) }`, with: `func() {}`},
	{rule: "operation.reload", op: "the level stays", file: "impl/daemon/reload.go",
		old: `d.level.Set(next.Level())`, with: ``},
	{rule: "operation.reload-bad", op: "takes what it can", file: "impl/daemon/reload.go",
		old: `d.log.Error("configuration: everything stays as it is", "why", why, "err", err)`,
		with: `d.log.Error("configuration: everything stays as it is", "why", why, "err", err)
		d.level.Set(-4)`},
}
