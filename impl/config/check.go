package config

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/sys/capability"
)

const (
	// maxSocket is the longest path that fits into sockaddr_un, in bytes.
	maxSocket = 107
	// minLogSize is the smallest log limit, in bytes: one read of the monitor.
	minLogSize = 8192
)

// handlerName is what Kubernetes lets a RuntimeClass name: a DNS label.
var handlerName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

// checkValue checks a string against a `check` tag:
//
//	path        an absolute path
//	socket      an absolute path that fits into a socket address
//	program     a bare name, to be looked up in $PATH, or an absolute path
//	ip          an IP address
//	address     host:port, the host may be left out
//	capability  a capability of Linux, with or without CAP_
//	a|b|c       one of these words
//
// A question mark after the word lets the value be empty.
func checkValue(check, value string) error {
	check, optional := strings.CutSuffix(check, "?")
	if value == "" && optional {
		return nil
	}
	if strings.ContainsRune(value, 0) {
		return fmt.Errorf("%q holds a zero byte", value)
	}
	switch words := strings.Split(check, "|"); {
	case len(words) > 1:
		if !slices.Contains(words, value) {
			return fmt.Errorf("%q is none of %q", value, words)
		}
	case check == "ip":
		_, err := netip.ParseAddr(value)
		return err
	case check == "address":
		return checkAddress(value)
	case check == "capability":
		return checkCapability(value)
	case check == "program" && value != "" && !strings.Contains(value, "/"):
	case check == "socket" && len(value) > maxSocket:
		return fmt.Errorf("a socket path of %d bytes is longer than the kernel's limit of %d", len(value), maxSocket)
	case !filepath.IsAbs(value):
		return fmt.Errorf("%q is not an absolute path", value)
	}
	return nil
}

func checkAddress(value string) error {
	_, port, err := net.SplitHostPort(value)
	if err != nil {
		return fmt.Errorf("%q is not host:port", value)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("%q: the port is no number from 0 to 65535", value)
	}
	return nil
}

func checkCapability(value string) error {
	name := strings.ToLower(strings.TrimPrefix(strings.ToUpper(value), "CAP_"))
	if !slices.ContainsFunc(capability.ListKnown(), func(c capability.Cap) bool { return c.String() == name }) {
		return fmt.Errorf("%q is not a capability", value)
	}
	return nil
}

// check looks at all strings, and at how options fit together.
func (c *Config) check(set origins) []error {
	var errs []error
	bad := func(path []string, err error) {
		errs = append(errs, placed(set.place(path), strings.Join(path, "."), err))
	}
	eachString(reflect.ValueOf(*c), nil, func(path []string, check, value string) {
		if err := checkValue(check, value); err != nil {
			bad(path, err)
		}
	})
	if filepath.Clean(c.Root) == filepath.Clean(c.RunRoot) {
		bad([]string{"runroot"}, fmt.Errorf("same directory as root: %q", c.Root))
	}
	if len(c.Network.BinDirs) == 0 {
		bad([]string{"network", "bin_dirs"}, errors.New("no directory"))
	}
	c.Streaming.check(func(key, format string, args ...any) {
		bad([]string{"streaming", key}, fmt.Errorf(format, args...))
	})
	c.Runtime.check(func(key, format string, args ...any) {
		bad([]string{"runtime", key}, fmt.Errorf(format, args...))
	})
	if n := c.Tracing.SamplesPerMillion; n < 0 || n > 1_000_000 {
		bad([]string{"tracing", "samples_per_million"}, fmt.Errorf("%d is not between 0 and 1000000", n))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Runtime.Handlers)) {
		if !handlerName.MatchString(name) {
			bad([]string{"runtime", "handlers", name}, errors.New("not a DNS label, so that no RuntimeClass can name it"))
		}
		if h := c.Runtime.Handlers[name]; h.Streams == StreamsStart && h.ExitStatus != ExitWait {
			bad([]string{"runtime", "handlers", name, "streams"}, fmt.Errorf("%q takes exit_status = %q", h.Streams, ExitWait))
		}
	}
	return errs
}

func (s *Streaming) check(bad func(key, format string, args ...any)) {
	if s.Port < 0 || s.Port > 65535 {
		bad("port", "%d is not between 0 and 65535", s.Port)
	}
	if s.TLSKey == "" && s.TLSCert != "" {
		bad("tls_key", "empty, but tls_cert is %q", s.TLSCert)
	}
	if s.TLSCert == "" && s.TLSKey != "" {
		bad("tls_cert", "empty, but tls_key is %q", s.TLSKey)
	}
}

func (r *Runtime) check(bad func(key, format string, args ...any)) {
	known := slices.Sorted(maps.Keys(r.Handlers))
	if _, ok := r.Handlers[r.DefaultHandler]; !ok {
		bad("default_handler", "no handler %q; there are %q", r.DefaultHandler, known)
	}
	if _, ok := r.Handlers[r.PrivilegedHandler]; !ok && r.PrivilegedHandler != "" {
		bad("privileged_handler", "no handler %q; there are %q", r.PrivilegedHandler, known)
	}
	if r.LogSizeMax != -1 && r.LogSizeMax < minLogSize {
		bad("log_size_max", "%d is neither -1 nor at least %d bytes", r.LogSizeMax, minLogSize)
	}
	if r.PidsLimit < 0 {
		bad("pids_limit", "%d is less than 0", r.PidsLimit)
	}
	slice, abs := strings.HasSuffix(r.CgroupParent, ".slice"), strings.HasPrefix(r.CgroupParent, "/")
	switch {
	case r.CgroupParent == "":
	case r.CgroupDriver == CgroupSystemd && !slice:
		bad("cgroup_parent", "%q is not a systemd slice", r.CgroupParent)
	case r.CgroupDriver == CgroupFS && !abs, !slice && !abs:
		bad("cgroup_parent", "%q is not an absolute path", r.CgroupParent)
	}
}

// place names where a key was set, or the first key of a table.
func (o origins) place(path []string) string {
	key := strings.Join(path, sep)
	if place, ok := o[key]; ok {
		return place
	}
	for _, k := range slices.Sorted(maps.Keys(o)) {
		if strings.HasPrefix(k, key+sep) {
			return o[k]
		}
	}
	return "default"
}
