package oci

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"ocid/spec"
)

const (
	// infraCPUShares is the least the kernel grants.
	infraCPUShares = 2
	// infraOOMScoreAdj makes the process about the last to be killed.
	infraOOMScoreAdj = -998
)

// Infra gives the configuration of a sandbox's own process: one that does
// nothing, has no capability, cannot gain any, and writes nowhere. Of the pod's
// security context only the seccomp profile is applied to it: the rest asks for
// less than that.
func Infra(in InfraInput) (*specs.Spec, error) {
	spec, err := infra(in)
	if err != nil {
		return nil, fmt.Errorf("oci configuration of sandbox %q: %w", in.ID, err)
	}
	return spec, nil
}

func infra(in InfraInput) (*specs.Spec, error) {
	switch {
	case in.Sandbox == nil:
		return nil, invalid("config", "is missing")
	case in.RootFS == "":
		return nil, errors.New("root file system is not known")
	case len(in.Args) == 0:
		return nil, errors.New("command of the infrastructure process is not known")
	}
	shares := uint64(infraCPUShares)
	hostname := ownHostname(in.Namespaces, in.Sandbox)
	if in.OwnKernel && in.Namespaces.UTS != HostNamespace {
		hostname = in.Sandbox.GetHostname()
	}
	uids, gids := in.Namespaces.mappings()
	return &specs.Spec{
		Version: specVersion,
		Process: &specs.Process{
			User:            in.User.oci(),
			Args:            slices.Clone(in.Args),
			Env:             []string{"PATH=" + defaultPath},
			Cwd:             "/",
			Capabilities:    &specs.LinuxCapabilities{},
			Rlimits:         slices.Clone(in.Host.Rlimits),
			NoNewPrivileges: true,
			OOMScoreAdj:     oomScoreAdj(infraOOMScoreAdj, in.Host),
		},
		Root:        &specs.Root{Path: in.RootFS, Readonly: true},
		Hostname:    hostname,
		Mounts:      infraMounts(in),
		Annotations: maps.Clone(in.Annotations),
		Linux: &specs.Linux{
			UIDMappings: uids, GIDMappings: gids,
			Namespaces:    in.Namespaces.list(in.Host.CgroupV2),
			CgroupsPath:   in.CgroupsPath,
			Resources:     &specs.LinuxResources{CPU: &specs.LinuxCPU{Shares: &shares}, Devices: deviceRules(nil, false)},
			Sysctl:        infraSysctls(in),
			MaskedPaths:   slices.Clone(defaultMaskedPaths),
			ReadonlyPaths: slices.Clone(defaultReadonlyPaths),
			Seccomp:       seccompFilter(in.Seccomp, nil),
		},
	}, nil
}

// infraSysctls gives the pod's sysctls that nobody has set yet: those of the
// namespaces made for this process, or all in a pod with a kernel of its own.
func infraSysctls(in InfraInput) map[string]string {
	asked := in.Sandbox.GetLinux().GetSysctls()
	if in.OwnKernel {
		return maps.Clone(asked)
	}
	place := map[spec.NamespaceKind]string{
		"":                HostNamespace,
		spec.NetNamespace: in.Namespaces.Net,
		spec.IPCNamespace: in.Namespaces.IPC,
		spec.UTSNamespace: in.Namespaces.UTS,
	}
	out := map[string]string{}
	for name, value := range asked {
		if place[spec.SysctlNamespace(name)] == NewNamespace {
			out[name] = value
		}
	}
	return out
}
