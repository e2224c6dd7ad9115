package oci_test

import (
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"ocid/impl/oci"
)

// infraInput is the sandbox of a pod whose containers share a PID namespace.
func infraInput() oci.InfraInput {
	return oci.InfraInput{
		ID: "s1",
		Sandbox: &runtimeapi.PodSandboxConfig{Hostname: "web", Linux: &runtimeapi.LinuxPodSandboxConfig{Sysctls: map[string]string{
			"net.ipv4.ip_unprivileged_port_start": "0", "kernel/shm_rmid_forced": "1", "kernel.domainname": "d", "vm.swappiness": "1",
		}}},
		Args:        []string{"/catatonit", "-P"},
		RootFS:      "/run/infra",
		Namespaces:  oci.Namespaces{Net: "/ns/net", IPC: "/ns/ipc", UTS: "/ns/uts"},
		CgroupsPath: "/pod1/s1",
		Annotations: map[string]string{"k": "v"},
		Files:       oci.PodFiles{Shm: "/pod/shm", ResolvConf: "/pod/resolv.conf"},
		Host:        oci.Host{CgroupV2: true, MinOOMScoreAdj: -1000, Capabilities: hostCaps},
	}
}

func buildInfra(t *testing.T, in oci.InfraInput) *specs.Spec {
	t.Helper()
	spec, err := oci.Infra(in)
	require.NoError(t, err)
	return spec
}

func TestInfra(t *testing.T) {
	spec := buildInfra(t, infraInput())
	require.Equal(t, []string{"/catatonit", "-P"}, spec.Process.Args)
	require.True(t, spec.Root.Readonly)
	require.True(t, spec.Process.NoNewPrivileges)
	require.Empty(t, spec.Process.Capabilities.Bounding)
	require.Equal(t, uint64(2), *spec.Linux.Resources.CPU.Shares)
	require.Equal(t, -998, *spec.Process.OOMScoreAdj)
	require.Equal(t, map[string]string{"k": "v"}, spec.Annotations)
	require.Equal(t, []string{"/proc", "/dev", "/sys", "/dev/pts", "/dev/mqueue", "/dev/shm", "/etc/resolv.conf"}, destinations(spec))
	require.Contains(t, mountAt(t, spec, "/etc/resolv.conf").Options, "ro")
	require.Contains(t, spec.Linux.Namespaces, specs.LinuxNamespace{Type: specs.PIDNamespace})

	in := infraInput()
	in.Host.MinOOMScoreAdj = -100
	require.Equal(t, -100, *buildInfra(t, in).Process.OOMScoreAdj)
}

func TestInfraHostnameAndSysctls(t *testing.T) {
	for _, c := range []struct {
		name      string
		ns        oci.Namespaces
		ownKernel bool
		hostname  string
		sysctls   []string
	}{
		{"pinned", oci.Namespaces{Net: "/n", IPC: "/i", UTS: "/u"}, false, "", nil},
		{"made here", oci.Namespaces{}, false, "web", []string{"net.ipv4.ip_unprivileged_port_start", "kernel/shm_rmid_forced", "kernel.domainname"}},
		{"network pinned", oci.Namespaces{Net: "/n", UTS: "host"}, false, "", []string{"kernel/shm_rmid_forced"}},
		{"the host's", oci.Namespaces{Net: "host", IPC: "host", UTS: "host"}, false, "", nil},
		{"own kernel", oci.Namespaces{Net: "/n", IPC: "/i", UTS: "/u"}, true, "web",
			[]string{"net.ipv4.ip_unprivileged_port_start", "kernel/shm_rmid_forced", "kernel.domainname", "vm.swappiness"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := infraInput()
			in.Namespaces, in.OwnKernel = c.ns, c.ownKernel
			spec := buildInfra(t, in)
			require.Equal(t, c.hostname, spec.Hostname)
			var names []string
			for name := range spec.Linux.Sysctl {
				names = append(names, name)
			}
			require.ElementsMatch(t, c.sysctls, names)
		})
	}
}

func TestInfraMissingInput(t *testing.T) {
	for _, change := range []func(*oci.InfraInput){
		func(in *oci.InfraInput) { in.Sandbox = nil },
		func(in *oci.InfraInput) { in.RootFS = "" },
		func(in *oci.InfraInput) { in.Args = nil },
	} {
		in := infraInput()
		change(&in)
		_, err := oci.Infra(in)
		require.ErrorContains(t, err, `sandbox "s1"`)
	}
}
