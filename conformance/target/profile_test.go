package target

import (
	"io/fs"
	"testing"

	"ocid/fixtures/profiles"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParseProfile(t *testing.T) {
	const head = "name = 'x'\nendpoint = '/run/x.sock'\n"
	const daemon = "name = 'x'\n[daemon]\ncommand = ['x']\n"
	for name, c := range map[string]struct{ text, want string }{
		"endpoint":             {head, ""},
		"daemon":               {daemon, ""},
		"unknown key":          {head + "endpiont = 'y'\n", `profile p: line 3: unknown key "endpiont"`},
		"unknown nested key":   {daemon + "comand = ['y']\n", `line 4: unknown key "daemon.comand"`},
		"wrong type":           {"name = 3\n", "line 1"},
		"syntax":               {"name = \n", "line 1"},
		"no name":              {"endpoint = '/x'\n", "name is missing"},
		"no way":               {"name = 'x'\n", "neither endpoint nor daemon"},
		"two ways":             {head + "[daemon]\ncommand = ['x']\n", "both endpoint and daemon"},
		"no command":           {"name = 'x'\n[daemon]\n", "daemon.command is empty"},
		"unknown feature":      {head + "features = ['resart']\n", `unknown feature "resart"`},
		"feature twice":        {head + "features = ['ipv6', 'ipv6']\n", "declared twice"},
		"restart of a server":  {head + "features = ['restart']\n", `feature "restart" takes daemon`},
		"witness without one":  {"features = ['witness']\n" + daemon, `feature "witness" takes daemon and witness`},
		"storage unseen":       {head + "features = ['storage-records']\n", "takes observe.storage"},
		"one handler":          {head + "features = ['handlers']\nhandlers = ['a']\n", "takes two handlers"},
		"bad duration":         {head + "rpc_timeout = '3 apples'\n", "line 3"},
		"negative patience":    {head + "patience = -2\n", "patience: -2 is negative"},
		"negative duration":    {head + "rpc_timeout = '-3s'\n", "not positive"},
		"deviation unexcused":  {head + "[deviations]\n'a.b' = ' '\n", `"a.b" has no reason`},
		"left to nobody":       {head + "[elsewhere]\nreason = 'y'\n", "elsewhere takes profile and reason"},
		"left for no reason":   {head + "[elsewhere]\nprofile = 'y'\n", "elsewhere takes profile and reason"},
		"file outside":         {daemon + "[daemon.files]\n'../x' = ''\n", "leads out of the work directory"},
		"file absolute":        {daemon + "[daemon.files]\n'/etc/x' = ''\n", "leads out of the work directory"},
		"bad name of variable": {head + "[variables]\nfoo = ''\n", `"foo" is not a name`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseProfile("p", []byte(c.text))
			if c.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestLoadProfileNamesTheFile(t *testing.T) {
	_, err := LoadProfile("/nonexistent/p.toml")
	require.ErrorIs(t, err, fs.ErrNotExist)
	path := write(t, "nam = 1", t.TempDir(), "p.toml")
	_, err = LoadProfile(path)
	require.ErrorContains(t, err, path)
}

func TestBuiltinProfiles(t *testing.T) {
	names, err := fs.Glob(profiles.Files, "*.toml")
	require.NoError(t, err)
	require.NotEmpty(t, names)
	vars, err := builtin("/tmp/w", "/tmp/b")
	require.NoError(t, err)
	for _, name := range names {
		data, err := profiles.Files.ReadFile(name)
		require.NoError(t, err)
		p, err := ParseProfile(name, data)
		require.NoError(t, err)
		assert.Equal(t, name, p.Name+".toml")
		if p.Daemon == nil {
			continue
		}
		all := vars.with(p.Variables, map[string]string{VarDaemon: "/bin/d", "REGISTRY": "127.0.0.1:1"})
		for file, text := range p.Daemon.Files {
			_, err := all.Expand(text)
			require.NoError(t, err, "%s: %s", name, file)
		}
	}
}

func TestElsewhereLeavesWhatItNames(t *testing.T) {
	e := &Elsewhere{Profile: "runc", Reason: "r", Rules: []string{"a.*", "b.one"}, Derived: true}
	for what, c := range map[string]struct {
		rules         []string
		derived, acts bool
		left          bool
	}{
		"all begin so":          {[]string{"a.b", "a.c.d"}, false, false, true},
		"one by its name":       {[]string{"b.one"}, false, false, true},
		"another one":           {[]string{"b.two"}, false, false, false},
		"one of two":            {[]string{"a.b", "b.two"}, false, false, false},
		"a generated idle case": {[]string{"b.two"}, true, false, true},
		"a generated busy case": {[]string{"b.two"}, true, true, false},
		"a busy case of a rule": {[]string{"b.one"}, true, true, true},
	} {
		assert.Equal(t, c.left, e.Leaves(c.rules, c.derived, c.acts), what)
	}
	var none *Elsewhere
	assert.False(t, none.Leaves([]string{"a.b"}, true, false))
}
