package config_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ocid/impl/config"
)

// sources writes a configuration file and drop-ins, named in order.
func sources(t *testing.T, file string, dropIns ...string) config.Sources {
	t.Helper()
	dir := t.TempDir()
	src := config.Sources{File: filepath.Join(dir, "ocid.toml"), DropInDir: filepath.Join(dir, "conf.d")}
	require.NoError(t, os.Mkdir(src.DropInDir, 0o755))
	require.NoError(t, os.WriteFile(src.File, []byte(file), 0o644))
	for i, text := range dropIns {
		name := filepath.Join(src.DropInDir, string(rune('a'+i))+".toml")
		require.NoError(t, os.WriteFile(name, []byte(text), 0o644))
	}
	return src
}

func TestDefaults(t *testing.T) {
	cfg, err := config.Load(config.Sources{})
	require.NoError(t, err)
	assert.Equal(t, "/run/ocid/ocid.sock", cfg.Listen)
	assert.Equal(t, "/var/lib/ocid", cfg.Root)
	assert.Equal(t, 30*time.Second, cfg.ShutdownTimeout.Duration)
	assert.Equal(t, []string{"-P"}, cfg.Runtime.InfraArgs)
	assert.Equal(t, []string{"runc"}, cfg.HandlerNames())
	assert.Equal(t, []string{"/opt/cni/bin", "/usr/lib/cni", "/usr/libexec/cni"}, cfg.Network.BinDirs)
	assert.EqualValues(t, -1, cfg.Runtime.LogSizeMax)
	assert.True(t, cfg.Network.DefaultNetwork)
}

func TestMerge(t *testing.T) {
	src := sources(t, `
log_level = "warn"
[runtime]
default_handler = "kata"
infra_args = ["a", "b"]
[runtime.handlers.kata]
path = "/opt/kata/bin/kata-runtime"
vm = true
[runtime.handlers.runsc]
`,
		"[runtime]\nhandlers.kata.root = '/run/kata'\ninfra_args = []",
		"log_level = 'error'\nnetwork = {default_network = false}")
	src.Overrides = []config.Override{{Name: "--root", Key: "root", Value: "/srv/ocid"}}
	cfg, err := config.Load(src)
	require.NoError(t, err)
	assert.Equal(t, "error", cfg.LogLevel, "the last drop-in wins")
	assert.Equal(t, "/srv/ocid", cfg.Root, "an override wins")
	assert.Equal(t, []string{"kata", "runc", "runsc"}, cfg.HandlerNames(), "tables merge, an empty one counts")
	assert.Equal(t, config.Handler{Path: "/opt/kata/bin/kata-runtime", Root: "/run/kata", VM: true}, cfg.Runtime.Handlers["kata"])
	assert.Empty(t, cfg.Runtime.InfraArgs, "lists are replaced")
	assert.False(t, cfg.Network.DefaultNetwork)
	assert.Equal(t, "/etc/cni/net.d", cfg.Network.ConfDir, "the rest keeps its default")
}

func TestErrorsNameFileLineAndKey(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"unknown key", "\n\nlissten = '/x'", ":3: lissten: unknown option"},
		{"unknown key in a table", "[runtime]\nmonitor = 'conmon'\npause = 'x'", ":3: runtime.pause: unknown option"},
		{"unknown table", "[runtme]\nx = 1", ":2: runtme.x: unknown option"},
		{"unknown empty table", "\n[runtme]", ":2: runtme: unknown option"},
		{"unknown key of a handler", "[runtime.handlers.runc]\npaht = ''", ":2: runtime.handlers.runc.paht: unknown option"},
		{"inside an inline table", "[runtime]\nhandlers = {runc = {paht = ''}}", ":2: runtime.handlers.runc.paht: unknown option"},
		{"string for boolean", "[network]\ndefault_network = 'yes'", ":2: network.default_network: wrong type: a TOML string where a bool belongs"},
		{"string for list", "[storage]\noptions = 'x'", ":2: storage.options: wrong type: a TOML string where a []string belongs"},
		{"value for table", "network = 5", ":1: network: wrong type: a TOML integer where a table belongs"},
		{"number for path", "root = 5", ":1: root: wrong type: a TOML integer where a string belongs"},
		{"relative path", "root = 'var'", `:1: root: "var" is not an absolute path`},
		{"empty path", "root = ''", `:1: root: "" is not an absolute path`},
		{"relative program", "[runtime]\nmonitor = './conmon'", `:2: runtime.monitor: "./conmon" is not an absolute path`},
		{"relative path in a list", "[network]\nbin_dirs = ['/a', 'b']", `:2: network.bin_dirs: "b" is not an absolute path`},
		{"enumeration", "[runtime]\ninfra = 'never'", `:2: runtime.infra: "never" is none of ["auto" "always"]`},
		{"duration without unit", "shutdown_timeout = 5", `:1: shutdown_timeout: "5" is not a duration`},
		{"negative duration", "shutdown_timeout = '-5s'", `:1: shutdown_timeout: duration "-5s" is not positive`},
		{"zero duration", "[network]\nadd_timeout = '0s'", `:2: network.add_timeout: duration "0s" is not positive`},
		{"socket path", "listen = '/" + strings.Repeat("x", 107) + "'", ":1: listen: a socket path of 108 bytes"},
		{"unknown handler", "[runtime]\n# here\ndefault_handler = 'kata'", `:3: runtime.default_handler: no handler "kata"; there are ["runc"]`},
		{"unknown privileged handler", "runtime.privileged_handler = 'x'", `:1: runtime.privileged_handler: no handler "x"`},
		{"handler name", "[runtime.handlers.'a/b']\nvm = true", ":2: runtime.handlers.a/b: not a DNS label"},
		{"log size", "[runtime]\nlog_size_max = 0", ":2: runtime.log_size_max: 0 is neither -1 nor"},
		{"cgroup parent", "[runtime]\ncgroup_driver = 'systemd'\ncgroup_parent = '/pods'", `:3: runtime.cgroup_parent: "/pods" is not a systemd slice`},
		{"streams without exit_status", "[runtime.handlers.runsc]\nstreams = 'start'", `:2: runtime.handlers.runsc.streams: "start" takes exit_status = "wait"`},
		{"word of a handler", "[runtime.handlers.runsc]\nexit_status = 'x'", `:2: runtime.handlers.runsc.exit_status: "x" is none of ["child" "wait"]`},
		{"storage driver", "[storage]\ndriver = 'btrfs'", `:2: storage.driver: "btrfs" is none of`},
		{"no plugin directory", "[network]\nbin_dirs = []", ":2: network.bin_dirs: no directory"},
		{"same directory", "root = '/run/ocid'\nrunroot = '/run/ocid'", ":2: runroot: same directory as root"},
		{"empty monitor", "[runtime]\nmonitor = ''", `:2: runtime.monitor: "" is not an absolute path`},
		{"syntax", "\nlisten = ", ":2: "},
		{"duplicate key", "root = '/a'\nroot = '/b'", ":2: root: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			src := sources(t, c.text)
			_, err := config.Load(src)
			require.Error(t, err)
			assert.Contains(t, err.Error(), src.File+c.want)
			assert.NotContains(t, err.Error(), "\n", "one mistake, one line")
		})
	}
}

func TestErrorNamesTheFileThatSetTheKeyLast(t *testing.T) {
	src := sources(t, "[runtime]\ndefault_handler = 'runc'", "", "runtime.default_handler = 'crun'")
	_, err := config.Load(src)
	assert.ErrorContains(t, err, filepath.Join(src.DropInDir, "b.toml")+":1: runtime.default_handler: no handler")

	src.Overrides = []config.Override{{Name: "--default-handler", Key: "runtime.default_handler", Value: "gvisor"}}
	_, err = config.Load(src)
	assert.ErrorContains(t, err, `--default-handler: runtime.default_handler: no handler "gvisor"`)
}

func TestAllErrorsAtOnce(t *testing.T) {
	src := sources(t, "runroot = 5\na = 1\nroot = 'x'", "[b]\nc = 1")
	_, err := config.Load(src)
	require.Error(t, err)
	lines := strings.Split(err.Error(), "\n")
	require.Len(t, lines, 4)
	assert.Contains(t, lines[0], ":1: runroot", "in the order of the file")
	assert.Contains(t, lines[1], ":2: a")
	assert.Contains(t, lines[2], ":2: b.c", "and of the files")
	assert.Contains(t, lines[3], ":3: root", "what only the merged result shows comes last")
}

func TestAbsentSources(t *testing.T) {
	src := config.Sources{File: "/nonexistent/ocid.toml", DropInDir: "/nonexistent/d"}
	_, err := config.Load(src)
	require.NoError(t, err)
	src.FileRequired = true
	_, err = config.Load(src)
	require.ErrorContains(t, err, "/nonexistent/ocid.toml")
	src.FileRequired, src.DropInRequired = false, true
	_, err = config.Load(src)
	require.ErrorContains(t, err, "/nonexistent/d")
}

func TestWriteRoundTrip(t *testing.T) {
	src := sources(t, "[runtime]\ninfra = 'always'\nlog_size_max = 16384\n[runtime.handlers.kata]\nvm = true\n[image]\npinned = ['a', \"b'c\"]")
	cfg, err := config.Load(src)
	require.NoError(t, err)
	var first, second bytes.Buffer
	require.NoError(t, cfg.Write(&first))

	again, err := config.Load(sources(t, first.String()))
	require.NoError(t, err)
	require.NoError(t, again.Write(&second))
	assert.Equal(t, first.String(), second.String())
	assert.Equal(t, cfg.Runtime.InfraArgs, again.Runtime.InfraArgs)
	assert.Equal(t, cfg.ShutdownTimeout, again.ShutdownTimeout)
	for _, o := range config.Options() {
		for _, line := range strings.Split(o.Doc, "\n") {
			assert.Contains(t, first.String(), "# "+line, o.Key)
		}
	}
}

func TestEveryOptionIsDocumented(t *testing.T) {
	seen := map[string]bool{}
	for _, o := range config.Options() {
		assert.NotEmpty(t, o.Doc, o.Key)
		assert.False(t, seen[o.Key] || o.Flag != "" && seen["--"+o.Flag], "%s or --%s is declared twice", o.Key, o.Flag)
		seen[o.Key], seen["--"+o.Flag] = true, true
		for _, line := range strings.Split(o.Doc, "\n") {
			assert.Less(t, len(line), 110, o.Key)
		}
	}
	assert.True(t, seen["runtime.handlers.NAME.path"])
	assert.True(t, seen["network.add_timeout"])
}
