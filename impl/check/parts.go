package check

import (
	"context"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/cgroups"
	"golang.org/x/sys/unix"

	"ocid/impl/config"
	"ocid/impl/flight"
	"ocid/impl/network"
	"ocid/impl/runtime"
	"ocid/impl/store"
	"ocid/impl/store/image"
)

func lookConfig(_ context.Context, q Request, r *report) {
	files, err := q.From.Files()
	switch {
	case err != nil:
		r.fail("%v", err)
	case len(files) == 0:
		r.ok("no file: built-in defaults")
	default:
		r.ok("%s", strings.Join(files, ", "))
	}
	if conn, err := net.DialTimeout("unix", q.Config.Listen, time.Second); err == nil {
		_ = conn.Close()
		r.ok("a daemon listens on %s", q.Config.Listen)
	} else {
		r.ok("no daemon listens on %s", q.Config.Listen)
	}
}

func lookMachine(_ context.Context, q Request, r *report) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		r.fail("uname: %v", err)
	}
	r.ok("Linux %s", unix.ByteSliceToString(u.Release[:]))
	if os.Geteuid() != 0 {
		r.fail("user %d: the daemon has to be root", os.Geteuid())
	}
	version := "v1"
	if cgroups.IsCgroup2UnifiedMode() {
		version = "v2"
	}
	controllers, err := cgroups.GetAllSubsystems()
	if err != nil {
		r.fail("cgroups: %v", err)
	}
	r.ok("cgroup %s, driver %s, controllers: %s", version, q.Config.CgroupDriver(), strings.Join(controllers, " "))
	for _, need := range []string{"cpu", "memory", "pids"} {
		if !slices.Contains(controllers, need) {
			r.warn("cgroup controller %q is missing: its limits can't be set", need)
		}
	}
}

func lookRuntimes(ctx context.Context, q Request, r *report) {
	monitor, err := q.Config.MonitorPath()
	if err != nil {
		r.fail("%v", err)
		return
	}
	dir, err := os.MkdirTemp("", "ocid-check")
	if err != nil {
		r.fail("%v", err)
		return
	}
	defer os.RemoveAll(dir)
	for _, name := range q.Config.HandlerNames() {
		lookRuntime(ctx, q.Config, name, runtime.Options{Monitor: monitor, RunDir: dir, SystemdCgroup: q.Config.CgroupDriver() == config.CgroupSystemd}, r)
	}
	r.ok("default handler %q", q.Config.Runtime.DefaultHandler)
	if p := q.Config.Runtime.PrivilegedHandler; p != "" {
		r.ok("privileged handler %q", p)
	}
	if infra, err := q.Config.InfraPath(); err != nil {
		r.warn("%v: pods with a PID namespace of their own, and pods of VM runtimes, are refused", err)
	} else {
		r.ok("infrastructure program %s", infra)
	}
}

func lookRuntime(ctx context.Context, cfg *config.Config, name string, o runtime.Options, r *report) {
	handler, err := Handler(cfg, name)
	if err != nil {
		r.fail("%v", err)
		return
	}
	rt, err := runtime.New(handler, o)
	if err != nil {
		r.fail("handler %q: %v", name, err)
		return
	}
	info := rt.Info()
	r.ok("handler %q: %s (%s), monitor %s (%s)", name, info.Path, info.Version, info.Monitor, info.MonitorVersion)
	if _, err := rt.Features(ctx); err != nil {
		r.warn("handler %q does not tell its features: user namespaces and recursive read-only mounts are off", name)
	}
}

func lookNetwork(_ context.Context, q Request, r *report) {
	c := q.Config.Network
	var builtin []byte
	if c.DefaultNetwork {
		var err error
		if builtin, err = network.DefaultConfList(filepath.Join(q.Config.RunRoot, "leases")); err != nil {
			r.fail("%v", err)
			return
		}
	}
	m, err := network.New(network.Config{ConfDir: c.ConfDir, BinDirs: c.BinDirs, CacheDir: q.Config.CNICacheDir(), Default: builtin, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		r.fail("%v", err)
		return
	}
	defer m.Close()
	for _, problem := range m.Problems() {
		r.warn("%v", problem)
	}
	if used, err := m.Select(); err != nil {
		r.fail("%v", err)
	} else {
		r.ok("network %q, plugins from %s", used.Network, strings.Join(c.BinDirs, ", "))
	}
	if _, err := exec.LookPath("iptables"); err != nil {
		r.warn("%v: host ports and masquerading need it", err)
	}
}

// lookStorage opens a storage like the daemon's in a directory beside it, on
// the same file system, and asks it about images.
func lookStorage(_ context.Context, q Request, r *report) {
	parent := existing(q.Config.Root)
	dir, err := os.MkdirTemp(parent, ".ocid-check")
	if err != nil {
		r.fail("%v", err)
		return
	}
	defer os.RemoveAll(dir)
	s, err := store.Open(store.Options{
		Root: filepath.Join(dir, "root"), RunRoot: filepath.Join(dir, "run"),
		Driver: q.Config.Storage.Driver, DriverOptions: q.Config.Storage.Options,
	})
	if err != nil {
		r.fail("%v", err)
		return
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(parent, &fs); err == nil {
		r.ok("driver %s in %s, %d MiB free", q.Config.Storage.Driver, q.Config.StorageRoot(), fs.Bavail*uint64(fs.Bsize)>>20)
	}
	lookImages(q, s, r)
	if _, err := s.Shutdown(); err != nil {
		r.fail("%v", err)
	}
}

// existing is the deepest directory of a path that is there.
func existing(dir string) string {
	for dir != "/" {
		if info, err := os.Stat(dir); err == nil && info.IsDir() {
			return dir
		}
		dir = filepath.Dir(dir)
	}
	return dir
}

func lookImages(q Request, s *store.Store, r *report) {
	r.area = "images"
	c := q.Config.Image
	images, err := image.New(s, image.Options{
		Flights: &flight.Group[string]{}, RegistriesConf: c.RegistriesConf, RegistriesConfDir: c.RegistriesConfDir,
		RegistriesDir: c.RegistriesDir, CertsDir: c.CertsDir, PolicyPath: c.Policy, PolicyDir: c.PolicyDir, AuthFile: c.AuthFile, AuthDir: c.AuthDir,
	})
	if err != nil {
		r.fail("%v", err)
		return
	}
	registries, err := images.Registries()
	if err != nil {
		r.fail("%v", err)
	}
	for _, line := range registries {
		r.ok("%s", line)
	}
	for _, ref := range q.Images {
		lookImage(images, ref, r)
	}
}

func lookImage(images *image.Images, ref string, r *report) {
	candidates, err := images.Explain(ref)
	if err != nil {
		r.fail("%v", err)
	}
	for _, c := range candidates {
		var from []string
		for _, p := range c.Sources {
			if p.Insecure {
				p.Location += " (insecure)"
			}
			from = append(from, p.Location)
		}
		with := "no credentials"
		if c.Credentials {
			with = "credentials of the auth file"
		}
		if c.Blocked {
			r.fail("%s: %s is blocked by registries.conf", ref, c.Name)
			continue
		}
		r.ok("%s: %s from %s, %s", ref, c.Name, strings.Join(from, ", then "), with)
	}
}
