package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"text/tabwriter"

	"ocid/conformance"
	"ocid/conformance/report"
	"ocid/conformance/target"

	"github.com/spf13/cobra"
)

func listCommand() *cobra.Command {
	var s selection
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the rules and the probes that cover them",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := s.config()
			if err != nil {
				return err
			}
			cases, err := conformance.List(cfg)
			if err != nil {
				return err
			}
			if asJSON {
				enc := json.NewEncoder(cmd.OutOrStdout())
				enc.SetIndent("", "  ")
				return enc.Encode(cases)
			}
			return list(cmd.OutOrStdout(), conformance.Rules(), cases, len(s.rules)+len(s.focus) > 0)
		},
	}
	s.flags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the probes as JSON")
	return cmd
}

// list prints each rule with its probes; onlyCovered leaves out rules without
// one.
func list(out io.Writer, rules []report.Info, cases []conformance.Case, onlyCovered bool) error {
	tw := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "RULE\tLEVEL\tKIND\tPROBE")
	for _, r := range rules {
		covered := false
		for _, c := range cases {
			if slices.Contains(c.Rules, r.ID) {
				covered = true
				fmt.Fprintf(tw, "%s\t%s\t%s\t%s\n", r.ID, r.Level, c.Kind, c.Name)
			}
		}
		if !covered && !onlyCovered {
			fmt.Fprintf(tw, "%s\t%s\t-\t-\n", r.ID, r.Level)
		}
	}
	return tw.Flush()
}

func reportCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "report FILE",
		Short: "Print a JSON report as text",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			rep, err := readReport(args[0])
			if err != nil {
				return err
			}
			return report.Text(cmd.OutOrStdout(), rep)
		},
	}
}

func compareCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "compare FILE...",
		Short: "Print JSON reports side by side, as Markdown",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			reports := make([]report.Report, len(args))
			for i, path := range args {
				var err error
				if reports[i], err = readReport(path); err != nil {
					return err
				}
			}
			return report.Compare(cmd.OutOrStdout(), reports)
		},
	}
}

func readReport(path string) (report.Report, error) {
	file, err := os.Open(path)
	if err != nil {
		return report.Report{}, err
	}
	rep, err := report.Read(file)
	if err = errors.Join(err, file.Close()); err != nil {
		return report.Report{}, fmt.Errorf("%s: %w", path, err)
	}
	return rep, nil
}

func envCommand() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "env --file FILE",
		Short: "Run a registry with the test images, for many runs to share",
		Long: "Start a registry on the loopback interface, push the test images, write what\n" +
			"criconform run --env needs to FILE, and serve until SIGINT or SIGTERM.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return serveEnv(cmd, path) },
	}
	cmd.Flags().StringVar(&path, "file", "", "file to write when the registry is ready")
	if err := cmd.MarkFlagRequired("file"); err != nil {
		panic(err) // the flag is declared one line above
	}
	return cmd
}

func serveEnv(cmd *cobra.Command, path string) (err error) {
	ctx, cancel := interrupted(cmd)
	defer cancel()
	dir, err := os.MkdirTemp("", "criconform-env")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	env, stop, err := target.StartEnvironment(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	if err := env.Save(path); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(path)) }()
	fmt.Fprintf(cmd.OutOrStdout(), "registry at %s, %d images\n", env.Registry, len(env.Images))
	<-ctx.Done()
	return nil
}
