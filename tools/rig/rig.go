// Package rig starts ocid for the tests with real clients, by the profile
// "clients": a daemon with directories, a network and a registry of its own,
// whose traces the observers of package conformance/target know.
//
// It tests nothing itself.
package rig

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"ocid/conformance/target"
	"ocid/fixtures/profiles"
)

// Options say what is started.
type Options struct {
	Daemon      string              // the program; an absolute path
	Runtime     string              // OCI runtime; see [Runtime]
	Variables   map[string]string   // of the profile, beyond these two
	Environment *target.Environment // a registry that runs; nil starts one with the test images
	Keep        bool                // leave the work directory
}

// Start starts the daemon. Its Stop stops it, and its error says what was left
// behind.
func Start(ctx context.Context, o Options) (*target.T, error) {
	text, err := profiles.Files.ReadFile("clients.toml")
	if err != nil {
		return nil, err
	}
	profile, err := target.ParseProfile("clients.toml", text)
	if err != nil {
		return nil, err
	}
	variables := map[string]string{target.VarDaemon: o.Daemon, "RUNC": o.Runtime}
	maps.Copy(variables, o.Variables)
	t := &target.T{}
	err = t.Configure(target.Config{
		Profile: profile, BinDir: filepath.Dir(o.Daemon), Environment: o.Environment, Keep: o.Keep, Variables: variables,
	})
	if err != nil {
		return nil, err
	}
	if err := t.Start(ctx); err != nil {
		return nil, errors.Join(err, t.Stop(context.WithoutCancel(ctx)))
	}
	return t, nil
}

// Runtime makes a path absolute and leaves a name alone.
func Runtime(runtime string) (string, error) {
	if !strings.Contains(runtime, "/") {
		return runtime, nil
	}
	return filepath.Abs(runtime)
}

// Root refuses to go on as another user: only root can run containers.
func Root() error {
	if os.Geteuid() != 0 {
		return errors.New("only root can run containers")
	}
	return nil
}

// Endpoint is the daemon's socket in the form that clients take.
func Endpoint(t *target.T) string { return "unix://" + t.Var("LISTEN") }

// KeepLog copies the daemon's log.
func KeepLog(t *target.T, to string) error {
	text, err := os.ReadFile(filepath.Join(t.Work(), "daemon.log"))
	if err != nil {
		return err
	}
	return os.WriteFile(to, text, 0o600)
}
