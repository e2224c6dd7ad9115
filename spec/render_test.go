package spec

import (
	"fmt"
	"slices"
	"strings"
)

// A grid is a Markdown table in the making.
type grid struct {
	head []string
	rows [][]string
}

func columns(head ...string) *grid { return &grid{head: head} }

func (g *grid) add(cells ...string) { g.rows = append(g.rows, cells) }

func (g *grid) String() string {
	var s strings.Builder
	line := func(cells []string) {
		for _, c := range cells {
			s.WriteString("| " + strings.NewReplacer("|", `\|`, "\n", " ").Replace(c) + " ")
		}
		s.WriteString("|\n")
	}
	line(g.head)
	s.WriteString(strings.Repeat("|---", len(g.head)) + "|\n")
	for _, r := range g.rows {
		line(r)
	}
	return strings.TrimSuffix(s.String(), "\n")
}

// anchor is where a rule stands; link leads there.
func anchor(r Rule) string { return fmt.Sprintf("<a id=%q></a>%s", r.ID, code(r.ID)) }

func link(id ID, text string) string { return fmt.Sprintf("[%s](#%s)", text, id) }

func code[T ~string](s T) string { return "`" + string(s) + "`" }

func listed[T ~string](all []T) string {
	var words []string
	for _, s := range all {
		words = append(words, code(s))
	}
	return strings.Join(words, ", ")
}

// level is the strength of a rule, with what it is gated by.
func level(r Rule) string {
	s := string(r.Level)
	if r.Feature != Core {
		s += ", " + code(r.Feature)
	}
	if r.Since != "" {
		s += ", since " + r.Since
	}
	return s
}

// matrix is the table of all events in all states; a cell leads to its rule.
func matrix(l Lifecycle) string {
	g := columns("")
	for _, s := range l.States.Each() {
		g.head = append(g.head, s.String())
	}
	for _, e := range l.Events() {
		cells := []string{string(e)}
		for _, s := range l.States.Each() {
			if t := l.Next(s, e); t != nil {
				cells = append(cells, link(t.ID, brief(*t)))
			} else {
				cells = append(cells, "?")
			}
		}
		g.add(cells...)
	}
	return g.String()
}

func brief(t Transition) string {
	switch t.Act {
	case Do:
		return "→ " + t.To.String()
	case Refuse:
		return t.Code.String()
	}
	return t.Act.String()
}

// answer is what a row of a lifecycle does, in full.
func answer(t Transition) string {
	switch {
	case t.Act == Refuse:
		return "refuse: " + t.Code.String()
	case t.Act != Do:
		return t.Act.String()
	case t.Via == 0:
		return "do: → " + t.To.String()
	}
	s := fmt.Sprintf("do: → %s → %s; if it fails → ", t.Via, t.To)
	if t.Else == 0 {
		s += "the state before"
	} else {
		s += t.Else.String()
	}
	if t.Stuck != 0 {
		s += "; if that can't be taken back → " + t.Stuck.String()
	}
	return s
}

// life is the rows of a lifecycle, event by event.
func life(l Lifecycle) string {
	var parts []string
	for _, e := range l.Events() {
		g := columns("Rule", "In state", "Answer", "Sentence", "Level", "Source")
		for _, t := range l.Rows {
			if t.On == e {
				g.add(anchor(t.Rule), t.From.String(), answer(t), t.Text, level(t.Rule), t.Source)
			}
		}
		parts = append(parts, "**"+string(e)+"**\n\n"+g.String())
	}
	return strings.Join(parts, "\n\n")
}

// condition is When and Unless in words.
func condition(n FactSet, when, unless Facts) string {
	var words []string
	for i := range n {
		switch bit := Facts(1) << i; {
		case when&bit != 0:
			words = append(words, n[i])
		case unless&bit != 0:
			words = append(words, "not: "+n[i])
		}
	}
	if len(words) == 0 {
		return "always"
	}
	return strings.Join(words, "; ")
}

// A decider is a decision whatever it decides on.
type decider interface {
	decision() string
	truth() string
}

func (c Choice[T]) outcome() string {
	switch then := any(c.Then).(type) {
	case bool:
		if then {
			return "yes"
		}
		return "no"
	default:
		if c.Code != 0 {
			return "refuse: " + c.Code.String()
		}
		return fmt.Sprint(then)
	}
}

// decision is the rows of a decision in their order.
func (d Decision[T]) decision() string {
	g := columns("#", "If", "Then", "Rule", "Sentence", "Level", "Source")
	for i, c := range d.Rows {
		when := condition(d.Facts, c.When, c.Unless)
		if i > 0 && c.When|c.Unless == 0 {
			when = "otherwise"
		}
		g.add(fmt.Sprint(i+1), when, c.outcome(), anchor(c.Rule), c.Text, level(c.Rule), c.Source)
	}
	return g.String()
}

// truth is the decision of every input.
func (d Decision[T]) truth() string {
	g := columns(append(slices.Clone([]string(d.Facts)), "Then", "By")...)
	for f := Facts(0); f < 1<<len(d.Facts); f++ {
		var cells []string
		for i := range d.Facts {
			cells = append(cells, map[bool]string{true: "yes", false: "–"}[f&(1<<i) != 0])
		}
		if c := d.Decide(f); c != nil {
			g.add(append(cells, c.outcome(), link(c.ID, code(c.ID)))...)
		} else {
			g.add(append(cells, "?", "?")...)
		}
	}
	return g.String()
}

// plan is the steps of a plan in their order; columns that would be empty in
// every row are left out.
func plan(p Plan) string {
	g := columns("#", "Step", "After")
	if len(p.Facts) > 0 {
		g.head = append(g.head, "Part of the plan if")
	}
	if p.Backward {
		g.head = append(g.head, "Undone")
	}
	g.head = append(g.head, "Rule", "Sentence", "Level", "Source")
	for i, s := range p.Steps {
		cells := []string{fmt.Sprint(i + 1), string(s.Name), joinNames(s.After)}
		if len(p.Facts) > 0 {
			cells = append(cells, condition(p.Facts, s.When, s.Unless))
		}
		if p.Backward {
			cells = append(cells, map[bool]string{true: "yes", false: "–"}[s.Undo])
		}
		g.add(append(cells, anchor(s.Rule), s.Text, level(s.Rule), s.Source)...)
	}
	return g.String()
}

func joinNames(names []StepName) string {
	if len(names) == 0 {
		return "–"
	}
	var s []string
	for _, n := range names {
		s = append(s, string(n))
	}
	return strings.Join(s, ", ")
}

// requirements is the rows of request validation, call by call.
func requirements(table []Requirement) string {
	var order []string
	grids := map[string]*grid{}
	for _, r := range table {
		if grids[r.RPC] == nil {
			order, grids[r.RPC] = append(order, r.RPC), columns("Rule", "Field", "Demand", "Code", "Level", "Source")
		}
		demand := strings.TrimPrefix(r.Demand(), r.Field+" ")
		grids[r.RPC].add(anchor(r.Rule), code(r.Field), demand, r.Code.String(), level(r.Rule), r.Source)
	}
	var parts []string
	for _, rpc := range order {
		parts = append(parts, "### "+rpc+"\n\n"+grids[rpc].String())
	}
	return strings.Join(parts, "\n\n")
}

func annotationTable(table []Annotation) string {
	g := columns("Key", "Value", "Infra container", "Container", "Rule", "Level", "Source")
	on := map[bool]string{true: "yes", false: "–"}
	for _, a := range table {
		g.add(code(a.Key), string(a.Value), on[a.On&InfraContainer != 0], on[a.On&AppContainer != 0], anchor(a.Rule), level(a.Rule), a.Source)
	}
	return g.String()
}

// promises is the promises whose IDs begin with one of the prefixes and with
// none that has a minus before it.
func promises(table []Promise, prefixes ...string) (string, error) {
	g := columns("Rule", "Sentence", "Call", "Kept by", "Level", "Source")
	for _, p := range table {
		in := false
		for _, prefix := range prefixes {
			if out, not := strings.CutPrefix(prefix, "-"); strings.HasPrefix(string(p.ID), out) {
				in = !not
			}
		}
		if in {
			g.add(anchor(p.Rule), p.Text, callOf(p), code(p.By), level(p.Rule), p.Source)
		}
	}
	if len(g.rows) == 0 {
		return "", fmt.Errorf("no promise begins with %q", prefixes)
	}
	return g.String(), nil
}

// callOf is the call that a promise is about, and the fields of its request
// that it speaks for.
func callOf(p Promise) string {
	if len(p.Fields) == 0 {
		return orDash(p.RPC)
	}
	var fields []string
	for _, f := range p.Fields {
		fields = append(fields, code(f))
	}
	return p.RPC + ": " + strings.Join(fields, ", ")
}

func orDash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}
