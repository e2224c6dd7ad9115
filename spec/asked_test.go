package spec

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// asked is the page that says call by call what the CRI, kubelet and critest ask
// for, and which rules answer.
const asked = "../docs/CRI.md"

var ruleName = regexp.MustCompile("`([^`]+)`")

// unanswered reports what is wrong with that page: a call without its section, a
// section that is no call's, a row with a rule that is not in the book, and one
// that has neither a rule nor a reason.
func unanswered(text string, ids []ID) (wrong []string) {
	sections, section := map[string]int{}, ""
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if name, ok := strings.CutPrefix(line, "### "); ok {
			section, sections[name] = name, 0
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), " | ")
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| Behaviour |") {
			continue
		}
		if len(cells) != 4 {
			wrong = append(wrong, fmt.Sprintf("%s: %d cells in %q", section, len(cells), line))
			continue
		}
		sections[section]++
		names := ruleName.FindAllStringSubmatch(cells[2], -1)
		if len(names) == 0 && !strings.Contains(cells[3], "o rule: ") {
			wrong = append(wrong, fmt.Sprintf("%s: neither a rule nor a reason in %q", section, line))
		}
		for _, n := range names {
			if !slices.ContainsFunc(ids, func(id ID) bool { return named(string(id), n[1]) }) {
				wrong = append(wrong, fmt.Sprintf("%s: %s is no rule", section, n[1]))
			}
		}
	}
	known := calls()
	for _, name := range slices.Sorted(maps.Keys(known)) {
		if sections[name] == 0 {
			wrong = append(wrong, name+": has no row")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(sections)) {
		if known[name] == nil && name != "" {
			wrong = append(wrong, name+": is no RPC of CRI")
		}
	}
	return wrong
}

// named says whether an ID is the one named, or begins as "x.*" says.
func named(id, name string) bool {
	if prefix, ok := strings.CutSuffix(name, "*"); ok {
		return strings.HasPrefix(id, prefix)
	}
	return id == name
}

func TestWhatIsAskedIsAnswered(t *testing.T) {
	text, err := os.ReadFile(asked)
	require.NoError(t, err)
	none(t, unanswered(string(text), usedIDs()))
}

func TestUnansweredIsFound(t *testing.T) {
	var text strings.Builder
	for name := range calls() {
		if name != "Attach" {
			fmt.Fprintf(&text, "### %s\n\n| Behaviour | Source | Rules | Remark |\n|---|---|---|---|\n| a | own | `a.b` | |\n", name)
		}
	}
	text.WriteString("### Fly\n\n| a | own | `a.*`, `c.*`, `a` | |\n| b | own | – | |\n| c | own | – | No rule: none |\n| d | own |\n")
	assert.Equal(t, []string{
		"Fly: c.* is no rule", "Fly: a is no rule", "Fly: neither a rule nor a reason in \"| b | own | – | |\"",
		"Fly: 2 cells in \"| d | own |\"", "Attach: has no row", "Fly: is no RPC of CRI",
	}, unanswered(text.String(), []ID{"a.b"}))
}
