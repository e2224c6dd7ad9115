package conformance

import (
	"context"
	"fmt"
	"os"
	"time"

	"ocid/conformance/internal/fakecri"
	"ocid/conformance/report"
	"ocid/conformance/target"
	"ocid/fixtures/images"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// scenario is a run of a few cases against the fake daemon.
type scenario struct {
	faults string
	cases  func()
	change func(*Config)
	rules  []string // "" is test.*
}

func passes(rule string) {
	It(rule, target.Covers(rule), func(ctx SpecContext) { target.Current().Pod(ctx) })
}

func fails(rule string) {
	It(rule, target.Covers(rule), func() { Expect(1).To(Equal(2)) })
}

func one(cases func()) func() {
	return func() { Describe("one case", cases) }
}

func pass() { passes("test.pass") }

func scenarios() map[string]scenario {
	set := func(change func(*Config)) scenario { return scenario{cases: one(pass), change: change} }
	all := map[string]scenario{
		"statuses":              {cases: statuses},
		"deviation":             {cases: one(func() { fails("test.fail") }), change: deviate("test.fail")},
		"deviation that passes": {cases: one(pass), change: deviate("test.pass")},
		"must run": {cases: one(func() { needs("test.need", target.FeatureIPv6) }), change: func(c *Config) {
			c.Profile.MustRun = []string{"test.nee*"}
		}},
		"unknown rule":      {cases: one(func() { passes("test.invented") })},
		"no rule":           {cases: func() { Describe("orphan", func() { It("covers nothing", func() {}) }) }},
		"pending":           {cases: func() { Describe("pending", func() { PIt("test.pass", target.Covers("test.pass"), func() {}) }) }},
		"two names":         {cases: func() { Describe("same", pass); Describe("same", pass) }},
		"unknown selection": {cases: one(pass), rules: []string{"test.nonsense"}},
		"unknown deviation": set(deviate("test.nonsense")),
		"unknown must-run":  set(func(c *Config) { c.Profile.MustRun = []string{"test.nonsense"} }),
		"unknown kind":      set(func(c *Config) { c.Kind = "odd" }),
		"profile without daemon": set(func(c *Config) {
			c.Profile.Daemon, c.Profile.Features = nil, nil
		}),
		"selection without probe": {cases: one(pass), rules: []string{"test.nobody"}},
		"select one":              {cases: one(func() { pass(); fails("test.fail") }), rules: []string{"test.pass"}},
		"select derived": {change: func(c *Config) { c.Kind = report.Derived }, cases: func() {
			Describe("both", func() { pass(); Describe("generated", target.Derived(), func() { passes("test.after") }) })
		}},
		"focus": {cases: one(func() { pass(); fails("test.fail") }), rules: []string{}, change: func(c *Config) {
			c.Focus = []string{"one case test.pass"}
		}},
	}
	for name, s := range faulty() {
		all[name] = s
	}
	return all
}

func faulty() map[string]scenario {
	return map[string]scenario{
		"leak":          {cases: one(func() { plain("test.before"); leaks("test.leak", false); plain("test.after") })},
		"fail and leak": {cases: one(func() { leaks("test.leak", true) })},
		"ordered":       {cases: ordered},
		"another has it": {cases: func() { ordered(); Describe("one", func() { passes("test.after") }) }, change: func(c *Config) {
			c.Claim = func(group string) bool { return group != "ordered" }
		}},
		"patient": {cases: one(patient), change: func(c *Config) { c.Profile.Patience = 100 }},
		"needs": {cases: one(func() {
			It("test.need", target.Covers("test.need"), target.Needs(target.FeatureIPv6), func() { Fail("begun") })
		})},
		"another has all": {cases: ordered, change: func(c *Config) { c.Claim = func(string) bool { return false } }},
		"out of time": {cases: func() {
			Describe("A", Serial, SpecPriority(1), outOfTime)
			Describe("B", Serial, func() { passes("test.after") })
		}},
		"dying daemon": {faults: fakecri.DiesOnRun, cases: func() { Describe("one", bomb); Describe("two", func() { passes("test.after") }) }},
		"broken state": {cases: one(func() { broken("test.leak"); plain("test.after") })},
		"no daemon":    {faults: fakecri.NoStart, cases: one(pass)},
		"bad end":      {faults: fakecri.ExitOne, cases: one(pass)},
		"fail fast": {cases: func() {
			Describe("A", Serial, SpecPriority(1), func() { fails("test.fail") })
			Describe("B", Serial, func() { passes("test.after") })
		},
			change: func(c *Config) { c.FailFast = true }},
	}
}

func deviate(rule string) func(*Config) {
	return func(c *Config) { c.Profile.Deviations = map[string]string{rule: "known since 1.0"} }
}

func needs(rule string, f target.Feature) {
	It(rule, target.Covers(rule), func() { target.Current().Need(f) })
}

func plain(rule string) { It(rule, target.Covers(rule), func() {}) }

func statuses() {
	Describe("cases", func() {
		pass()
		needs("test.need", target.FeatureIPv6)
		It("test.variable", target.Covers("test.variable"), func(ctx SpecContext) {
			Expect(target.Current().Reconfigure(ctx, map[string]string{"NOWHERE": ""})).To(Succeed())
		})
		It("test.skip", target.Covers("test.skip"), func() { Skip("because") })
		fails("test.fail")
		It("test.panic", target.Covers("test.panic"), func() { panic("boom") })
		It("test.suite", target.Covers("test.suite"), func() { target.Current().Ref("nonsense") })
		It("test.timeout", target.Covers("test.timeout"), func(ctx SpecContext) { <-ctx.Done() }, NodeTimeout(50*time.Millisecond))
		It("test.undeclared", target.Covers("test.undeclared"), func(ctx SpecContext) {
			_, err := target.Current().TryPod(ctx, target.PodName(""))
			target.Current().ExpectCode(err)
			target.Current().ExpectRule(nil, "test.undeclared")
		})
	})
}

// leaks leaves a file where the audit looks.
func leaks(rule string, failing bool) {
	It(rule, target.Covers(rule), func(ctx SpecContext) {
		t := target.Current()
		file := t.Var("ROOT") + "/left"
		Expect(os.MkdirAll(t.Var("ROOT"), 0o700)).To(Succeed())
		Expect(os.WriteFile(file, nil, 0o600)).To(Succeed())
		if failing {
			Expect(1).To(Equal(2))
		}
	})
}

// broken leaves a state with which the daemon does not start.
func broken(rule string) {
	It(rule, target.Covers(rule), func(ctx SpecContext) {
		t := target.Current()
		Expect(os.MkdirAll(t.Var("ROOT"), 0o700)).To(Succeed())
		Expect(os.WriteFile(t.Var("ROOT")+"/"+fakecri.BrokenState, nil, 0o600)).To(Succeed())
		Expect(t.KillDaemon(ctx)).To(Succeed())
	})
}

func ordered() {
	Describe("ordered", Ordered, target.Covers("test.pass"), func() {
		var pod *target.Pod
		BeforeAll(func(ctx SpecContext) { pod = target.Current().Pod(ctx) })
		It("begins", func(ctx SpecContext) { Expect(pod.Listed(ctx)).NotTo(BeNil()) })
		It("goes on", func(ctx SpecContext) { Expect(pod.Listed(ctx)).NotTo(BeNil()) })
	})
}

// patient takes longer than processes of the host would.
func patient() {
	const limit = 50 * time.Millisecond
	It("test.pass", target.Covers("test.pass"), func(ctx SpecContext) {
		select {
		case <-ctx.Done():
		case <-time.After(2 * limit):
		}
	}, SpecTimeout(limit))
}

// outOfTime uses up its time while its clean-ups are under way.
func outOfTime() {
	const limit = 200 * time.Millisecond
	It("test.timeout", target.Covers("test.timeout"), func(ctx SpecContext) {
		end := time.Now().Add(limit)
		target.Current().Cleanup("slow", func(context.Context) error {
			<-time.After(time.Until(end) + limit)
			return nil
		})
	}, SpecTimeout(limit))
}

func bomb() {
	It("test.bomb", target.Covers("test.bomb"), func(ctx SpecContext) {
		_, err := target.Current().TryPod(ctx, target.PodName("bomb"))
		Expect(err).To(HaveOccurred())
	})
}

// play runs a scenario, prints the report as JSON, and returns the exit code.
func play(name string) int {
	s, ok := scenarios()[name]
	if !ok {
		fmt.Fprintln(os.Stderr, "no scenario", name)
		return 99
	}
	cfg, err := fakeConfig(s.faults)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 99
	}
	if cfg.Rules = s.rules; cfg.Rules == nil {
		cfg.Rules = []string{"test.*"}
	}
	if s.change != nil {
		s.change(&cfg)
	}
	s.cases()
	var exit Exit
	if err := Run(&exit, cfg).Write(os.Stdout); err != nil {
		return 99
	}
	return exit.Code()
}

func fakeConfig(faults string) (Config, error) {
	if faults == "" {
		faults = "ok"
	}
	self, err := os.Executable()
	if err != nil {
		return Config{}, err
	}
	known := Rules()
	for _, id := range []string{
		"pass", "need", "variable", "skip", "fail", "panic", "suite", "nobody", "timeout",
		"undeclared", "leak", "after", "before", "bomb",
	} {
		known = append(known, report.Info{ID: "test." + id})
	}
	profile := target.Profile{
		Name: "fake", Features: []target.Feature{target.FeatureRestart}, Variables: map[string]string{},
		Daemon: &target.Daemon{
			Command: []string{self, "--listen", "${LISTEN}", "--root", "${ROOT}", "--config", "${WORK}/c"},
			Env:     map[string]string{fakecri.Env: faults}, Files: map[string]string{"c": "1.0"},
		},
		Observe: target.Observe{Files: []string{"${ROOT}"}, Settle: target.Duration(200 * time.Millisecond)},
	}
	return Config{
		Profile: profile, Known: known, Progress: os.Stderr,
		Environment: &target.Environment{Registry: "127.0.0.1:1", Images: map[string]images.Ref{
			images.Busybox: {Tagged: "127.0.0.1:1/ocid-test/busybox:1"},
		}},
	}, nil
}
