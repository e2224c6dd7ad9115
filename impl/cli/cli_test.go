package cli_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ocid/impl/cli"
	"ocid/impl/config"
)

// execute runs a command line; cfg is what the daemon would have been given.
func execute(t *testing.T, args ...string) (cfg *config.Config, out string, err error) {
	t.Helper()
	var buf bytes.Buffer
	cmd := cli.Command(cli.Programs{Run: func(_ context.Context, c *config.Config, _ config.Sources) error { cfg = c; return nil }})
	cmd.SetArgs(args)
	cmd.SetOut(&buf)
	cmd.SetErr(&buf)
	err = cmd.Execute()
	return cfg, buf.String(), err
}

func TestRunWithFlags(t *testing.T) {
	cfg, _, err := execute(t, "--config=", "--config-dir=", "--listen=/a/s", "--root=/a/root", "--runroot", "/a/run",
		"--log-level=debug", "--cni-conf-dir=/a/cni", "--netns-dir=/a/ns")
	require.NoError(t, err)
	require.NotNil(t, cfg, "the daemon runs")
	assert.Equal(t, []string{"/a/s", "/a/root", "/a/run", "debug", "/a/cni", "/a/ns"},
		[]string{cfg.Listen, cfg.Root, cfg.RunRoot, cfg.LogLevel, cfg.Network.ConfDir, cfg.Network.NetNSDir})
}

func TestFlagsWinOverFiles(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ocid.toml")
	require.NoError(t, os.WriteFile(file, []byte("root = '/file'\nlog_level = 'warn'\n"), 0o644))
	cfg, _, err := execute(t, "--config="+file, "--config-dir=", "--root=/flag")
	require.NoError(t, err)
	assert.Equal(t, "/flag", cfg.Root)
	assert.Equal(t, "warn", cfg.LogLevel, "a flag that is not given overrides nothing")
}

func TestErrors(t *testing.T) {
	for want, args := range map[string][]string{
		`--log-level: log_level: "loud" is none of`:         {"--config=", "--log-level=loud"},
		`--root: root: "x" is not an absolute path`:         {"--config=", "--root=x", "config"},
		"configuration file: stat /nonexistent.toml":        {"--config=/nonexistent.toml"},
		"drop-in directory: open /nonexistent.d":            {"--config=", "--config-dir=/nonexistent.d"},
		`unknown command "frobnicate"`:                      {"frobnicate"},
		"unknown flag: --frobnicate":                        {"--frobnicate"},
		`unknown command "extra" for "ocid config"`:         {"config", "extra"},
		`--netns-dir: network.netns_dir: "" is not an abso`: {"--config=", "--netns-dir="},
	} {
		cfg, _, err := execute(t, args...)
		require.ErrorContains(t, err, want)
		assert.Nil(t, cfg, "the daemon does not run")
	}
}

func TestRunErrorIsReturned(t *testing.T) {
	failure := errors.New("no runtime")
	cmd := cli.Command(cli.Programs{Run: func(context.Context, *config.Config, config.Sources) error { return failure }})
	cmd.SetArgs([]string{"--config=", "--config-dir="})
	assert.ErrorIs(t, cmd.Execute(), failure)
}

func TestConfigPrintsWhatLoads(t *testing.T) {
	_, out, err := execute(t, "config", "--config=", "--config-dir=", "--root=/a/root")
	require.NoError(t, err)
	assert.Contains(t, out, "root = '/a/root'")
	file := filepath.Join(t.TempDir(), "ocid.toml")
	require.NoError(t, os.WriteFile(file, []byte(out), 0o644))
	_, again, err := execute(t, "config", "--config="+file, "--config-dir=")
	require.NoError(t, err)
	assert.Equal(t, out, again)
}

func TestVersion(t *testing.T) {
	_, out, err := execute(t, "version")
	require.NoError(t, err)
	assert.Regexp(t, `^ocid \d+\.\d+\.\d+`, out)
}

// What a shell asks for after "--log-level": the words that the option's own
// declaration allows.
func TestCompletion(t *testing.T) {
	_, out, err := execute(t, "__complete", "--log-level", "")
	require.NoError(t, err)
	assert.Contains(t, out, "debug\ninfo\nwarn\nerror\n")
	_, out, err = execute(t, "completion", "bash")
	require.NoError(t, err)
	assert.Contains(t, out, "__start_ocid")
}

func TestCheckGetsItsOptions(t *testing.T) {
	var got cli.CheckOptions
	cmd := cli.Command(cli.Programs{Check: func(_ context.Context, cfg *config.Config, _ config.Sources, o cli.CheckOptions) error {
		got = o
		return errors.New("wrong: " + cfg.Root)
	}})
	cmd.SetArgs([]string{"check", "--config=", "--config-dir=", "--root=/a/root", "--image=one", "--image=two,three", "--json"})
	require.EqualError(t, cmd.Execute(), "wrong: /a/root")
	assert.Equal(t, []string{"one", "two,three"}, got.Images)
	assert.True(t, got.JSON)
}
