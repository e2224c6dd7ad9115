package daemon

import (
	"context"
	"errors"
	"os"

	"ocid/impl/flow"
	"ocid/spec"
)

// noJournal is the journal of the shutdown: the daemon's end leaves nothing to
// finish, a new start recovers whatever it finds.
type noJournal struct{}

func (noJournal) Begin(string, string, spec.StepName) error { return nil }
func (noJournal) Begun(string) []spec.StepName              { return nil }
func (noJournal) Forget(string) error                       { return nil }

// shutdown carries the plan Shutdown out. A step that fails is logged and does
// not keep the ones after it from running: nobody comes to try again.
func (d *daemon) shutdown() error {
	works := flow.Works{
		spec.StepRefuse:   {Do: d.refuse},
		spec.StepDrain:    {Do: d.drain},
		spec.StepStreams:  {Do: d.endStreams},
		spec.StepWatchers: {Do: d.endWatchers},
		spec.StepStorage:  {Do: d.closeStorage},
		spec.StepLedger:   {Do: func(context.Context) error { return d.db.Close() }},
		spec.StepSocket:   {Do: d.closeSocket},
	}
	var failed []error
	for _, step := range d.book.Shutdown.Steps {
		one := spec.Plan{Name: d.book.Shutdown.Name, Steps: []spec.Step{step}}
		if err := d.runner.Run(context.Background(), noJournal{}, "", one, 0, works); err != nil {
			d.log.Error("shutdown", "err", err)
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

// rule returns the row of a shutdown step.
func (d *daemon) rule(name spec.StepName) spec.Rule {
	for _, s := range d.book.Shutdown.Steps {
		if s.Name == name {
			return s.Rule
		}
	}
	return spec.Rule{}
}

func (d *daemon) refuse(context.Context) error {
	d.gate.Close(d.rule(spec.StepRefuse), "is shutting down")
	d.server.EndEvents()
	return nil
}

// drain waits for the calls in flight, and for operations whose caller has
// gone. Those that outlast the bound are not an
// error of the shutdown: their journals tell the next daemon.
func (d *daemon) drain(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, d.cfg.ShutdownTimeout.Duration)
	defer cancel()
	if err := errors.Join(d.gate.Drain(ctx), d.server.Drain(ctx)); err != nil {
		d.gate.Cut(d.rule(spec.StepDrain))
		d.log.Warn("shutdown goes on", "err", err)
	}
	return nil
}

// endStreams ends every stream, with the command behind it. What does not end in
// time is the next daemon's to end.
func (d *daemon) endStreams(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, d.cfg.ShutdownTimeout.Duration)
	defer cancel()
	if err := d.streams.Close(ctx); err != nil {
		d.log.Warn("shutdown goes on", "err", err)
	}
	return nil
}

func (d *daemon) endWatchers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, d.cfg.ShutdownTimeout.Duration)
	defer cancel()
	return errors.Join(d.server.Close(ctx), d.network.Close())
}

func (d *daemon) closeStorage(context.Context) error {
	clean, err := d.store.Shutdown()
	if err == nil && !clean {
		d.log.Info("container filesystems are in use: the storage driver is left as it is")
	}
	return errors.Join(err, d.server.ReleaseDirs())
}

func (d *daemon) closeSocket(ctx context.Context) error {
	d.grpc.Stop()
	ctx, cancel := context.WithTimeout(ctx, d.cfg.ShutdownTimeout.Duration)
	defer cancel()
	if err := d.telemetry.Close(ctx); err != nil {
		d.log.Warn("shutdown goes on", "err", err)
	}
	if err := os.Remove(d.cfg.Listen); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// abandon closes what a failed start has opened.
func (d *daemon) abandon() error {
	var errs []error
	if d.streams != nil {
		errs = append(errs, d.endStreams(context.Background()))
	}
	if d.server != nil {
		errs = append(errs, d.endWatchers(context.Background()))
		d.network = nil
	}
	if d.network != nil {
		errs = append(errs, d.network.Close())
	}
	if d.store != nil {
		_, err := d.store.Shutdown()
		errs = append(errs, err)
	}
	if d.db != nil {
		errs = append(errs, d.db.Close())
	}
	if d.telemetry != nil {
		errs = append(errs, d.telemetry.Close(context.Background()))
	}
	return errors.Join(errs...)
}
