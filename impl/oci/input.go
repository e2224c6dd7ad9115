package oci

import (
	imgspecv1 "github.com/opencontainers/image-spec/specs-go/v1"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"go.podman.io/common/pkg/seccomp"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// ContainerInput is everything the configuration of a container depends on.
type ContainerInput struct {
	// ID of the container; errors name it.
	ID string
	// Sandbox is the configuration of the container's pod.
	Sandbox *runtimeapi.PodSandboxConfig
	// Hostname is what the pod's UTS namespace says, for HOSTNAME; "" is unknown.
	Hostname string
	// Config is the container's own configuration.
	Config *runtimeapi.ContainerConfig
	// Image is the configuration of the image; nil is an image that says nothing.
	Image *imgspecv1.Image
	// RootFS is the host path at which the container's file system is mounted.
	RootFS string
	// Privileged is the decision, not the wish: the flag in Config is not read.
	Privileged bool
	// PlainDevices takes the host's devices away from a privileged container.
	PlainDevices bool
	// User comes from ResolveUser.
	User User
	// Namespaces comes from ResolveNamespaces.
	Namespaces Namespaces
	// CgroupsPath comes from CgroupsPath.
	CgroupsPath string
	// Annotations become the configuration's annotations as they are.
	Annotations map[string]string
	// Files are the pod's files that are bind mounted into the container.
	Files PodFiles
	// Seccomp is the profile that the filter is made from, see SeccompWish; nil
	// is no filter.
	Seccomp *seccomp.Seccomp
	// Devices are the nodes that Config.devices resolve to on this host.
	Devices []Device
	// ExtraMounts are ready-made mounts, for example of the image's volumes,
	// without those that mounts of Config take the places of.
	ExtraMounts []specs.Mount
	// Host holds the facts about this machine.
	Host Host
}

// InfraInput is everything the configuration of a sandbox's own process depends on.
type InfraInput struct {
	// ID of the sandbox; errors name it.
	ID string
	// Sandbox is the configuration of the pod.
	Sandbox *runtimeapi.PodSandboxConfig
	// Args is the command, for example /catatonit -P.
	Args []string
	// RootFS is the host path at which the root file system is mounted; it
	// becomes read-only inside.
	RootFS string
	// User to run as; the zero value is root without any capability.
	User User
	// Namespaces of the pod: "" is made by the runtime for this process.
	Namespaces Namespaces
	// CgroupsPath comes from CgroupsPath.
	CgroupsPath string
	// Annotations become the configuration's annotations as they are.
	Annotations map[string]string
	// Seccomp is the profile that the filter is made from; nil is no filter.
	Seccomp *seccomp.Seccomp
	// Files are the pod's files that are bind mounted.
	Files PodFiles
	// OwnKernel says that the runtime starts a kernel for the pod. Then the
	// pinned namespaces on the host do not carry the pod's host name and
	// sysctls inside, and the configuration must hold them.
	OwnKernel bool
	// Host holds the facts about this machine.
	Host Host
}

// PodFiles are host paths of what all containers of a pod share; "" is none.
type PodFiles struct {
	// Shm is mounted on /dev/shm. Without it the container gets a tmpfs of its
	// own of 64 MiB or, in the host's IPC namespace, the host's /dev/shm.
	Shm string
	// ResolvConf is mounted on /etc/resolv.conf.
	ResolvConf string
	// Hostname is mounted on /etc/hostname.
	Hostname string
}

// A Device is a node and the access that the device cgroup grants to it.
type Device struct {
	specs.LinuxDevice
	// Permissions is a subset of "rwm"; "" is all of them.
	Permissions string
}

// Host holds facts about the machine and the daemon.
type Host struct {
	// Hostname is the node's name.
	Hostname string
	// CgroupV2 says that the unified hierarchy alone is in use.
	CgroupV2 bool
	// SwapLimit says that the kernel can limit memory plus swap.
	SwapLimit bool
	// Hugetlb says that the hugetlb controller is there. Without it limits of
	// huge pages are left out: kubelet sends one for each page size it sees.
	Hugetlb bool
	// PidsLimit is the most processes and threads of a container; 0 is no limit.
	PidsLimit int64
	// MinOOMScoreAdj is the lowest value the daemon may set: -1000 with
	// CAP_SYS_RESOURCE, else its own.
	MinOOMScoreAdj int
	// Capabilities is the daemon's bounding set, as CAP_ names. No container
	// gets one that is not in it.
	Capabilities []string
	// DefaultCapabilities are what a container has that asks for nothing, as
	// CAP_ names.
	DefaultCapabilities []string
	// Devices are all nodes under the host's /dev, for privileged containers.
	Devices []specs.LinuxDevice
	// Rlimits apply to each container.
	Rlimits []specs.POSIXRlimit
	// AppArmor says that the kernel enforces AppArmor.
	AppArmor bool
	// AppArmorDefault is the profile for RuntimeDefault; "" is none.
	AppArmorDefault string
	// AppArmorProfiles are the names of all that are loaded.
	AppArmorProfiles []string
}
