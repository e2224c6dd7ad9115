package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"ocid/conformance/target"

	"golang.org/x/sync/errgroup"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const (
	execsInHour = 20000 // what a run has of ExecSync in one container: 10,000 in half an hour
	execsAtOnce = 4
)

// execs are many calls of ExecSync in one container, as a node's probes make
// them in a day. After them the daemon has to be what it was before.
func execs(ctx context.Context, o options, t *target.T, d *daemon) (err error) {
	w := &worker{T: t, name: "execs"}
	logs, err := w.prepare(w.name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.removePod(context.WithoutCancel(ctx)), os.RemoveAll(logs)) }()
	for _, do := range []func(context.Context) error{w.runPod, w.createContainers, w.startContainers, w.execSync} {
		if err := do(ctx); err != nil {
			return fmt.Errorf("before the commands: %w", err)
		}
	}
	before, err := d.look(ctx)
	if err != nil {
		return err
	}
	n := max(1, int64(o.duration.Hours()*execsInHour))
	begun := time.Now()
	took, err := w.execMany(ctx, n)
	if err != nil {
		return err
	}
	elapsed := time.Since(begun)
	slices.Sort(took)
	after, err := d.settled(ctx, before)
	fmt.Printf("%d commands in %.0f s: median %d ms, 99th percentile %d ms; memory %.1f MiB before, %.1f MiB after; files %d, %d; goroutines %d, %d\n",
		n, elapsed.Seconds(), took[len(took)/2].Milliseconds(), took[len(took)*99/100].Milliseconds(),
		float64(before.rss)/1024, float64(after.rss)/1024, before.files, after.files, before.goroutines, after.goroutines)
	return err
}

// execMany makes n calls of ExecSync and returns how long each took.
func (w *worker) execMany(ctx context.Context, n int64) (took []time.Duration, err error) {
	var next atomic.Int64
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	for range execsAtOnce {
		group.Go(func() error {
			for i := next.Add(1); i <= n; i = next.Add(1) {
				begun := time.Now()
				if err := w.execSync(ctx); err != nil {
					return fmt.Errorf("command %d of %d: %w", i, n, err)
				}
				mu.Lock()
				took = append(took, time.Since(begun))
				mu.Unlock()
			}
			return nil
		})
	}
	return took, group.Wait()
}

// removePod ends what runPod has begun.
func (w *worker) removePod(ctx context.Context) error {
	if w.pod == "" {
		return nil
	}
	return errors.Join(
		call(ctx, w.Runtime.StopPodSandbox, &runtimeapi.StopPodSandboxRequest{PodSandboxId: w.pod}),
		call(ctx, w.Runtime.RemovePodSandbox, &runtimeapi.RemovePodSandboxRequest{PodSandboxId: w.pod}))
}
