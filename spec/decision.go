package spec

import (
	"fmt"
	"math/bits"
	"strings"
)

// Facts is a set of yes/no observations about a request or the world.
type Facts uint32

// A FactSet names the bits of a Facts, in order; it is the input space of a
// table and what SPEC.md prints.
type FactSet []string

// String of a set of facts in words.
func (n FactSet) String(f Facts) string {
	var words []string
	for ; f != 0; f &= f - 1 {
		words = append(words, n[bits.TrailingZeros32(uint32(f))])
	}
	return strings.Join(words, ", ")
}

// A Choice is one row of a decision: it matches when every fact in When holds
// and none in Unless does.
type Choice[T comparable] struct {
	Rule
	When, Unless Facts
	Then         T
	Code         Code // not OK: the row refuses with it
}

// A Decision is an ordered table; the first row that matches decides.
type Decision[T comparable] struct {
	Name  string
	Facts FactSet
	Rows  []Choice[T]
}

// Decide returns the row that governs the facts, nil if there is none.
func (d Decision[T]) Decide(f Facts) *Choice[T] {
	for i := range d.Rows {
		if matches(f, d.Rows[i].When, d.Rows[i].Unless) {
			return &d.Rows[i]
		}
	}
	return nil
}

func matches(f, when, unless Facts) bool { return f&when == when && f&unless == 0 }

// Check walks all inputs and reports those that no row decides, and rows that
// no input reaches.
func (d Decision[T]) Check() (errs []error) {
	reached := map[ID]bool{}
	for f := Facts(0); f < 1<<len(d.Facts); f++ {
		if c := d.Decide(f); c == nil {
			errs = append(errs, fmt.Errorf("%s: no row decides {%s}", d.Name, d.Facts.String(f)))
		} else {
			reached[c.ID] = true
		}
	}
	for _, c := range d.Rows {
		if !reached[c.ID] {
			errs = append(errs, fmt.Errorf("%s: shadowed by earlier rows", c.ID))
		}
	}
	return errs
}
