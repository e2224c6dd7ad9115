// Package mutant makes wrong books: for every row of every table, the same
// tables with that one row broken in one way. It runs nothing.
package mutant

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"

	"ocid/spec"
)

// A Mutant is one way to break one row.
type Mutant struct {
	Rule spec.ID
	Op   string
	// Group names mutants that may stand in one book, since no request meets
	// the rows of two of them: their probes tell them apart. "" stands alone.
	Group string
	apply func(*spec.Book)
}

// Name identifies the mutant: "container.stop.absent: done→refuse".
func (m Mutant) Name() string { return string(m.Rule) + ": " + m.Op }

// Book returns the default book, broken by all mutants of that name or group.
func Book(name string) (spec.Book, bool) {
	b, found := spec.Default(), false
	for _, m := range All() {
		if m.Name() == name || m.Group == name && name != "" {
			m.apply(&b)
			found = true
		}
	}
	return b, found
}

// All returns the mutants of all rows that a table executes. Promises are
// broken in the source instead, see package main.
func All() []Mutant {
	b := spec.Default()
	var c collector
	for i := range b.Lifecycles() {
		c.lifecycle(func(b *spec.Book) *spec.Lifecycle { return b.Lifecycles()[i] })
	}
	decision(&c, func(b *spec.Book) *spec.Decision[bool] { return &b.Privilege })
	decision(&c, func(b *spec.Book) *spec.Decision[spec.Elevation] { return &b.Elevation })
	decision(&c, func(b *spec.Book) *spec.Decision[spec.HandlerChoice] { return &b.Handler })
	decision(&c, func(b *spec.Book) *spec.Decision[bool] { return &b.Infra })
	decision(&c, func(b *spec.Book) *spec.Decision[spec.Recovery] { return &b.RecoverSandbox })
	decision(&c, func(b *spec.Book) *spec.Decision[spec.Recovery] { return &b.RecoverContainer })
	for i := range b.Plans() {
		c.plan(func(b *spec.Book) *spec.Plan { return b.Plans()[i] })
	}
	c.requests()
	c.annotations()
	return c.all
}

type collector struct{ all []Mutant }

func (c *collector) add(rule spec.ID, op string, apply func(*spec.Book)) {
	c.addTo("", rule, op, apply)
}

func (c *collector) addTo(group string, rule spec.ID, op string, apply func(*spec.Book)) {
	c.all = append(c.all, Mutant{Rule: rule, Op: op, Group: group, apply: apply})
}

func (c *collector) lifecycle(of func(*spec.Book) *spec.Lifecycle) {
	b := spec.Default()
	for i, row := range of(&b).Rows {
		add := func(op string, change func(*spec.Transition)) {
			c.add(row.ID, op, func(b *spec.Book) { change(&of(b).Rows[i]) })
		}
		done := func(t *spec.Transition) {
			t.Act, t.Via, t.To, t.Else, t.Stuck, t.Code = spec.Done, 0, 0, 0, 0, 0
		}
		refuse := func(t *spec.Transition) { done(t); t.Act, t.Code = spec.Refuse, codes.Internal }
		switch row.Act {
		case spec.Do:
			add("do→done", done)
			add("do→refuse", refuse)
		case spec.Done:
			add("done→refuse", refuse)
		case spec.Refuse:
			add("refuse→done", done)
			add("code→Internal", func(t *spec.Transition) { t.Code = codes.Internal })
		case spec.Join:
			add("join→done", done)
			add("join→refuse", refuse)
		}
	}
}

// decision breaks each row of a decision: it decides otherwise, or is gone.
func decision[T comparable](c *collector, of func(*spec.Book) *spec.Decision[T]) {
	b := spec.Default()
	rows := of(&b).Rows
	for i, row := range rows {
		other := rows[(i+1)%len(rows)]
		for j := 1; other.Then == row.Then && j < len(rows); j++ {
			other = rows[(i+1+j)%len(rows)]
		}
		c.add(row.ID, "flip", func(b *spec.Book) {
			of(b).Rows[i].Then, of(b).Rows[i].Code = other.Then, other.Code
		})
		if i+1 < len(rows) && rows[i+1].Then != row.Then {
			c.add(row.ID, "drop", func(b *spec.Book) { of(b).Rows = slices.Delete(of(b).Rows, i, i+1) })
		}
	}
}

func (c *collector) plan(of func(*spec.Book) *spec.Plan) {
	b := spec.Default()
	for i, row := range of(&b).Steps {
		if len(row.After) > 0 {
			before := row.After[len(row.After)-1]
			c.add(row.ID, "before "+string(before), func(b *spec.Book) { move(of(b), i, before) })
		}
		if row.Undo {
			c.add(row.ID, "no undo", func(b *spec.Book) { of(b).Steps[i].Undo = false })
		}
		// Taking back what was never made changes nothing, so "always" breaks
		// only what makes something.
		if row.Unless != 0 && of(&b).Backward {
			c.add(row.ID, "always", func(b *spec.Book) { of(b).Steps[i].Unless = 0 })
		}
		c.add(row.ID, "drop", func(b *spec.Book) { of(b).Steps = slices.Delete(of(b).Steps, i, i+1) })
	}
}

// move puts a step before another one that it must come after.
func move(p *spec.Plan, i int, before spec.StepName) {
	step := p.Steps[i]
	p.Steps = slices.Delete(p.Steps, i, i+1)
	j := slices.IndexFunc(p.Steps, func(s spec.Step) bool { return s.Name == before })
	p.Steps = slices.Insert(p.Steps, j, step)
}

func (c *collector) requests() {
	rows := spec.Default().Requests
	groups := requestGroups(rows)
	for i, row := range rows {
		byID := func(r spec.Requirement) bool { return r.ID == row.ID }
		c.addTo(fmt.Sprintf("requests dropped %d", groups[i]), row.ID, "drop", func(b *spec.Book) {
			b.Requests = slices.DeleteFunc(b.Requests, byID)
		})
		c.addTo("requests coded", row.ID, "code→Internal", func(b *spec.Book) {
			b.Requests[slices.IndexFunc(b.Requests, byID)].Code = codes.Internal
		})
	}
}

// requestGroups numbers the rows so that two with one number never judge the
// same field of a call, nor one a part of the other's.
func requestGroups(rows []spec.Requirement) []int {
	groups := make([]int, len(rows))
	meet := func(a, b spec.Requirement) bool {
		return a.RPC == b.RPC && (strings.HasPrefix(a.Field, b.Field) || strings.HasPrefix(b.Field, a.Field) ||
			slices.Contains(a.Other, b.Field) || slices.Contains(b.Other, a.Field))
	}
	for i := range rows {
		for taken := true; taken; {
			taken = false
			for j := range i {
				if groups[j] == groups[i] && meet(rows[i], rows[j]) {
					groups[i]++
					taken = true
				}
			}
		}
	}
	return groups
}

func (c *collector) annotations() {
	for _, row := range spec.Default().Annotations {
		add := func(op string, change func(*spec.Annotation)) {
			c.addTo("annotations "+op, row.ID, op, func(b *spec.Book) {
				i := slices.IndexFunc(b.Annotations, func(a spec.Annotation) bool { return a.ID == row.ID })
				change(&b.Annotations[i])
			})
		}
		if row.On&spec.InfraContainer != 0 {
			add("not on the infra container", func(a *spec.Annotation) { a.On &^= spec.InfraContainer })
		}
		if row.On&spec.AppContainer != 0 {
			add("not on containers", func(a *spec.Annotation) { a.On &^= spec.AppContainer })
		}
		add("wrong value", func(a *spec.Annotation) {
			a.Value = map[bool]spec.Value{true: spec.SandboxID, false: spec.SandboxUID}[a.Value == spec.SandboxUID]
		})
	}
}
