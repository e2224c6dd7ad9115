// Package runtime runs containers through an OCI runtime's command line (runc,
// crun, runsc, Kata 1.x), with a monitor process (conmon) in front of each
// long-lived container.
//
// The monitor is the parent of the container's init: it keeps the log, writes
// the exit code to a file and lives on when this process dies. Everything a
// later process needs to pick a container up again is the container's ID, the
// Process value that Create returned and the run directory.
//
// The package refuses to know what a pod is, to judge whether an operation is
// legal, to build OCI configurations, to remember containers in memory, and to
// signal a container except through its runtime. The only processes it kills
// itself are its own: the runtime commands and monitors that it started, with
// what is below them.
package runtime

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go/features"
	"golang.org/x/sys/unix"
)

// Bounds on work that has no deadline of its caller's.
const (
	probeTimeout   = 10 * time.Second // New: `--version` of runtime and monitor
	cleanupTimeout = 5 * time.Second  // what a failed Create undoes after its context ended
	monitorGrace   = 30 * time.Second // from init's end to the monitor's end
	pipeGrace      = time.Second      // from a command's end to the end of its output
)

// Handler names one OCI runtime.
type Handler struct {
	Name string   // what errors call it; looked up in PATH when Path is empty
	Path string   // the runtime's program
	Root string   // the runtime's --root (its state directory); "" leaves the runtime's default
	Args []string // more global arguments, before the subcommand
	Env  []string // more environment ("K=V") for runtime and monitor; a later entry wins

	// Keeper is the program of package keeper, for a runtime whose containers are
	// no processes of the host's: Process is the keeper then. "" has none.
	Keeper       string
	StartStreams bool // takes a Keeper: the streams of a container go to the runtime's start, not to its create
	GuestExec    bool // a command is a process of the container only, and has the runtime's terminal; see killGuest
}

// Options are what all containers of a handler have in common.
type Options struct {
	Monitor       string       // conmon's program; "" looks "conmon" up in PATH
	RunDir        string       // absolute; one subdirectory per container, best on a tmpfs
	SystemdCgroup bool         // create containers with the runtime's systemd cgroup driver
	LogSizeMax    int64        // bytes of a container's log file; 0 is no limit
	Log           *slog.Logger // nil discards
}

// OCI drives one runtime. It holds no state of containers: any number of values
// may exist for the same Handler and RunDir, one after the other or at once.
type OCI struct {
	name    string
	path    string
	keeper  string
	monitor string
	root    string   // the runtime's state directory, "" if not known
	global  []string // arguments before the subcommand
	env     []string
	opts    Options
	log     *slog.Logger
	info    Info
	grace   time.Duration // monitorGrace

	startStreams, guestExec bool

	hierarchies []string // mount points of cgroups
}

// Info says which programs a handler runs.
type Info struct {
	Name           string
	Path           string
	Version        string // first line of `runtime --version`, "" if it printed none
	Monitor        string
	MonitorVersion string
	Features       *features.Features // as the runtime tells them; nil if it does not
}

// New finds both programs and executes each once for its version, and the runtime for its features. It fails if
// one of them is missing, can't be executed or hangs; a runtime that merely
// refuses `--version` is accepted.
//
// New also marks every file descriptor this process has inherited
// close-on-exec, so that no monitor holds them open for its container's life.
func New(h Handler, o Options) (*OCI, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if !filepath.IsAbs(o.RunDir) {
		return nil, fmt.Errorf("runtime %s: run directory %q is not absolute", h.Name, o.RunDir)
	}
	r := &OCI{
		name: h.Name, opts: o, root: h.Root, log: o.Log.With("runtime", h.Name), grace: monitorGrace,
		keeper: h.Keeper, startStreams: h.StartStreams, guestExec: h.GuestExec,
	}
	var err error
	if r.path, err = lookUp(h.Path, h.Name); err != nil {
		return nil, fmt.Errorf("runtime %s: %w", h.Name, err)
	}
	if r.monitor, err = lookUp(o.Monitor, "conmon"); err != nil {
		return nil, fmt.Errorf("runtime %s: monitor: %w", h.Name, err)
	}
	if h.Root != "" {
		r.global = append(r.global, "--root="+h.Root)
	}
	r.global = append(r.global, h.Args...)
	r.env = append(baseEnv(), h.Env...)
	if err := unix.CloseRange(3, math.MaxInt32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return nil, fmt.Errorf("runtime %s: close_range: %w", h.Name, err)
	}
	if r.hierarchies, err = cgroupMounts(); err != nil {
		return nil, fmt.Errorf("runtime %s: %w", h.Name, err)
	}
	if err := r.probe(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.RunDir, 0o700); err != nil {
		return nil, fmt.Errorf("runtime %s: run directory: %w", h.Name, err)
	}
	return r, nil
}

// Info says which programs and versions were found by New.
func (r *OCI) Info() Info { return r.info }

func (r *OCI) probe() error {
	r.info = Info{Name: r.name, Path: r.path, Monitor: r.monitor}
	for _, p := range []struct {
		path string
		line *string
	}{{r.path, &r.info.Version}, {r.monitor, &r.info.MonitorVersion}} {
		ctx, cancel := context.WithTimeout(context.Background(), probeTimeout)
		out, err := output(r.command(ctx, p.path, "--version"))
		cancel()
		var exit *exec.ExitError
		if err != nil && (!errors.As(err, &exit) || !exit.Exited()) {
			return fmt.Errorf("runtime %s: %s --version: %w", r.name, p.path, err)
		}
		*p.line = firstLine(out.stdout.Bytes())
	}
	ctx, cancel := context.WithTimeout(context.Background(), probeTimeout)
	defer cancel()
	features, err := r.Features(ctx)
	if err == nil {
		r.info.Features = features
	}
	r.log.Debug("features", "err", err)
	return nil
}

// lookUp returns the absolute path of an executable.
func lookUp(path, name string) (string, error) {
	if path == "" {
		path = name
	}
	found, err := exec.LookPath(path)
	if err != nil {
		return "", err
	}
	return filepath.Abs(found)
}

// baseEnv is the part of our environment that runtimes need. The rest stays
// here: runc changes its behaviour for a NOTIFY_SOCKET or LISTEN_FDS it inherits.
func baseEnv() []string {
	var env []string
	for _, key := range []string{"PATH", "HOME", "TMPDIR", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"} {
		if v, ok := os.LookupEnv(key); ok {
			env = append(env, key+"="+v)
		}
	}
	return env
}

// idPattern is what runc accepts as a container ID; it also makes an ID safe as
// an argument and as a file name.
var idPattern = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_+.-]{0,254}$`)

func (r *OCI) dir(id string) string { return filepath.Join(r.opts.RunDir, id) }
