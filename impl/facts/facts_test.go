package facts_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"ocid/impl/facts"
	"ocid/spec"
)

const (
	node = runtimeapi.NamespaceMode_NODE
	own  = runtimeapi.NamespaceMode_CONTAINER
)

func pod(privileged bool, ns *runtimeapi.NamespaceOption) *runtimeapi.PodSandboxConfig {
	return &runtimeapi.PodSandboxConfig{Linux: &runtimeapi.LinuxPodSandboxConfig{SecurityContext: &runtimeapi.LinuxSandboxSecurityContext{
		Privileged: privileged, NamespaceOptions: ns}}}
}

func container(privileged bool) *runtimeapi.ContainerConfig {
	return &runtimeapi.ContainerConfig{Linux: &runtimeapi.LinuxContainerConfig{SecurityContext: &runtimeapi.LinuxContainerSecurityContext{Privileged: privileged}}}
}

// What is not set in a request is false, but for the PID namespace, whose
// default is the pod's.
func TestFacts(t *testing.T) {
	for name, c := range map[string]struct{ got, want spec.Facts }{
		"privilege: nothing set": {facts.Privilege(nil), 0},
		"privilege: asked":       {facts.Privilege(pod(true, nil)), spec.AskedPrivileged},
		"privilege: network":     {facts.Privilege(pod(false, &runtimeapi.NamespaceOption{Network: node})), spec.HostNetwork},
		"privilege: pid":         {facts.Privilege(pod(false, &runtimeapi.NamespaceOption{Pid: node})), spec.HostPID},
		"privilege: ipc":         {facts.Privilege(pod(false, &runtimeapi.NamespaceOption{Ipc: node})), spec.HostIPC},
		"privilege: all": {facts.Privilege(pod(true, &runtimeapi.NamespaceOption{Network: node, Pid: node, Ipc: node})),
			spec.AskedPrivileged | spec.HostNetwork | spec.HostPID | spec.HostIPC},

		"infra: nothing set": {facts.Infra(nil, false, false), spec.SharedPID},
		"infra: own pid":     {facts.Infra(pod(false, &runtimeapi.NamespaceOption{Pid: own}), false, false), 0},
		"infra: host pid":    {facts.Infra(pod(false, &runtimeapi.NamespaceOption{Pid: node}), false, false), 0},
		"infra: always":      {facts.Infra(pod(false, &runtimeapi.NamespaceOption{Pid: own}), true, false), spec.InfraAlways},
		"infra: vm":          {facts.Infra(pod(false, &runtimeapi.NamespaceOption{Pid: own}), false, true), spec.VMRuntime},

		"sandbox: nothing set":  {facts.Sandbox(nil, false), 0},
		"sandbox: host network": {facts.Sandbox(pod(false, &runtimeapi.NamespaceOption{Network: node}), false), spec.OnHostNetwork},
		"sandbox: host ipc":     {facts.Sandbox(pod(false, &runtimeapi.NamespaceOption{Ipc: node}), false), spec.OnHostIPC},
		"sandbox: infra":        {facts.Sandbox(nil, true), spec.HasInfra},

		"elevation: nothing set": {facts.Elevation(nil, false), 0},
		"elevation: asks":        {facts.Elevation(container(true), false), spec.ContainerAsks},
		"elevation: sandbox is":  {facts.Elevation(container(false), true), spec.InPrivilegedSandbox},
		"elevation: both":        {facts.Elevation(container(true), true), spec.ContainerAsks | spec.InPrivilegedSandbox},
	} {
		require.Equal(t, c.want, c.got, name)
	}
}

func TestBits(t *testing.T) {
	require.Equal(t, spec.Facts(0b101), facts.Bits(map[spec.Facts]bool{1: true, 2: false, 4: true}))
	require.Zero(t, facts.Bits(nil))
}
