// Package conformance is the suite that tells whether a CRI daemon keeps the
// rules. A vendor imports it and calls [Run] from a test of its own, or uses the
// program criconform, which does the same.
//
// The suite judges only what it observes from outside; it imports nothing of a
// daemon. Package probe holds the hand-written cases, package target the way to
// the daemon, package report the outcome.
package conformance

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"time"

	_ "ocid/conformance/derived" // registers the generated cases
	_ "ocid/conformance/probe"   // registers the hand-written cases
	"ocid/conformance/report"
	"ocid/conformance/target"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/ginkgo/v2/formatter"
	"github.com/onsi/ginkgo/v2/types"
	"github.com/onsi/gomega"
	"github.com/onsi/gomega/format"
)

// Config says what to run against whom. The zero values of all but Profile are
// good.
type Config struct {
	Profile     target.Profile
	Variables   map[string]string   // on top of the profile's
	BinDir      string              // holds witness-oci and witness-cni; "" builds them
	Environment *target.Environment // a registry that runs already; nil starts one
	Keep        bool                // leave the work directory
	Log         *slog.Logger        // nil is silence

	Known    []report.Info // all rules there are; nil is those of package spec
	Rules    []string      // only probes of these rules; "container.stop.*" is all that begin so
	Focus    []string      // only probes whose name matches one of these regular expressions
	Kind     report.Kind   // only probes of this kind; "" is all
	FailFast bool          // stop at the first failure
	Whole    bool          // also what the profile leaves to another one

	// Claim says whether this process is the one that runs a case, named by its
	// group, when several share a run; nil is always.
	Claim func(group string) bool

	Progress io.Writer // a line for each finished probe; nil is none
	Ginkgo   io.Writer // Ginkgo's own output; nil is none
}

const (
	startBound = 3 * time.Minute
	stopBound  = 2 * time.Minute
	caseBound  = 5 * time.Minute // for the clean-ups and the audit of one case
)

// Run runs the suite and returns the report. It calls t.Fail unless the report
// is good. It may be called once in a process, for Ginkgo's sake, and not by
// several of Ginkgo's parallel processes.
func Run(t ginkgo.GinkgoTestingT, cfg Config) report.Report {
	s := &suite{cfg: cfg, target: target.Current(), started: time.Now(), claimed: map[string]bool{}}
	rep := s.run()
	if !rep.Status.Good() {
		t.Fail()
	}
	return rep
}

type suite struct {
	cfg     Config
	target  *target.T
	started time.Time
	plan    plan
	claimed map[string]bool // what Claim has said
	raw     ginkgo.Report
}

// mine says whether this process is to tell of a case.
func (s *suite) mine(group string) bool {
	if s.cfg.Claim == nil {
		return true
	}
	if _, asked := s.claimed[group]; !asked {
		s.claimed[group] = s.cfg.Claim(group)
	}
	return s.claimed[group]
}

func (s *suite) run() report.Report {
	defer s.redirect()()
	defer s.patient()()
	plan, err := makePlan(s.cfg)
	if err == nil {
		err = s.target.Configure(target.Config{
			Profile: s.cfg.Profile, Variables: s.cfg.Variables, BinDir: s.cfg.BinDir,
			Environment: s.cfg.Environment, Keep: s.cfg.Keep, Log: s.cfg.Log,
		})
	}
	if err != nil {
		return s.refuse(err)
	}
	s.plan = plan
	s.register()
	suiteConfig, reporterConfig := plan.ginkgo()
	ginkgo.RunSpecs(ignored{}, "CRI conformance", suiteConfig, reporterConfig)
	return s.report()
}

// refuse is the report of a run that did not begin.
func (s *suite) refuse(err error) report.Report {
	rep := report.Build(report.Run{Profile: s.cfg.Profile.Name, Started: s.started})
	rep.Problems = []report.Problem{{Status: report.Error, Message: err.Error()}}
	return rep
}

// patient gives the probes the time that the profile has for them, until the
// function returned is called.
func (s *suite) patient() (restore func()) {
	return ginkgo.AddTreeConstructionNodeArgsTransformer(func(_ types.NodeType, _ ginkgo.Offset, text string, args []any) (string, []any, []error) {
		for i, a := range args {
			if limit, ok := a.(ginkgo.SpecTimeout); ok {
				args[i] = ginkgo.SpecTimeout(s.cfg.Profile.Within(time.Duration(limit)))
			}
		}
		return text, args, nil
	})
}

// redirect sends Ginkgo's output where the configuration wants it, until the
// function returned is called.
func (s *suite) redirect() (restore func()) {
	old := formatter.ColorableStdOut
	formatter.ColorableStdOut = io.Discard
	if s.cfg.Ginkgo != nil {
		formatter.ColorableStdOut = s.cfg.Ginkgo
	}
	return func() { formatter.ColorableStdOut = old }
}

// register adds the suite's own nodes around the probes'.
func (s *suite) register() {
	gomega.RegisterFailHandler(ginkgo.Fail)
	format.RegisterCustomFormatter(func(value any) (string, bool) {
		err, ok := value.(error)
		if !ok || err == nil {
			return "", false
		}
		return err.Error(), true // not the insides of a gRPC status
	})
	ginkgo.BeforeSuite(func(ctx context.Context) {
		if err := s.target.Start(ctx); err != nil {
			ginkgo.Fail(err.Error())
		}
	}, ginkgo.NodeTimeout(startBound))
	ginkgo.AfterSuite(func(ctx context.Context) {
		if err := s.target.Stop(ctx); err != nil {
			ginkgo.Fail(err.Error())
		}
	}, ginkgo.NodeTimeout(stopBound))
	ginkgo.BeforeEach(s.beginCase, ginkgo.OncePerOrdered, ginkgo.NodeTimeout(caseBound))
	ginkgo.ReportAfterEach(s.progress)
	ginkgo.ReportAfterSuite("report", func(r ginkgo.Report) { s.raw = r })
}

// beginCase looks at the host before the case, and has it compared when all
// other clean-ups of the case are done.
func (s *suite) beginCase(ctx context.Context) {
	if r := ginkgo.CurrentSpecReport(); !s.plan.selected(r) || !s.mine(groupOf(r)) {
		ginkgo.Skip("not of this run, or another process has it")
	}
	s.target.Need(target.NeedsOf(ginkgo.CurrentSpecReport().Labels())...)
	if err := s.target.BeginCase(ctx); err != nil {
		ginkgo.Fail(err.Error())
	}
	// A case that has taken too long has used up Ginkgo's time for what follows it.
	ginkgo.DeferCleanup(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), caseBound)
		defer cancel()
		failed := ginkgo.CurrentSpecReport().Failed()
		err := s.target.EndCase(ctx)
		if failed || err != nil {
			ginkgo.AddReportEntry(logEntry, s.target.LogTail(), ginkgo.ReportEntryVisibilityFailureOrVerbose)
		}
		if err != nil {
			ginkgo.Fail(err.Error())
		}
	}, ginkgo.NodeTimeout(caseBound), ginkgo.GracePeriod(caseBound))
}

const logEntry = "daemon log"

func (s *suite) progress(r ginkgo.SpecReport) {
	if s.cfg.Progress == nil || !s.plan.selected(r) || !s.mine(groupOf(r)) {
		return
	}
	probe := judge(r)
	_, err := fmt.Fprintf(s.cfg.Progress, "%-11s %6.0f ms  %s\n", probe.Status, probe.DurationMS, probe.Name)
	if err != nil {
		s.cfg.Progress = nil
	}
}

func (s *suite) report() report.Report {
	run := report.Run{
		Profile: s.cfg.Profile.Name, Started: s.started, Duration: time.Since(s.started),
		Rules: s.plan.rules, Deviations: s.cfg.Profile.Deviations, Problems: problems(s.raw),
		Shared: s.cfg.Claim != nil,
	}
	if s.cfg.Claim == nil {
		run.MustRun = s.cfg.Profile.MustRun
	}
	for _, f := range s.cfg.Profile.Features {
		run.Features = append(run.Features, string(f))
	}
	if v := s.target.Version(); v != nil {
		run.Daemon = report.Daemon{Name: v.GetRuntimeName(), Version: v.GetRuntimeVersion(), API: v.GetRuntimeApiVersion()}
	}
	run.Probes = s.probes()
	return report.Build(run)
}

// probes returns the outcome of each selected case of this process, of those too
// that Ginkgo never came to.
func (s *suite) probes() []report.Probe {
	done := map[string]report.Probe{}
	for _, r := range s.raw.SpecReports {
		if r.LeafNodeType == types.NodeTypeIt && s.plan.selected(r) && s.mine(groupOf(r)) {
			done[r.FullText()] = judge(r)
		}
	}
	all := make([]report.Probe, 0, len(s.plan.cases))
	for _, c := range s.plan.cases {
		if !s.mine(c.group) {
			continue
		}
		p, ok := done[c.Name]
		switch {
		case c.Left:
			p = c.probe(report.Unsupported, s.cfg.Profile.Elsewhere.String())
		case !ok:
			p = c.probe(report.Unobserved, notRun)
		}
		all = append(all, p)
	}
	return all
}

// ignored takes Ginkgo's verdict, which knows no declared deviation.
type ignored struct{}

func (ignored) Fail() {}

// Exit is a [ginkgo.GinkgoTestingT] for programs: it remembers a failure.
type Exit struct{ failed bool }

// Fail remembers the failure.
func (e *Exit) Fail() { e.failed = true }

// Code is the exit code to end with.
func (e *Exit) Code() int {
	if e.failed {
		return 1
	}
	return 0
}
