// Package network attaches pods to a network through CNI plugins: it watches the
// configuration directory, runs ADD and DEL, and reads the pod's addresses from
// the result.
//
// It keeps no record of pods. What DEL will need is in the Attachment and the Pod
// that the caller writes down before it calls Add; DEL then uses the same
// configuration, whatever has become of the directory meanwhile.
//
// The package refuses to make or to delete namespaces, to undo an Add that
// failed, to retry, and to fall back silently on the built-in network when the
// machine has a configuration that is broken.
package network

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/invoke"

	"ocid/impl/dirwatch"
)

// Interface is the name of the pod's interface inside its namespace.
const Interface = "eth0"

// Config says where things are.
type Config struct {
	ConfDir  string       // *.conflist, *.conf and *.json; "" or missing: as if empty
	BinDirs  []string     // where plugins are looked for, in this order
	CacheDir string       // libcni's results, needed by DEL; absolute, made on demand
	Default  []byte       // conflist used while ConfDir has no configuration file; nil: none
	Log      *slog.Logger // nil: silent
}

// A Manager knows the network in use and attaches pods to it. Its methods may be
// called from any goroutine; none of them holds a lock while a plugin runs.
type Manager struct {
	cfg     Config
	log     *slog.Logger
	cni     *libcni.CNIConfig
	builtin *conf // nil: none
	current atomic.Pointer[selection]
	reading sync.Mutex        // one reload at a time
	watcher *dirwatch.Watcher // nil without a ConfDir
}

// New reads the configuration and begins to watch the directory. A broken or
// missing configuration is no error here: Status tells it, and a later repair is
// noticed. Close ends the watching.
func New(cfg Config) (*Manager, error) {
	if !filepath.IsAbs(cfg.CacheDir) {
		return nil, fmt.Errorf("network: cache directory %q is not absolute", cfg.CacheDir)
	}
	log := cfg.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if cfg.ConfDir != "" {
		dir, err := filepath.Abs(cfg.ConfDir)
		if err != nil {
			return nil, fmt.Errorf("network: %w", err)
		}
		cfg.ConfDir = dir
	}
	m := &Manager{
		cfg: cfg,
		log: log,
		cni: libcni.NewCNIConfigWithCacheDir(cfg.BinDirs, cfg.CacheDir, &pluginExec{log: log}),
	}
	if cfg.Default != nil {
		c, err := parseList(cfg.Default)
		if err != nil {
			return nil, fmt.Errorf("network: built-in configuration: %w", err)
		}
		c.file = "(built in)"
		m.builtin = c
	}
	if cfg.ConfDir == "" {
		m.reload()
		return m, nil
	}
	if err := m.startWatching(); err != nil {
		return nil, err
	}
	return m, nil
}

// Close ends the watching of the directory. The network in use stays in use.
func (m *Manager) Close() error {
	if m.watcher == nil {
		return nil
	}
	return m.watcher.Close()
}

// Status is nil if pods can be attached: a network is configured and all its
// plugins are installed. Else the error names the file and its fault, or the
// plugin and the directories it is missing from. It starts no process.
func (m *Manager) Status() error {
	_, err := m.usable()
	return err
}

func (m *Manager) usable() (*conf, error) {
	sel := m.current.Load()
	if sel.err != nil {
		return nil, sel.err
	}
	for _, plugin := range sel.conf.plugins() {
		if _, err := invoke.FindInPath(plugin, m.cfg.BinDirs); err != nil {
			return nil, fmt.Errorf("network %q of %s: %w", sel.conf.list.Name, sel.conf.file, err)
		}
	}
	return sel.conf, nil
}

// Problems are the faults of the files that were passed over, those too that a
// valid file made harmless.
func (m *Manager) Problems() []error {
	return m.current.Load().problems
}

// An Attachment is the network a pod is put on: all that DEL needs to know about
// the configuration. Write it down before Add.
type Attachment struct {
	Network  string          `json:"network"`  // its name
	ConfList json.RawMessage `json:"confList"` // its conflist, byte for byte as configured
}

// Select returns the network to attach a pod to now, or the error of Status:
// where Add could not work and DEL neither, nothing should begin.
func (m *Manager) Select() (Attachment, error) {
	c, err := m.usable()
	if err != nil {
		return Attachment{}, err
	}
	return Attachment{Network: c.list.Name, ConfList: c.list.Bytes}, nil
}
