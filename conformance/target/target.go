// Package target is how probes reach the daemon under test: raw CRI stubs,
// helpers that clean up after themselves, and observers that look from outside.
//
// It refuses to hold an opinion: it knows no rule and no daemon. What a daemon
// is, where it keeps its traces and what it can do stands in a [Profile]. The
// observers read /proc, mounts, cgroups and files, and never ask the daemon.
package target

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"ocid/fixtures/images"
	"ocid/fixtures/registry"

	"google.golang.org/grpc"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Config is what a [T] is made from.
type Config struct {
	Profile     Profile
	Variables   map[string]string // on top of the profile's
	BinDir      string            // holds witness-oci and witness-cni; "" builds them
	Environment *Environment      // a registry that runs already; nil starts one
	Keep        bool              // leave the work directory for a look
	Log         *slog.Logger      // nil is silence
}

// T is the daemon under test and the place around it. There is one per suite
// process; see [Current]. A T is not safe for concurrent use, but for its stubs
// and observers.
type T struct {
	Runtime runtimeapi.RuntimeServiceClient
	Images  runtimeapi.ImageServiceClient
	Witness *WitnessView

	// Registry is the way to the image registry: every pull goes through it, is
	// counted, and can be made to fail until the end of the case.
	Registry *registry.Proxy

	cfg        Config
	log        *slog.Logger
	work       string
	vars       Variables
	overrides  Variables
	env        *Environment
	stopEnv    func() error
	refs       map[string]images.Ref
	daemon     *process
	daemonLog  *logFile
	conn       *grpc.ClientConn
	unruled    unruled
	observer   *Observer
	version    *runtimeapi.VersionResponse
	cgroup     string
	busybox    string // reference of the default image, pulled
	cleanups   []cleanup
	before     Snapshot
	caseOffset int64
	serial     int
}

// current is the one T of the process. Ginkgo builds its tree of probes before
// any daemon exists, so that probes have to find the target by a fixed name.
var current = sync.OnceValue(func() *T { return &T{} })

// Current returns the target of this process. It may be taken at any time, also
// in a package's variables; before the suite has started it, it is empty.
func Current() *T { return current() }

// A SuiteError is trouble of the suite or its place, never the daemon's.
type SuiteError struct{ Err error }

func (e *SuiteError) Error() string { return suiteErrorPrefix + e.Err.Error() }
func (e *SuiteError) Unwrap() error { return e.Err }

const suiteErrorPrefix = "suite error: "

func suiteError(err error) error {
	var already *SuiteError
	if err == nil || errors.As(err, &already) {
		return err
	}
	return &SuiteError{Err: err}
}

// Configure sets what the target is to be. It does nothing yet.
func (t *T) Configure(cfg Config) error {
	if err := cfg.Profile.check(); err != nil {
		return suiteError(fmt.Errorf("profile %q: %w", cfg.Profile.Name, err))
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	t.cfg, t.log = cfg, cfg.Log
	return nil
}

// Start makes the work directory, starts the registry, renders the daemon's
// files, starts the daemon, waits until Version answers, and pulls the default
// image. An error that is not a [SuiteError] is the daemon's. Stop has to be
// called in either case.
func (t *T) Start(ctx context.Context) error {
	if t.log == nil {
		return suiteError(errors.New("target is not configured"))
	}
	steps := []struct {
		what string
		do   func(context.Context) error
		own  bool
	}{
		{"work directory", t.makeWork, true},
		{"registry", t.startEnvironment, true},
		{"witness", t.setUpWitness, true},
		{"files", func(context.Context) error { return t.render() }, true},
		{"observers", t.makeObserver, true},
		{"daemon", t.StartDaemon, false},
		{"cgroup parent", t.chooseCgroup, false},
		{"default image", t.pullDefault, false},
	}
	for _, s := range steps {
		begin := time.Now()
		err := s.do(ctx)
		if err != nil && s.own {
			return suiteError(fmt.Errorf("%s: %w", s.what, err))
		}
		if err != nil {
			return fmt.Errorf("%s: %w", s.what, err)
		}
		t.log.Debug("ready", "step", s.what, "took", time.Since(begin))
	}
	return nil
}

// Stop stops the daemon, reports what it left behind, and deletes all of it.
// It may be called after a failed Start, and twice.
func (t *T) Stop(ctx context.Context) error {
	if t.work == "" {
		return nil
	}
	errs := []error{t.StopDaemon(ctx)}
	if t.conn != nil {
		errs = append(errs, t.conn.Close())
		t.conn = nil
	}
	if t.stopEnv != nil {
		errs = append(errs, suiteError(t.stopEnv()))
		t.stopEnv = nil
	}
	if t.cfg.Keep {
		t.log.Info("kept", "work", t.work)
		return errors.Join(errs...)
	}
	errs = append(errs, t.tearDown(context.WithoutCancel(ctx))) // each of its steps is bounded
	t.work = ""
	return errors.Join(errs...)
}

func (t *T) makeWork(context.Context) error {
	work, err := os.MkdirTemp("/tmp", "cri")
	if err != nil {
		return err
	}
	t.work = work
	if err := os.Chmod(work, 0o711); err != nil {
		return err
	}
	for _, dir := range []string{"logs", "bin"} {
		if err := os.Mkdir(filepath.Join(work, dir), 0o711); err != nil {
			return err
		}
	}
	bin := t.cfg.BinDir
	if bin == "" {
		bin = filepath.Join(work, "bin")
	}
	if bin, err = filepath.Abs(bin); err != nil {
		return err
	}
	vars, err := builtin(work, bin)
	if err != nil {
		return err
	}
	t.vars = vars.with(t.cfg.Profile.Variables, t.cfg.Variables)
	t.daemonLog, err = openLog(filepath.Join(work, "daemon.log"))
	return err
}

// Work returns the work directory of this run.
func (t *T) Work() string { return t.work }

// Profile returns the profile in use.
func (t *T) Profile() Profile { return t.cfg.Profile }

// Has reports whether the profile declares the feature. A probe that cannot do
// without one calls [T.Need] instead.
func (t *T) Has(f Feature) bool { return t.cfg.Profile.Has(f) }

// happensIn is how long it may take until what happens by itself has happened,
// with processes of the host.
const happensIn = 5 * time.Second

// HappensIn is how long a probe waits for what happens by itself.
func (t *T) HappensIn() time.Duration { return t.cfg.Profile.Within(happensIn) }

// Handlers returns the names of the configured runtime handlers, the default
// first.
func (t *T) Handlers() []string { return slices.Clone(t.cfg.Profile.Handlers) }

// Version returns the daemon's answer to Version when it was first started; nil
// if it never answered.
func (t *T) Version() *runtimeapi.VersionResponse { return t.version }

// Var returns a variable's value as the daemon is configured now; "" if it has
// none.
func (t *T) Var(name string) string {
	value, err := t.effective().Expand("${" + name + "}")
	if err != nil {
		return ""
	}
	return value
}

func (t *T) effective() Variables { return t.vars.with(t.overrides) }

// Fresh returns a text that no other call in this run returns, for names.
func (t *T) Fresh(stem string) string {
	t.serial++
	return fmt.Sprintf("%s-%d", stem, t.serial)
}
