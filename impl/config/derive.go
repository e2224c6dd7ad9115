package config

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
)

// What the options infra, cgroup_driver, image.volumes, log_format and those of a handler may say.
const (
	InfraAuto   = "auto"
	InfraAlways = "always"

	CgroupAuto    = "auto"
	CgroupFS      = "cgroupfs"
	CgroupSystemd = "systemd"

	VolumesMkdir  = "mkdir"
	VolumesIgnore = "ignore"

	ExitWait     = "wait"
	StreamsStart = "start"
	ExecGuest    = "guest"

	LogJSON = "json"
)

// keeperName is the program of runtime.keeper.
const keeperName = "ocid-keeper"

// infraName and infraDir are where Debian and others keep the program of the
// infrastructure process.
const (
	infraName = "catatonit"
	infraDir  = "/usr/libexec/podman"
)

// HandlerNames lists the configured handlers, sorted.
func (c *Config) HandlerNames() []string {
	return slices.Sorted(maps.Keys(c.Runtime.Handlers))
}

// HandlerPath finds the OCI runtime of a handler. It fails if the handler is
// not configured or its program is missing or not executable.
func (c *Config) HandlerPath(name string) (string, error) {
	h, ok := c.Runtime.Handlers[name]
	if !ok {
		return "", fmt.Errorf("runtime handler %q is not configured", name)
	}
	program := h.Path
	if program == "" {
		program = name
	}
	path, err := exec.LookPath(program)
	if err != nil {
		return "", fmt.Errorf("runtime handler %q: %w", name, err)
	}
	return path, nil
}

// HandlerRoot is the state directory of a handler's runtime.
func (c *Config) HandlerRoot(name string) string {
	if root := c.Runtime.Handlers[name].Root; root != "" {
		return filepath.Clean(root)
	}
	return filepath.Join(c.RunRoot, "runtimes", name)
}

// MonitorPath finds the container monitor.
func (c *Config) MonitorPath() (string, error) {
	path, err := exec.LookPath(c.Runtime.Monitor)
	if err != nil {
		return "", fmt.Errorf("container monitor: %w", err)
	}
	return path, nil
}

// KeeperPath finds the program that stands for the containers of a handler; ""
// for one that needs none.
func (c *Config) KeeperPath(handler string) (string, error) {
	if c.Runtime.Handlers[handler].ExitStatus != ExitWait {
		return "", nil
	}
	candidates := []string{c.Runtime.Keeper}
	if c.Runtime.Keeper == "" {
		candidates = []string{keeperName}
		if self, err := os.Executable(); err == nil {
			candidates = []string{filepath.Join(filepath.Dir(self), keeperName), keeperName}
		}
	}
	var errs []error
	for _, program := range candidates {
		path, err := exec.LookPath(program)
		if err == nil {
			return path, nil
		}
		errs = append(errs, err)
	}
	return "", fmt.Errorf("keeper of handler %q: %w", handler, errors.Join(errs...))
}

// InfraPath finds the program of the infrastructure process.
func (c *Config) InfraPath() (string, error) {
	if p := c.Runtime.InfraProgram; p != "" {
		path, err := exec.LookPath(p)
		if err != nil {
			return "", fmt.Errorf("infrastructure program: %w", err)
		}
		return path, nil
	}
	for _, program := range []string{infraName, filepath.Join(infraDir, infraName)} {
		if path, err := exec.LookPath(program); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("infrastructure program: no %s in $PATH or %s, and runtime.infra_program is empty", infraName, infraDir)
}

// CgroupDriver is cgroupfs or systemd; "auto" is decided by whether systemd
// runs on this machine.
func (c *Config) CgroupDriver() string {
	if c.Runtime.CgroupDriver != CgroupAuto {
		return c.Runtime.CgroupDriver
	}
	if fi, err := os.Stat("/run/systemd/system"); err == nil && fi.IsDir() {
		return CgroupSystemd
	}
	return CgroupFS
}

// CNICacheDir is the directory of CNI results.
func (c *Config) CNICacheDir() string {
	if c.Network.CacheDir != "" {
		return filepath.Clean(c.Network.CacheDir)
	}
	return filepath.Join(c.RunRoot, "cni")
}

// BlobDir is where layers are while they are in transfer.
func (c *Config) BlobDir() string {
	if c.Image.TransferDir != "" {
		return c.Image.TransferDir
	}
	return filepath.Join(c.Root, "blobs")
}

// StorageRoot is where containers/storage keeps layers and records.
func (c *Config) StorageRoot() string { return filepath.Join(c.Root, "storage") }

// StorageRunRoot is where containers/storage keeps mount counts and locks.
func (c *Config) StorageRunRoot() string { return filepath.Join(c.RunRoot, "storage") }

// Level is the log level; info, should its name be unknown.
func (c *Config) Level() (level slog.Level) {
	_ = level.UnmarshalText([]byte(c.LogLevel))
	return level
}

// Logger makes the log that log_format asks for, of the level that level has
// at the time of each message.
func (c *Config) Logger(w io.Writer, level slog.Leveler) *slog.Logger {
	opts := &slog.HandlerOptions{Level: level}
	if c.LogFormat == LogJSON {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}
