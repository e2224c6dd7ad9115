package config_test

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ocid/impl/config"
)

// program makes an executable file and returns its path.
func program(t *testing.T, dir, name string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"), 0o755))
	return path
}

func TestPrograms(t *testing.T) {
	bin := t.TempDir()
	t.Setenv("PATH", bin)
	cfg, err := config.Default()
	require.NoError(t, err)

	_, err = cfg.HandlerPath("runc")
	require.ErrorContains(t, err, `runtime handler "runc"`)
	_, err = cfg.HandlerPath("kata")
	require.ErrorContains(t, err, `"kata" is not configured`)
	_, err = cfg.MonitorPath()
	require.ErrorContains(t, err, "conmon")

	runc, conmon, catatonit := program(t, bin, "runc"), program(t, bin, "conmon"), program(t, bin, "catatonit")
	crun := program(t, t.TempDir(), "crun")
	cfg.Runtime.Handlers["other"] = config.Handler{Path: crun, Root: "/run/other"}
	for want, find := range map[string]func() (string, error){
		runc:      func() (string, error) { return cfg.HandlerPath("runc") },
		crun:      func() (string, error) { return cfg.HandlerPath("other") },
		conmon:    cfg.MonitorPath,
		catatonit: cfg.InfraPath,
	} {
		path, err := find()
		require.NoError(t, err)
		assert.Equal(t, want, path)
	}

	keeper := program(t, bin, "ocid-keeper")
	path, err := cfg.KeeperPath("other")
	require.NoError(t, err)
	assert.Empty(t, path, "a handler that needs none")
	cfg.Runtime.Handlers["runsc"] = config.Handler{ExitStatus: config.ExitWait}
	path, err = cfg.KeeperPath("runsc")
	require.NoError(t, err)
	assert.Equal(t, keeper, path)
	cfg.Runtime.Keeper = filepath.Join(bin, "none")
	_, err = cfg.KeeperPath("runsc")
	require.ErrorContains(t, err, `keeper of handler "runsc"`)

	cfg.Runtime.InfraProgram = filepath.Join(bin, "none")
	_, err = cfg.InfraPath()
	require.ErrorContains(t, err, "infrastructure program")
}

func TestDerivedDirectories(t *testing.T) {
	cfg, err := config.Default()
	require.NoError(t, err)
	cfg.RunRoot = "/r"
	cfg.Runtime.Handlers["other"] = config.Handler{Root: "/run/other"}
	assert.Equal(t, "/r/runtimes/runc", cfg.HandlerRoot("runc"))
	assert.Equal(t, "/run/other", cfg.HandlerRoot("other"))
	assert.Equal(t, "/r/cni", cfg.CNICacheDir())
	cfg.Network.CacheDir = "/c"
	assert.Equal(t, "/c", cfg.CNICacheDir())
	assert.Equal(t, "/var/lib/ocid/storage", cfg.StorageRoot())
	assert.Equal(t, "/r/storage", cfg.StorageRunRoot())
	cfg.Runtime.CgroupDriver = config.CgroupSystemd
	assert.Equal(t, config.CgroupSystemd, cfg.CgroupDriver())
}

func TestLogger(t *testing.T) {
	cfg, err := config.Default()
	require.NoError(t, err)
	cfg.LogLevel, cfg.LogFormat = "warn", config.LogJSON
	var out bytes.Buffer
	level := &slog.LevelVar{}
	level.Set(cfg.Level())
	log := cfg.Logger(&out, level)
	log.Info("quiet")
	assert.Empty(t, out.String())
	log.Warn("loud")
	assert.Contains(t, out.String(), `"msg":"loud"`)
	level.Set(slog.LevelInfo)
	log.Info("late")
	assert.Contains(t, out.String(), `"msg":"late"`, "the level is read at each message")
}
