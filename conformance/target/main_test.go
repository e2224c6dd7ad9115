package target

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"ocid/conformance/internal/fakecri"
	"ocid/fixtures/images"

	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) {
	fakecri.Main()
	os.Exit(m.Run())
}

// fake returns a profile whose daemon is this test's program, with faults.
func fake(t *testing.T, faults string) Profile {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	return Profile{
		Name:      "fake",
		Features:  []Feature{FeatureRestart},
		Variables: map[string]string{"SPEED": "slow"},
		Daemon: &Daemon{
			Command:      []string{self, "--listen", "${LISTEN}", "--root", "${ROOT}", "--config", "${WORK}/etc/fake.conf"},
			Env:          map[string]string{fakecri.Env: faults, "GORACE": "atexit_sleep_ms=0"},
			Files:        map[string]string{"etc/fake.conf": "speed=${SPEED}"},
			StartTimeout: Duration(10e9),
			StopTimeout:  Duration(1e9),
		},
		Observe: Observe{Files: []string{"${ROOT}"}, Settle: Duration(2e8)},
	}
}

// nowhere is a registry that is never asked, for the fake daemon pulls nothing.
func nowhere() *Environment {
	return &Environment{Registry: "127.0.0.1:1", Images: map[string]images.Ref{
		images.Busybox: {Tagged: "127.0.0.1:1/ocid-test/busybox:1"},
	}}
}

// configured returns a target that is not started, and is stopped at the end.
func configured(t *testing.T, p Profile) *T {
	t.Helper()
	target := &T{}
	require.NoError(t, target.Configure(Config{Profile: p, Environment: nowhere()}))
	t.Cleanup(func() { _ = target.Stop(context.WithoutCancel(t.Context())) })
	return target
}

func started(t *testing.T, p Profile) *T {
	t.Helper()
	target := configured(t, p)
	require.NoError(t, target.Start(t.Context()))
	return target
}

func write(t *testing.T, text string, elements ...string) string {
	t.Helper()
	path := filepath.Join(elements...)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}
