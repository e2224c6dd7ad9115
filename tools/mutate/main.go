// Command mutate measures whether the hand-written probes would notice a wrong
// rule. It breaks one row after another, in a daemon built for it, runs the
// probes that claim the row against that daemon on the real runtime, and says
// which mutants survive. It judges only the probes; it changes no file but the
// results it is asked to write.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
)

func main() {
	o := options{}
	flag.StringVar(&o.rule, "rule", "", `only mutants of this rule; "container.stop.*" is all that begin so`)
	flag.StringVar(&o.bin, "bin", "bin", "directory with criconform and the witness programs")
	flag.StringVar(&o.profile, "profile", "runc", "profile to run on")
	flag.StringVar(&o.json, "json", "", "write the results here, as JSON")
	flag.BoolVar(&o.update, "update", false, "write the results to spec/coverage.json; not of a sample")
	flag.BoolVar(&o.fresh, "new", false, "only rules of which spec/coverage.json does not have these very mutants")
	flag.IntVar(&o.sample, "sample", 1, "run one in so many mutants, drawn by -seed")
	flag.StringVar(&o.seed, "seed", "", "any text: another one draws another sample")
	flag.IntVar(&o.workers, "workers", runtime.NumCPU(), "mutants side by side")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ok, err := run(ctx, o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", strings.TrimSpace(err.Error()))
	}
	if err != nil || !ok {
		stop()
		os.Exit(1)
	}
}

type options struct {
	rule, bin, profile, json string
	seed                     string
	update, fresh            bool
	workers, sample          int
}
