package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A rule is one statement of the layers file.
type rule struct {
	line   int
	forbid bool // "!<"
	left   []string
	right  []string
}

// parse reads the statements of a layers file; "a < b < c" gives two rules.
func parse(text string) ([]rule, error) {
	var rules []rule
	line := 1
	for statement, rest := "", stripComments(text); rest != ""; {
		var closed bool
		statement, rest, closed = strings.Cut(rest, ";")
		at := line + leadingLines(statement)
		line += strings.Count(statement, "\n")
		if strings.TrimSpace(statement) == "" && !closed {
			break
		}
		if !closed {
			return nil, fmt.Errorf("line %d: no semicolon ends this statement", at)
		}
		parsed, err := parseStatement(statement)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", at, err)
		}
		for i := range parsed {
			parsed[i].line = at
		}
		rules = append(rules, parsed...)
	}
	return rules, nil
}

func parseStatement(statement string) ([]rule, error) {
	forbid := strings.Contains(statement, "!<")
	sides := strings.Split(strings.ReplaceAll(statement, "!<", "<"), "<")
	if len(sides) < 2 || forbid && len(sides) != 2 {
		return nil, fmt.Errorf("want %q or %q", "a < b;", "a !< b;")
	}
	var rules []rule
	var left []string
	for i, side := range sides {
		names := strings.FieldsFunc(side, func(r rune) bool { return strings.ContainsRune(", \t\n", r) })
		if len(names) == 0 {
			return nil, fmt.Errorf("no package on side %d", i+1)
		}
		if i > 0 {
			rules = append(rules, rule{forbid: forbid, left: left, right: names})
		}
		left = names
	}
	return rules, nil
}

func stripComments(text string) string {
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		lines[i], _, _ = strings.Cut(l, "#")
	}
	return strings.Join(lines, "\n")
}

func leadingLines(s string) int {
	return strings.Count(s[:len(s)-len(strings.TrimLeft(s, " \t\n"))], "\n")
}

// allowed is, for each declared name, the names it may import: the transitive
// closure of the "<" rules.
func allowed(rules []rule) (map[string]map[string]bool, error) {
	may := map[string]map[string]bool{}
	for _, r := range rules {
		for _, b := range r.right {
			if r.forbid {
				continue
			}
			if may[b] == nil {
				may[b] = map[string]bool{}
			}
			for _, a := range r.left {
				if _, ok := may[a]; !ok && a != "NONE" {
					return nil, fmt.Errorf("line %d: %s is used before it is declared", r.line, a)
				}
				may[b][a] = a != "NONE"
				maps.Copy(may[b], may[a])
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(may)) {
		if may[name][name] {
			return nil, fmt.Errorf("%s stands below itself", name)
		}
	}
	return may, nil
}

// matches tells whether a package belongs to a name, "x" or "x/...".
func matches(name, pkg string) bool {
	root, family := strings.CutSuffix(name, "/...")
	return pkg == root || family && strings.HasPrefix(pkg, root+"/")
}
