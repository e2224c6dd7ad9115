package server

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"google.golang.org/protobuf/proto"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"ocid/impl/facts"
	"ocid/impl/ledger"
	"ocid/impl/namespace"
	"ocid/impl/oci"
	"ocid/impl/store"
	"ocid/spec"
)

const (
	usernsField = "config.linux.security_context.namespace_options.userns_options"
	targetField = "config.linux.security_context.namespace_options.target_id"
)

// userns is the user namespace that a sandbox asks for; nil is the node's.
func userns(c *runtimeapi.PodSandboxConfig) *runtimeapi.UserNamespace {
	if u := facts.NamespaceOptions(c).GetUsernsOptions(); u != nil && u.GetMode() != runtimeapi.NamespaceMode_NODE {
		return u
	}
	return nil
}

// refuseUserns refuses a user namespace that can't be made, or that the other
// namespaces of the pod would not belong to.
func (s *Server) refuseUserns(c *runtimeapi.PodSandboxConfig, ownKernel bool) error {
	ns := facts.NamespaceOptions(c)
	u := ns.GetUsernsOptions()
	if u == nil {
		return nil
	}
	for field, ids := range map[string][]*runtimeapi.IDMapping{usernsField + ".uids": u.GetUids(), usernsField + ".gids": u.GetGids()} {
		if err := checkMappings(ids, u.GetMode()); err != nil {
			return s.refusal("userns.mapping", spec.InvalidArgument, field, err)
		}
	}
	node := runtimeapi.NamespaceMode_NODE
	switch {
	case u.GetMode() == node:
	case ownKernel:
		return s.refusal("userns.kernel", spec.FailedPrecondition, usernsField, errors.New("asks for a user namespace, and the runtime handler's pods have a kernel of their own"))
	case ns.GetNetwork() == node || ns.GetIpc() == node || ns.GetPid() == node:
		return s.refusal("userns.own", spec.InvalidArgument, usernsField, errors.New("asks for a user namespace together with the node's network, IPC or PID namespace"))
	}
	return nil
}

// refuseNamespaces refuses a container that is to be in a user namespace other
// than its pod's, or in the PID namespace of a container that has none to share.
func (s *Server) refuseNamespaces(_ context.Context, c *Container, sb *Sandbox) error {
	opts := c.Config.M.GetLinux().GetSecurityContext().GetNamespaceOptions()
	if u := opts.GetUsernsOptions(); u != nil {
		own := &runtimeapi.PodSandboxConfig{Linux: &runtimeapi.LinuxPodSandboxConfig{
			SecurityContext: &runtimeapi.LinuxSandboxSecurityContext{NamespaceOptions: opts},
		}}
		if !proto.Equal(userns(own), userns(sb.Config.M)) {
			return s.refusal("userns.other", spec.InvalidArgument, usernsField, errors.New("are not those of the sandbox"))
		}
	}
	if opts.GetPid() != runtimeapi.NamespaceMode_TARGET {
		return nil
	}
	target, ok := s.target(opts)
	var why string
	switch {
	case !ok || target.Data.PodID != c.PodID:
		why = "is no container of the sandbox"
	case pidMode(target.Data.Config.M, sb) != runtimeapi.NamespaceMode_CONTAINER:
		why = "has no PID namespace of its own"
	case target.State != spec.Running:
		why = "does not run"
	default:
		return nil
	}
	return s.refusal("container.namespaces.target-refused", spec.InvalidArgument, targetField, fmt.Errorf("is %.80q, which %s", opts.GetTargetId(), why))
}

// refuseStart refuses to start a container in the PID namespace of one that has
// ended: the kernel has ended its process with the namespace, or is about to.
func (s *Server) refuseStart(id string) error {
	e, _ := s.containers.Get(id)
	opts := e.Data.Config.M.GetLinux().GetSecurityContext().GetNamespaceOptions()
	if opts.GetPid() != runtimeapi.NamespaceMode_TARGET {
		return nil
	}
	if target, ok := s.target(opts); ok && target.State&(spec.Running|spec.Stopping) != 0 {
		return nil
	}
	return s.refusal("container.namespaces.target-ended", spec.FailedPrecondition, targetField, fmt.Errorf("is %.80q, which has ended", opts.GetTargetId()))
}

// target is the container that a PID mode TARGET names.
func (s *Server) target(opts *runtimeapi.NamespaceOption) (ledger.Entry[Container], bool) {
	return s.containers.Get(s.containers.Resolve(opts.GetTargetId()))
}

// pidMode is a container's, or its pod's where the container is silent.
func pidMode(c *runtimeapi.ContainerConfig, sb *Sandbox) runtimeapi.NamespaceMode {
	if opts := c.GetLinux().GetSecurityContext().GetNamespaceOptions(); opts != nil {
		return opts.GetPid()
	}
	return facts.NamespaceOptions(sb.Config.M).GetPid()
}

func checkMappings(ids []*runtimeapi.IDMapping, mode runtimeapi.NamespaceMode) error {
	if mode == runtimeapi.NamespaceMode_NODE {
		if len(ids) > 0 {
			return errors.New("maps IDs of the node's user namespace")
		}
		return nil
	}
	if len(ids) != 1 {
		return fmt.Errorf("has %d mappings, not one", len(ids))
	}
	switch m := ids[0]; {
	case m.GetContainerId() != 0:
		return errors.New("does not map ID 0 of the container")
	case m.GetLength() == 0:
		return errors.New("maps no ID")
	case uint64(m.GetHostId())+uint64(m.GetLength()) > math.MaxUint32:
		return fmt.Errorf("leads beyond the last ID, %d", uint32(math.MaxUint32-1))
	}
	return nil
}

// Where the IDs of a user namespace lead, in the words of those who make use of
// it. The mappings have been checked.

func namespaceRange(ids []*runtimeapi.IDMapping) namespace.Range {
	return namespace.Range{Host: ids[0].GetHostId(), Size: ids[0].GetLength()}
}

func storeIDs(u *runtimeapi.UserNamespace) *store.IDs {
	if u == nil {
		return nil
	}
	to := func(ids []*runtimeapi.IDMapping) store.Range {
		return store.Range{Host: ids[0].GetHostId(), Size: ids[0].GetLength()}
	}
	return &store.IDs{UIDs: to(u.GetUids()), GIDs: to(u.GetGids())}
}

func (s *Server) ociUserns(id string, u *runtimeapi.UserNamespace) *oci.UserNamespace {
	if u == nil {
		return nil
	}
	to := func(ids []*runtimeapi.IDMapping) specs.LinuxIDMapping {
		return specs.LinuxIDMapping{HostID: ids[0].GetHostId(), Size: ids[0].GetLength()}
	}
	return &oci.UserNamespace{Path: s.userPath(id), UIDs: to(u.GetUids()), GIDs: to(u.GetGids())}
}

// podRoot is the user and group on the node that are root in the sandbox.
func podRoot(c *runtimeapi.PodSandboxConfig) (uid, gid int) {
	if u := userns(c); u != nil {
		return int(u.GetUids()[0].GetHostId()), int(u.GetGids()[0].GetHostId())
	}
	return 0, 0
}

func (s *Server) userPath(id string) string { return filepath.Join(s.Config.RunRoot, "ns", "user", id) }

// ownedNamespaces are all namespaces of a sandbox with a user namespace. They
// are made at once: nobody but its maker can give a namespace an owner.
func (s *Server) ownedNamespaces(id string, sb *Sandbox, u *runtimeapi.UserNamespace) namespace.Spec {
	return namespace.Spec{
		Pins: []namespace.Pin{
			{Kind: namespace.User, Path: s.userPath(id)}, {Kind: namespace.Net, Path: s.netnsPath(id)},
			{Kind: namespace.UTS, Path: s.utsPath(id)}, {Kind: namespace.IPC, Path: s.ipcPath(id)},
		},
		UIDs: namespaceRange(u.GetUids()), GIDs: namespaceRange(u.GetGids()),
		Hostname: sb.Hostname, Sysctls: sysctls(sb, namespace.Net, namespace.IPC),
	}
}

// closeOwned removes what ownedNamespaces has pinned besides the network
// namespace. Steps of their own remove two of them too, and find nothing.
func (s *Server) closeOwned(id string) error {
	return errors.Join(namespace.Remove(s.ipcPath(id)), namespace.Remove(s.utsPath(id)), namespace.Remove(s.userPath(id)))
}
