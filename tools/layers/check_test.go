package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParse(t *testing.T) {
	rules, err := parse("# comment; with a semicolon\nNONE < a, b;\n\na,\n b/... < c < d; e !< f;\n")
	require.NoError(t, err)
	assert.Equal(t, []rule{
		{line: 2, left: []string{"NONE"}, right: []string{"a", "b"}},
		{line: 4, left: []string{"a", "b/..."}, right: []string{"c"}},
		{line: 4, left: []string{"c"}, right: []string{"d"}},
		{line: 5, forbid: true, left: []string{"e"}, right: []string{"f"}},
	}, rules)
}

func TestParseErrors(t *testing.T) {
	for text, want := range map[string]string{
		"NONE < a;\nb < c":     "line 2: no semicolon",
		"a b;":                 "line 1: want",
		"\n\n;":                "line 3: want",
		"NONE < a;\n a < < b;": "line 2: no package on side 2",
		"a !< b !< c;":         "line 1: want",
	} {
		_, err := parse(text)
		assert.ErrorContains(t, err, want, text)
	}
}

func TestAllowedErrors(t *testing.T) {
	for text, want := range map[string]string{
		"a < b;":                         "line 1: a is used before it is declared",
		"NONE < a;\na < b;\nb < a;":      "a stands below itself",
		"NONE < a; a < b < c;\n c < a;":  "a stands below itself",
		"NONE < a;\n\nb, a < c; NONE<b;": "line 3: b is used",
	} {
		_, err := check("m", text, nil)
		assert.ErrorContains(t, err, want, text)
	}
}

const text = `
NONE < ground, other, fam/...;
ground < mid < top;
fam/... < suite;
ground !< suite;
mid !< ground;
example.org/grpc/... !< ground;
`

func imports(paths ...string) []string { return paths }

func TestViolations(t *testing.T) {
	for _, c := range []struct {
		name string
		pkgs []pkg
		want []string
	}{
		{"direct and transitive permission", []pkg{{ImportPath: "m/ground"}, {ImportPath: "m/mid", Imports: imports("m/ground")}, {ImportPath: "m/top", Imports: imports("m/ground", "m/mid", "fmt")}}, nil},
		{"inside a family", []pkg{{ImportPath: "m/fam"}, {ImportPath: "m/fam/x/y", Imports: imports("m/fam")}}, nil},
		{"upwards", []pkg{{ImportPath: "m/ground"}, {ImportPath: "m/other", Imports: imports("m/ground")}},
			imports("other imports ground, but no line has ground < other")},
		{"undeclared", []pkg{{ImportPath: "m/new"}, {ImportPath: "m/family"}},
			imports("family is declared by no line", "new is declared by no line")},
		{"tests may import more", []pkg{{ImportPath: "m/ground"}, {ImportPath: "m/other", TestImports: imports("m/ground"), XTestImports: imports("m/ground")}}, nil},
		{"but not what is forbidden", []pkg{{ImportPath: "m/ground"}, {ImportPath: "m/suite", XTestImports: imports("m/ground")}},
			imports("suite imports ground (line 5: ground !< it)")},
		{"nor through others", []pkg{{ImportPath: "m/ground"}, {ImportPath: "m/mid", Imports: imports("m/ground")}, {ImportPath: "m/suite", TestImports: imports("m/mid")}},
			imports("suite imports mid imports ground (line 5: ground !< it)")},
		{"from outside", []pkg{{ImportPath: "m/ground", Imports: imports("example.org/grpc/codes", "example.org/grpcx")}},
			imports("ground imports example.org/grpc/codes (line 7: example.org/grpc/... !< it)")},
	} {
		t.Run(c.name, func(t *testing.T) {
			bad, err := check("m", text, c.pkgs)
			require.NoError(t, err)
			assert.Equal(t, c.want, bad)
		})
	}
}

func TestContradiction(t *testing.T) {
	bad, err := check("m", "NONE < a;\na < b < c;\na !< c;", nil)
	require.NoError(t, err)
	assert.Equal(t, imports("line 3: a !< c, but other lines allow it"), bad)
}

func TestShippedRulesAreConsistent(t *testing.T) {
	bad, err := check("ocid", layersText, []pkg{{ImportPath: "ocid/impl/server"}, {ImportPath: "ocid/conformance/probe", XTestImports: imports("ocid/impl/server")}})
	require.NoError(t, err)
	require.Len(t, bad, 1)
	assert.Contains(t, bad[0], "conformance/probe imports impl/server")
}
