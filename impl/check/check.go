// Package check tells what the daemon would use on this machine, and what is
// wrong with it: configuration, runtimes, network, storage, registries. It uses
// the same parts as the daemon, in a directory of its own, so that it may run
// beside one.
//
// It refuses to change anything: what it makes is gone when it returns.
package check

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"ocid/impl/config"
)

// Level is how good a finding is.
type Level string

// The levels: Fail means that pods can't run as configured.
const (
	OK   Level = "ok"
	Warn Level = "warn"
	Fail Level = "fail"
)

// A Finding is one line of the report.
type Finding struct {
	Area  string `json:"area"`
	Level Level  `json:"level"`
	Text  string `json:"text"`
}

// Request says what to look at besides the machine.
type Request struct {
	Config *config.Config
	From   config.Sources
	Images []string // references to explain
}

// ErrFailed says that at least one finding is a failure.
var ErrFailed = errors.New("the check has failed")

// A report collects findings.
type report struct {
	area string
	all  []Finding
}

func (r *report) ok(format string, args ...any)   { r.add(OK, format, args...) }
func (r *report) warn(format string, args ...any) { r.add(Warn, format, args...) }
func (r *report) fail(format string, args ...any) { r.add(Fail, format, args...) }

func (r *report) add(l Level, format string, args ...any) {
	r.all = append(r.all, Finding{Area: r.area, Level: l, Text: fmt.Sprintf(format, args...)})
}

// All looks at everything.
func All(ctx context.Context, q Request) []Finding {
	r := &report{}
	for _, part := range []struct {
		area string
		look func(context.Context, Request, *report)
	}{
		{"config", lookConfig}, {"machine", lookMachine}, {"runtime", lookRuntimes}, {"network", lookNetwork},
		{"storage", lookStorage},
	} {
		r.area = part.area
		part.look(ctx, q, r)
	}
	return r.all
}

// Print writes the findings as a table, or as JSON, and returns ErrFailed if
// one of them is a failure.
func Print(w io.Writer, all []Finding, asJSON bool) error {
	write := table
	if asJSON {
		write = document
	}
	if err := write(w, all); err != nil {
		return err
	}
	for _, f := range all {
		if f.Level == Fail {
			return ErrFailed
		}
	}
	return nil
}

func table(w io.Writer, all []Finding) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, f := range all {
		fmt.Fprintf(t, "%s\t%s\t%s\n", f.Level, f.Area, f.Text)
	}
	return t.Flush()
}

func document(w io.Writer, all []Finding) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(all)
}
