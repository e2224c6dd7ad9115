// Command crictl runs every subcommand of crictl that there is against ocid, as
// "make crictl-test", and checks what it prints. Which there are, crictl is
// asked: a subcommand that no check runs is a failure.
package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"ocid/tools/rig"
)

func main() { rig.Main("crictl", run) }

func run(ctx context.Context, p rig.Programs) (err error) {
	t, err := rig.Start(ctx, rig.Options{Daemon: p.Daemon(), Runtime: p.Runtime})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.Stop(context.WithoutCancel(ctx))) }()
	before, err := t.Snapshot(ctx)
	if err != nil {
		return err
	}
	s := &session{T: t, program: filepath.Join(p.Bin, "crictl"), dir: t.Work(), used: map[string]bool{}}
	if err := s.configure(); err != nil {
		return err
	}
	failed := s.runChecks(ctx)
	leaks, err := t.Settle(ctx, before)
	for _, l := range leaks {
		failed++
		fmt.Println(l)
	}
	if failed > 0 {
		log := filepath.Join(p.Bin, "crictl-ocid.log")
		return errors.Join(fmt.Errorf("%d failures; the daemon's log: %s", failed, log), rig.KeepLog(t, log), err)
	}
	return err
}

// checkBound is how long one check may take.
const checkBound = time.Minute

// runChecks runs all checks, a later one too if an earlier one failed, prints
// what came of them, and returns how many failed.
func (s *session) runChecks(ctx context.Context) (failed int) {
	for _, c := range checks() {
		begun := time.Now()
		err := func() error {
			ctx, cancel := context.WithTimeout(ctx, checkBound)
			defer cancel()
			return c.do(ctx, s)
		}()
		verdict := "ok"
		if err != nil {
			failed++
			verdict = "FAILED: " + err.Error()
		}
		fmt.Printf("%-44s %5.1f s  %s\n", c.what, time.Since(begun).Seconds(), verdict)
	}
	return failed
}
