package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

//go:embed expect.toml
var expectText []byte

// expected is what a run has to come to.
type expected struct {
	Registered int    `toml:"registered"`
	Skip       []skip `toml:"skip"`
}

// skip are specs that are skipped where the host lacks something.
type skip struct {
	Match  string `toml:"match"` // in the spec's name
	Count  int    `toml:"count"`
	Lacks  string `toml:"lacks"`
	Reason string `toml:"reason"`
}

// host is what of this machine decides which specs can run.
type host struct {
	version string // of the runtime
	has     map[string]bool
}

func lookAtHost(ctx context.Context, runtime string) (host, error) {
	h := host{has: map[string]bool{}}
	version, err := output(ctx, ".", runtime, "--version")
	if err != nil {
		return h, err
	}
	h.version, _, _ = strings.Cut(version, "\n")
	enabled, err := os.ReadFile("/sys/module/apparmor/parameters/enabled")
	h.has["apparmor"] = err == nil && strings.HasPrefix(string(enabled), "Y")
	return h, nil
}

// expectation is expect.toml, as far as it concerns the host.
func expectation(h host) (expected, error) {
	var e expected
	if err := toml.Unmarshal(expectText, &e); err != nil {
		return e, fmt.Errorf("expect.toml: %w", err)
	}
	var apply []skip
	for _, s := range e.Skip {
		if !h.has[s.Lacks] {
			apply = append(apply, s)
		}
	}
	e.Skip = apply
	return e, nil
}

// check compares a whole run with what is expected.
func (e expected) check(r result) error {
	var errs []error
	if n := len(r.specs); n != e.Registered {
		errs = append(errs, fmt.Errorf("%d specs were registered, not %d", n, e.Registered))
	}
	counts := make([]int, len(e.Skip))
	for _, s := range r.specs {
		if s.outcome == skipped && !e.count(s.name, counts) {
			errs = append(errs, fmt.Errorf("skipped: %s: %s", s.name, s.message))
		}
	}
	for i, s := range e.Skip {
		if counts[i] != s.Count {
			errs = append(errs, fmt.Errorf("%d specs with %q were skipped, not %d (%s)", counts[i], s.Match, s.Count, s.Reason))
		}
	}
	return errors.Join(errs...)
}

func (e expected) count(name string, counts []int) bool {
	for i, s := range e.Skip {
		if strings.Contains(name, s.Match) {
			counts[i]++
			return true
		}
	}
	return false
}
