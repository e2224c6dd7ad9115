package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/onsi/ginkgo/v2/types"
)

type outcome int

const (
	passed outcome = iota
	failed
	skipped
)

// spec is what came of one spec.
type spec struct {
	name    string
	outcome outcome
	message string
	took    time.Duration
}

// result is what came of one run.
type result struct {
	specs []spec
	seed  int64
	took  time.Duration
	left  []string // what stayed on the host
}

func (r result) count(o outcome) int {
	n := 0
	for _, s := range r.specs {
		if s.outcome == o {
			n++
		}
	}
	return n
}

// readReport reads Ginkgo's report. Specs that no filter let through, such as
// the benchmarks, are none of its specs; a suite that failed outside of a spec
// is an error.
func readReport(path string) (result, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return result{}, err
	}
	var reports []types.Report
	if err := json.Unmarshal(text, &reports); err != nil {
		return result{}, fmt.Errorf("%s: %w", path, err)
	}
	var r result
	var errs []error
	for _, rep := range reports {
		r.seed, r.took = rep.SuiteConfig.RandomSeed, r.took+rep.RunTime
		for _, s := range rep.SpecReports {
			switch {
			case s.LeafNodeType != types.NodeTypeIt:
				if s.State.Is(types.SpecStateFailureStates) {
					errs = append(errs, fmt.Errorf("%s: %s", s.LeafNodeType, s.FailureMessage()))
				}
			case filtered(s):
			default:
				r.specs = append(r.specs, specOf(s))
			}
		}
	}
	return r, errors.Join(errs...)
}

// filtered tells a spec that was not chosen from one that skipped itself: that
// one says why.
func filtered(s types.SpecReport) bool {
	return s.State.Is(types.SpecStatePending) || s.State.Is(types.SpecStateSkipped) && s.Failure.Message == ""
}

func specOf(s types.SpecReport) spec {
	out := spec{name: strings.Join(append(s.ContainerHierarchyTexts, s.LeafNodeText), " "), took: s.RunTime}
	switch {
	case s.State.Is(types.SpecStatePassed):
	case s.State.Is(types.SpecStateSkipped):
		out.outcome, out.message = skipped, s.Failure.Message
	default:
		out.outcome, out.message = failed, s.State.String()+": "+s.FailureMessage()+"\n"+s.FailureLocation().String()
	}
	return out
}
