package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"ocid/spec"
)

// coverageFile is where SPEC.md's coverage chapter finds the results.
const coverageFile = "spec/coverage.json"

// A coverage is the results by rule, as spec/coverage.json keeps them.
type coverage struct {
	Summary map[string]int        `json:"summary"`
	Rules   map[spec.ID]*ruleFate `json:"rules"`
}

type ruleFate struct {
	Probes  []string  `json:"probes"`
	Mutants []verdict `json:"mutants"`
}

// record prints and keeps the verdicts of a job.
func (r *runner) record(j *job, took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.left--
	for _, v := range j.mutants {
		r.done = append(r.done, v)
		mark := "killed by " + v.KilledBy
		switch {
		case v.KilledBy == "" && v.Unobservable:
			mark = "unobservable"
		case v.KilledBy == "" || v.KilledBy == "derived" && !v.Unobservable:
			mark = strings.TrimSpace("SURVIVES the probes " + strings.TrimSuffix("("+mark+")", "(killed by )"))
		}
		fmt.Printf("%-34s %-28s %s\n", v.Rule, v.Op, mark)
	}
	fmt.Printf("  [%d to go, %.1fs: %s]\n", r.left, took.Seconds(), j.name)
}

// finish prints the sums, writes the results and says whether every MUST row
// is killed by a probe or unobservable.
func (r *runner) finish(took time.Duration) (bool, error) {
	c := coverage{Summary: map[string]int{}, Rules: map[spec.ID]*ruleFate{}}
	var bad []string
	for _, v := range r.done {
		if c.Rules[v.Rule] == nil {
			c.Rules[v.Rule] = &ruleFate{}
		}
		c.Rules[v.Rule].Mutants = append(c.Rules[v.Rule].Mutants, v)
		c.Summary["mutants"]++
		killed := v.KilledBy == "probe" || v.KilledBy == "error"
		switch {
		case killed:
			c.Summary["killed by probes"]++
		case v.Unobservable:
			c.Summary["unobservable"]++
		case v.KilledBy == "derived":
			c.Summary["killed by derived cases only"]++
		default:
			c.Summary["survivors"]++
		}
		if !killed && !v.Unobservable && r.rules[v.Rule].Level == spec.Must {
			bad = append(bad, fmt.Sprintf("%s: %s", v.Rule, v.Op))
		}
	}
	if r.all() {
		bad = append(bad, r.unbroken(c)...)
	}
	for _, f := range c.Rules {
		slices.SortFunc(f.Mutants, func(a, b verdict) int { return strings.Compare(a.Op, b.Op) })
	}
	fmt.Printf("\n%d mutants in %s: %d killed by probes, %d by derived cases only, %d unobservable, %d survivors\n",
		c.Summary["mutants"], took.Round(time.Second), c.Summary["killed by probes"], c.Summary["killed by derived cases only"],
		c.Summary["unobservable"], c.Summary["survivors"])
	for _, b := range bad {
		fmt.Println("MUST row not covered:", b)
	}
	return len(bad) == 0, r.write(c)
}

// all says that every mutant is run.
func (r *runner) all() bool { return r.rule == "" && r.sample <= 1 }

// unbroken lists the MUST rules that no mutant breaks.
func (r *runner) unbroken(c coverage) (bad []string) {
	for id, rule := range r.rules {
		if rule.Level == spec.Must && rule.Unobservable == "" && c.Rules[id] == nil {
			bad = append(bad, string(id)+": nothing breaks it")
		}
	}
	slices.Sort(bad)
	return bad
}

func (r *runner) write(c coverage) error {
	data, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	data = append(data, '\n')
	var errs []error
	if r.json != "" {
		errs = append(errs, os.WriteFile(r.json, data, 0o644))
	}
	if r.update && r.all() {
		errs = append(errs, os.WriteFile(coverageFile, data, 0o644))
	}
	return errors.Join(errs...)
}
