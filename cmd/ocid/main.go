// Command ocid is the CRI daemon with the shipped rules. It is nothing but
// the glue between the command line, the daemon and spec.Default.
package main

import (
	"context"
	"os"

	"ocid/impl/check"
	"ocid/impl/cli"
	"ocid/impl/config"
	"ocid/impl/daemon"
	"ocid/spec"
)

func main() {
	if daemon.Reexec() { // this process is a helper of the storage library
		return
	}
	os.Exit(cli.Main(cli.Programs{
		Run: func(ctx context.Context, cfg *config.Config, from config.Sources) error {
			return daemon.Run(ctx, cfg, daemon.Options{Book: spec.Default(), From: from})
		},
		Check: func(ctx context.Context, cfg *config.Config, from config.Sources, o cli.CheckOptions) error {
			return check.Print(o.Out, check.All(ctx, check.Request{Config: cfg, From: from, Images: o.Images}), o.JSON)
		},
	}))
}
