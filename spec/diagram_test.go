package spec

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// edges collects the arrows of a state diagram; what leads the same way shares
// an arrow.
type edges struct {
	order  [][2]State
	labels map[[2]State][]string
}

func (e *edges) add(from, to State, label string) {
	k := [2]State{from, to}
	if _, known := e.labels[k]; !known {
		e.order = append(e.order, k)
	}
	if !slices.Contains(e.labels[k], label) {
		e.labels[k] = append(e.labels[k], label)
	}
}

// diagram draws the rows that change a state and can be observed. The dots are
// Absent.
func diagram(l Lifecycle) string {
	e := edges{labels: map[[2]State][]string{}}
	for _, t := range l.Rows {
		if t.Act == Do && t.Unobservable == "" {
			e.row(t)
		}
	}
	node := func(s State) string {
		if s == Absent {
			return "[*]"
		}
		return s.String()
	}
	var s strings.Builder
	s.WriteString("```mermaid\nstateDiagram-v2\n")
	for _, k := range e.order {
		fmt.Fprintf(&s, "    %s --> %s: %s\n", node(k[0]), node(k[1]), strings.Join(e.labels[k], ", "))
	}
	return s.String() + "```"
}

func (e *edges) row(t Transition) {
	for _, from := range t.From.Each() {
		if t.Via == 0 {
			e.add(from, t.To, string(t.On))
			continue
		}
		e.add(from, t.Via, string(t.On))
		e.add(t.Via, t.To, "done")
		if t.Else == 0 {
			e.add(t.Via, from, "failed")
		}
	}
	if t.Else != 0 {
		e.add(t.Via, t.Else, "failed")
	}
	if t.Stuck != 0 {
		e.add(t.Via, t.Stuck, "failed, not taken back")
	}
}

func TestDiagram(t *testing.T) {
	l := Lifecycle{States: Absent | Creating | Created | Exited | Removing, Rows: []Transition{
		{On: "Make", From: Absent, Act: Do, Via: Creating, To: Created, Else: Absent, Stuck: Exited},
		{On: "Drop", From: Created | Exited, Act: Do, Via: Removing, To: Absent},
		{On: "Drop it", From: Created, Act: Do, Via: Removing, To: Absent},
		{On: "end", From: Created, Act: Do, To: Exited},
		{On: "end", From: Exited, Act: Done},
		{On: "never", From: Removing, Act: Do, To: Exited, Rule: Rule{Unobservable: "it is never met"}},
	}}
	assert.Equal(t, "```mermaid\nstateDiagram-v2\n"+`    [*] --> Creating: Make
    Creating --> Created: done
    Creating --> [*]: failed
    Creating --> Exited: failed, not taken back
    Created --> Removing: Drop, Drop it
    Removing --> [*]: done
    Removing --> Created: failed
    Exited --> Removing: Drop
    Removing --> Exited: failed
    Created --> Exited: end
`+"```", diagram(l))
}
