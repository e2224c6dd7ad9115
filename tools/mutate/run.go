package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"ocid/conformance/report"
	"ocid/spec"
	"ocid/tools/mutate/mutant"
)

// A job is one broken daemon and the mutants that its run judges.
type job struct {
	name    string // of the mutant or group
	mutants []verdict
	fault   *fault // nil: broken by its book
}

// A verdict is what became of one mutant.
type verdict struct {
	Rule         spec.ID `json:"-"`
	Op           string  `json:"op"`
	KilledBy     string  `json:"killed_by"` // "probe", "derived", "error" (of the suite), or "" for a survivor
	Unobservable bool    `json:"unobservable"`
	Message      string  `json:"message,omitempty"` // of the first probe that failed
}

type runner struct {
	options
	tmp, env string
	rules    map[spec.ID]spec.Rule
	measured map[spec.ID]bool // rules that -new passes over

	mu     sync.Mutex
	done   []verdict
	probes map[spec.ID][]string // the hand-written probes that claim a rule
	left   int
}

func run(ctx context.Context, o options) (bool, error) {
	start := time.Now()
	tmp, err := os.MkdirTemp("/tmp", "mutate")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(tmp)
	if o.bin, err = filepath.Abs(o.bin); err != nil {
		return false, err
	}
	r := &runner{options: o, tmp: tmp, rules: map[spec.ID]spec.Rule{}, probes: map[spec.ID][]string{}}
	book := spec.Default()
	for _, rule := range book.Rules() {
		r.rules[rule.ID] = rule
	}
	if err := r.skipMeasured(); err != nil {
		return false, err
	}
	if err := r.build(ctx); err != nil {
		return false, err
	}
	stop, err := r.startEnvironment(ctx)
	if err != nil {
		return false, err
	}
	defer stop()
	if err := r.runAll(ctx, r.jobs()); err != nil {
		return false, err
	}
	return r.finish(time.Since(start))
}

// jobs groups the mutants that are asked for.
func (r *runner) jobs() (jobs []*job) {
	groups := map[string]*job{}
	for _, m := range mutant.All() {
		if !r.asked(m.Rule) {
			continue
		}
		name := m.Name()
		if m.Group != "" && r.rule == "" {
			name = m.Group
		}
		if groups[name] == nil {
			groups[name] = &job{name: name}
			jobs = append(jobs, groups[name])
		}
		groups[name].mutants = append(groups[name].mutants, r.verdict(m.Rule, m.Op))
	}
	for _, f := range allFaults() {
		if r.asked(f.rule) {
			jobs = append(jobs, &job{name: string(f.rule) + ": " + f.op, fault: &f, mutants: []verdict{r.verdict(f.rule, f.op)}})
		}
	}
	return slices.DeleteFunc(jobs, func(j *job) bool { return !r.drawn(j.name) })
}

// drawn says whether a run is in the sample: one in -sample, by the hash of
// its name and the seed.
func (r *runner) drawn(name string) bool {
	h := fnv.New32a()
	_, _ = h.Write([]byte(r.seed + name))
	return r.sample <= 1 || h.Sum32()%uint32(r.sample) == 0
}

func (r *runner) verdict(rule spec.ID, op string) verdict {
	return verdict{Rule: rule, Op: op, Unobservable: r.rules[rule].Unobservable != ""}
}

// skipMeasured finds the rules whose mutants are those of the last results, with
// no survivor among them.
func (r *runner) skipMeasured() error {
	if !r.fresh {
		return nil
	}
	old, err := loadCoverage(coverageFile)
	if err != nil {
		return err
	}
	r.measured = map[spec.ID]bool{}
	for rule, ops := range operations() {
		fate := old.Rules[rule]
		if fate == nil {
			continue
		}
		var had []string
		for _, v := range fate.Mutants {
			if v.KilledBy != "probe" && !v.Unobservable {
				had = nil // to be judged again
				break
			}
			had = append(had, v.Op)
		}
		slices.Sort(had)
		slices.Sort(ops)
		r.measured[rule] = slices.Equal(had, ops)
	}
	return nil
}

// operations are the ways in which each rule is broken.
func operations() map[spec.ID][]string {
	all := map[spec.ID][]string{}
	for _, m := range mutant.All() {
		all[m.Rule] = append(all[m.Rule], m.Op)
	}
	for _, f := range allFaults() {
		all[f.rule] = append(all[f.rule], f.op)
	}
	return all
}

func (r *runner) asked(rule spec.ID) bool {
	if r.measured[rule] {
		return false
	}
	prefix, wild := strings.CutSuffix(r.rule, "*")
	return r.rule == "" || string(rule) == r.rule || wild && strings.HasPrefix(string(rule), prefix)
}

// build makes the daemon that takes its mutant from the environment.
func (r *runner) build(ctx context.Context) error {
	return goBuild(ctx, filepath.Join(r.tmp, "ocid-mutant"), "./tools/mutate/ocid-mutant")
}

func goBuild(ctx context.Context, out string, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", append([]string{"build", "-ldflags=-s -w", "-o", out}, args...)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, text)
	}
	return nil
}

// startEnvironment starts one registry for all runs.
func (r *runner) startEnvironment(ctx context.Context) (stop func(), err error) {
	r.env = filepath.Join(r.tmp, "env.json")
	cmd := exec.CommandContext(ctx, filepath.Join(r.bin, "criconform"), "env", "--file", r.env)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return nil, err
	}
	line := make([]byte, 1) // it says something when it is ready
	if _, err := out.Read(line); err != nil {
		return nil, errors.Join(fmt.Errorf("criconform env: %w", err), cmd.Wait())
	}
	return func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
	}, nil
}

func (r *runner) runAll(ctx context.Context, jobs []*job) error {
	r.left = len(jobs)
	fmt.Printf("%d runs, %d side by side\n", len(jobs), r.workers)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(r.workers)
	for _, j := range jobs {
		group.Go(func() error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			start := time.Now()
			if err := r.judge(ctx, j); err != nil {
				if ctx.Err() != nil {
					return err
				}
				j.broken(err)
			}
			r.record(j, time.Since(start))
			return nil
		})
	}
	return group.Wait()
}

// broken notes that the run itself failed: its mutants are not judged.
func (j *job) broken(err error) {
	for i := range j.mutants {
		j.mutants[i].KilledBy, j.mutants[i].Message = "error", err.Error()
	}
}

// judge runs the probes of a job's rules against its daemon.
func (r *runner) judge(ctx context.Context, j *job) error {
	programs := []string{"--daemon", filepath.Join(r.tmp, "ocid-mutant")}
	if j.fault != nil {
		broken := filepath.Join(r.tmp, fmt.Sprintf("ocid-%p", j))
		defer os.Remove(broken)
		if err := j.fault.build(ctx, broken); err != nil {
			return err
		}
		programs = []string{"--daemon", broken}
		if j.fault.keeper() {
			programs = []string{"--daemon", filepath.Join(r.bin, "ocid"), "--set", "KEEPER=" + broken}
		}
	}
	rep, err := r.conform(ctx, j, programs, report.Handwritten)
	if err != nil {
		return err
	}
	r.note(rep)
	if apply(j.mutants, rep, "probe") == 0 {
		return nil
	}
	if rep, err = r.conform(ctx, j, programs, report.Derived); err != nil {
		return err
	}
	apply(j.mutants, rep, "derived")
	return nil
}

// note keeps which probes claim which rules.
func (r *runner) note(rep *report.Report) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, rule := range rep.Rules {
		if len(rule.Probes) > 0 {
			r.probes[spec.ID(rule.ID)] = rule.Probes
		}
	}
}

// conform runs criconform on the rules of a job.
func (r *runner) conform(ctx context.Context, j *job, programs []string, kind report.Kind) (*report.Report, error) {
	out := filepath.Join(r.tmp, fmt.Sprintf("%p.json", j))
	defer os.Remove(out)
	args := append([]string{"run", "--quiet", "--profile", r.profileOf(j), "--bin-dir", r.bin, "--env", r.env,
		"--kind", string(kind), "--report-json", out}, programs...)
	if len(j.mutants) == 1 {
		args = append(args, "--fail-fast")
	}
	for _, v := range j.mutants {
		if v.KilledBy == "" {
			args = append(args, "--rule", string(v.Rule))
		}
	}
	cmd := exec.CommandContext(ctx, filepath.Join(r.bin, "criconform"), args...)
	cmd.Env = append(os.Environ(), "OCID_MUTANT="+j.name)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	text, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return nil, err
	}
	data, err := os.ReadFile(out)
	if err != nil {
		return nil, fmt.Errorf("criconform wrote no report: %s", text)
	}
	rep := &report.Report{}
	return rep, json.Unmarshal(data, rep)
}

// profileOf is where a job's rules can be seen: those about kernels of their own
// on a runtime that boots some, those about keepers on one that needs them.
func (r *runner) profileOf(j *job) string {
	switch r.rules[j.mutants[0].Rule].Feature {
	case spec.OwnKernel:
		return "vm"
	case spec.Keepers:
		return "runsc"
	}
	return r.profile
}

// apply notes who is killed by what a report says, and returns how many are
// not. A daemon that is too broken to start fails every probe; a rule without
// a probe is seen by none.
func apply(vs []verdict, rep *report.Report, by string) (survivors int) {
	rules := map[string]report.Rule{}
	for _, rule := range rep.Rules {
		rules[rule.ID] = rule
	}
	for i := range vs {
		v := &vs[i]
		if v.KilledBy != "" {
			continue
		}
		rule := rules[string(v.Rule)]
		problem := slices.IndexFunc(rep.Problems, func(p report.Problem) bool { return p.Status == report.Fail })
		switch {
		case rule.Status == report.Fail:
			v.KilledBy, v.Message = by, rule.Message
		case len(rule.Probes) > 0 && problem >= 0:
			v.KilledBy, v.Message = by, rep.Problems[problem].Message
		case rule.Status == report.Error:
			v.KilledBy, v.Message = "error", rule.Message
		default:
			survivors++
		}
	}
	return survivors
}
