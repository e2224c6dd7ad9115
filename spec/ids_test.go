package spec

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	goldenFile = "ids.golden"
	retired    = " retired" // behind an ID: no row has it any more, and none will
)

// golden is every ID that was ever given to a rule, in the order of their
// appearance, and whether it is retired.
type golden struct {
	order   []ID
	retired map[ID]bool
}

func parseGolden(text string) (g golden, err error) {
	g.retired = map[ID]bool{}
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		name, gone := strings.CutSuffix(line, retired)
		if _, twice := g.retired[ID(name)]; twice || !idFormat.MatchString(name) {
			return g, fmt.Errorf("%s:%d: %q is no ID or stands here twice", goldenFile, len(g.order)+1, line)
		}
		g.order, g.retired[ID(name)] = append(g.order, ID(name)), gone
	}
	return g, nil
}

func (g golden) String() string {
	var s strings.Builder
	for _, id := range g.order {
		s.WriteString(string(id))
		if g.retired[id] {
			s.WriteString(retired)
		}
		s.WriteByte('\n')
	}
	return s.String()
}

// compare reports IDs that the file does not have, that have gone without
// being retired, and that have come back.
func (g golden) compare(used []ID) (wrong []string) {
	for _, id := range used {
		if gone, known := g.retired[id]; !known {
			wrong = append(wrong, fmt.Sprintf("%s: is not in %s: run go test ./spec -generate", id, goldenFile))
		} else if gone {
			wrong = append(wrong, fmt.Sprintf("%s: is retired; an ID is never used again, the rule needs another", id))
		}
	}
	for _, id := range g.order {
		if !g.retired[id] && !slices.Contains(used, id) {
			wrong = append(wrong, fmt.Sprintf("%s: has left the tables and is not retired: run go test ./spec -generate", id))
		}
	}
	return wrong
}

// update appends new IDs and retires those that have gone. It brings none back.
func (g *golden) update(used []ID) {
	for _, id := range used {
		if _, known := g.retired[id]; !known {
			g.order, g.retired[id] = append(g.order, id), false
		}
	}
	for _, id := range g.order {
		g.retired[id] = g.retired[id] || !slices.Contains(used, id)
	}
}

func usedIDs() (ids []ID) {
	b := Default()
	for _, r := range b.Rules() {
		ids = append(ids, r.ID)
	}
	return ids
}

func TestIDsAreForEver(t *testing.T) {
	text, err := os.ReadFile(goldenFile)
	require.NoError(t, err)
	g, err := parseGolden(string(text))
	require.NoError(t, err)
	if *generate {
		g.update(usedIDs())
		require.NoError(t, os.WriteFile(goldenFile, []byte(g.String()), 0o644))
	}
	none(t, g.compare(usedIDs()))
}

func TestGoldenIDs(t *testing.T) {
	g, err := parseGolden("a.old retired\na.kept\na.gone\n")
	require.NoError(t, err)
	used := []ID{"a.new", "a.kept", "a.old"}
	assert.Equal(t, []string{
		"a.new: is not in ids.golden: run go test ./spec -generate",
		"a.old: is retired; an ID is never used again, the rule needs another",
		"a.gone: has left the tables and is not retired: run go test ./spec -generate",
	}, g.compare(used))

	g.update(used)
	assert.Equal(t, "a.old retired\na.kept\na.gone retired\na.new\n", g.String())
	assert.Equal(t, []string{"a.old: is retired; an ID is never used again, the rule needs another"}, g.compare(used))
	assert.Empty(t, g.compare([]ID{"a.kept", "a.new"}))

	for _, text := range []string{"a.b\na.b\n", "a.b\na.b retired\n", "a.b gone\n", "a.b\n\nc.d\n", "ab\n"} {
		_, err := parseGolden(text)
		assert.Error(t, err, "%q", text)
	}
}
