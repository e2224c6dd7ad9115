package spec

const (
	securitySource = "cri-api v1, LinuxContainerSecurityContext"
	seccompSource  = "cri-api v1, SecurityProfile"
)

// securityRequests are the requirements about what a process in a container may do.
var securityRequests = []Requirement{
	req("run.seccomp", runPod, podSec+"seccomp.profile_type", Defined, seccompSource+".ProfileType"),
	req("run.apparmor", runPod, podSec+"apparmor.profile_type", Defined, seccompSource+".ProfileType"),
	req("create.seccomp", create, ctrSec+"seccomp.profile_type", Defined, seccompSource+".ProfileType"),
	req("create.apparmor", create, ctrSec+"apparmor.profile_type", Defined, seccompSource+".ProfileType"),
	req("create.groups-policy", create, ctrSec+"supplemental_groups_policy", Defined, securitySource+".supplemental_groups_policy: Valid values are \"Merge\" and \"Strict\"."),
}

// securityPromises are the promises about what a process in a container may do.
var securityPromises = []Promise{
	{By: "impl/oci", RPC: "CreateContainer", Rule: must("security.seccomp.default", "A container whose config asks for the seccomp profile RuntimeDefault, and each command run in it, is under the default filter of go.podman.io/common, which lets through what its capabilities are for.", seccompSource+": The container runtime default profile should be used.")},
	{By: "impl/server", RPC: "CreateContainer", Rule: must("security.seccomp.localhost", "A container whose config asks for a seccomp profile of the node is under the filter in that file, as the file is when the container is created.", seccompSource+".localhost_ref: For seccomp, it must be an absolute path to the seccomp profile.")},
	{By: "impl/oci", RPC: "CreateContainer", Rule: must("security.seccomp.none", "A container whose config asks for Unconfined, or for no seccomp profile, has no filter.", securitySource+".seccomp_profile_path: Default: \"\", which is identical with unconfined.")},
	{By: "impl/oci", RPC: "CreateContainer", Rule: must("security.seccomp.old", "The deprecated seccomp_profile_path counts where seccomp is not set, and only there.", securitySource+".seccomp_profile_path")},
	{By: "impl/server", RPC: "CreateContainer", Fields: []string{ctrSec + "seccomp", ctrSec + "seccomp_profile_path"}, Rule: must("security.seccomp.refused", "CreateContainer refuses a seccomp profile of the node that is not a regular file with a whole profile at an absolute path, has flags that the runtime lacks, or asks a listener that it does not name; before anything is made.", own)},
	{By: "impl/server", RPC: "RunPodSandbox", Fields: []string{podSec + "seccomp", podSec + "seccomp_profile_path"}, Rule: must("security.seccomp.refused-sandbox", "RunPodSandbox refuses a seccomp profile of the node that is not a regular file with a whole profile at an absolute path, has flags that the runtime lacks, or asks a listener that it does not name; before anything is made.", own)},
	{By: "impl/server", RPC: "RunPodSandbox", Rule: must("security.seccomp.infra", "The infra process of a sandbox that is not privileged is under the seccomp profile of the sandbox's config.", "cri-api v1, LinuxSandboxSecurityContext.seccomp")},

	{By: "impl/oci", RPC: "CreateContainer", Rule: must("security.capabilities.default", "A container that asks for nothing has the capabilities of the option default_capabilities, as far as the daemon has them.", "cri-api v1, Capability")},
	{By: "impl/oci", RPC: "CreateContainer", Rule: must("security.capabilities.change", "The lists add_capabilities and drop_capabilities change the default, ALL before single names, and a name in both is dropped.", "cri-api v1, Capability")},
	{By: "impl/oci", RPC: "CreateContainer", Fields: []string{ctrSec + "capabilities"}, Rule: must("security.capabilities.unknown", "CreateContainer refuses the name of a capability that Linux does not have.", own)},
	{By: "impl/oci", RPC: "CreateContainer", Rule: must("security.capabilities.ambient", "The capabilities of add_ambient_capabilities are ambient, so that a process that is not root has them, and keeps them in the programs that it runs.", "cri-api v1, Capability.add_ambient_capabilities")},
	{By: "impl/oci", RPC: "CreateContainer", Rule: must("security.capabilities.inheritable", "No capability is inheritable but the ambient ones, so that a process that is not root gets none from a file's inheritable set.", "own: CVE-2022-24769, CVE-2022-29162")},

	{By: "impl/oci", RPC: "CreateContainer", Fields: []string{ctrSec + "apparmor", ctrSec + "apparmor_profile"}, Rule: must("security.apparmor.refused", "CreateContainer refuses an AppArmor profile of the node that is not loaded there, and any on a node without AppArmor.", seccompSource+": A pre-defined profile on the node should be used.")},
	{By: "impl/oci", RPC: "CreateContainer", Rule: must("security.apparmor.none", "On a node without AppArmor, RuntimeDefault and Unconfined are taken, and mean the same.", kubelet+": sends RuntimeDefault whether the node has AppArmor or not")},
	{By: "impl/oci", RPC: "CreateContainer", Rule: must("security.apparmor.default", "On a node with AppArmor, a container that asks for RuntimeDefault or for no profile runs under the profile of the option apparmor_profile.", seccompSource+".ProfileType").unseen("needs a kernel with AppArmor, and the tests' kernel has none")},
	{By: "impl/server", RPC: "CreateContainer", Rule: must("security.selinux.off", "On a node without SELinux, selinux_options are taken and have no effect.", securitySource+".selinux_options: SELinux context to be optionally applied.")},

	{By: "impl/oci", RPC: "CreateContainer", Rule: must("security.no-new-privs", "The flag no_new_privs is set on the processes of a container exactly if its config says so.", securitySource+".no_new_privs")},
	{By: "impl/oci", RPC: "CreateContainer", Rule: must("security.masked-paths", "The masked_paths of the config show nothing, the defaults of Kubernetes if the config has no security context, and an empty list masks none.", securitySource+".masked_paths")},
	{By: "impl/oci", RPC: "CreateContainer", Rule: must("security.readonly-paths", "The readonly_paths of the config cannot be written, the defaults of Kubernetes if the config has no security context, and an empty list leaves all writable.", securitySource+".readonly_paths")},
	{By: "impl/oci", RPC: "CreateContainer", Rule: must("security.readonly-rootfs", "The root filesystem of a container is read-only exactly if readonly_rootfs is set; its mounts are not.", securitySource+".readonly_rootfs: If set, the root filesystem of the container is read-only.")},

	{By: "impl/oci", RPC: "CreateContainer", Fields: []string{ctrSec + "run_as_username", ctrSec + "run_as_user", ctrSec + "supplemental_groups", "config.image"}, Rule: must("security.user.refused", "CreateContainer refuses a user name that the image's passwd file does not hold, groups that no process can be in, and passwd and group files that are not regular files or have more than 8 MiB.", securitySource+".run_as_username: the user MUST exist in the container image […]; otherwise, the runtime MUST error.")},
	{By: "impl/server", RPC: "CreateContainer", Rule: must("security.user.links", "The user files of an image are found through links, which lead nowhere outside the image.", own)},
	{By: "impl/oci", RPC: "CreateContainer", Rule: must("security.user.merge", "With the policy Merge, a process is in supplemental_groups and in the groups that the image's group file has its user in.", "cri-api v1, SupplementalGroupsPolicy.Merge")},
	{By: "impl/oci", RPC: "CreateContainer", Rule: must("security.user.strict", "With the policy Strict, a process is in supplemental_groups and in no group that only the image names.", "cri-api v1, SupplementalGroupsPolicy.Strict")},
	{By: "impl/server", RPC: "ContainerStatus", Rule: must("security.user.status", "ContainerStatus has the user, group and supplemental groups that the first process began with, also after a restart of the daemon.", "cri-api v1, ContainerUser.linux")},
	{By: "impl/server", RPC: "Status", Rule: must("security.user.feature", "Status says that supplemental_groups_policy is obeyed.", "cri-api v1, RuntimeFeatures.supplemental_groups_policy")},

	{By: "impl/oci", RPC: "CreateContainer", Rule: must("security.privileged.paths", "A privileged container has no masked and no read-only paths, whatever its config lists.", securitySource+".privileged: Sensitive paths, such as kernel module paths within sysfs, are not masked.")},
	{By: "impl/oci", RPC: "CreateContainer", Rule: must("security.privileged.kernel-files", "In a privileged container /proc, /sys and the cgroups are writable, and in another one the last two are not.", securitySource+".privileged: Any sysfs and procfs mounts are mounted RW.")},
	{By: "impl/server", RPC: "CreateContainer", Rule: must("security.privileged.profiles", "No seccomp filter, AppArmor profile or SELinux label applies to a privileged container, and those of its config are not looked at.", securitySource+".privileged: Seccomp restrictions are not applied.")},
	{By: "impl/server", RPC: "CreateContainer", Rule: must("security.privileged.devices", "A privileged container has all devices that are in the node's /dev when it is created.", securitySource+".privileged: All devices from the host's /dev are available within the container.")},
	{By: "impl/oci", RPC: "CreateContainer", Rule: must("security.privileged.device-access", "A privileged container opens any device, and another one only the standard ones and its own.", securitySource+".privileged: The device cgroup does not restrict access to any devices.")},
	{By: "impl/server", RPC: "CreateContainer", Rule: must("security.privileged.without-devices", "A privileged container on a runtime handler with the option privileged_without_host_devices has no devices but the standard ones and its own.", own)},

	{By: "impl/server", RPC: "CreateContainer", Rule: must("security.devices.nodes", "A container has the devices of its config at their container_path, and of a directory all that are in it.", "cri-api v1, Device")},
	{By: "impl/oci", RPC: "CreateContainer", Rule: must("security.devices.permissions", "A container has the access to a device that its permissions say, r, w and m, and all of it if they are empty.", "cri-api v1, Device.permissions")},
	{By: "impl/server", RPC: "CreateContainer", Fields: []string{"config.devices"}, Rule: must("security.devices.refused", "CreateContainer refuses a device whose host_path is missing or no device, and permissions of other letters.", own)},
	{By: "impl/server", RPC: "CreateContainer", Rule: must("security.cdi.edits", "A CDI device of the config, or of an annotation, brings the environment, devices, mounts and hooks that its spec in cdi_spec_dirs lists, as the spec is when the container is created.", "cri-api v1, ContainerConfig.CDI_devices")},
	{By: "impl/server", RPC: "CreateContainer", Fields: []string{"config.CDI_devices", "config.annotations"}, Rule: must("security.cdi.refused", "CreateContainer refuses a CDI device that no spec describes or whose edits cannot be made.", own)},

	{By: "impl/server", RPC: "RunPodSandbox", Rule: must("security.dns.config", "The resolv.conf of a pod holds the servers, searches and options of its DNS config and nothing else.", "cri-api v1, DNSConfig")},
	{By: "impl/server", RPC: "RunPodSandbox", Rule: must("security.dns.host", "The resolv.conf of a pod without a DNS config, or with an empty one, is the node's.", "own: peers do so")},
	{By: "impl/server", RPC: "RunPodSandbox", Rule: must("security.dns.refused", "RunPodSandbox refuses DNS servers, searches and options that hold white space or are empty: they would be other lines of resolv.conf.", own)},
	{By: "impl/oci", RPC: "CreateContainer", Rule: must("security.hostname.environment", "HOSTNAME is the pod's hostname, on the host network the node's, unless the config sets it.", "own: peers do so")},
}
