package config_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"ocid/impl/config"
)

// FuzzLoad reads anything as a configuration file. What is wrong names the
// file; what is right can be written and read again, and is the same then.
func FuzzLoad(f *testing.F) {
	cfg, err := config.Default()
	require.NoError(f, err)
	var all bytes.Buffer
	require.NoError(f, cfg.Write(&all))
	f.Add(all.String())
	for _, text := range []string{
		"log_level = 'debug'", "[runtime.handlers.kata]\npath = '/bin/true'\nvm = true", "runtime = {handlers = {}}",
		"listen = 1", "[network]\nbin_dirs = ['/a', 2]", "a = {b = [{c = 1}]}", "shutdown_timeout = '-1s'", "root = ''", "\"a.b\" = 1", "[[runtime]]",
	} {
		f.Add(text)
	}
	file := filepath.Join(f.TempDir(), "ocid.toml")
	again := filepath.Join(f.TempDir(), "again.toml")
	f.Fuzz(func(t *testing.T, text string) {
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		cfg, err := config.Load(config.Sources{File: file, FileRequired: true})
		if err != nil {
			for line := range strings.SplitSeq(strings.TrimSpace(err.Error()), "\n") {
				require.NotEmpty(t, line)
			}
			require.Nil(t, cfg)
			return
		}
		var first, second bytes.Buffer
		require.NoError(t, cfg.Write(&first))
		require.NoError(t, os.WriteFile(again, first.Bytes(), 0o600))
		cfg, err = config.Load(config.Sources{File: again, FileRequired: true})
		require.NoError(t, err, "%s", first.String())
		require.NoError(t, cfg.Write(&second))
		require.Equal(t, first.String(), second.String())
	})
}
