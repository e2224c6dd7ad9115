package oci_test

import (
	"testing"

	imgspecv1 "github.com/opencontainers/image-spec/specs-go/v1"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"ocid/impl/oci"
)

// hostCaps is a daemon that may do little more than the default and lacks KILL.
var hostCaps = []string{
	"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_SETGID", "CAP_SETUID", "CAP_SETPCAP",
	"CAP_NET_BIND_SERVICE", "CAP_NET_RAW", "CAP_SYS_ADMIN",
}

// defaultCaps are the daemon's default.
var defaultCaps = []string{
	"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_NET_BIND_SERVICE", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID",
}

// plain is a container as kubelet would ask for it.
func plain() oci.ContainerInput {
	return oci.ContainerInput{
		ID:      "c1",
		Sandbox: &runtimeapi.PodSandboxConfig{Hostname: "web"}, Hostname: "web",
		Config: &runtimeapi.ContainerConfig{
			Command: []string{"/bin/server"},
			Args:    []string{"--port", "80"},
			Linux: &runtimeapi.LinuxContainerConfig{
				Resources: &runtimeapi.LinuxContainerResources{CpuShares: 512, MemoryLimitInBytes: 64 << 20, OomScoreAdj: 968},
				SecurityContext: &runtimeapi.LinuxContainerSecurityContext{
					MaskedPaths: []string{"/proc/kcore"}, ReadonlyPaths: []string{"/proc/sys"},
				},
			},
		},
		Image:       &imgspecv1.Image{Config: imgspecv1.ImageConfig{Env: []string{"PATH=/bin", "LANG=C"}, WorkingDir: "/srv"}},
		RootFS:      "/run/rootfs",
		User:        oci.User{UID: 1000, GID: 2000, AdditionalGIDs: []uint32{2000, 3000}},
		Namespaces:  oci.Namespaces{Net: "/ns/net", IPC: "/ns/ipc", UTS: "/ns/uts"},
		CgroupsPath: "/kubepods/pod1/c1",
		Annotations: map[string]string{"a": "b"},
		Files:       oci.PodFiles{Shm: "/pod/shm", ResolvConf: "/pod/resolv.conf", Hostname: "/pod/hostname"},
		Host:        oci.Host{Hostname: "node", CgroupV2: true, SwapLimit: true, Hugetlb: true, MinOOMScoreAdj: -500, Capabilities: hostCaps, DefaultCapabilities: defaultCaps},
	}
}

// security gives the security context of plain to a change.
func security(in oci.ContainerInput) *runtimeapi.LinuxContainerSecurityContext {
	return in.Config.Linux.SecurityContext
}

// build makes the configuration or fails the test.
func build(t *testing.T, in oci.ContainerInput) *specs.Spec {
	t.Helper()
	spec, err := oci.Container(in)
	require.NoError(t, err)
	return spec
}

// requireField wants a FieldError, or an UnsupportedError, for the field.
func requireField(t *testing.T, err error, field string, unsupported bool) {
	t.Helper()
	if unsupported {
		var u *oci.UnsupportedError
		require.ErrorAs(t, err, &u)
		require.Equal(t, field, u.Field)
		return
	}
	var f *oci.FieldError
	require.ErrorAs(t, err, &f)
	require.Equal(t, field, f.Field)
}

// mountAt finds the only mount on a destination.
func mountAt(t *testing.T, spec *specs.Spec, destination string) specs.Mount {
	t.Helper()
	var found []specs.Mount
	for _, m := range spec.Mounts {
		if m.Destination == destination {
			found = append(found, m)
		}
	}
	require.Len(t, found, 1, "mounts on %s", destination)
	return found[0]
}
