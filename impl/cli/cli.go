// Package cli is the command line of the daemon: flags, subcommands, exit
// status. It loads the configuration and hands it to a function; it knows
// neither the daemon nor its rules, so that every main program that starts a
// daemon shares it.
package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"ocid/impl/config"
	"ocid/impl/version"
)

// Run is the daemon: it returns when the daemon has stopped. The sources are
// where its configuration came from and can be read again.
type Run func(ctx context.Context, cfg *config.Config, from config.Sources) error

// Check writes what is found on this machine to out; its error says that
// something is wrong.
type Check func(ctx context.Context, cfg *config.Config, from config.Sources, o CheckOptions) error

// CheckOptions are what the command line of check says.
type CheckOptions struct {
	Images []string // references to explain
	JSON   bool
	Out    io.Writer
}

// Programs are what the commands run. Check may be nil: no such command.
type Programs struct {
	Run   Run
	Check Check
}

// Main executes the command line of this process and returns its exit
// status: 0, or 1 with the error on standard error.
func Main(p Programs) int {
	cmd := Command(p)
	if err := cmd.Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "ocid: "+strings.ReplaceAll(err.Error(), "\n", "\nocid: "))
		return 1
	}
	return 0
}

// Command builds the command tree. Without a subcommand it calls p.Run.
func Command(p Programs) *cobra.Command {
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
			return p.Run(cmd.Context(), cfg, flags.sources(cmd))
		},
	}
	root.SetContext(context.Background())
	flags.register(root)
	root.AddCommand(configCommand(&flags), versionCommand())
	if p.Check != nil {
		root.AddCommand(checkCommand(&flags, p.Check))
	}
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

func checkCommand(flags *configFlags, check Check) *cobra.Command {
	var o CheckOptions
	cmd := &cobra.Command{
		Use:   "check [--image reference]...",
		Short: "Tell what would be used on this machine, and what is wrong",
		Long:  "check looks at configuration, runtimes, network, storage and registries. Nothing is\nchanged; a daemon may run meanwhile. The exit status is 1 if pods could not run.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := flags.load(cmd)
			if err != nil {
				return err
			}
			o.Out = cmd.OutOrStdout()
			return check(cmd.Context(), cfg, flags.sources(cmd), o)
		},
	}
	cmd.Flags().StringArrayVar(&o.Images, "image", nil, "tell where the image with this `reference` would be pulled from")
	cmd.Flags().BoolVar(&o.JSON, "json", false, "print JSON")
	return cmd
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
