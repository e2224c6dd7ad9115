// Command ocid is the CRI daemon with the shipped rules. It is nothing but
// the glue between the command line, the daemon and spec.Default.
package main

import (
	"context"
	"os"

	"ocid/impl/cli"
	"ocid/impl/config"
	"ocid/impl/daemon"
	"ocid/spec"
)

func main() {
	if daemon.Reexec() { // this process is a helper of the storage library
		return
	}
	os.Exit(cli.Main(func(ctx context.Context, cfg *config.Config) error {
		return daemon.Run(ctx, cfg, daemon.Options{Book: spec.Default()})
	}))
}
