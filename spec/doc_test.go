package spec

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"text/template"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var generate = flag.Bool("generate", false, "write SPEC.md and ids.golden from the tables")

const (
	document     = "../SPEC.md"
	documentTmpl = "SPEC.md.tmpl"
)

// A kind is one of the six kinds of table with all its rules.
type kind struct {
	name  string
	rules []Rule
}

func kinds(b *Book) []kind {
	all := []kind{{name: "lifecycle"}, {name: "decision"}, {name: "plan"}, {name: "requirement"}, {name: "annotation"}, {name: "promise"}}
	add := func(i int, rules ...Rule) { all[i].rules = append(all[i].rules, rules...) }
	for _, l := range b.Lifecycles() {
		for _, r := range l.Rows {
			add(0, r.Rule)
		}
	}
	add(1, slices.Concat(b.Privilege.rules(), b.Elevation.rules(), b.Handler.rules(), b.Infra.rules(),
		b.RecoverSandbox.rules(), b.RecoverContainer.rules())...)
	for _, p := range b.Plans() {
		for _, s := range p.Steps {
			add(2, s.Rule)
		}
	}
	for _, r := range b.Requests {
		add(3, r.Rule)
	}
	for _, a := range b.Annotations {
		add(4, a.Rule)
	}
	for _, p := range b.Promises {
		add(5, p.Rule)
	}
	return all
}

// counts is the number of rules per kind of table and level.
func counts(b *Book) string {
	g := columns("Kind", "MUST", "SHOULD", "MAY", "Unobservable", "All")
	for _, k := range append(kinds(b), kind{"all", b.Rules()}) {
		n, unseen := map[Level]int{}, 0
		for _, r := range k.rules {
			n[r.Level]++
			if r.Unobservable != "" {
				unseen++
			}
		}
		g.add(k.name, fmt.Sprint(n[Must]), fmt.Sprint(n[Should]), fmt.Sprint(n[May]), fmt.Sprint(unseen), fmt.Sprint(len(k.rules)))
	}
	return g.String()
}

func unobservable(b *Book) string {
	g := columns("Rule", "Level", "Why no probe can see it")
	for _, r := range b.Rules() {
		if r.Unobservable != "" {
			g.add(link(r.ID, code(r.ID)), string(r.Level), r.Unobservable)
		}
	}
	return g.String()
}

// gated is the number of rules that a feature gates.
func gated(b *Book, f Feature) (int, error) {
	n := 0
	for _, r := range b.Rules() {
		if r.Feature == f {
			n++
		}
	}
	if n == 0 {
		return 0, fmt.Errorf("no rule needs feature %q", f)
	}
	return n, nil
}

// render fills the template in. A nil coverage is one that was not measured.
func render(text string, b *Book, c *coverage) (string, error) {
	tmpl, err := template.New(documentTmpl).Option("missingkey=error").Funcs(template.FuncMap{
		"matrix": matrix, "diagram": diagram, "life": life, "plan": plan,
		"decision":     func(d decider) string { return d.decision() },
		"truth":        func(d decider) string { return d.truth() },
		"requirements": func() string { return requirements(b.Requests) },
		"annotations":  func() string { return annotationTable(b.Annotations) },
		"promises":     func(prefixes ...string) (string, error) { return promises(b.Promises, prefixes...) },
		"counts":       func() string { return counts(b) },
		"unobservable": func() string { return unobservable(b) },
		"gated":        func(f Feature) (int, error) { return gated(b, f) },
		"pending":      func() string { return listed(b.Pending) },
		"numbers":      func() map[string]int { return map[string]int{"pending": len(b.Pending), "calls": len(calls())} },
		"measured":     func() bool { return c != nil },
		"totals":       func() string { return c.totals() },
		"perRule":      func() string { return c.perRule(b.Rules()) },
	}).Parse(text)
	if err != nil {
		return "", err
	}
	var s strings.Builder
	err = tmpl.Execute(&s, b)
	return s.String(), err
}

func renderDefault(t *testing.T, c *coverage) string {
	text, err := os.ReadFile(documentTmpl)
	require.NoError(t, err)
	b := Default()
	got, err := render(string(text), &b, c)
	require.NoError(t, err)
	return got
}

func TestDocumentIsUpToDate(t *testing.T) {
	c, err := loadCoverage(coverageFile)
	require.NoError(t, err)
	want := renderDefault(t, c)
	if *generate {
		require.NoError(t, os.WriteFile(document, []byte(want), 0o644))
	}
	have, err := os.ReadFile(document)
	require.NoError(t, err)
	if diff := cmp.Diff(strings.Split(string(have), "\n"), strings.Split(want, "\n")); diff != "" {
		t.Errorf("SPEC.md (-) is not what the tables say (+); run go test ./spec -generate\n%s", diff)
	}
}

var (
	anchors = regexp.MustCompile(`<a id="([^"]*)">`)
	links   = regexp.MustCompile(`\]\(#([^)]*)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
)

// flaws reports rules that do not stand in the document exactly once, links
// that lead nowhere, features that are not explained, and missing cells.
func flaws(text string, rules []Rule) (wrong []string) {
	places := map[string]int{}
	for _, m := range anchors.FindAllStringSubmatch(text, -1) {
		places[m[1]]++
	}
	for _, r := range rules {
		if n := places[string(r.ID)]; n != 1 {
			wrong = append(wrong, fmt.Sprintf("%s: stands %d times in the document", r.ID, n))
		}
		if r.Feature != Core && !strings.Contains(text, "\n| "+code(r.Feature)+" |") {
			wrong = append(wrong, fmt.Sprintf("%s: feature %q is not explained", r.ID, r.Feature))
		}
	}
	for _, m := range heading.FindAllStringSubmatch(text, -1) {
		slug := regexp.MustCompile(`[^a-z0-9 -]`).ReplaceAllString(strings.ToLower(m[1]), "")
		places[strings.ReplaceAll(slug, " ", "-")]++
	}
	for _, m := range links.FindAllStringSubmatch(text, -1) {
		if places[m[1]] == 0 {
			wrong = append(wrong, fmt.Sprintf("%s leads nowhere", m[1]))
		}
	}
	if strings.Contains(text, "| ? |") || strings.Contains(text, "<no value>") {
		wrong = append(wrong, "a cell is empty")
	}
	return wrong
}

func TestDocumentIsWhole(t *testing.T) {
	b := Default()
	none(t, flaws(renderDefault(t, nil), b.Rules()))
	everything := &coverage{Rules: map[ID]ruleCoverage{}}
	for _, r := range b.Rules() {
		everything.Rules[r.ID] = ruleCoverage{Probes: []string{"p"}, Mutants: []mutant{{Op: "flip", KilledBy: "probe"}}}
	}
	text := renderDefault(t, everything)
	none(t, flaws(text, b.Rules()))
	assert.Contains(t, text, fmt.Sprintf("| killed by probes | %d |", len(b.Rules())))
	assert.NotContains(t, text, "Not measured yet")
}

func TestFlawsAreFound(t *testing.T) {
	rules := []Rule{must("a.b", "", ""), must("a.c", "", ""), must("a.d", "", "").needs("moon")}
	text := "# 1. On one\n\n[here](#1-on-one) [there](#a.x)\n" + anchor(rules[0]) + anchor(rules[0]) + anchor(rules[2]) + "\n| x | ? |\n"
	assert.Equal(t, []string{
		"a.b: stands 2 times in the document", "a.c: stands 0 times in the document", `a.d: feature "moon" is not explained`,
		"a.x leads nowhere", "a cell is empty",
	}, flaws(text, rules))
}

func TestTemplateMistakesAreErrors(t *testing.T) {
	b := Default()
	for _, text := range []string{`{{promises "nothing."}}`, `{{gated "moon"}}`, `{{life .Nothing}}`, `{{`} {
		_, err := render(text, &b, nil)
		assert.Error(t, err, text)
	}
}
