package report

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// A Run is the raw outcome that Build judges.
type Run struct {
	Profile    string
	Daemon     Daemon
	Features   []string
	Started    time.Time
	Duration   time.Duration
	Rules      []Info            // the rules in question; others are not reported
	Probes     []Probe           // the probes that were selected
	Deviations map[string]string // rule -> reason
	MustRun    []string          // rules that may not end unsupported or unobserved; "a.*" is all that begin so
	Problems   []Problem
	Shared     bool // with other processes: what is missing here is there
}

// Build judges a run: each rule gets the worst status of its probes, declared
// deviations and the must-run list are applied, and the whole gets the worst
// of all. A run in which no probe was selected is an error.
func Build(run Run) Report {
	rep := Report{
		Format: Format, Profile: run.Profile, Daemon: run.Daemon, Features: slices.Sorted(slices.Values(run.Features)),
		Started: run.Started.UTC(), DurationMS: ms(run.Duration), Summary: map[Status]int{},
		Rules: []Rule{}, Probes: slices.Clone(run.Probes), Problems: run.Problems,
	}
	slices.SortStableFunc(rep.Probes, func(a, b Probe) int { return cmp.Compare(a.Name, b.Name) })
	for _, info := range run.Rules {
		rule := judge(info, rep.Probes)
		rule.Status, rule.Message = declare(rule, run)
		rep.Rules = append(rep.Rules, rule)
		rep.Summary[rule.Status]++
	}
	slices.SortFunc(rep.Rules, func(a, b Rule) int { return cmp.Compare(a.ID, b.ID) })
	if len(run.Probes) == 0 && !run.Shared {
		rep.Problems = append(rep.Problems, Problem{Status: Error, Message: "no probe was selected"})
	}
	rep.Status = overall(rep)
	return rep
}

// judge gives a rule the worst status of the probes that ran. It is unsupported
// only if none could.
func judge(info Info, probes []Probe) Rule {
	rule := Rule{Info: info, Status: Unobserved, Message: info.Unobservable, Probes: []string{}}
	var left []string
	for _, p := range probes {
		if !slices.Contains(p.Rules, info.ID) {
			continue
		}
		switch {
		case p.Status == Unsupported:
			left = append(left, p.Message)
		case len(rule.Probes) == len(left), Worst(rule.Status, p.Status) != rule.Status:
			rule.Status, rule.Message = p.Status, p.Message
		}
		rule.Probes = append(rule.Probes, p.Name)
		rule.DurationMS += p.DurationMS
	}
	switch {
	case len(left) > 0 && len(left) == len(rule.Probes):
		rule.Status, rule.Message = Unsupported, left[0]
	case len(left) > 0:
		rule.LeftOut, rule.LeftOutFor = len(left), firstLine(left[0])
	}
	return rule
}

// declare applies what the profile declares about a rule.
func declare(rule Rule, run Run) (Status, string) {
	reason, declared := run.Deviations[rule.ID]
	switch {
	case declared && rule.Status == Fail:
		return Deviation, reason
	case declared && rule.Status == Pass:
		return Fail, "declared as a deviation (" + reason + "), but it passes: remove the declaration"
	case !slices.ContainsFunc(run.MustRun, func(pattern string) bool { return Match(pattern, rule.ID) }):
	case rule.Status == Unobserved && rule.Unobservable != "":
	case rule.Status == Unsupported || rule.Status == Unobserved:
		message := "must run in this profile, but is " + string(rule.Status)
		if rule.Message != "" {
			message += ": " + firstLine(rule.Message)
		}
		return Fail, message
	case rule.Status == Pass && rule.LeftOut > 0:
		return Fail, "must run in this profile, but in part is unsupported: " + rule.LeftOutFor
	}
	return rule.Status, rule.Message
}

// overall leaves the probes out: a failing probe of a declared deviation does
// not fail the run. A probe that covers no rule of the report counts itself.
func overall(rep Report) Status {
	worst := Pass
	for _, r := range rep.Rules {
		worst = Worst(worst, r.Status)
	}
	for _, p := range rep.Probes {
		reported := slices.ContainsFunc(p.Rules, func(id string) bool { _, ok := rep.Rule(id); return ok })
		if !reported {
			worst = Worst(worst, p.Status)
		}
	}
	for _, p := range rep.Problems {
		worst = Worst(worst, p.Status)
	}
	return worst
}

func ms(d time.Duration) float64 { return float64(d.Round(10*time.Microsecond).Microseconds()) / 1000 }

// Match reports whether a rule ID matches a pattern: the ID itself, or a
// prefix that ends in ".*".
func Match(pattern, id string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(id, prefix)
	}
	return pattern == id
}
