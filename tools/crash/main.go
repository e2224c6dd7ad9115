// Command crash kills the daemon at every step of every plan of sandboxes and
// containers, before and after the step's effect and its undo, starts it
// again, repeats the call, and looks from outside whether everything went well
// and nothing is left. The moments are generated from the spec's plans.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/onsi/gomega"

	"ocid/conformance/target"
)

func main() {
	bin := flag.String("bin", "bin", "directory with the witness programs")
	profile := flag.String("profile", "fixtures/profiles/runc.toml", "profile to run on")
	only := flag.String("only", "", "only moments whose name holds this")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *bin, *profile, *only); err != nil {
		fmt.Fprintln(os.Stderr, "crash:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, bin, profile, only string) error {
	gomega.RegisterFailHandler(func(message string, _ ...int) { panic(message) })
	tmp, err := os.MkdirTemp("/tmp", "crash")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	daemon := filepath.Join(tmp, "ocid-crash")
	build := exec.CommandContext(ctx, "go", "build", "-o", daemon, "./tools/crash/ocid-crash")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, text)
	}
	t, err := newTarget(bin, profile, daemon)
	if err != nil {
		return err
	}
	bad, err := crashAll(ctx, t, only)
	if err == nil && bad > 0 {
		err = fmt.Errorf("%d moments failed", bad)
	}
	return err
}

func newTarget(bin, profile, daemon string) (*target.T, error) {
	p, err := target.LoadProfile(profile)
	if err != nil {
		return nil, err
	}
	p.Daemon.Env = map[string]string{"OCID_CRASH_FILE": "${WORK}/crash"}
	bin, err = filepath.Abs(bin)
	if err != nil {
		return nil, err
	}
	t := target.Current()
	return t, t.Configure(target.Config{
		Profile: p, Variables: map[string]string{target.VarDaemon: daemon}, BinDir: bin, Log: slog.New(slog.DiscardHandler),
	})
}

// crashAll goes through all moments and prints the table of what came of them.
func crashAll(ctx context.Context, t *target.T, only string) (bad int, err error) {
	if err := t.Start(ctx); err != nil {
		return 0, fmt.Errorf("%w (stop: %w)", err, t.Stop(context.WithoutCancel(ctx)))
	}
	start, n := time.Now(), 0
	for _, m := range moments() {
		if !strings.Contains(m.name, only) {
			continue
		}
		begun := time.Now()
		err := attempt(ctx, t, m)
		n++
		verdict := "ok"
		if err != nil {
			bad++
			verdict = "FAILED: " + strings.ReplaceAll(err.Error(), "\n", "\n    ")
		}
		fmt.Printf("%-76s %5.1fs  %s\n", m.name, time.Since(begun).Seconds(), verdict)
		if ctx.Err() != nil {
			break
		}
	}
	fmt.Printf("\nkill -9 at %d moments in %s: %d converged and left nothing, %d did not\n",
		n, time.Since(start).Round(time.Second), n-bad, bad)
	if n == 0 {
		return 0, fmt.Errorf("no moment holds %q", only)
	}
	return bad, t.Stop(context.WithoutCancel(ctx))
}
