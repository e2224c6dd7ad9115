package conformance

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"ocid/conformance/report"
	"ocid/conformance/target"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/ginkgo/v2/types"
)

// A plan is what a run is about to do.
type plan struct {
	cfg    Config
	filter string          // Ginkgo label filter
	names  map[string]bool // full texts of the probes that are to run
	rules  []report.Info   // to be reported
	cases  []Case          // selected
}

// A Case is one probe and the rules it covers.
type Case struct {
	Name     string      `json:"name"`
	Kind     report.Kind `json:"kind"`
	Location string      `json:"location"`
	Rules    []string    `json:"rules"`

	Left bool `json:"left,omitempty"` // to another profile

	group string // see groupOf
}

// List returns the selected cases without running any.
func List(cfg Config) ([]Case, error) {
	p, err := makePlan(cfg)
	return p.cases, err
}

// makePlan refuses rules that nobody defined, in probes, profile and flags
// alike, and probes that cover no rule.
func makePlan(cfg Config) (plan, error) {
	if cfg.Known == nil {
		cfg.Known = Rules()
	}
	p := plan{cfg: cfg, names: map[string]bool{}}
	known := map[string]bool{}
	for _, r := range cfg.Known {
		known[r.ID] = true
	}
	chosen, err := choose(cfg.Rules, known)
	if err != nil {
		return p, err
	}
	if p.filter, err = filter(cfg, chosen); err != nil {
		return p, err
	}
	if err := checkProfile(cfg.Profile, known); err != nil {
		return p, err
	}
	if err := p.walk(known); err != nil {
		return p, err
	}
	p.rules = p.reported(chosen)
	return p, nil
}

// walk collects the selected cases and checks all of them, selected or not.
func (p *plan) walk(known map[string]bool) error {
	config, reporter := p.ginkgo()
	preview := ginkgo.PreviewSpecs("CRI conformance", config, reporter)
	seen := map[string]bool{}
	var errs []error
	for _, r := range preview.SpecReports {
		if r.LeafNodeType != types.NodeTypeIt {
			continue
		}
		c := caseOf(r)
		errs = append(errs, c.check(known))
		if r.State == types.SpecStatePending {
			errs = append(errs, fmt.Errorf("probe %q (%s) is pending: a rule would go unobserved unnoticed", c.Name, c.Location))
		}
		if seen[c.Name] {
			errs = append(errs, fmt.Errorf("two probes are named %q (%s)", c.Name, c.Location))
		}
		seen[c.Name] = true
		if r.State == types.SpecStatePassed {
			c.Left = !p.cfg.Whole && p.cfg.Profile.Elsewhere.Leaves(c.Rules, c.Kind == report.Derived, target.DoesAct(r.Labels()))
			p.cases = append(p.cases, c)
			p.names[c.Name] = !c.Left
		}
	}
	slices.SortFunc(p.cases, func(a, b Case) int { return cmp.Compare(a.Name, b.Name) })
	return errors.Join(errs...)
}

// groupOf names what a case is claimed with: itself, or the Ordered container
// whose cases go on from one another.
func groupOf(r ginkgo.SpecReport) string {
	if r.IsInOrderedContainer {
		return r.ContainerHierarchyTexts[0]
	}
	return r.FullText()
}

func caseOf(r ginkgo.SpecReport) Case {
	c := Case{Name: r.FullText(), Kind: report.Handwritten, Location: place(r.LeafNodeLocation), Rules: target.RulesOf(r.Labels()), group: groupOf(r)}
	if target.IsDerived(r.Labels()) {
		c.Kind = report.Derived
	}
	return c
}

// place is a code location without the directories of the machine that built
// the suite: "probe/version.go:24".
func place(l types.CodeLocation) string {
	dir, file := filepath.Split(l.FileName)
	return fmt.Sprintf("%s:%d", filepath.Join(filepath.Base(dir), file), l.LineNumber)
}

func (c Case) check(known map[string]bool) error {
	if len(c.Rules) == 0 {
		return fmt.Errorf("probe %q (%s) covers no rule", c.Name, c.Location)
	}
	var errs []error
	for _, r := range c.Rules {
		if !known[r] {
			errs = append(errs, fmt.Errorf("probe %q (%s) covers the unknown rule %q", c.Name, c.Location, r))
		}
	}
	return errors.Join(errs...)
}

// choose returns the known rules that match a pattern, sorted; none for no
// pattern.
func choose(patterns []string, known map[string]bool) ([]string, error) {
	var chosen []string
	for _, pattern := range patterns {
		found := false
		for _, id := range slices.Sorted(maps.Keys(known)) {
			if report.Match(pattern, id) {
				found = true
				chosen = append(chosen, id)
			}
		}
		if !found {
			return nil, fmt.Errorf("unknown rule %q", pattern)
		}
	}
	slices.Sort(chosen)
	return slices.Compact(chosen), nil
}

func filter(cfg Config, chosen []string) (string, error) {
	var parts []string
	if len(chosen) > 0 {
		parts = append(parts, "("+target.LabelFilter(chosen)+")")
	}
	switch cfg.Kind {
	case "":
	case report.Derived:
		parts = append(parts, target.Derived()[0])
	case report.Handwritten:
		parts = append(parts, "!"+target.Derived()[0])
	default:
		return "", fmt.Errorf("unknown kind of probe %q", cfg.Kind)
	}
	return strings.Join(parts, " && "), nil
}

func checkProfile(p target.Profile, known map[string]bool) error {
	var errs []error
	patterns := map[string][]string{"must_run": p.MustRun}
	if p.Elsewhere != nil {
		patterns["elsewhere"] = p.Elsewhere.Rules
	}
	for _, list := range slices.Sorted(maps.Keys(patterns)) {
		for _, pattern := range patterns[list] {
			if _, err := choose([]string{pattern}, known); err != nil {
				errs = append(errs, fmt.Errorf("profile %q: %s: %w", p.Name, list, err))
			}
		}
	}
	for _, rule := range slices.Sorted(maps.Keys(p.Deviations)) {
		if !known[rule] {
			errs = append(errs, fmt.Errorf("profile %q: deviations: unknown rule %q", p.Name, rule))
		}
	}
	return errors.Join(errs...)
}

// reported returns the rules that the report is about: all, or those of the
// selection.
func (p plan) reported(chosen []string) []report.Info {
	if len(p.cfg.Rules) == 0 && len(p.cfg.Focus) == 0 {
		return p.cfg.Known
	}
	if len(p.cfg.Focus) > 0 {
		chosen = nil
		for _, c := range p.cases {
			chosen = append(chosen, c.Rules...)
		}
	}
	var infos []report.Info
	for _, r := range p.cfg.Known {
		if slices.Contains(chosen, r.ID) {
			infos = append(infos, r)
		}
	}
	return infos
}

func (p plan) selected(r ginkgo.SpecReport) bool { return p.names[r.FullText()] }

func (p plan) ginkgo() (types.SuiteConfig, types.ReporterConfig) {
	suite, reporter := ginkgo.GinkgoConfiguration()
	suite.LabelFilter, suite.FocusStrings, suite.FailFast = p.filter, p.cfg.Focus, p.cfg.FailFast
	suite.ParallelTotal, suite.ParallelProcess = 1, 1
	suite.Timeout = 0
	suite.RandomSeed = 1 // one order in all runs, so that what one finds another finds again
	return suite, reporter
}
