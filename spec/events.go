package spec

const streamedSource = "cri-api v1, RuntimeService.StreamPodSandboxes: streams results in lists of at least one item. Each item must appear in exactly one response and must not be duplicated. The server must close the stream with EOF after all items have been sent."

const eventsSource = "cri-api v1, ContainerEventType"

// eventsRequests are the requirements about the state of the service.
var eventsRequests = []Requirement{
	req("update-config.pod-cidr", "UpdateRuntimeConfig", "runtime_config.network_config.pod_cidr", CIDRs, "cri-api v1, NetworkConfig.pod_cidr; "+kubelet+": joins those of both families by a comma"),
}

// eventsPromises are the promises about events, streamed lists and the state of the service.
var eventsPromises = []Promise{
	{By: "impl/server", RPC: "StreamPodSandboxes", Rule: must("list.stream.sandboxes", "StreamPodSandboxes sends what ListPodSandbox answers to the same filter, each sandbox once, and ends.", streamedSource)},
	{By: "impl/server", RPC: "StreamContainers", Rule: must("list.stream.containers", "StreamContainers sends what ListContainers answers to the same filter, each container once, and ends.", streamedSource)},
	{By: "impl/server", RPC: "StreamImages", Rule: must("list.stream.images", "StreamImages sends what ListImages answers to the same filter, each image once, and ends.", streamedSource)},
	{By: "impl/server", RPC: "StreamPodSandboxes", Rule: must("list.stream.messages", "A message of a streamed list holds at least one item, and several only up to 1 MiB together.", streamedSource+" avoiding the gRPC message size limit")},

	{By: "impl/oci", RPC: "RunPodSandbox", Fields: []string{"config.linux.cgroup_parent"}, Rule: must("sandbox.run.cgroup-parent", "RunPodSandbox refuses a cgroup parent that climbs, and one that the cgroup driver can't have: a systemd slice with cgroupfs, anything else with systemd.", "cri-api v1, LinuxPodSandboxConfig.cgroup_parent")},
	{By: "impl/server", RPC: "CreateContainer", Fields: []string{"config.log_path"}, Rule: must("container.create.log-path", "CreateContainer refuses a log path that, after the log directory, is longer than a file's path can be.", limits)},
	{By: "impl/gate", Rule: must("service.unimplemented", "A call of the CRI that the daemon does not have is Unimplemented.", kubelet+": does without a call that is Unimplemented")},
	{By: "impl/ledger", Rule: must("service.failure", "A call whose work fails names the row that says what was to happen, unless a rule speaks for the failure itself.", own)},
	{By: "impl/gate", Rule: must("service.internal", "A failure that no other rule speaks for is Internal, with its cause.", own).unseen("where it is seen, a rule is missing")},
	{By: "impl/server", RPC: "UpdateRuntimeConfig", Rule: must("service.pod-cidr", "UpdateRuntimeConfig takes the pod CIDRs and shows them in verbose Status; an empty one changes nothing, and addresses stay those of the CNI configuration.", "cri-api v1, NetworkConfig.pod_cidr: If the CIDR is empty, runtimes should omit it.")},
	{By: "impl/server", RPC: "Status", Rule: must("service.features", "Status tells that supplemental groups policies and mount options are obeyed.", "cri-api v1, RuntimeFeatures")},
	{By: "impl/server", RPC: "Status", Rule: must("service.handler-features", "Status tells of each runtime handler, and of the default one under \"\" too, whether its runtime and the kernel have recursive read-only mounts and user namespaces; of a runtime that does not tell its features, neither.", "cri-api v1, RuntimeHandlerFeatures")},
	{By: "impl/server", RPC: "Status", Rule: must("service.verbose", "Status, PodSandboxStatus, ContainerStatus and ImageStatus have info only if verbose is asked for: then a JSON object, of a container with sandboxID, pid and runtimeSpec, of a sandbox with pid and runtimeHandler, of an image with imageSpec, and of the service with config.", "cri-api v1, StatusResponse.info: It should only be returned non-empty when Verbose is true.; own: what users of crictl inspect read")},
	{By: "impl/ledger", RPC: "CreateContainer", Rule: must("container.create.retry", "A repeated CreateContainer finds its container even if what it was made of has gone since.", kubelet+": asks again after a call that timed out")},

	{By: "impl/server", RPC: "GetContainerEvents", Rule: must("events.containers", "A container gives one event when it is created, one when it is started, one when it has stopped, however that came about, and one when it is gone, in this order and no others.", eventsSource)},
	{By: "impl/server", RPC: "GetContainerEvents", Rule: must("events.sandboxes", "A sandbox gives the events CREATED and STARTED when it is READY, STOPPED when it is no longer, and DELETED when it is gone; those that end it come after its containers'.", eventsSource+"; own: peers do so")},
	{By: "impl/server", RPC: "GetContainerEvents", Rule: must("events.status", "An event has the time of what happened, and the status that the sandbox and its containers had then, however late it is read.", "cri-api v1, ContainerEventResponse; "+kubelet+": ignores an event without the sandbox's status")},
	{By: "impl/server", RPC: "GetContainerEvents", Rule: must("events.subscribe", "Each subscriber gets what happens after its stream's headers have come, and nothing from before: who subscribes lists then.", kubelet+": relists by itself")},
	{By: "impl/events", RPC: "GetContainerEvents", Rule: must("events.slow", "A subscriber that does not read holds up no call and no other subscriber.", own)},
	{By: "impl/events", RPC: "GetContainerEvents", Rule: must("events.missed", "The stream of a subscriber that was too slow for more than 4096 events, or 8 MiB of them, ends with DataLoss and the number of those it missed.", "own: CRI has no event that says so; "+kubelet+": connects anew when a stream ends, and lists")},
	{By: "impl/server", RPC: "GetContainerEvents", Rule: must("events.shutdown", "A subscription ends with Unavailable when the daemon is told to end, and does not hold it up.", shutdownSource).needs(Restart)},
	{By: "impl/server", RPC: "PodSandboxStatus", Rule: must("sandbox.status.containers", "PodSandboxStatus has the status of each of the sandbox's containers, and the time (ns) at which all of it was so.", "cri-api v1, PodSandboxStatusResponse.timestamp")},
}
