package config_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ocid/impl/config"
)

func TestChanges(t *testing.T) {
	old, err := config.Default()
	require.NoError(t, err)
	same, err := config.Default()
	require.NoError(t, err)
	live, restart := config.Changes(old, same)
	assert.Empty(t, live)
	assert.Empty(t, restart)

	same.LogLevel = "debug"
	same.Network.BinDirs = append(same.Network.BinDirs, "/a")
	same.Runtime.Handlers["kata"] = config.Handler{VM: true}
	live, restart = config.Changes(old, same)
	assert.Equal(t, []string{"log_level"}, live)
	assert.Contains(t, restart, "network.bin_dirs")
	assert.Contains(t, restart, "runtime.handlers.kata.vm")
	_, back := config.Changes(same, old)
	assert.Equal(t, restart, back, "what is taken away is a change too")
}
