package server

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/sys/unix"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"ocid/impl/facts"
	"ocid/impl/gate"
	"ocid/impl/oci"
	"ocid/spec"
)

// refuseSandbox refuses a config that no sandbox can be made of, before
// anything is made; ownKernel is true on a VM runtime. What one field alone
// tells stands in the table of requests.
func (s *Server) refuseSandbox(c *runtimeapi.PodSandboxConfig, ownKernel bool) error {
	if _, err := oci.CgroupsPath(s.Config.CgroupDriver(), s.cgroupParent(&Sandbox{Config: kept[*runtimeapi.PodSandboxConfig]{c}}), "id"); err != nil {
		return s.fieldError(spec.RunPodSandbox, err)
	}
	if err := s.refuseUserns(c, ownKernel); err != nil {
		return err
	}
	if err := s.refuseDNS(c.GetDnsConfig()); err != nil || ownKernel {
		return err
	}
	return s.refuseSysctls(c)
}

// refuseDNS refuses texts that would be something else in a resolv.conf. What
// an option means is left to the resolver.
func (s *Server) refuseDNS(d *runtimeapi.DNSConfig) error {
	for field, texts := range map[string][]string{"servers": d.GetServers(), "searches": d.GetSearches(), "options": d.GetOptions()} {
		for i, text := range texts {
			if text == "" || strings.ContainsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || r == 0 }) {
				return s.refusal("security.dns.refused", spec.InvalidArgument, fmt.Sprintf("config.dns_config.%s[%d]", field, i), fmt.Errorf("is %.80q, which is not one word", text))
			}
		}
	}
	return nil
}

// refuseSysctls refuses sysctls that are not of a namespace that the sandbox
// has for itself: nobody would set them, or they would be the node's.
func (s *Server) refuseSysctls(c *runtimeapi.PodSandboxConfig) error {
	ns := facts.NamespaceOptions(c)
	own := map[spec.NamespaceKind]bool{
		spec.NetNamespace: ns.GetNetwork() == runtimeapi.NamespaceMode_POD,
		spec.IPCNamespace: ns.GetIpc() == runtimeapi.NamespaceMode_POD,
	}
	for name := range c.GetLinux().GetSysctls() {
		if !own[spec.SysctlNamespace(name)] {
			return s.refusal("sandbox.run.sysctls", spec.InvalidArgument, "config.linux.sysctls", fmt.Errorf("holds %.80q, which is not of a namespace of the sandbox's own", name))
		}
	}
	return nil
}

// fieldError makes an error about a field of a call's request the refusal of
// the promise that names the field among its Fields; whoever adds to impl/oci
// what a field can't be adds the field to such a row, and nothing here.
func (s *Server) fieldError(call spec.Event, err error) error {
	var field *oci.FieldError
	var unsupported *oci.UnsupportedError
	refusal := &spec.Refusal{}
	switch {
	case errors.As(err, &field):
		refusal.Code, refusal.Object, refusal.Reason = spec.InvalidArgument, field.Field, field.Reason
	case errors.As(err, &unsupported):
		refusal.Code, refusal.Object, refusal.Reason = spec.Unimplemented, unsupported.Field, unsupported.What+" is not supported"
	default:
		return err
	}
	promise := s.Book.Speaker(string(call), refusal.Object)
	if promise == nil {
		return &gate.Coded{Code: refusal.Code, Err: err}
	}
	refusal.Rule = promise.Rule
	var several interface{ Unwrap() []error }
	if errors.As(err, &several) { // taking it back failed, too
		return fmt.Errorf("%w: %w", refusal, err)
	}
	return refusal
}

// refuseLogPath refuses a path that no file can have.
func refuseLogPath(path string) error {
	long := func(name string) bool { return len(name) > unix.NAME_MAX }
	if len(path) >= unix.PathMax || slices.ContainsFunc(strings.Split(path, string(filepath.Separator)), long) {
		return &oci.FieldError{Field: "config.log_path", Reason: fmt.Sprintf("leads to %.80q…, which is too long for a file", path)}
	}
	return nil
}
