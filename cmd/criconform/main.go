// Program criconform tells whether a CRI daemon keeps the rules of the
// conformance suite. It runs probes against a daemon that a profile describes,
// lists rules and probes, and renders reports. It changes nothing on the host
// but what it removes again, and needs root.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() { os.Exit(execute(os.Args[1:])) }

// errFailed ends the program with exit code 1 and no further word.
var errFailed = errors.New("the run is not good")

const (
	exitFailed = 1 // a probe failed or could not tell
	exitUsage  = 2 // bad flags, files or names
)

func execute(args []string) int {
	root := &cobra.Command{
		Use:           "criconform",
		Short:         "Conformance suite for CRI daemons",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(runCommand(), listCommand(), reportCommand(), compareCommand(), envCommand())
	root.SetArgs(args)
	err := root.Execute()
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errFailed):
		return exitFailed
	}
	fmt.Fprintln(os.Stderr, "criconform:", err)
	return exitUsage
}

// interrupted returns a context that ends at SIGINT or SIGTERM. It is not for
// run, where Ginkgo handles signals.
func interrupted(cmd *cobra.Command) (context.Context, context.CancelFunc) {
	return signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
}
