// Package rig starts ocid for the tests with real clients, by the profile
// "clients": a daemon with directories, a network and a registry of its own,
// whose traces the observers of package conformance/target know.
//
// It tests nothing itself.
package rig

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"strings"

	"ocid/conformance/target"

	"golang.org/x/sys/unix"
)

// Options say what is started.
type Options struct {
	Daemon      string              // the program; an absolute path
	Runtime     string              // OCI runtime: a name looked up in $PATH, or an absolute path
	Variables   map[string]string   // of the profile, beyond these two
	Environment *target.Environment // a registry that runs; nil starts one with the test images
	Keep        bool                // leave the work directory
}

// Start starts the daemon. Its Stop stops it, and its error says what was left
// behind.
func Start(ctx context.Context, o Options) (*target.T, error) {
	profile, err := target.LoadProfile("clients")
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

// Programs are what every test with real clients is told by its flags.
type Programs struct {
	Bin     string // directory of ocid and the clients; absolute
	Runtime string // OCI runtime: a name looked up in $PATH, or an absolute path
}

// Main is the main function of such a test: it parses the flags, those too that
// the caller has defined, runs the test until a signal comes, and exits with 1
// and the error if it fails.
func Main(name string, test func(context.Context, Programs) error) {
	var p Programs
	flag.StringVar(&p.Bin, "bin", "bin", "directory of ocid and the clients")
	flag.StringVar(&p.Runtime, "runtime", "runc", "OCI runtime: a name looked up in $PATH, or a path")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	err := p.complete()
	if err == nil {
		err = test(ctx, p)
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, name+":", err)
		os.Exit(1)
	}
}

// complete makes the paths absolute. Only root can run containers.
func (p *Programs) complete() (err error) {
	if os.Geteuid() != 0 {
		return errors.New("only root can run containers")
	}
	if p.Bin, err = filepath.Abs(p.Bin); err != nil {
		return err
	}
	if strings.Contains(p.Runtime, "/") {
		p.Runtime, err = filepath.Abs(p.Runtime)
	}
	return err
}

// Daemon is the path of ocid.
func (p Programs) Daemon() string { return filepath.Join(p.Bin, "ocid") }

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
