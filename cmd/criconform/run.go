package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"ocid/conformance"
	"ocid/conformance/report"
	"ocid/conformance/target"

	"github.com/spf13/cobra"
	"k8s.io/klog/v2"
)

// selection is what run and list share.
type selection struct {
	profile string
	rules   []string
	focus   []string
	kind    string
}

func (s *selection) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.profile, "profile", "runc", "profile file, or the name of a built-in profile")
	cmd.Flags().StringArrayVar(&s.rules, "rule", nil, "only probes of this rule; \"container.stop.*\" is all that begin so (repeatable)")
	cmd.Flags().StringArrayVar(&s.focus, "focus", nil, "only probes whose name matches this regular expression (repeatable)")
	cmd.Flags().StringVar(&s.kind, "kind", "", "only probes of this kind: probe or derived")
}

func (s *selection) config() (conformance.Config, error) {
	profile, err := target.LoadProfile(s.profile)
	return conformance.Config{Profile: profile, Rules: s.rules, Focus: s.focus, Kind: report.Kind(s.kind)}, err
}

type runFlags struct {
	selection
	daemon, binDir, env, json string
	set                       []string
	keep, failFast, quiet     bool
	verbose                   bool
	jobs                      int
	claims                    string
	whole                     bool
}

func runCommand() *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run the probes and print the report",
		Long: "Run the probes against the daemon of the profile and print the report.\n" +
			"The exit code is 0 if and only if nothing failed.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd.OutOrStdout(), cmd.ErrOrStderr()) },
	}
	f.flags(cmd)
	cmd.Flags().StringVar(&f.daemon, "daemon", "", "the daemon's program; the profile's variable DAEMON")
	cmd.Flags().StringArrayVar(&f.set, "set", nil, "NAME=VALUE: a variable of the profile (repeatable)")
	cmd.Flags().StringVar(&f.binDir, "bin-dir", "", "directory of witness-oci and witness-cni (default: beside criconform, else they are built)")
	cmd.Flags().StringVar(&f.env, "env", "", "file written by criconform env: use its registry")
	cmd.Flags().StringVar(&f.json, "report-json", "", "write the report here, as JSON")
	cmd.Flags().BoolVar(&f.keep, "keep", false, "leave the work directory")
	cmd.Flags().IntVar(&f.jobs, "jobs", 1, "share the probes among so many processes, each with a daemon of its own")
	cmd.Flags().StringVar(&f.claims, "claims", "", "run only what no other process with this `directory` has begun")
	cmd.Flags().BoolVar(&f.whole, "whole", false, "also run what the profile leaves to another one")
	cmd.Flags().BoolVar(&f.failFast, "fail-fast", false, "stop at the first failure")
	cmd.Flags().BoolVarP(&f.quiet, "quiet", "q", false, "print what failed, and the summary")
	cmd.Flags().BoolVarP(&f.verbose, "verbose", "v", false, "print Ginkgo's output and the suite's own log, on standard error")
	return cmd
}

func (f *runFlags) run(out, errOut io.Writer) error {
	cfg, err := f.configure(errOut)
	if err != nil {
		return err
	}
	rep, err := f.observe(cfg, errOut)
	if err != nil {
		return err
	}
	if err := f.write(out, rep); err != nil {
		return err
	}
	if !rep.Status.Good() {
		return errFailed
	}
	return nil
}

// observe runs the probes, here or in parts.
func (f *runFlags) observe(cfg conformance.Config, errOut io.Writer) (report.Report, error) {
	if f.claims != "" {
		cfg.Claim = func(group string) bool { return claim(f.claims, group) }
	} else if f.jobs > 1 {
		return f.sideBySide(cfg, errOut)
	}
	var exit conformance.Exit
	return conformance.Run(&exit, cfg), nil
}

func (f *runFlags) configure(errOut io.Writer) (conformance.Config, error) {
	cfg, err := f.config()
	if err != nil {
		return cfg, err
	}
	if cfg.Variables, err = f.variables(); err != nil {
		return cfg, err
	}
	if f.env != "" {
		if cfg.Environment, err = target.LoadEnvironment(f.env); err != nil {
			return cfg, err
		}
	}
	cfg.BinDir, cfg.Keep, cfg.FailFast, cfg.Whole = f.programs(), f.keep, f.failFast, f.whole
	level, libraries := slog.LevelInfo, slog.New(slog.DiscardHandler)
	if f.verbose {
		cfg.Ginkgo, level = errOut, slog.LevelDebug
	} else if !f.quiet {
		cfg.Progress = errOut
	}
	cfg.Log = slog.New(slog.NewTextHandler(errOut, &slog.HandlerOptions{Level: level}))
	if f.verbose {
		libraries = cfg.Log
	}
	klog.SetSlogLogger(libraries) // clients of streams tell there that their peer has gone
	return cfg, nil
}

func (f *runFlags) variables() (map[string]string, error) {
	vars := map[string]string{}
	for _, s := range f.set {
		name, value, ok := strings.Cut(s, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("--set %q: not of the form NAME=VALUE", s)
		}
		vars[name] = value
	}
	if f.daemon != "" {
		path, err := filepath.Abs(f.daemon)
		if err != nil {
			return nil, fmt.Errorf("--daemon: %w", err)
		}
		if _, err := os.Stat(path); err != nil {
			return nil, fmt.Errorf("--daemon: %w", err)
		}
		vars[target.VarDaemon] = path
	}
	return vars, nil
}

// programs returns the directory of the witness programs, "" to build them.
func (f *runFlags) programs() string {
	if f.binDir != "" {
		return f.binDir
	}
	self, err := os.Executable()
	if err != nil {
		return ""
	}
	dir := filepath.Dir(self)
	if _, err := os.Stat(filepath.Join(dir, "witness-oci")); err != nil {
		return ""
	}
	return dir
}

func (f *runFlags) write(out io.Writer, rep report.Report) error {
	if f.json != "" {
		if err := writeJSON(f.json, rep); err != nil {
			return err
		}
	}
	if f.quiet {
		_, err := io.WriteString(out, report.Verdict(rep))
		return err
	}
	return report.Text(out, rep)
}

func writeJSON(path string, rep report.Report) (err error) {
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("--report-json: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return rep.Write(file)
}
