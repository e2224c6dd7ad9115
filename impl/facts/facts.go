// Package facts looks at requests and says what the spec's decisions ask
// about them. It is pure and decides nothing.
package facts

import (
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"ocid/spec"
)

// Bits returns the set of the facts that hold.
func Bits(holds map[spec.Facts]bool) (f spec.Facts) {
	for fact, is := range holds {
		if is {
			f |= fact
		}
	}
	return f
}

// NamespaceOptions of a sandbox; nil stands for the defaults.
func NamespaceOptions(c *runtimeapi.PodSandboxConfig) *runtimeapi.NamespaceOption {
	return c.GetLinux().GetSecurityContext().GetNamespaceOptions()
}

// HostNetwork says that the sandbox asks for the host's network namespace.
func HostNetwork(c *runtimeapi.PodSandboxConfig) bool {
	return NamespaceOptions(c).GetNetwork() == runtimeapi.NamespaceMode_NODE
}

// Privilege looks at what makes a sandbox privileged.
func Privilege(c *runtimeapi.PodSandboxConfig) spec.Facts {
	ns := NamespaceOptions(c)
	return Bits(map[spec.Facts]bool{
		spec.AskedPrivileged: c.GetLinux().GetSecurityContext().GetPrivileged(),
		spec.HostNetwork:     HostNetwork(c),
		spec.HostPID:         ns.GetPid() == runtimeapi.NamespaceMode_NODE,
		spec.HostIPC:         ns.GetIpc() == runtimeapi.NamespaceMode_NODE,
	})
}

// Infra looks at what makes a sandbox need a process of its own.
func Infra(c *runtimeapi.PodSandboxConfig, always, vm bool) spec.Facts {
	return Bits(map[spec.Facts]bool{
		spec.InfraAlways: always,
		spec.VMRuntime:   vm,
		spec.SharedPID:   NamespaceOptions(c).GetPid() == runtimeapi.NamespaceMode_POD,
	})
}

// Sandbox looks at what the steps of a sandbox's plans depend on.
func Sandbox(c *runtimeapi.PodSandboxConfig, infra bool) spec.Facts {
	return Bits(map[spec.Facts]bool{
		spec.OnHostNetwork: HostNetwork(c),
		spec.OnHostIPC:     NamespaceOptions(c).GetIpc() == runtimeapi.NamespaceMode_NODE,
		spec.HasInfra:      infra,
	})
}

// Elevation looks at whether a container may be privileged.
func Elevation(c *runtimeapi.ContainerConfig, sandboxPrivileged bool) spec.Facts {
	return Bits(map[spec.Facts]bool{
		spec.InPrivilegedSandbox: sandboxPrivileged,
		spec.ContainerAsks:       c.GetLinux().GetSecurityContext().GetPrivileged(),
	})
}
