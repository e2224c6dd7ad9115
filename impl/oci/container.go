package oci

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// specVersion is the version that the configuration is written for.
const specVersion = "1.0.2"

// Container gives the configuration of a container. An error names the
// container and wraps the FieldError or UnsupportedError of the first field
// that cannot be obeyed.
func Container(in ContainerInput) (*specs.Spec, error) {
	spec, err := container(in)
	if err != nil {
		return nil, fmt.Errorf("oci configuration of container %q: %w", in.ID, err)
	}
	return spec, nil
}

func container(in ContainerInput) (*specs.Spec, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	process, err := containerProcess(in)
	if err != nil {
		return nil, err
	}
	mounts, propagation, err := containerMounts(in)
	if err != nil {
		return nil, err
	}
	resources, err := Resources(in.Config.GetLinux().GetResources(), in.Host)
	if err != nil {
		return nil, err
	}
	if in.Host.PidsLimit > 0 {
		resources.Pids = &specs.LinuxPids{Limit: &in.Host.PidsLimit}
	}
	resources.Devices = deviceRules(in.Devices, in.Privileged && !in.PlainDevices)
	sc := in.Config.GetLinux().GetSecurityContext()
	masked, readonly := hiddenPaths(sc, in.Privileged)
	uids, gids := in.Namespaces.mappings()
	return &specs.Spec{
		Version:     specVersion,
		Process:     process,
		Root:        &specs.Root{Path: in.RootFS, Readonly: sc.GetReadonlyRootfs()},
		Hostname:    ownHostname(in.Namespaces, in.Sandbox),
		Mounts:      mounts,
		Annotations: maps.Clone(in.Annotations),
		Linux: &specs.Linux{
			UIDMappings: uids, GIDMappings: gids,
			Namespaces:        in.Namespaces.list(in.Host.CgroupV2 && !in.Privileged),
			CgroupsPath:       in.CgroupsPath,
			Resources:         resources,
			Devices:           deviceNodes(in),
			RootfsPropagation: propagation,
			MaskedPaths:       masked,
			ReadonlyPaths:     readonly,
			Seccomp:           seccompFilter(in.Seccomp, process.Capabilities.Bounding),
		},
	}, nil
}

// check refuses an input that lacks what every container needs.
func (in ContainerInput) check() error {
	switch {
	case in.Config == nil:
		return invalid("config", "is missing")
	case in.Sandbox == nil:
		return invalid("sandbox_config", "is missing")
	case in.RootFS == "":
		return errors.New("root file system is not known")
	}
	return nil
}

// CheckProcess gives the error that Container would give about the process, what
// it may do and its devices. It needs neither file system nor user.
func CheckProcess(in ContainerInput) error {
	_, err := containerProcess(in)
	return err
}

// checkTexts refuses a NUL byte in what the kernel reads as a text that ends
// with one.
func checkTexts(config *runtimeapi.ContainerConfig) error {
	texts := map[string][]string{
		"command": config.GetCommand(), "args": config.GetArgs(),
	}
	for field, all := range texts {
		if slices.ContainsFunc(all, func(s string) bool { return strings.Contains(s, "\x00") }) {
			return invalid("config."+field, "holds a NUL byte")
		}
	}
	return nil
}

// ownHostname is the pod's host name if the runtime makes the UTS namespace. A
// joined one has its name already, and the node's must keep its own.
func ownHostname(n Namespaces, sandbox *runtimeapi.PodSandboxConfig) string {
	if n.UTS != NewNamespace {
		return ""
	}
	return sandbox.GetHostname()
}
