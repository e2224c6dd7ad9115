// Command crictl runs every subcommand of crictl that there is against ocid, as
// "make crictl-test", and checks what it prints. Which there are, crictl is
// asked: a subcommand that no check runs is a failure.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"ocid/tools/rig"

	"golang.org/x/sys/unix"
)

func main() {
	bin := flag.String("bin", "bin", "directory of ocid and crictl")
	runtime := flag.String("runtime", "runc", "OCI runtime: a name looked up in $PATH, or a path")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	err := run(ctx, *bin, *runtime)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "crictl:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, bin, runtime string) (err error) {
	if err := rig.Root(); err != nil {
		return err
	}
	if bin, err = filepath.Abs(bin); err != nil {
		return err
	}
	if runtime, err = rig.Runtime(runtime); err != nil {
		return err
	}
	t, err := rig.Start(ctx, rig.Options{Daemon: filepath.Join(bin, "ocid"), Runtime: runtime})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.Stop(context.WithoutCancel(ctx))) }()
	before, err := t.Snapshot(ctx)
	if err != nil {
		return err
	}
	s := &session{T: t, program: filepath.Join(bin, "crictl"), dir: t.Work(), used: map[string]bool{}}
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
		log := filepath.Join(bin, "crictl-ocid.log")
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
