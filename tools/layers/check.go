package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A pkg is a package of the module: what it and its tests import.
type pkg struct {
	ImportPath   string
	Imports      []string
	TestImports  []string
	XTestImports []string
}

// A checker holds the rules and the packages, all names relative to module.
type checker struct {
	module string
	rules  []rule
	may    map[string]map[string]bool
	pkgs   map[string]pkg
}

// check returns every violation, one line each, sorted.
func check(module, text string, pkgs []pkg) ([]string, error) {
	rules, err := parse(text)
	if err != nil {
		return nil, err
	}
	may, err := allowed(rules)
	if err != nil {
		return nil, err
	}
	c := checker{module: module, rules: rules, may: may, pkgs: map[string]pkg{}}
	for _, p := range pkgs {
		c.pkgs[c.rel(p.ImportPath)] = p
	}
	bad := c.contradictions()
	for _, name := range slices.Sorted(maps.Keys(c.pkgs)) {
		bad = append(bad, c.declared(name)...)
		bad = append(bad, c.forbidden(name)...)
	}
	return bad, nil
}

// rel makes an import path relative to the module; paths from outside stay.
func (c *checker) rel(path string) string {
	if path == c.module {
		return "."
	}
	return strings.TrimPrefix(path, c.module+"/")
}

// layer is the declared name that a package belongs to; the longest wins.
func (c *checker) layer(name string) string {
	best := ""
	for l := range c.may {
		if matches(l, name) && len(l) > len(best) {
			best = l
		}
	}
	return best
}

// declared checks one package against the "<" rules.
func (c *checker) declared(name string) []string {
	own := c.layer(name)
	if own == "" {
		return []string{name + " is declared by no line"}
	}
	var bad []string
	for _, path := range c.pkgs[name].Imports {
		imported := c.rel(path)
		if _, inside := c.pkgs[imported]; !inside {
			continue
		}
		if l := c.layer(imported); l != own && !c.may[own][l] {
			bad = append(bad, fmt.Sprintf("%s imports %s, but no line has %s < %s", name, imported, imported, name))
		}
	}
	return bad
}

// forbidden checks one package, its tests and all they reach inside the module
// against the "!<" rules.
func (c *checker) forbidden(name string) []string {
	var bad []string
	for _, r := range c.rules {
		if !r.forbid || !slices.ContainsFunc(r.right, func(b string) bool { return matches(b, name) }) {
			continue
		}
		for _, a := range r.left {
			if chain := c.reach(name, a); chain != nil {
				bad = append(bad, fmt.Sprintf("%s (line %d: %s !< it)", strings.Join(chain, " imports "), r.line, a))
			}
		}
	}
	return bad
}

// reach searches breadth first for a chain of imports from a package, or its
// tests, to a package that target matches. It looks into packages of the
// module only; a direct import from outside counts for the package itself.
func (c *checker) reach(name, target string) []string {
	p := c.pkgs[name]
	seen := map[string]bool{name: true}
	queue := [][]string{{name}}
	for next := slices.Concat(p.Imports, p.TestImports, p.XTestImports); len(queue) > 0; next = nil {
		chain := queue[0]
		queue = queue[1:]
		if next == nil {
			next = c.pkgs[chain[len(chain)-1]].Imports
		}
		for _, path := range next {
			imported := c.rel(path)
			_, inside := c.pkgs[imported]
			if seen[imported] || !inside && len(chain) > 1 {
				continue
			}
			seen[imported] = true
			longer := append(slices.Clone(chain), imported)
			if matches(target, imported) && !matches(target, name) {
				return longer
			}
			if inside {
				queue = append(queue, longer)
			}
		}
	}
	return nil
}

// contradictions finds "!<" rules that the "<" rules break by themselves.
func (c *checker) contradictions() []string {
	var bad []string
	for _, r := range c.rules {
		for _, b := range r.right {
			for own, may := range c.may {
				if !r.forbid || !matches(b, own) {
					continue
				}
				for _, a := range r.left {
					for l, ok := range may {
						if ok && matches(a, l) {
							bad = append(bad, fmt.Sprintf("line %d: %s !< %s, but other lines allow it", r.line, l, own))
						}
					}
				}
			}
		}
	}
	slices.Sort(bad)
	return slices.Compact(bad)
}
