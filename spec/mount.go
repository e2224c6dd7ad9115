package spec

const (
	mountSource   = "cri-api v1, Mount"
	imageVolume   = "cri-api v1, Mount.image: All image mounts are per feature definition readonly."
	imageDeclared = "OCI image specification, config.Volumes"
	usernsSource  = "cri-api v1, UserNamespace"
)

// mountRequests are the requirements about mounts, volumes, user namespaces and devices.
var mountRequests = []Requirement{
	req("run.userns-mode", runPod, podSec+"namespace_options.userns_options.mode", OneOf, usernsSource+".mode: NamespaceMode for UserNamespace currently supports only POD and NODE, not CONTAINER OR TARGET.").with("POD", "NODE"),

	req("create.userns-mode", create, ctrSec+"namespace_options.userns_options.mode", OneOf, usernsSource+".mode").with("POD", "NODE"),
	req("create.working-dir-nul", create, "config.working_dir", NoNUL, limits),
	req("create.mount-target-nul", create, "config.mounts[].container_path", NoNUL, limits),
	req("create.mount-source-or-image", create, "config.mounts[].container_path", Needs, mountSource+": a mount is of a path or of an image").with("config.mounts[].host_path", "config.mounts[].image"),
	req("create.mount-image-alone", create, "config.mounts[].host_path", Excludes, mountSource+".host_path: Has to be empty if the image field below is provided, because those fields are mutually exclusive.").with("config.mounts[].image"),
	req("create.mount-sub-path", create, "config.mounts[].image_sub_path", Needs, mountSource+".image_sub_path: only necessary if the above image field is set").with("config.mounts[].image"),
	req("create.mount-rro-private", create, "config.mounts[].propagation", Excludes, mountSource+".recursive_read_only: propagation must be PRIVATE (0)").with("config.mounts[].recursive_read_only"),
}

// mountPromises are the promises about mounts, volumes, user namespaces and devices.
var mountPromises = []Promise{
	{By: "impl/oci", RPC: "CreateContainer", Rule: must("mount.order", "A mount on a path below another mount's is seen, in whichever order the config has them.", "own: peers do so")},
	{By: "impl/oci", RPC: "CreateContainer", Rule: must("mount.over", "A mount of the config on a path where the daemon mounts something of its own, such as /etc/hostname or /dev/shm, takes its place.", kubelet+": mounts its own /etc/hosts and /dev/termination-log")},
	{By: "impl/server", RPC: "CreateContainer", Rule: must("mount.root", "CreateContainer refuses a mount on the container's root.", own)},
	{By: "impl/oci", RPC: "CreateContainer", Rule: must("mount.source", "A directory, a file, a device, a FIFO or a socket that is mounted is in the container what it is on the node.", mountSource+".host_path")},
	{By: "impl/oci", RPC: "CreateContainer", Rule: must("mount.relabel", "On a node without SELinux, selinux_relabel changes nothing.", mountSource+".selinux_relabel: peers do so")},
	{By: "impl/oci", RPC: "CreateContainer", Rule: must("mount.propagation", "Mounts made later reach the container through a mount with HOST_TO_CONTAINER, the container and the host through one with BIDIRECTIONAL, and neither through a PRIVATE one.", "cri-api v1, MountPropagation").needs(HostNamespaces)},
	{By: "impl/server", RPC: "CreateContainer", Rule: must("mount.shared", "CreateContainer refuses HOST_TO_CONTAINER for a host path that is on no shared or slave mount, and BIDIRECTIONAL for one that is on no shared mount.", "own: peers do so, and such a mount would propagate nothing").needs(HostNamespaces)},
	{By: "impl/oci", RPC: "CreateContainer", Rule: must("mount.rro", "A recursive read-only mount is read-only with all mounts below it; one that is just read-only leaves those as they are.", mountSource+".recursive_read_only").needs(HostNamespaces)},
	{By: "impl/server", RPC: "CreateContainer", Rule: must("mount.rro-handler", "CreateContainer refuses a recursive read-only mount if the runtime does not have them.", "cri-api v1, RuntimeHandlerFeatures.recursive_read_only_mounts").needs(Restart)},
	{By: "impl/server", RPC: "CreateContainer", Rule: must("mount.options", "A mount has the options noexec, nodev and nosuid of its config; any other is refused.", mountSource+".mount_options")},
	{By: "impl/namespace", RPC: "CreateContainer", Rule: must("mount.mapped", "The files of a mount with the ID mappings of the pod's user namespace belong to the container's users as they belong to the node's.", mountSource+".uidMappings").needs(HostNamespaces)},
	{By: "impl/server", RPC: "CreateContainer", Rule: must("mount.mapping", "CreateContainer refuses a mount with ID mappings other than those of the pod's user namespace.", own)},

	{By: "impl/server", RPC: "CreateContainer", Rule: must("volume.image", "A mount of an image shows the image's files, or those below the sub path; nothing in it can be written or executed.", imageVolume)},
	{By: "impl/server", RPC: "CreateContainer", Rule: must("volume.image.missing", "CreateContainer refuses a mount of an image that is not there with NotFound and a message that begins with ImageVolumeMountFailed.", kubelet+": reads the prefix")},
	{By: "impl/server", RPC: "CreateContainer", Rule: must("volume.image.sub-path", "CreateContainer refuses a sub path that is not in the image, or that leads out of it, with a message that begins with ImageVolumeMountFailed, and leaves nothing behind; links are followed inside the image.", mountSource+".image_sub_path: If the sub path is not empty and does not exist in the image, then runtimes should fail and return an error.")},
	{By: "impl/server", Rule: must("volume.image.exited", "An image volume is unmounted when its container exits.", "own: a shutdown finds the storage unused").needs(StorageRecords)},
	{By: "impl/store", RPC: "CreateContainer", Rule: must("volume.declared", "A volume that an image declares is a directory of the container's own: with the image's content and its owners, writable even if the root filesystem is read-only, and gone with the container.", imageDeclared)},
	{By: "impl/server", RPC: "CreateContainer", Rule: must("volume.declared.over", "A mount of the config takes the place of a volume that the image declares on the same path.", own)},
	{By: "impl/server", RPC: "CreateContainer", Rule: must("volume.declared.mode", "With image.volumes = mkdir a volume that an image declares is a directory of the container's root filesystem, and with ignore it is nothing.", own).needs(Restart)},

	{By: "impl/server", RPC: "RunPodSandbox", Rule: must("userns.pod", "All containers of a pod with a user namespace are in it, and it maps the IDs of the config and no other.", usernsSource).needs(HostNamespaces)},
	{By: "impl/namespace", RPC: "RunPodSandbox", Rule: must("userns.owner", "The network, IPC and UTS namespaces of a pod with a user namespace belong to it.", "user_namespaces(7): privileges in a namespace are those in the user namespace that owns it").needs(HostNamespaces)},
	{By: "impl/store", RPC: "CreateContainer", Rule: must("userns.files", "The files of an image have the same owners in a container with a user namespace as in one without, and root there can write to them, to /dev/shm and to /etc/resolv.conf.", kubelet+": hostUsers: false changes nothing inside of the container").needs(HostNamespaces)},
	{By: "impl/server", RPC: "RunPodSandbox", Rule: must("userns.mapping", "RunPodSandbox refuses a user namespace unless it has exactly one mapping of user IDs and one of group IDs, which map ID 0 of the container, at least one ID, and none beyond the last; and mappings without a user namespace.", usernsSource+".uids; kubelet and peers")},
	{By: "impl/server", RPC: "RunPodSandbox", Rule: must("userns.own", "RunPodSandbox refuses a user namespace for a pod in the node's network, IPC or PID namespace.", "cri-api v1, RuntimeFeatures.user_namespaces_host_network: not set")},
	{By: "impl/server", RPC: "RunPodSandbox", Rule: must("userns.kernel", "RunPodSandbox refuses a user namespace on a runtime handler whose pods have a kernel of their own.", "cri-api v1, RuntimeHandlerFeatures.user_namespaces").needs(Restart)},
	{By: "impl/server", RPC: "CreateContainer", Rule: must("userns.other", "CreateContainer refuses user namespace options other than the sandbox's.", usernsSource)},

	{By: "impl/server", RPC: "CreateContainer", Rule: must("container.namespaces.target", "A container with PID mode TARGET is in the PID namespace of the container that it names.", "cri-api v1, NamespaceMode: TARGET targets the namespace of another container.").needs(HostNamespaces)},
	{By: "impl/server", RPC: "CreateContainer", Rule: must("container.namespaces.target-refused", "CreateContainer refuses PID mode TARGET unless it names a running container of the same sandbox with a PID namespace of its own.", "cri-api v1, NamespaceMode: a target_id must be specified in NamespaceOption and refer to a container previously created with NamespaceMode CONTAINER.")},
	{By: "impl/server", RPC: "RunPodSandbox", Rule: must("container.shm", "The containers of a pod share a /dev/shm of 64 MiB; in the host's IPC namespace they have the host's.", "own: peers do so").needs(HostNamespaces)},
	{By: "impl/server", RPC: "StartContainer", Rule: must("container.namespaces.target-ended", "StartContainer refuses a container whose PID mode is TARGET and whose target has ended, and the container is EXITED with reason StartError and a message that names the target.", "own: the kernel ends all processes of a PID namespace with its first").needs(HostNamespaces)},
	{By: "impl/oci", RPC: "CreateContainer", Rule: must("container.process.none", "CreateContainer refuses a container for which neither the config nor the image names a command.", containerSource+".command")},
	{By: "impl/oci", RPC: "CreateContainer", Fields: []string{"config.command", "config.args"}, Rule: must("container.process.text", "CreateContainer refuses a command or arguments with a NUL byte.", "execve(2)")},
	{By: "impl/server", RPC: "ContainerStatus", Rule: must("container.status.stop-signal", "ContainerStatus has the stop signal that StopContainer sends first.", "cri-api v1, ContainerStatus.stop_signal")},
	{By: "impl/server", RPC: "ContainerStatus", Rule: must("container.status.mounts", "ContainerStatus has the mounts of the config as they were asked for.", "cri-api v1, ContainerStatus.mounts")},
}
