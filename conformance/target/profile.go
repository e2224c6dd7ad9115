package target

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"ocid/fixtures/profiles"

	"github.com/pelletier/go-toml/v2"
)

// A Profile says what a daemon is and how the suite gets at it. It is a TOML
// file. Texts may hold ${NAME}; see [Variables].
type Profile struct {
	Name       string            `toml:"name"`
	Extends    string            `toml:"extends"` // built-in profile whose settings count where this one has none
	Features   []Feature         `toml:"features"`
	Endpoint   string            `toml:"endpoint"`    // unix socket of a daemon that runs already
	Handlers   []string          `toml:"handlers"`    // runtime handlers by name, the default first
	RPCTimeout Duration          `toml:"rpc_timeout"` // deadline of a call that has none; default 30s
	Patience   int               `toml:"patience"`    // how many times longer than with processes of the host the suite waits; default 1
	Variables  map[string]string `toml:"variables"`   // defaults, which Reconfigure and flags override
	Daemon     *Daemon           `toml:"daemon"`      // a daemon that the suite starts
	Witness    *WitnessSettings  `toml:"witness"`
	Observe    Observe           `toml:"observe"`
	Elsewhere  *Elsewhere        `toml:"elsewhere"`  // what is left to another profile; nil is nothing
	Deviations map[string]string `toml:"deviations"` // rule -> why it is known to fail
	MustRun    []string          `toml:"must_run"`   // rules that may not end unsupported or unobserved, not in part either; "kernel.*" is all that begin so
}

// Elsewhere is what a profile leaves to another one of the same daemon, because
// it comes to the same there and takes much less time. It is reported as
// unsupported, with the reason.
type Elsewhere struct {
	Profile string   `toml:"profile"`
	Reason  string   `toml:"reason"`
	Rules   []string `toml:"rules"`   // "request.*" is all that begin so; a probe is left if all of its rules are
	Derived bool     `toml:"derived"` // generated cases in which runtime and network have nothing to do
}

// Leaves says whether a case that covers the rules is left to the other profile.
func (e *Elsewhere) Leaves(rules []string, derived, acts bool) bool {
	if e == nil {
		return false
	}
	if derived && !acts && e.Derived {
		return true
	}
	return !slices.ContainsFunc(rules, func(rule string) bool {
		return !slices.ContainsFunc(e.Rules, func(pattern string) bool {
			prefix, wild := strings.CutSuffix(pattern, "*")
			return rule == pattern || wild && strings.HasPrefix(rule, prefix)
		})
	})
}

// String is what the report says of what is left.
func (e *Elsewhere) String() string {
	return fmt.Sprintf("not in the slice: %s, and observed on profile %s", e.Reason, e.Profile)
}

// Daemon is how a daemon is started and stopped.
type Daemon struct {
	Command      []string          `toml:"command"`
	Env          map[string]string `toml:"env"`           // added to the suite's environment
	Files        map[string]string `toml:"files"`         // path below ${WORK} -> content
	StartTimeout Duration          `toml:"start_timeout"` // until Version answers; default 20s
	StopTimeout  Duration          `toml:"stop_timeout"`  // from SIGTERM to exit; default 20s
}

// WitnessSettings places the witness programs of package fixtures/witness.
// The CNI plugin is named by the CNI configuration among the daemon's files.
type WitnessSettings struct {
	Dir      string                    `toml:"dir"`
	Handlers map[string]WitnessHandler `toml:"handlers"` // by the name recorded with each call
}

// A WitnessHandler is one copy of the runtime wrapper.
type WitnessHandler struct {
	Path  string   `toml:"path"`  // where the daemon finds the copy
	Real  string   `toml:"real"`  // the runtime behind it: absolute, or found in PATH
	After []string `toml:"after"` // operations that are recorded at their end too
}

// Observe says where the daemon's traces are. What is left empty is not
// observed.
type Observe struct {
	Files    []string `toml:"files"`    // directories whose file names are compared
	Ignore   []string `toml:"ignore"`   // path.Match patterns of files and mount points; "/**" at the end is all files below
	Volatile []string `toml:"volatile"` // directories that a reboot empties
	Netns    []string `toml:"netns"`    // directories of pinned network namespaces
	Mounts   []string `toml:"mounts"`   // below these each mount is the daemon's; ${WORK} always is
	Storage  []string `toml:"storage"`  // root and run directories of containers/storage
	Leases   []string `toml:"leases"`   // data directories of host-local, network name included
	Bridges  []string `toml:"bridges"`  // host bridges whose ports are compared
	IPTables []string `toml:"iptables"` // NAT rules that contain one of these are compared
	Above    []string `toml:"above"`    // programs (base name of argv[0]) that are compared, but not the processes below them
	Settle   Duration `toml:"settle"`   // how long traces may take to go after a case; default 5s
}

// Duration is a time.Duration written as in "20s".
type Duration time.Duration

// UnmarshalText reads the form of time.ParseDuration; it has to be positive.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return err
	}
	if v <= 0 {
		return fmt.Errorf("duration %q is not positive", text)
	}
	*d = Duration(v)
	return nil
}

// Within is how long the suite waits for what takes no longer than d with
// processes of the host.
func (p Profile) Within(d time.Duration) time.Duration { return time.Duration(max(p.Patience, 1)) * d }

func (d Duration) or(v time.Duration) time.Duration {
	if d == 0 {
		return v
	}
	return time.Duration(d)
}

// LoadProfile reads the profile file at path, or the built-in profile of that
// name if there is no such file.
func LoadProfile(path string) (Profile, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if builtin, berr := profiles.Files.ReadFile(path + ".toml"); berr == nil {
			data, err = builtin, nil
		}
	}
	if err != nil {
		return Profile{}, fmt.Errorf("load profile: %w", err)
	}
	return ParseProfile(path, data)
}

// ParseProfile decodes and checks a profile. An unknown key is an error that
// names file, line and key; where names the file in errors. Tables of a profile
// that it extends are merged, lists are replaced.
func ParseProfile(where string, data []byte) (Profile, error) {
	var p Profile
	if err := p.decode(where, data, 0); err != nil {
		return Profile{}, err
	}
	if err := p.check(); err != nil {
		return Profile{}, fmt.Errorf("profile %s: %w", where, err)
	}
	return p, nil
}

// maxExtends is how many profiles one may extend, each the next one.
const maxExtends = 4

// decode reads a profile over the one that it extends.
func (p *Profile) decode(where string, data []byte, depth int) error {
	var head struct {
		Extends string `toml:"extends"`
	}
	if err := toml.Unmarshal(data, &head); err != nil {
		return fmt.Errorf("profile %s: %w", where, explain(err))
	}
	if head.Extends != "" {
		base, err := profiles.Files.ReadFile(head.Extends + ".toml")
		if err == nil && depth == maxExtends {
			err = errors.New("too many profiles, each extending another")
		}
		if err != nil {
			return fmt.Errorf("profile %s: extends %q: %w", where, head.Extends, err)
		}
		if err := p.decode(head.Extends, base, depth+1); err != nil {
			return err
		}
	}
	dec := toml.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(p); err != nil {
		return fmt.Errorf("profile %s: %w", where, explain(err))
	}
	return nil
}

// explain turns the decoder's multi-line errors into one line each.
func explain(err error) error {
	var strict *toml.StrictMissingError
	if errors.As(err, &strict) {
		all := make([]error, 0, len(strict.Errors))
		for _, e := range strict.Errors {
			line, _ := e.Position()
			all = append(all, fmt.Errorf("line %d: unknown key %q", line, strings.Join(e.Key(), ".")))
		}
		return errors.Join(all...)
	}
	var bad *toml.DecodeError
	if errors.As(err, &bad) {
		line, column := bad.Position()
		return fmt.Errorf("line %d, column %d: key %q: %w", line, column, strings.Join(bad.Key(), "."), err)
	}
	return err
}

func (p Profile) check() error {
	var errs []error
	if p.Name == "" {
		errs = append(errs, errors.New("name is missing"))
	}
	errs = append(errs, checkFeatures(p.Features))
	switch {
	case p.Endpoint == "" && p.Daemon == nil:
		errs = append(errs, errors.New("neither endpoint nor daemon is given"))
	case p.Endpoint != "" && p.Daemon != nil:
		errs = append(errs, errors.New("both endpoint and daemon are given"))
	case p.Daemon != nil && len(p.Daemon.Command) == 0:
		errs = append(errs, errors.New("daemon.command is empty"))
	}
	if p.Patience < 0 {
		errs = append(errs, fmt.Errorf("patience: %d is negative", p.Patience))
	}
	if p.Elsewhere != nil && (p.Elsewhere.Profile == "" || p.Elsewhere.Reason == "") {
		errs = append(errs, errors.New("elsewhere takes profile and reason"))
	}
	needs := []struct {
		feature Feature
		given   bool
		what    string
	}{
		{FeatureRestart, p.Daemon != nil, "daemon"},
		{FeatureWitness, p.Witness != nil && p.Daemon != nil, "daemon and witness"},
		{FeatureStorageRecords, len(p.Observe.Storage) > 0, "observe.storage"},
		{FeatureHandlers, len(p.Handlers) > 1, "two handlers"},
	}
	for _, n := range needs {
		if p.Has(n.feature) && !n.given {
			errs = append(errs, fmt.Errorf("feature %q takes %s", n.feature, n.what))
		}
	}
	return errors.Join(append(errs, p.checkDetails()...)...)
}

func (p Profile) checkDetails() []error {
	var errs []error
	for rule, reason := range p.Deviations {
		if strings.TrimSpace(reason) == "" {
			errs = append(errs, fmt.Errorf("deviations: %q has no reason", rule))
		}
	}
	for name := range p.Variables {
		if !variableName.MatchString(name) {
			errs = append(errs, fmt.Errorf("variables: %q is not a name like DEFAULT_HANDLER", name))
		}
	}
	if p.Daemon != nil {
		for name := range p.Daemon.Files {
			if !filepath.IsLocal(name) {
				errs = append(errs, fmt.Errorf("daemon.files: %q leads out of the work directory", name))
			}
		}
	}
	return errs
}

// Has reports whether the profile declares the feature.
func (p Profile) Has(f Feature) bool { return slices.Contains(p.Features, f) }
