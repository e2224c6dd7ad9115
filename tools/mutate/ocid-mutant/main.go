// Command ocid-mutant is the daemon with rows of its rules broken: those of
// the mutant, or group of mutants, that the environment variable OCID_MUTANT
// names. The shipped daemon has no
// such door; this program is built for mutation testing only.
package main

import (
	"context"
	"fmt"
	"os"

	"ocid/impl/cli"
	"ocid/impl/config"
	"ocid/impl/daemon"
	"ocid/tools/mutate/mutant"
)

func main() {
	if daemon.Reexec() {
		return
	}
	book, ok := mutant.Book(os.Getenv("OCID_MUTANT"))
	if !ok {
		fmt.Fprintf(os.Stderr, "ocid-mutant: no mutant %q\n", os.Getenv("OCID_MUTANT"))
		os.Exit(2)
	}
	os.Exit(cli.Main(cli.Programs{Run: func(ctx context.Context, cfg *config.Config, from config.Sources) error {
		return daemon.Run(ctx, cfg, daemon.Options{Book: book, From: from})
	}}))
}
