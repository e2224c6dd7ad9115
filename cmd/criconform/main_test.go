package main

import (
	"bytes"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"ocid/conformance/target"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestUsageErrors(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad.toml")
	require.NoError(t, os.WriteFile(bad, []byte("nme = 'x'"), 0o600))
	for _, args := range [][]string{
		{"rnu"},
		{"run", "--profile", "/nonexistent.toml"},
		{"run", "--profile", bad},
		{"run", "--set", "novalue"},
		{"run", "--daemon", "/nonexistent/daemon"},
		{"run", "--env", "/nonexistent.json"},
		{"run", "extra"},
		{"list", "--rule", "no.such.rule"},
		{"list", "--kind", "odd"},
		{"report"},
		{"report", "/nonexistent.json"},
		{"report", bad},
		{"env"},
	} {
		assert.Equal(t, exitUsage, execute(args), "%q", args)
	}
}

func TestListAndReport(t *testing.T) {
	assert.Zero(t, execute([]string{"list"}))
	assert.Zero(t, execute([]string{"list", "--json", "--kind", "probe", "--rule", "service.version"}))
	assert.Zero(t, execute([]string{"report", "../../conformance/report/testdata/report.json"}))
}

func TestListShowsRulesAndProbes(t *testing.T) {
	root := listCommand()
	var out bytes.Buffer
	root.SetOut(&out)
	root.SetArgs([]string{"--rule", "service.version"})
	require.NoError(t, root.Execute())
	assert.Contains(t, out.String(), "service.version  MUST   probe  Version names the runtime")
}

func TestClaimIsTheFirstOnes(t *testing.T) {
	dir := t.TempDir()
	assert.True(t, claim(dir, "a / b"))
	assert.False(t, claim(dir, "a / b"))
	assert.True(t, claim(dir, "a / c"))
	assert.False(t, claim(filepath.Join(dir, "nowhere"), "d"), "a run that is over")
}

func TestEnvServesUntilTold(t *testing.T) {
	file := filepath.Join(t.TempDir(), "env.json")
	ended := make(chan int, 1)
	go func() { ended <- execute([]string{"env", "--file", file}) }()
	require.Eventually(t, func() bool {
		_, err := os.Stat(file)
		return err == nil
	}, time.Minute, 20*time.Millisecond)
	env, err := target.LoadEnvironment(file)
	require.NoError(t, err)
	assert.NotEmpty(t, env.Images["busybox"].Tagged)
	require.NoError(t, syscall.Kill(os.Getpid(), syscall.SIGTERM))
	assert.Zero(t, <-ended)
	assert.NoFileExists(t, file)
}
