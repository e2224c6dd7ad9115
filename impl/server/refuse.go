package server

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"ocid/impl/facts"
	"ocid/impl/namespace"
	"ocid/impl/oci"
	"ocid/spec"
)

// refuseSandbox refuses a config that no sandbox can be made of, before
// anything is made; ownKernel is true on a VM runtime. What one field alone
// tells stands in the table of requests.
func (s *Server) refuseSandbox(c *runtimeapi.PodSandboxConfig, ownKernel bool) error {
	if _, err := oci.CgroupsPath(s.Config.CgroupDriver(), s.cgroupParent(&Sandbox{Config: kept[*runtimeapi.PodSandboxConfig]{c}}), "id"); err != nil {
		return fieldError(err)
	}
	// Only the user namespace is to be judged: the others are known to be good.
	_, err := oci.ResolveNamespaces(&runtimeapi.NamespaceOption{
		Pid: runtimeapi.NamespaceMode_CONTAINER, UsernsOptions: facts.NamespaceOptions(c).GetUsernsOptions(),
	}, oci.Namespaces{Net: "-", IPC: "-", UTS: "-"}, "")
	if err != nil {
		return fieldError(err)
	}
	if err := refusePorts(c.GetPortMappings()); err != nil || ownKernel {
		return fieldError(err)
	}
	return s.refuseSysctls(c)
}

// refusePorts refuses mappings that a CNI plugin fails on in ADD, and again in
// DEL.
func refusePorts(ports []*runtimeapi.PortMapping) error {
	for i, p := range ports {
		if p.HostIp == "" {
			continue
		}
		if _, err := netip.ParseAddr(p.HostIp); err != nil {
			return &oci.FieldError{Field: fmt.Sprintf("config.port_mappings[%d].host_ip", i), Reason: fmt.Sprintf("is %.80q, which is not an IP address", p.HostIp)}
		}
	}
	return nil
}

// refuseSysctls refuses sysctls that are not of a namespace that the sandbox
// has for itself: nobody would set them, or they would be the node's.
func (s *Server) refuseSysctls(c *runtimeapi.PodSandboxConfig) error {
	ns := facts.NamespaceOptions(c)
	own := map[namespace.Kind]bool{
		namespace.Net: ns.GetNetwork() == runtimeapi.NamespaceMode_POD,
		namespace.IPC: ns.GetIpc() == runtimeapi.NamespaceMode_POD,
	}
	for name := range c.GetLinux().GetSysctls() {
		if kind, ok := namespace.KindOfSysctl(name); !ok || !own[kind] {
			return s.refusal("sandbox.run.sysctls", spec.InvalidArgument, "config.linux.sysctls", fmt.Errorf("holds %.80q, which is not of a namespace of the sandbox's own", name))
		}
	}
	return nil
}

// refuseLogPath refuses a path that no file can have.
func refuseLogPath(path string) error {
	long := func(name string) bool { return len(name) > unix.NAME_MAX }
	if len(path) >= unix.PathMax || slices.ContainsFunc(strings.Split(path, string(filepath.Separator)), long) {
		return &oci.FieldError{Field: "config.log_path", Reason: fmt.Sprintf("%.80q… is too long for a file", path)}
	}
	return nil
}
