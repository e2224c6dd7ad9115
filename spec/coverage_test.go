package spec

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const coverageFile = "coverage.json"

// A coverage is what mutation has measured: per rule the probes that claim it
// and what became of each way to break it.
type coverage struct {
	Rules   map[ID]ruleCoverage `json:"rules"`
	Summary json.RawMessage     `json:"summary"`
}

type ruleCoverage struct {
	Probes  []string `json:"probes"`
	Mutants []mutant `json:"mutants"`
}

// A mutant is one way to break a row. Only a probe kills it: a derived case
// reads the table that is broken, and an error says nothing about the daemon.
type mutant struct {
	Op           string `json:"op"`
	KilledBy     string `json:"killed_by"`
	Unobservable bool   `json:"unobservable"`
}

// The fates of a mutant.
const (
	killedByProbe   = "killed by probes"
	killedByDerived = "killed by derived cases only"
	notMeasured     = "error while measuring"
	notObservable   = "unobservable"
	survived        = "survived"
)

func fates() []string {
	return []string{killedByProbe, killedByDerived, notMeasured, notObservable, survived}
}

func (m mutant) fate() string {
	if by, ok := map[string]string{"probe": killedByProbe, "derived": killedByDerived, "error": notMeasured}[m.KilledBy]; ok {
		return by
	}
	if m.Unobservable {
		return notObservable
	}
	return survived
}

// loadCoverage returns nil if nothing has been measured yet.
func loadCoverage(path string) (*coverage, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	c := &coverage{}
	if err := d.Decode(c); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// lacks reports rules that are not of the book, mutants with an unknown fate,
// and MUST rules that nothing outside the daemon would miss.
func (c *coverage) lacks(rules []Rule) (wrong []string) {
	known := map[ID]bool{}
	for _, r := range rules {
		known[r.ID] = true
		rc := c.Rules[r.ID]
		for _, m := range rc.Mutants {
			if !slices.Contains([]string{"probe", "derived", "error", ""}, m.KilledBy) {
				wrong = append(wrong, fmt.Sprintf("%s: mutant %q: unknown killer %q", r.ID, m.Op, m.KilledBy))
			}
		}
		if r.Level == Must && r.Unobservable == "" {
			wrong = append(wrong, rc.lacks(r.ID)...)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(c.Rules)) {
		if !known[id] {
			wrong = append(wrong, fmt.Sprintf("%s: is measured and is no rule", id))
		}
	}
	return wrong
}

func (rc ruleCoverage) lacks(id ID) (wrong []string) {
	if len(rc.Probes) == 0 {
		wrong = append(wrong, fmt.Sprintf("%s: MUST, and no probe covers it", id))
	}
	if len(rc.Mutants) == 0 {
		wrong = append(wrong, fmt.Sprintf("%s: MUST, and no mutant was measured", id))
	}
	for _, m := range rc.Mutants {
		if f := m.fate(); f != killedByProbe {
			wrong = append(wrong, fmt.Sprintf("%s: MUST, and mutant %q: %s", id, m.Op, f))
		}
	}
	return wrong
}

func TestMustRulesAreCovered(t *testing.T) {
	c, err := loadCoverage(coverageFile)
	require.NoError(t, err)
	b := Default()
	if c != nil {
		none(t, c.lacks(b.Rules()))
	}
}

func TestLackOfCoverageIsFound(t *testing.T) {
	rules := []Rule{
		must("a.good", "", ""), must("a.unprobed", "", ""), must("a.unmutated", "", ""), must("a.missing", "", ""), must("a.bad", "", ""),
		must("a.unseen", "", "").unseen("it is dark"), should("a.should", "", ""),
	}
	killed := []mutant{{Op: "flip", KilledBy: "probe"}}
	c := coverage{Rules: map[ID]ruleCoverage{
		"a.good":      {Probes: []string{"p"}, Mutants: killed},
		"a.unprobed":  {Mutants: killed},
		"a.unmutated": {Probes: []string{"p"}},
		"a.bad": {Probes: []string{"p"}, Mutants: []mutant{
			{Op: "flip"}, {Op: "drop", KilledBy: "derived"}, {Op: "swap", KilledBy: "error"}, {Op: "blank", Unobservable: true}, {Op: "move", KilledBy: "luck"},
		}},
		"a.unseen": {Mutants: []mutant{{Op: "flip"}}},
		"a.should": {Mutants: []mutant{{Op: "flip"}}},
		"a.alien":  {Probes: []string{"p"}, Mutants: killed},
	}}
	assert.Equal(t, []string{
		"a.unprobed: MUST, and no probe covers it",
		"a.unmutated: MUST, and no mutant was measured",
		"a.missing: MUST, and no probe covers it",
		"a.missing: MUST, and no mutant was measured",
		`a.bad: mutant "move": unknown killer "luck"`,
		`a.bad: MUST, and mutant "flip": survived`,
		`a.bad: MUST, and mutant "drop": killed by derived cases only`,
		`a.bad: MUST, and mutant "swap": error while measuring`,
		`a.bad: MUST, and mutant "blank": unobservable`,
		`a.bad: MUST, and mutant "move": survived`,
		"a.alien: is measured and is no rule",
	}, c.lacks(rules))
}

func TestLoadCoverage(t *testing.T) {
	path := t.TempDir() + "/coverage.json"
	c, err := loadCoverage(path)
	require.NoError(t, err)
	require.Nil(t, c)

	write := func(s string) { require.NoError(t, os.WriteFile(path, []byte(s), 0o600)) }
	write(`{"rules": {"a.b": {"probes": ["p"], "mutants": [{"op": "flip", "killed_by": "probe", "unobservable": false}]}}, "summary": {"x": 1}}`)
	c, err = loadCoverage(path)
	require.NoError(t, err)
	require.Equal(t, ruleCoverage{Probes: []string{"p"}, Mutants: []mutant{{Op: "flip", KilledBy: "probe"}}}, c.Rules["a.b"])

	for _, s := range []string{`{`, `{"rules": {"a.b": {"probe": []}}}`, `{"rules": []}`} {
		write(s)
		_, err = loadCoverage(path)
		require.ErrorContains(t, err, path)
	}
}

// totals is how many mutants met which fate.
func (c *coverage) totals() string {
	n := map[string]int{}
	for _, rc := range c.Rules {
		for _, m := range rc.Mutants {
			n[m.fate()]++
			n[""]++
		}
	}
	g := columns("Mutants", "Number")
	g.add("all", fmt.Sprint(n[""]))
	for _, f := range fates() {
		g.add(f, fmt.Sprint(n[f]))
	}
	return g.String()
}

// perRule is one line for each rule: who looks after it and what they missed.
func (c *coverage) perRule(rules []Rule) string {
	g := columns("Rule", "Level", "Probes", "Mutants", "Killed by probes", "Not killed by probes")
	for _, r := range rules {
		rc := c.Rules[r.ID]
		killed, missed := 0, []string{}
		for _, m := range rc.Mutants {
			if f := m.fate(); f == killedByProbe {
				killed++
			} else {
				missed = append(missed, m.Op+": "+f)
			}
		}
		g.add(link(r.ID, code(r.ID)), string(r.Level), orDash(strings.Join(rc.Probes, "; ")),
			fmt.Sprint(len(rc.Mutants)), fmt.Sprint(killed), orDash(strings.Join(missed, "; ")))
	}
	return g.String()
}

func TestCoverageTables(t *testing.T) {
	c := &coverage{Rules: map[ID]ruleCoverage{"a.b": {Probes: []string{"p", "q"}, Mutants: []mutant{
		{Op: "flip", KilledBy: "probe"}, {Op: "drop", KilledBy: "derived"}, {Op: "swap"}, {Op: "blank", Unobservable: true}, {Op: "move", KilledBy: "error"},
	}}}}
	assert.Equal(t, `| Mutants | Number |
|---|---|
| all | 5 |
| killed by probes | 1 |
| killed by derived cases only | 1 |
| error while measuring | 1 |
| unobservable | 1 |
| survived | 1 |`, c.totals())
	assert.Equal(t, "| Rule | Level | Probes | Mutants | Killed by probes | Not killed by probes |\n|---|---|---|---|---|---|\n"+
		"| [`a.b`](#a.b) | MUST | p; q | 5 | 1 | drop: killed by derived cases only; swap: survived; blank: unobservable; move: error while measuring |\n"+
		"| [`c.d`](#c.d) | SHOULD | – | 0 | 0 | – |", c.perRule([]Rule{must("a.b", "", ""), should("c.d", "", "")}))
}
