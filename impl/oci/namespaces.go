package oci

import (
	"fmt"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const (
	// NewNamespace asks the runtime for a namespace of its own.
	NewNamespace = ""
	// HostNamespace stays in the namespace of the node.
	HostNamespace = "host"
)

// Namespaces says for each kind where a process runs: NewNamespace,
// HostNamespace, or the path of a namespace to join. The mount namespace is
// always new; the cgroup namespace follows from privilege and cgroup version.
type Namespaces struct {
	Net, IPC, UTS, PID string
	// User is the pod's user namespace; nil stays in the node's.
	User *UserNamespace
}

// A UserNamespace is one that a process joins, with what it maps.
type UserNamespace struct {
	Path       string
	UIDs, GIDs specs.LinuxIDMapping
}

// ResolveNamespaces turns the modes a container was asked to have into places.
// pinned holds the pod's namespaces as paths; targetPID is the path of the PID
// namespace of the container that a TARGET mode names. UTS follows the network,
// as CRI has no field for it. The modes come from cri-api v1 NamespaceOption; a
// mode that CRI does not define for a kind gives a FieldError. The user namespace
// is the pod's for all its processes and comes with pinned, or not.
func ResolveNamespaces(opts *runtimeapi.NamespaceOption, pinned Namespaces, targetPID string) (Namespaces, error) {
	asked := []struct {
		kind, path string
		mode       runtimeapi.NamespaceMode
		places     map[runtimeapi.NamespaceMode]string
	}{
		{"network", "network", opts.GetNetwork(), map[runtimeapi.NamespaceMode]string{
			runtimeapi.NamespaceMode_POD: pinned.Net, runtimeapi.NamespaceMode_NODE: HostNamespace}},
		{"ipc", "ipc", opts.GetIpc(), map[runtimeapi.NamespaceMode]string{
			runtimeapi.NamespaceMode_POD: pinned.IPC, runtimeapi.NamespaceMode_NODE: HostNamespace}},
		{"uts", "network", opts.GetNetwork(), map[runtimeapi.NamespaceMode]string{
			runtimeapi.NamespaceMode_POD: pinned.UTS, runtimeapi.NamespaceMode_NODE: HostNamespace}},
		{"pid", "pid", opts.GetPid(), map[runtimeapi.NamespaceMode]string{
			runtimeapi.NamespaceMode_POD: pinned.PID, runtimeapi.NamespaceMode_NODE: HostNamespace,
			runtimeapi.NamespaceMode_TARGET: targetPID}},
	}
	var got [4]string
	for i, a := range asked {
		if a.kind == "pid" && a.mode == runtimeapi.NamespaceMode_CONTAINER {
			continue // a new one
		}
		place, defined := a.places[a.mode]
		if !defined {
			return Namespaces{}, invalid(namespaceField+a.path, "mode %s is not defined", a.mode)
		}
		if place == "" {
			return Namespaces{}, fmt.Errorf("%s namespace for mode %s is not known", a.kind, a.mode)
		}
		got[i] = place
	}
	return Namespaces{Net: got[0], IPC: got[1], UTS: got[2], PID: got[3], User: pinned.User}, nil
}

const namespaceField = "config.linux.security_context.namespace_options."

// list gives the namespaces in the form of the OCI configuration.
func (n Namespaces) list(ownCgroup bool) []specs.LinuxNamespace {
	all := []struct {
		kind  specs.LinuxNamespaceType
		place string
	}{
		{specs.MountNamespace, NewNamespace},
		{specs.NetworkNamespace, n.Net},
		{specs.IPCNamespace, n.IPC},
		{specs.UTSNamespace, n.UTS},
		{specs.PIDNamespace, n.PID},
	}
	var out []specs.LinuxNamespace
	for _, ns := range all {
		if ns.place != HostNamespace {
			out = append(out, specs.LinuxNamespace{Type: ns.kind, Path: ns.place})
		}
	}
	if n.User != nil {
		out = append(out, specs.LinuxNamespace{Type: specs.UserNamespace, Path: n.User.Path})
	}
	if ownCgroup {
		out = append(out, specs.LinuxNamespace{Type: specs.CgroupNamespace})
	}
	return out
}

// mappings gives what the user namespace maps: nothing if it is the node's.
func (n Namespaces) mappings() (uids, gids []specs.LinuxIDMapping) {
	if n.User == nil {
		return nil, nil
	}
	return []specs.LinuxIDMapping{n.User.UIDs}, []specs.LinuxIDMapping{n.User.GIDs}
}
