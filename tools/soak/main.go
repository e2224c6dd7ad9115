// Command soak has four workers use a daemon for a long time, as "make soak":
// they make pods and containers, run commands in them, attach, update, ask for
// numbers, stop and remove. The daemon is built with the race detector. No call
// may fail, nothing may be left in the end, and the daemon's memory, open files
// and goroutines have to be at the end what they were when it was warm.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"path/filepath"
	"time"

	"ocid/conformance/target"
	"ocid/tools/rig"
)

type options struct {
	rig.Programs
	daemon   string
	duration time.Duration
	workers  int
}

func main() {
	var o options
	flag.StringVar(&o.daemon, "daemon", "bin/ocid-race", "the daemon")
	flag.DurationVar(&o.duration, "duration", 30*time.Minute, "how long the workers work")
	flag.IntVar(&o.workers, "workers", 4, "how many there are")
	rig.Main("soak", func(ctx context.Context, p rig.Programs) error {
		o.Programs = p
		return run(ctx, o)
	})
}

func run(ctx context.Context, o options) (err error) {
	if o.daemon, err = filepath.Abs(o.daemon); err != nil {
		return err
	}
	metrics, err := freePort()
	if err != nil {
		return err
	}
	t, err := rig.Start(ctx, rig.Options{Daemon: o.daemon, Runtime: o.Runtime, Variables: map[string]string{
		"EXTRA": "[metrics]\naddress = \"" + metrics + "\"",
	}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.Stop(context.WithoutCancel(ctx))) }()
	watched, err := findDaemon(t, metrics)
	if err != nil {
		return err
	}
	err = soak(ctx, o, t, watched)
	if err != nil {
		log := filepath.Join(o.Bin, "soak-ocid.log")
		err = errors.Join(err, fmt.Errorf("the daemon's log: %s", log), rig.KeepLog(t, log))
	}
	return err
}

// soak lets the workers work, and judges.
func soak(ctx context.Context, o options, t *target.T, d *daemon) error {
	before, err := t.Snapshot(ctx)
	if err != nil {
		return err
	}
	idle, err := d.look(ctx)
	if err != nil {
		return err
	}
	if err := execs(ctx, o, t, d); err != nil {
		return err
	}
	work, cancel := context.WithTimeout(ctx, o.duration)
	defer cancel()
	series := d.watch(work, o.duration)
	totals, workErr := workAll(work, o, t)
	samples := <-series
	if ctx.Err() != nil {
		return errors.Join(workErr, ctx.Err())
	}
	printSeries(samples)
	totals.print()
	leaks, err := t.Settle(ctx, before)
	errs := []error{workErr, err, totals.enough()}
	for _, l := range leaks {
		errs = append(errs, errors.New(l.String()))
	}
	_, err = d.settled(ctx, idle)
	errs = append(errs, err, flat(samples))
	if err := errors.Join(errs...); err != nil {
		return err
	}
	fmt.Println("no call failed, nothing is left, the daemon's memory is flat")
	return nil
}
