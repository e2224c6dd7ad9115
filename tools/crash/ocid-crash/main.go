// Command ocid-crash is the daemon with the shipped rules that kills itself,
// as kill -9 would, at the moment of a plan that a file names; the environment
// variable OCID_CRASH_FILE names the file. It is built for crash testing only.
package main

import (
	"context"
	"os"
	"syscall"

	"ocid/impl/cli"
	"ocid/impl/config"
	"ocid/impl/daemon"
	"ocid/impl/flow"
	"ocid/spec"
	"ocid/tools/crash/moment"
)

func main() {
	if daemon.Reexec() {
		return
	}
	file := os.Getenv("OCID_CRASH_FILE")
	os.Exit(cli.Main(cli.Programs{Run: func(ctx context.Context, cfg *config.Config, from config.Sources) error {
		return daemon.Run(ctx, cfg, daemon.Options{Book: spec.Default(), From: from, Observe: func(m flow.Moment) { die(file, m) }})
	}}))
}

// die kills the process at the moment the file names, once.
func die(file string, m flow.Moment) {
	want, err := os.ReadFile(file)
	if err != nil || string(want) != moment.Name(m.Plan, string(m.Step), m.Undo, m.After) {
		return
	}
	_ = os.Remove(file)
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}
