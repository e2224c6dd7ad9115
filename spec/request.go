package spec

import (
	"slices"
	"strings"
)

const (
	podSource       = "cri-api v1, PodSandboxConfig"
	containerSource = "cri-api v1, ContainerConfig"
	limits          = "own: bounds of the kernel and of Kubernetes' own validation"
)

// req makes the row of a requirement; its ID is request.<call>.<rule>.
func req(id ID, rpc, field string, check Check, source string) Requirement {
	r := Requirement{RPC: rpc, Field: field, Check: check, Code: InvalidArgument}
	r.Rule = must("request."+id, "", source)
	return r
}

func (r Requirement) to(lo, hi int64) Requirement { r.Lo, r.Hi = lo, hi; return r }

func (r Requirement) with(other ...string) Requirement { r.Other = other; return r }

const (
	runPod = "RunPodSandbox"
	create = "CreateContainer"
	podSec = "config.linux.security_context."
	ctrSec = "config.linux.security_context."
)

// requests answers: what must a request satisfy before anything is done?
var requests = sentences(slices.Concat([]Requirement{
	req("run.config", runPod, "config", Required, podSource),
	req("run.metadata", runPod, "config.metadata", Required, podSource+".metadata"),
	req("run.name", runPod, "config.metadata.name", Required, "cri-api v1, PodSandboxMetadata.name"),
	req("run.uid", runPod, "config.metadata.uid", Required, "cri-api v1, PodSandboxMetadata.uid"),
	req("run.namespace", runPod, "config.metadata.namespace", Required, "cri-api v1, PodSandboxMetadata.namespace"),
	req("run.name-length", runPod, "config.metadata.name", MaxLength, limits).to(0, 253),
	req("run.uid-length", runPod, "config.metadata.uid", MaxLength, limits).to(0, 253),
	req("run.namespace-length", runPod, "config.metadata.namespace", MaxLength, limits).to(0, 253),
	req("run.name-path", runPod, "config.metadata.name", FileName, "own: names stand in file and cgroup names"),
	req("run.uid-path", runPod, "config.metadata.uid", FileName, "own: names stand in file and cgroup names"),
	req("run.namespace-path", runPod, "config.metadata.namespace", FileName, "own: names stand in file and cgroup names"),
	req("run.hostname", runPod, "config.hostname", Hostname, podSource+".hostname"),
	req("run.hostname-length", runPod, "config.hostname", MaxLength, "sethostname(2): HOST_NAME_MAX is 64").to(0, 64),
	req("run.log-directory", runPod, "config.log_directory", Absolute, podSource+".log_directory"),
	req("run.log-directory-nul", runPod, "config.log_directory", NoNUL, limits),
	req("run.host-port", runPod, "config.port_mappings[].host_port", Between, "cri-api v1, PortMapping.host_port").to(0, 65535),
	req("run.container-port", runPod, "config.port_mappings[].container_port", Between, "cri-api v1, PortMapping.container_port").to(0, 65535),
	req("run.host-port-leads", runPod, "config.port_mappings[].host_port", Needs, "cri-api v1, PortMapping.container_port: a host port leads to a container port").with("config.port_mappings[].container_port"),
	req("run.host-ip", runPod, "config.port_mappings[].host_ip", IPAddress, "cri-api v1, PortMapping.host_ip"),
	req("run.protocol", runPod, "config.port_mappings[].protocol", Defined, "cri-api v1, Protocol"),
	req("run.network-mode", runPod, podSec+"namespace_options.network", OneOf, "cri-api v1, NamespaceOption.network").with("POD", "NODE"),
	req("run.ipc-mode", runPod, podSec+"namespace_options.ipc", OneOf, "cri-api v1, NamespaceOption.ipc").with("POD", "NODE"),
	req("run.pid-mode", runPod, podSec+"namespace_options.pid", OneOf, "cri-api v1, NamespaceOption.pid: a sandbox has no container to target").with("POD", "CONTAINER", "NODE"),
	req("run.group-needs-user", runPod, podSec+"run_as_group", Needs, "cri-api v1, LinuxSandboxSecurityContext.run_as_group: run_as_group should only be specified when run_as_user is specified; otherwise, the runtime MUST error.").with(podSec + "run_as_user"),
	req("run.user", runPod, podSec+"run_as_user.value", Between, limits).to(0, 1<<31-1),
	req("run.group", runPod, podSec+"run_as_group.value", Between, limits).to(0, 1<<31-1),
	req("run.sysctl-name", runPod, "config.linux.sysctls", Sysctls, "own: a name is a path below /proc/sys; one that climbs names something else than it says"),
	req("run.cgroup-parent-nul", runPod, "config.linux.cgroup_parent", NoNUL, limits),

	req("create.sandbox", create, "pod_sandbox_id", Required, "cri-api v1, CreateContainerRequest.pod_sandbox_id"),
	req("create.config", create, "config", Required, containerSource),
	req("create.metadata", create, "config.metadata", Required, containerSource+".metadata"),
	req("create.name", create, "config.metadata.name", Required, "cri-api v1, ContainerMetadata.name"),
	req("create.name-length", create, "config.metadata.name", MaxLength, limits).to(0, 253),
	req("create.name-path", create, "config.metadata.name", FileName, "own: names stand in file and cgroup names"),
	req("create.image", create, "config.image.image", Required, containerSource+".image"),
	req("create.working-dir", create, "config.working_dir", Absolute, containerSource+".working_dir"),
	req("create.env-key", create, "config.envs[].key", Required, "cri-api v1, KeyValue"),
	req("create.env-name", create, "config.envs[].key", EnvName, "execve(2): environment strings are key=value"),
	req("create.env-value-nul", create, "config.envs[].value", NoNUL, "execve(2): environment strings end with NUL"),
	req("create.log-path", create, "config.log_path", Inside, containerSource+".log_path: relative to log_directory"),
	req("create.log-path-length", create, "config.log_path", MaxLength, limits).to(0, 4095),
	req("create.mount-target", create, "config.mounts[].container_path", Required, "cri-api v1, Mount.container_path"),
	req("create.mount-absolute", create, "config.mounts[].container_path", Absolute, "own: peers do so"),
	req("create.mount-source", create, "config.mounts[].host_path", Absolute, "cri-api v1, Mount.host_path"),
	req("create.mount-nul", create, "config.mounts[].host_path", NoNUL, limits),
	req("create.mount-propagation", create, "config.mounts[].propagation", Defined, "cri-api v1, MountPropagation"),
	req("create.mount-rro-readonly", create, "config.mounts[].recursive_read_only", Needs, "cri-api v1, Mount.recursive_read_only: readonly MUST be explicitly set to true").with("config.mounts[].readonly"),
	req("create.device-target", create, "config.devices[].container_path", Absolute, "cri-api v1, Device.container_path"),
	req("create.device-source", create, "config.devices[].host_path", Absolute, "cri-api v1, Device.host_path"),
	req("create.user-or-username", create, ctrSec+"run_as_username", Excludes, "cri-api v1, LinuxContainerSecurityContext.run_as_user: Only one of run_as_user and run_as_username can be specified at a time.").with(ctrSec + "run_as_user"),
	req("create.group-needs-user", create, ctrSec+"run_as_group", Needs, "cri-api v1, LinuxContainerSecurityContext.run_as_group: should only be specified when run_as_user or run_as_username is specified; otherwise, the runtime MUST error.").with(ctrSec+"run_as_user", ctrSec+"run_as_username"),
	req("create.user", create, ctrSec+"run_as_user.value", Between, limits).to(0, 1<<31-1),
	req("create.group", create, ctrSec+"run_as_group.value", Between, limits).to(0, 1<<31-1),
	req("create.pid-mode", create, ctrSec+"namespace_options.pid", Defined, "cri-api v1, NamespaceMode"),
	req("create.stop-signal", create, "config.stop_signal", Defined, containerSource+".stop_signal"),
	req("create.cpu-period", create, "config.linux.resources.cpu_period", Between, "kernel: CFS period is 1 ms to 1 s").to(1000, 1000000),
	req("create.memory", create, "config.linux.resources.memory_limit_in_bytes", Between, "cri-api v1, LinuxContainerResources").to(0, 1<<62),
	req("create.oom-score", create, "config.linux.resources.oom_score_adj", Between, "proc(5): oom_score_adj").to(-1000, 1000),

	req("status.sandbox", "PodSandboxStatus", "pod_sandbox_id", Required, criRuntime),
	req("stop.sandbox", "StopPodSandbox", "pod_sandbox_id", Required, criRuntime),
	req("remove.sandbox", "RemovePodSandbox", "pod_sandbox_id", Required, criRuntime),
	req("start.container", "StartContainer", "container_id", Required, criRuntime),
	req("stop.container", "StopContainer", "container_id", Required, criRuntime),
	req("stop.timeout", "StopContainer", "timeout", Between, "cri-api v1, StopContainerRequest.timeout").to(0, 1<<31),
	req("remove.container", "RemoveContainer", "container_id", Required, criRuntime),
	req("container-status.container", "ContainerStatus", "container_id", Required, criRuntime),
	req("exec-sync.container", "ExecSync", "container_id", Required, criRuntime),
	req("exec-sync.cmd", "ExecSync", "cmd", Required, "cri-api v1, ExecSyncRequest.cmd"),
	req("exec-sync.timeout", "ExecSync", "timeout", Between, "cri-api v1, ExecSyncRequest.timeout").to(0, 1<<31),
	req("pull.image", "PullImage", "image.image", Required, criImage),
	req("image-status.image", "ImageStatus", "image.image", Required, criImage),
	req("remove-image.image", "RemoveImage", "image.image", Required, criImage),
}, eventsRequests, streamRequests, resourceRequests, securityRequests, mountRequests, imageRequests))

// sentences gives each requirement its sentence, which is the same for all.
func sentences(table []Requirement) []Requirement {
	for i, r := range table {
		table[i].Text = r.RPC + " refuses a request unless " + strings.ReplaceAll(r.Demand(), podSec, "…security_context.") + "."
	}
	return table
}
