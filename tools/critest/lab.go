package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"ocid/conformance/target"
	"ocid/fixtures/images"
	"ocid/tools/rig"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// A lab has what all runs share: the programs and the registry.
type lab struct {
	options
	digest  string
	dir     string // registry, reports, logs
	env     *target.Environment
	stopEnv func() error
}

// newLab builds what is missing and starts the registry.
func newLab(ctx context.Context, o options) (*lab, error) {
	imgs, err := standIns(ctx, o.Bin)
	if err != nil {
		return nil, err
	}
	digested, err := images.Digested()
	if err != nil {
		return nil, err
	}
	digest, err := digested.Image.Digest()
	if err != nil {
		return nil, err
	}
	if err := buildCritest(ctx, o.Bin, digest.String()); err != nil {
		return nil, err
	}
	ours, err := images.All()
	if err != nil {
		return nil, err
	}
	l := &lab{options: o, digest: digest.String()}
	if l.dir, err = os.MkdirTemp("/tmp", "critest-lab"); err != nil {
		return nil, err
	}
	registry := filepath.Join(l.dir, "registry")
	if err := os.Mkdir(registry, 0o700); err != nil {
		return nil, errors.Join(err, os.RemoveAll(l.dir))
	}
	l.env, l.stopEnv, err = target.StartEnvironment(ctx, registry, slices.Concat(imgs, ours)...)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(l.dir))
	}
	return l, nil
}

func (l *lab) close() {
	if err := l.stopEnv(); err != nil {
		fmt.Fprintln(os.Stderr, "critest:", err)
	}
	if l.keep {
		fmt.Println("kept:", l.dir)
		return
	}
	_ = os.RemoveAll(l.dir)
}

// runAll runs each mode, each time with a fresh daemon, and prints the table.
func (l *lab) runAll(ctx context.Context, modes []mode, e expected) error {
	var rows []string
	var errs []error
	for i := range l.repeat {
		for _, m := range modes {
			name := m.name
			if l.repeat > 1 {
				name = fmt.Sprintf("%s-%d", m.name, i+1)
			}
			fmt.Printf("== %s\n", name)
			r, err := l.run(ctx, m, name)
			if len(r.specs) > 0 && l.focus == "" {
				err = errors.Join(err, e.check(r))
			}
			err = errors.Join(err, r.err())
			verdict := "as expected"
			if err != nil {
				verdict = "FAILED"
				errs = append(errs, fmt.Errorf("%s: %w", name, err))
				fmt.Println(err)
			}
			rows = append(rows, fmt.Sprintf("%-16s %6d %6d %6d %7.1f s  seed %-12d %s", name, r.count(passed), r.count(failed), r.count(skipped), r.took.Seconds(), r.seed, verdict))
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
	}
	fmt.Printf("\n%-16s %6s %6s %6s %9s\n", "critest v1.36.0", "passed", "failed", "skipped", "time")
	for _, row := range rows {
		fmt.Println(row)
	}
	if n := len(errs); n > 0 {
		return fmt.Errorf("%d of %d runs failed", n, len(rows))
	}
	return nil
}

// err is nil if nothing failed and nothing was left.
func (r result) err() error {
	var errs []error
	for _, s := range r.specs {
		if s.outcome == failed {
			errs = append(errs, fmt.Errorf("failed: %s\n    %s", s.name, indent(s.message)))
		}
	}
	for _, l := range r.left {
		errs = append(errs, errors.New(l))
	}
	return errors.Join(errs...)
}

// run runs critest once, against a daemon of its own.
func (l *lab) run(ctx context.Context, m mode, name string) (r result, err error) {
	if err := portsFree(); err != nil {
		return r, err
	}
	t, err := rig.Start(ctx, rig.Options{
		Daemon: filepath.Join(l.Bin, "ocid"), Runtime: l.Runtime, Environment: l.env, Keep: l.keep,
	})
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, t.Stop(context.WithoutCancel(ctx))) }()
	before, err := t.Snapshot(ctx)
	if err != nil {
		return r, err
	}
	segments, err := sharedMemory()
	if err != nil {
		return r, err
	}
	begun := time.Now()
	runErr := l.critest(ctx, t, m, name)
	took := time.Since(begun)
	r, err = readReport(l.report(name))
	r.took = took
	if err != nil {
		return r, errors.Join(err, runErr)
	}
	if err := errors.Join(segments.removeOthers(), removeImages(ctx, t)); err != nil {
		return r, err
	}
	leaks, err := t.Settle(ctx, before)
	for _, leak := range leaks {
		r.left = append(r.left, leak.String())
	}
	if len(leaks)+r.count(failed) > 0 {
		log := filepath.Join(l.Bin, "critest-"+name+"-ocid.log")
		fmt.Println("the daemon's log:", log)
		err = errors.Join(err, rig.KeepLog(t, log))
	}
	return r, err
}

// removeImages removes the images that critest pulled, so that the host should
// be as before.
func removeImages(ctx context.Context, t *target.T) error {
	list, err := t.Images.ListImages(ctx, &runtimeapi.ListImagesRequest{})
	if err != nil {
		return err
	}
	var errs []error
	for _, image := range list.GetImages() {
		if slices.Contains(image.GetRepoTags(), t.DefaultImage()) {
			continue
		}
		_, err := t.Images.RemoveImage(ctx, &runtimeapi.RemoveImageRequest{Image: &runtimeapi.ImageSpec{Image: image.GetId()}})
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// portsFree makes sure of the host ports that critest has as constants.
func portsFree() error {
	for port := 12000; port <= 12003; port++ {
		l, err := net.Listen("tcp", fmt.Sprintf(":%d", port))
		if err != nil {
			return fmt.Errorf("critest needs the host's ports 12000 to 12003: %w", err)
		}
		if err := l.Close(); err != nil {
			return err
		}
	}
	return nil
}
