package main

import (
	"encoding/json"
	"fmt"
	"maps"
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
		case v.KilledBy != "probe" && v.Unobservable:
			mark = "unobservable"
		case v.KilledBy == "error":
			mark = "NOT JUDGED: " + v.Message
		case v.KilledBy == "derived":
			mark = "SURVIVES the probes, is killed by a derived case"
		case v.KilledBy == "":
			mark = "SURVIVES"
		}
		fmt.Printf("%-34s %-28s %s\n", v.Rule, v.Op, mark)
	}
	fmt.Printf("  [%d to go, %.1fs: %s]\n", r.left, took.Seconds(), j.name)
}

// finish prints the sums, writes the results and says whether every MUST row
// is killed by a probe or unobservable.
func (r *runner) finish(took time.Duration) (bool, error) {
	c := coverage{Rules: map[spec.ID]*ruleFate{}}
	for _, v := range r.done {
		if c.Rules[v.Rule] == nil {
			c.Rules[v.Rule] = &ruleFate{Probes: r.probes[v.Rule]}
		}
		c.Rules[v.Rule].Mutants = append(c.Rules[v.Rule].Mutants, v)
	}
	c.sum()
	fmt.Printf("\n%d mutants in %s: %d killed by probes, %d by derived cases only, %d unobservable, %d survivors\n",
		c.Summary["mutants"], took.Round(time.Second), c.Summary["killed by probes"], c.Summary["killed by derived cases only"],
		c.Summary["unobservable"], c.Summary["survivors"])
	bad := r.uncovered(c)
	for _, b := range bad {
		fmt.Println("MUST row not covered:", b)
	}
	return len(bad) == 0, r.write(c)
}

// sum counts the mutants by their fate.
func (c *coverage) sum() {
	c.Summary = map[string]int{}
	for _, fate := range c.Rules {
		slices.SortFunc(fate.Mutants, func(a, b verdict) int { return strings.Compare(a.Op, b.Op) })
		for _, v := range fate.Mutants {
			c.Summary["mutants"]++
			switch {
			case v.KilledBy == "probe":
				c.Summary["killed by probes"]++
			case v.Unobservable:
				c.Summary["unobservable"]++
			case v.KilledBy == "derived":
				c.Summary["killed by derived cases only"]++
			default:
				c.Summary["survivors"]++
			}
		}
	}
}

// all says that every mutant is run.
func (r *runner) all() bool { return r.rule == "" && r.sample <= 1 && !r.fresh }

// uncovered lists the MUST rules with a mutant that no probe kills, or, after a
// run of all, without any mutant.
func (r *runner) uncovered(c coverage) (bad []string) {
	for id, rule := range r.rules {
		if rule.Level != spec.Must || rule.Unobservable != "" {
			continue
		}
		fate := c.Rules[id]
		if fate == nil {
			if r.all() {
				bad = append(bad, string(id)+": nothing breaks it")
			}
			continue
		}
		for _, v := range fate.Mutants {
			if v.KilledBy != "probe" {
				bad = append(bad, fmt.Sprintf("%s: %s %s", id, v.Op, v.Message))
			}
		}
	}
	slices.Sort(bad)
	return bad
}

// write keeps the results. Those of some rules take the place of what the
// coverage file has about these rules; those of all are the whole file.
func (r *runner) write(c coverage) error {
	if r.json != "" {
		if err := c.save(r.json); err != nil {
			return err
		}
	}
	if !r.update || r.sample > 1 {
		return nil
	}
	for _, fate := range c.Rules {
		for i := range fate.Mutants {
			fate.Mutants[i].Message = "" // it differs from run to run
		}
	}
	if !r.all() {
		old, err := loadCoverage(coverageFile)
		if err != nil {
			return err
		}
		maps.Copy(old.Rules, c.Rules)
		maps.DeleteFunc(old.Rules, func(id spec.ID, _ *ruleFate) bool { return r.rules[id].ID == "" })
		old.sum()
		c = old
	}
	return c.save(coverageFile)
}

func (c coverage) save(path string) error {
	data, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(data, '\n'), 0o644)
}

func loadCoverage(path string) (c coverage, err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return c, err
	}
	return c, json.Unmarshal(data, &c)
}
