package oci_test

import (
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"ocid/impl/oci"
)

const (
	pod       = runtimeapi.NamespaceMode_POD
	container = runtimeapi.NamespaceMode_CONTAINER
	node      = runtimeapi.NamespaceMode_NODE
	target    = runtimeapi.NamespaceMode_TARGET
)

func TestResolveNamespaces(t *testing.T) {
	pinned := oci.Namespaces{Net: "/net", IPC: "/ipc", UTS: "/uts", PID: "/pid"}
	for _, c := range []struct {
		name string
		opts *runtimeapi.NamespaceOption
		want oci.Namespaces
	}{
		{"absent is POD", nil, pinned},
		{"kubelet's usual", &runtimeapi.NamespaceOption{Pid: container}, oci.Namespaces{Net: "/net", IPC: "/ipc", UTS: "/uts", PID: oci.NewNamespace}},
		{"host network takes UTS along", &runtimeapi.NamespaceOption{Network: node}, oci.Namespaces{Net: oci.HostNamespace, IPC: "/ipc", UTS: oci.HostNamespace, PID: "/pid"}},
		{"host PID and IPC", &runtimeapi.NamespaceOption{Pid: node, Ipc: node}, oci.Namespaces{Net: "/net", IPC: oci.HostNamespace, UTS: "/uts", PID: oci.HostNamespace}},
		{"target", &runtimeapi.NamespaceOption{Pid: target, TargetId: "x"}, oci.Namespaces{Net: "/net", IPC: "/ipc", UTS: "/uts", PID: "/target"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := oci.ResolveNamespaces(c.opts, pinned, "/target")
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
}

func TestResolveNamespacesRefused(t *testing.T) {
	pinned := oci.Namespaces{Net: "/net", IPC: "/ipc", UTS: "/uts", PID: "/pid"}
	const prefix = "config.linux.security_context.namespace_options."
	for _, c := range []struct {
		opts  *runtimeapi.NamespaceOption
		field string
	}{
		{&runtimeapi.NamespaceOption{Network: container}, "network"},
		{&runtimeapi.NamespaceOption{Network: target}, "network"},
		{&runtimeapi.NamespaceOption{Ipc: container}, "ipc"},
		{&runtimeapi.NamespaceOption{Pid: 9}, "pid"},
	} {
		_, err := oci.ResolveNamespaces(c.opts, pinned, "/target")
		requireField(t, err, prefix+c.field, false)
	}
	// A place that is not known must never become a new namespace.
	for name, c := range map[string]struct {
		opts   *runtimeapi.NamespaceOption
		pinned oci.Namespaces
	}{
		"network": {nil, oci.Namespaces{IPC: "/ipc", UTS: "/uts", PID: "/pid"}},
		"ipc":     {nil, oci.Namespaces{Net: "/net", UTS: "/uts", PID: "/pid"}},
		"uts":     {nil, oci.Namespaces{Net: "/net", IPC: "/ipc", PID: "/pid"}},
		"pid":     {&runtimeapi.NamespaceOption{Pid: target}, pinned},
	} {
		_, err := oci.ResolveNamespaces(c.opts, c.pinned, "")
		require.ErrorContains(t, err, name+" namespace")
	}
}

func TestNamespacesOfSpec(t *testing.T) {
	ns := func(kind specs.LinuxNamespaceType, path string) specs.LinuxNamespace {
		return specs.LinuxNamespace{Type: kind, Path: path}
	}
	mount, cgroup := ns(specs.MountNamespace, ""), ns(specs.CgroupNamespace, "")
	for _, c := range []struct {
		name           string
		in             oci.Namespaces
		v2, privileged bool
		want           []specs.LinuxNamespace
		hostname       string
	}{
		{"joined", oci.Namespaces{Net: "/n", IPC: "/i", UTS: "/u", PID: "/p"}, true, false, []specs.LinuxNamespace{mount,
			ns(specs.NetworkNamespace, "/n"), ns(specs.IPCNamespace, "/i"), ns(specs.UTSNamespace, "/u"), ns(specs.PIDNamespace, "/p"), cgroup}, ""},
		{"all new", oci.Namespaces{}, true, false, []specs.LinuxNamespace{mount,
			ns(specs.NetworkNamespace, ""), ns(specs.IPCNamespace, ""), ns(specs.UTSNamespace, ""), ns(specs.PIDNamespace, ""), cgroup}, "web"},
		{"all the host's", oci.Namespaces{Net: "host", IPC: "host", UTS: "host", PID: "host"}, true, true, []specs.LinuxNamespace{mount}, ""},
		{"cgroup v1", oci.Namespaces{Net: "host", IPC: "host", UTS: "host", PID: "host"}, false, false, []specs.LinuxNamespace{mount}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := plain()
			in.Namespaces, in.Host.CgroupV2, in.Privileged = c.in, c.v2, c.privileged
			spec := build(t, in)
			require.ElementsMatch(t, c.want, spec.Linux.Namespaces)
			require.Equal(t, c.hostname, spec.Hostname)
		})
	}
}

func TestUserNamespaceOfSpec(t *testing.T) {
	in := plain()
	in.Namespaces.User = &oci.UserNamespace{
		Path: "/user", UIDs: specs.LinuxIDMapping{HostID: 1000, Size: 10}, GIDs: specs.LinuxIDMapping{HostID: 2000, Size: 20},
	}
	spec := build(t, in)
	require.Contains(t, spec.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace, Path: "/user"})
	require.Equal(t, []specs.LinuxIDMapping{in.Namespaces.User.UIDs}, spec.Linux.UIDMappings)
	require.Equal(t, []specs.LinuxIDMapping{in.Namespaces.User.GIDs}, spec.Linux.GIDMappings)
}
