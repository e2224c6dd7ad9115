// Package cli is the command line of the daemon: flags, subcommands, exit
// status. It loads the configuration and hands it to a function; it knows
// neither the daemon nor its rules, so that every main program that starts a
// daemon shares it.
package cli

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"ocid/impl/config"
	"ocid/impl/version"
)

// Run is the daemon: it returns when the daemon has stopped.
type Run func(ctx context.Context, cfg *config.Config) error

// Main executes the command line of this process and returns its exit
// status: 0, or 1 with the error on standard error.
func Main(run Run) int {
	cmd := Command(run)
	if err := cmd.Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "ocid: "+strings.ReplaceAll(err.Error(), "\n", "\nocid: "))
		return 1
	}
	return 0
}

// Command builds the command tree. Without a subcommand it calls run.
func Command(run Run) *cobra.Command {
	var flags configFlags
	root := &cobra.Command{
		Use:           "ocid",
		Short:         "A Kubernetes CRI daemon whose behaviour is rows in tables",
		Long:          "ocid serves the Kubernetes Container Runtime Interface on a unix socket.\nWithout a subcommand it runs the daemon in the foreground.",
		Version:       version.String(),
		Args:          cobra.NoArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := flags.load(cmd)
			if err != nil {
				return err
			}
			return run(cmd.Context(), cfg)
		},
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetContext(context.Background())
	flags.register(root)
	root.AddCommand(configCommand(&flags), versionCommand())
	return root
}

func configCommand(flags *configFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "config",
		Short: "Print the effective configuration, with documentation, as TOML",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := flags.load(cmd)
			if err != nil {
				return err
			}
			return cfg.Write(cmd.OutOrStdout())
		},
	}
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "ocid %s (%s)\n", version.String(), runtime.Version())
			return err
		},
	}
}
