package spec

import (
	"fmt"
	"slices"
)

// StepName names a step within its plan; the daemon's work is registered by it.
type StepName string

// A Step is one row of a plan. Steps run in table order; After is the
// normative part and is checked against that order.
type Step struct {
	Rule
	Name  StepName
	After []StepName
	// When and Unless are facts about the object (Plan.Facts): the step is
	// part of the plan for an object only if they match.
	When, Unless Facts
	Undo         bool // the step leaves something behind that a failure must take back
}

// A Plan is what an operation does, in order. A plan is either taken back as a
// whole when a step fails (Backward), or finished later from where it stood.
type Plan struct {
	Name     string
	Object   string
	Facts    FactSet
	Backward bool
	Steps    []Step
}

// For returns the steps that an object with these facts goes through.
func (p Plan) For(f Facts) (steps []Step) {
	for _, s := range p.Steps {
		if matches(f, s.When, s.Unless) {
			steps = append(steps, s)
		}
	}
	return steps
}

// Check reports steps that stand before one they must come after, steps named
// twice, and an Undo in a plan that goes forward only.
func (p Plan) Check() (errs []error) {
	var done []StepName
	for _, s := range p.Steps {
		for _, a := range s.After {
			if !slices.Contains(done, a) {
				errs = append(errs, fmt.Errorf("%s: %s is not before %s", s.ID, a, s.Name))
			}
		}
		if slices.Contains(done, s.Name) {
			errs = append(errs, fmt.Errorf("%s: step %s twice", s.ID, s.Name))
		}
		if s.Undo && !p.Backward {
			errs = append(errs, fmt.Errorf("%s: undo in a plan that only goes forward", s.ID))
		}
		done = append(done, s.Name)
	}
	return errs
}
