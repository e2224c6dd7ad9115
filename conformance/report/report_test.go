package report

import (
	"bytes"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var generate = flag.Bool("generate", false, "rewrite the golden files")

func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *generate {
		require.NoError(t, os.WriteFile(path, got, 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, string(want), string(got), "run with -generate if this is meant")
}

// sample has a rule of each status.
func sample() Run {
	rule := func(id string) Info { return Info{ID: id, Level: "MUST", Text: "The daemon keeps " + id + "."} }
	probe := func(name string, s Status, message string, rules ...string) Probe {
		return Probe{Name: name, Kind: Handwritten, Location: "probe/x.go:7", Rules: rules, Status: s, DurationMS: 12.5, Message: message}
	}
	return Run{
		Profile: "runc", Daemon: Daemon{Name: "ocid", Version: "0.1.0", API: "v1"}, Features: []string{"witness", "restart"},
		Started: time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC), Duration: 1234 * time.Millisecond,
		Rules: []Info{
			rule("a.pass"), rule("b.unsupported"), rule("c.unobserved"), rule("d.deviation"), rule("e.fail"), rule("f.error"),
			{ID: "g.unseen", Level: "MUST", Text: "Nobody sees it.", Unobservable: "it is a matter of order"},
		},
		Probes: []Probe{
			probe("all is well", Pass, "", "a.pass", "e.fail"),
			probe("takes IPv6", Unsupported, "feature ipv6", "b.unsupported", "e.fail"),
			probe("differs", Fail, "got x\nwant y", "d.deviation"),
			probe("breaks", Fail, "Expected\n    <int>: 1\nto equal\n    <int>: 2\nat probe/x.go:9", "e.fail"),
			probe("cannot tell", Error, "suite error: no registry", "f.error"),
		},
		Deviations: map[string]string{"d.deviation": "known since 1.0"},
		Problems:   []Problem{{Status: Fail, Message: "AfterSuite: mount left"}},
	}
}

func TestGolden(t *testing.T) {
	rep := Build(sample())
	var js, text bytes.Buffer
	require.NoError(t, rep.Write(&js))
	require.NoError(t, Text(&text, rep))
	golden(t, "testdata/report.json", js.Bytes())
	golden(t, "testdata/report.txt", text.Bytes())

	back, err := Read(&js)
	require.NoError(t, err)
	var again bytes.Buffer
	require.NoError(t, Text(&again, back))
	assert.Equal(t, text.String(), again.String(), "the text says nothing that the JSON does not")
}

func TestCompare(t *testing.T) {
	one := sample()
	other := one
	other.Profile, other.Rules, other.Probes = "vm", one.Rules[:2], one.Probes[:2]
	var b bytes.Buffer
	require.NoError(t, Compare(&b, []Report{Build(one), Build(other)}))
	golden(t, "testdata/compare.md", b.Bytes())
}

func TestRead(t *testing.T) {
	_, err := Read(strings.NewReader(`{"format": 99}`))
	require.ErrorContains(t, err, "format 99")
	_, err = Read(strings.NewReader(`{`))
	require.Error(t, err)
}

func TestWorst(t *testing.T) {
	all := Statuses()
	for i, a := range all {
		for j, b := range all {
			assert.Equal(t, all[max(i, j)], Worst(a, b), "%s, %s", a, b)
		}
	}
	assert.Equal(t, Pass, Worst())
	assert.Equal(t, Error, Worst(Pass, "nonsense"))
	for _, s := range all {
		assert.Equal(t, s != Fail && s != Error, s.Good(), s)
	}
	assert.False(t, Status("").Good())
}

func TestBuildOneRule(t *testing.T) {
	deviation, must := map[string]string{"r": "because"}, []string{"r"}
	for name, c := range map[string]struct {
		probes     []Status
		deviations map[string]string
		mustRun    []string
		nobodyCan  string // observe it, for this reason
		want       Status
		message    string
		ran        string
	}{
		"passes":                    {probes: []Status{Pass, Pass}, want: Pass},
		"worst of its probes":       {probes: []Status{Pass, Fail, Unsupported}, want: Fail, message: "m-fail"},
		"partly unsupported":        {probes: []Status{Unsupported, Pass, Unsupported}, want: Pass, ran: "1 of 3"},
		"not supported":             {probes: []Status{Unsupported, Unsupported}, want: Unsupported, message: "m-unsupported", ran: "2"},
		"fails where it runs":       {probes: []Status{Unsupported, Fail}, want: Fail, message: "m-fail", ran: "1 of 2"},
		"no probe":                  {want: Unobserved},
		"declared and fails":        {probes: []Status{Fail}, deviations: deviation, want: Deviation, message: "because"},
		"declared and passes":       {probes: []Status{Pass}, deviations: deviation, want: Fail, message: "remove the declaration"},
		"declared and cannot tell":  {probes: []Status{Error}, deviations: deviation, want: Error, message: "m-error"},
		"declared, not supported":   {probes: []Status{Unsupported}, deviations: deviation, want: Unsupported},
		"must run and does":         {probes: []Status{Pass}, mustRun: must, want: Pass},
		"must run and is skipped":   {probes: []Status{Unsupported}, mustRun: must, want: Fail, message: "must run in this profile, but is unsupported: m-unsupported"},
		"must run, nobody looks":    {mustRun: must, want: Fail, message: "must run in this profile, but is unobserved"},
		"must run, nobody can look": {mustRun: must, nobodyCan: "as it is", want: Unobserved, message: "as it is"},
		"must run, with others":     {mustRun: []string{"a", "r*"}, want: Fail, message: "must run in this profile"},
		"must run and deviates":     {probes: []Status{Fail}, mustRun: must, deviations: deviation, want: Deviation},
		"must run and cannot tell":  {probes: []Status{Error}, mustRun: must, want: Error},
		"must run, partly observed": {probes: []Status{Pass, Unsupported}, mustRun: must, want: Fail, message: "must run in this profile, but in part is unsupported: m-unsupported"},
	} {
		t.Run(name, func(t *testing.T) {
			run := Run{Rules: []Info{{ID: "r", Unobservable: c.nobodyCan}}, Deviations: c.deviations, MustRun: c.mustRun}
			for _, s := range c.probes {
				run.Probes = append(run.Probes, Probe{Name: "p-" + string(s), Rules: []string{"r"}, Status: s, Message: "m-" + string(s)})
			}
			rule, ok := Build(run).Rule("r")
			require.True(t, ok)
			assert.Equal(t, c.want, rule.Status, rule.Message)
			assert.Contains(t, rule.Message, c.message)
			assert.Len(t, rule.Probes, len(c.probes))
			if c.ran != "" {
				assert.Equal(t, c.ran, rule.Ran())
			}
		})
	}
}

func TestBuildOverall(t *testing.T) {
	pass := Probe{Name: "p", Rules: []string{"r"}, Status: Pass}
	known := []Info{{ID: "r"}}
	assert.Equal(t, Pass, Build(Run{Rules: known, Probes: []Probe{pass}}).Status)
	assert.Equal(t, Error, Build(Run{Rules: known}).Status, "a run of nothing")
	assert.Equal(t, Fail, Build(Run{Rules: known, Probes: []Probe{pass}, Problems: []Problem{{Status: Fail}}}).Status)
	stray := Probe{Name: "q", Rules: []string{"other"}, Status: Fail}
	assert.Equal(t, Fail, Build(Run{Rules: known, Probes: []Probe{pass, stray}}).Status, "a probe outside the report")
	deviating := Run{Rules: known, Probes: []Probe{{Name: "p", Rules: []string{"r"}, Status: Fail}}, Deviations: map[string]string{"r": "x"}}
	assert.Equal(t, Deviation, Build(deviating).Status)
	assert.True(t, Build(deviating).Status.Good())
}

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		pattern, id string
		want        bool
	}{
		{"a.b", "a.b", true}, {"a.b", "a.b.c", false}, {"a.*", "a.b.c", true}, {"a.*", "ab", false}, {"*", "a", true},
	} {
		assert.Equal(t, c.want, Match(c.pattern, c.id), "%s, %s", c.pattern, c.id)
	}
}
