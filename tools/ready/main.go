// Command ready measures, as "make ready", how long pods take to be ready with
// each of the runtimes: from the call of RunPodSandbox until a web server in a
// container of the pod answers at the pod's IP. All runtimes are handlers of one
// daemon and take turns, so that each meets the same machine. It prints the
// medians, the extremes, and each median as a multiple of runc's.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"ocid/tools/rig"
)

// handler is a runtime that is measured.
type handler struct {
	name, what string
	config     string // of ocid.toml, after the path
}

func handlers(p rig.Programs) []handler {
	assets := filepath.Join(p.Bin, ".cache", "vm")
	vm := filepath.Join(p.Bin, "vmruntime")
	return []handler{
		{name: "runc", what: "runc"},
		{name: "runsc", what: "runsc (gVisor)", config: runsc(filepath.Join(p.Bin, "runsc"))},
		{name: "vm", what: "vm, from the template", config: fmt.Sprintf("path = %q\nvm = true\nargs = [\"--assets\", %q]\n", vm, assets)},
		{name: "vm-cold", what: "vm, cold boot", config: fmt.Sprintf("path = %q\nvm = true\nargs = [\"--assets\", %q, \"--template=false\"]\n", vm, assets)},
	}
}

func runsc(path string) string { return fmt.Sprintf("path = %q\n", path) }

func main() {
	rounds := flag.Int("rounds", 11, "how many pods of each runtime")
	rig.Main("ready", func(ctx context.Context, p rig.Programs) error { return run(ctx, p, *rounds) })
}

func run(ctx context.Context, p rig.Programs, rounds int) (err error) {
	all := handlers(p)
	var extra strings.Builder
	for _, h := range all[1:] { // runc is in the profile
		fmt.Fprintf(&extra, "[runtime.handlers.%s]\n%s", h.name, h.config)
	}
	t, err := rig.Start(ctx, rig.Options{Daemon: p.Daemon(), Runtime: p.Runtime, Variables: map[string]string{"EXTRA": extra.String()}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.Stop(context.WithoutCancel(ctx))) }()
	took := make([][]time.Duration, len(all))
	for n := range rounds + 1 {
		for i, h := range all {
			d, err := measure(ctx, t, h.name, n)
			if err != nil {
				return fmt.Errorf("%s, pod %d: %w", h.what, n, err)
			}
			if n > 0 { // the first warms up
				took[i] = append(took[i], d)
			}
		}
	}
	show(all, took)
	return nil
}

func show(all []handler, took [][]time.Duration) {
	fmt.Printf("%-24s %6s %9s %9s %9s %8s\n", "runtime", "pods", "min", "median", "max", "ratio")
	var base float64
	for i, h := range all {
		slices.Sort(took[i])
		median := took[i][len(took[i])/2]
		if i == 0 {
			base = float64(median)
		}
		fmt.Printf("%-24s %6d %6d ms %6d ms %6d ms %7.1fx\n", h.what, len(took[i]), took[i][0].Milliseconds(),
			median.Milliseconds(), took[i][len(took[i])-1].Milliseconds(), float64(median)/base)
	}
}
