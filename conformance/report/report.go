// Package report is the result model of a conformance run: what each rule and
// each probe came to, for which daemon and profile. The JSON form of Report is
// the truth; every other form is rendered from it. The package decides
// statuses and nothing else: it runs no probe and knows no daemon.
package report

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Format is the version of the JSON form; it grows when a reader of the old
// form would misread the new one.
const Format = 1

// Status is what a probe or a rule came to.
type Status string

// The statuses, best first. Error is the suite's own failure, never the
// daemon's.
const (
	Pass        Status = "pass"        // observed, as the rule says
	Unsupported Status = "unsupported" // the profile does not declare the feature it takes
	Unobserved  Status = "unobserved"  // no probe looked, or none got to run
	Deviation   Status = "deviation"   // fails, and the profile declares so with a reason
	Fail        Status = "fail"        // observed, against the rule
	Error       Status = "error"       // the suite could not tell
)

// Statuses lists the statuses, best first.
func Statuses() []Status {
	return []Status{Pass, Unsupported, Unobserved, Deviation, Fail, Error}
}

// Good reports whether a run with this status may end with exit code 0.
func (s Status) Good() bool { return s != Fail && s != Error && s != "" }

// Worst returns the worst of the statuses; Pass if there are none. An unknown
// status counts as worse than all others.
func Worst(statuses ...Status) Status {
	worst, order := Pass, Statuses()
	for _, s := range statuses {
		i := slices.Index(order, s)
		if i < 0 {
			return Error
		}
		if i > slices.Index(order, worst) {
			worst = s
		}
	}
	return worst
}

// A Kind says where a probe comes from.
type Kind string

// The kinds of probes. Only hand-written ones are independent of the tables.
const (
	Handwritten Kind = "probe"
	Derived     Kind = "derived"
)

// Daemon is who answered, by its own Version call.
type Daemon struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	API     string `json:"api"`
}

// Info is what a report repeats of a rule's definition.
type Info struct {
	ID           string `json:"id"`
	Level        string `json:"level,omitempty"`        // MUST, SHOULD, MAY
	Feature      string `json:"feature,omitempty"`      // "" is core
	Text         string `json:"text,omitempty"`         // one normative sentence
	Unobservable string `json:"unobservable,omitempty"` // why no probe can see it
}

// A Probe is one case that ran, or should have run.
type Probe struct {
	Name       string   `json:"name"`
	Kind       Kind     `json:"kind"`
	Location   string   `json:"location,omitempty"` // file:line
	Rules      []string `json:"rules"`
	Status     Status   `json:"status"`
	DurationMS float64  `json:"duration_ms"`
	Message    string   `json:"message,omitempty"`
}

// A Rule is one rule with the probes that cover it.
type Rule struct {
	Info
	Status     Status   `json:"status"`
	Message    string   `json:"message,omitempty"`
	DurationMS float64  `json:"duration_ms"`
	Probes     []string `json:"probes"`                 // names, in the order of Report.Probes
	LeftOut    int      `json:"left_out,omitempty"`     // how many of them did not run, if others did
	LeftOutFor string   `json:"left_out_for,omitempty"` // what the first of these lacks
}

// A Problem belongs to the run and to no single probe: the daemon did not
// start, something was left at the end.
type Problem struct {
	Status  Status `json:"status"`
	Message string `json:"message"`
}

// A Report is the outcome of one run against one daemon.
type Report struct {
	Format     int            `json:"format"`
	Profile    string         `json:"profile"`
	Daemon     Daemon         `json:"daemon"`
	Features   []string       `json:"features"`
	Started    time.Time      `json:"started"`
	DurationMS float64        `json:"duration_ms"`
	Status     Status         `json:"status"`
	Summary    map[Status]int `json:"summary"` // rules by status
	Rules      []Rule         `json:"rules"`
	Probes     []Probe        `json:"probes"`
	Problems   []Problem      `json:"problems,omitempty"`
}

// Write writes the JSON form.
func (r Report) Write(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(r); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

// Read reads the JSON form; a report of another Format is an error.
func Read(r io.Reader) (Report, error) {
	var rep Report
	if err := json.NewDecoder(r).Decode(&rep); err != nil {
		return Report{}, fmt.Errorf("read report: %w", err)
	}
	if rep.Format != Format {
		return Report{}, fmt.Errorf("read report: format %d, this program reads %d", rep.Format, Format)
	}
	return rep, nil
}

// Rule returns the rule with the given ID.
func (r Report) Rule(id string) (Rule, bool) {
	i := slices.IndexFunc(r.Rules, func(x Rule) bool { return x.ID == id })
	if i < 0 {
		return Rule{}, false
	}
	return r.Rules[i], true
}

// Ran tells how many of a rule's probes ran, of how many if not all did.
func (r Rule) Ran() string { return ran(len(r.Probes), r.LeftOut) }

// Ran tells how many of all probes ran, of how many if not all did.
func (r Report) Ran() string {
	left := 0
	for _, p := range r.Probes {
		if p.Status == Unsupported {
			left++
		}
	}
	return ran(len(r.Probes), left)
}

func ran(all, left int) string {
	if left == 0 {
		return strconv.Itoa(all)
	}
	return fmt.Sprintf("%d of %d", all-left, all)
}

// firstLine shortens a message for a table.
func firstLine(s string) string {
	line, rest, more := strings.Cut(strings.TrimSpace(s), "\n")
	if more && rest != "" {
		line += " …"
	}
	return line
}
