package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"ocid/conformance/target"
	"ocid/tools/rig"

	"golang.org/x/sync/errgroup"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// totals count what was done, by the kind of call.
type totals struct {
	mu    sync.Mutex
	count map[string]int
	took  map[string]time.Duration
}

func (s *totals) add(what string, took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count[what]++
	s.took[what] += took
}

func (s *totals) print() {
	fmt.Printf("\n%-26s %8s %10s\n", "call", "number", "mean")
	for _, what := range slices.Sorted(maps.Keys(s.count)) {
		fmt.Printf("%-26s %8d %7d ms\n", what, s.count[what], s.took[what].Milliseconds()/int64(s.count[what]))
	}
	fmt.Println()
}

// enough is an error if there was nothing to judge by.
func (s *totals) enough() error {
	if s.count["RemovePodSandbox"] < 4 {
		return fmt.Errorf("only %d pods came to their end", s.count["RemovePodSandbox"])
	}
	return nil
}

// workAll runs the workers until ctx ends, each to the end of its round, or one
// of them fails.
func workAll(ctx context.Context, o options, t *target.T) (*totals, error) {
	sum := &totals{count: map[string]int{}, took: map[string]time.Duration{}}
	config := filepath.Join(t.Work(), "crictl.yaml")
	endpoint := rig.Endpoint(t)
	text := fmt.Sprintf("runtime-endpoint: %s\nimage-endpoint: %s\ntimeout: 60\n", endpoint, endpoint)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return sum, err
	}
	var group errgroup.Group
	for n := range o.workers {
		w := &worker{T: t, sum: sum, name: fmt.Sprintf("worker-%d", n), crictl: []string{filepath.Join(o.Bin, "crictl"), "--config", config}}
		group.Go(func() error {
			for round := 0; ctx.Err() == nil; round++ {
				if err := w.round(context.WithoutCancel(ctx), round); err != nil {
					return fmt.Errorf("%s, round %d: %w", w.name, round, err)
				}
			}
			return nil
		})
	}
	return sum, group.Wait()
}

// worker does the same again and again.
type worker struct {
	*target.T
	sum    *totals
	name   string
	crictl []string
	pod    string
	config *runtimeapi.PodSandboxConfig
	ids    []string
}

const (
	roundBound = 5 * time.Minute
	callBound  = time.Minute
)

// round is one pod with two containers, from its beginning to its end.
func (w *worker) round(ctx context.Context, n int) error {
	ctx, cancel := context.WithTimeout(ctx, roundBound)
	defer cancel()
	logs, err := w.prepare(fmt.Sprintf("%s-%d", w.name, n))
	if err != nil {
		return err
	}
	for _, step := range w.steps(n) {
		begun := time.Now()
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.what, err)
		}
		w.sum.add(step.what, time.Since(begun))
	}
	return os.RemoveAll(logs)
}

// prepare makes the directory of a pod's logs, and its configuration.
func (w *worker) prepare(uid string) (logs string, err error) {
	logs = filepath.Join(w.Work(), "logs", w.name)
	w.ids = nil
	w.config = &runtimeapi.PodSandboxConfig{
		Metadata:     &runtimeapi.PodSandboxMetadata{Name: w.name, Namespace: "soak", Uid: uid},
		LogDirectory: logs, Labels: map[string]string{"worker": w.name},
		Linux: &runtimeapi.LinuxPodSandboxConfig{CgroupParent: w.Var("CGROUP")},
	}
	return logs, os.Mkdir(logs, 0o755)
}

// run runs crictl, which has to print the text.
func (w *worker) run(ctx context.Context, input, want string, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, callBound)
	defer cancel()
	cmd := exec.CommandContext(ctx, w.crictl[0], append(w.crictl[1:len(w.crictl):len(w.crictl)], args...)...)
	if input != "" {
		cmd.Stdin = strings.NewReader(input)
	}
	out, err := cmd.CombinedOutput()
	if err == nil && !strings.Contains(string(out), want) {
		err = errors.New("does not say " + want)
	}
	if err != nil {
		return fmt.Errorf("crictl %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}
