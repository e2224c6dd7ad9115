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
	"os"
	"slices"
	"strings"
	"time"

	"ocid/conformance/target"
	"ocid/tools/rig"
)

// handler is a runtime that is measured.
type handler struct {
	name, what string
	config     string // of ocid.toml; runc's is in the profile "clients"
}

// handlers are configured as the suite's profiles have them.
func handlers(bin string) ([]handler, error) {
	all := []handler{{name: "runc", what: "runc"}}
	for _, h := range []struct{ name, what, profile string }{
		{"runsc", "runsc (gVisor)", "runsc"},
		{"vm", "vm, from the template", "vm"},
		{"vm-cold", "vm, cold boot", "vm"},
	} {
		profile, err := target.LoadProfile(h.profile)
		if err != nil {
			return nil, err
		}
		value := func(name string) string { return expand(profile.Variables, bin, name) }
		args := value("MAIN_ARGS")
		if h.name == "vm-cold" {
			args = strings.Replace(args, "]", ", \"--template=false\"]", 1)
		}
		all = append(all, handler{h.name, h.what, fmt.Sprintf(
			"[runtime.handlers.%s]\npath = %q\nargs = %s\nvm = %s\nexit_status = %q\nstreams = %q\nexec = %q\n",
			h.name, value("MAIN_RUNTIME"), args, value("MAIN_VM"), value("MAIN_EXIT"), value("MAIN_STREAMS"), value("MAIN_EXEC"))})
	}
	return all, nil
}

// expand is a variable of a profile with all that it refers to.
func expand(variables map[string]string, bin, name string) string {
	if name == "BIN" {
		return bin
	}
	return os.Expand(variables[name], func(n string) string { return expand(variables, bin, n) })
}

func main() {
	rounds := flag.Int("rounds", 11, "how many pods of each runtime")
	rig.Main("ready", func(ctx context.Context, p rig.Programs) error { return run(ctx, p, *rounds) })
}

func run(ctx context.Context, p rig.Programs, rounds int) (err error) {
	all, err := handlers(p.Bin)
	if err != nil {
		return err
	}
	var extra strings.Builder
	for _, h := range all {
		extra.WriteString(h.config)
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
