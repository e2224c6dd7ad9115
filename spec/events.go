package spec

const streamedSource = "cri-api v1, RuntimeService.StreamPodSandboxes: streams results in lists of at least one item. Each item must appear in exactly one response and must not be duplicated. The server must close the stream with EOF after all items have been sent."

// eventsPromises are the promises about events, streamed lists and the state of the service.
var eventsPromises = []Promise{
	{By: "impl/server", RPC: "StreamPodSandboxes", Rule: must("list.stream.sandboxes", "StreamPodSandboxes sends what ListPodSandbox answers to the same filter, each sandbox once, and ends.", streamedSource)},
	{By: "impl/server", RPC: "StreamContainers", Rule: must("list.stream.containers", "StreamContainers sends what ListContainers answers to the same filter, each container once, and ends.", streamedSource)},
	{By: "impl/server", RPC: "StreamImages", Rule: must("list.stream.images", "StreamImages sends what ListImages answers to the same filter, each image once, and ends.", streamedSource)},
	{By: "impl/server", RPC: "StreamPodSandboxes", Rule: must("list.stream.messages", "A message of a streamed list holds at least one item, and several only up to 1 MiB together.", streamedSource+" avoiding the gRPC message size limit")},

	{By: "impl/oci", RPC: "RunPodSandbox", Fields: []string{"config.linux.cgroup_parent"}, Rule: must("sandbox.run.cgroup-parent", "RunPodSandbox refuses a cgroup parent that climbs, and one that the cgroup driver can't have: a systemd slice with cgroupfs, anything else with systemd.", "cri-api v1, LinuxPodSandboxConfig.cgroup_parent")},
	{By: "impl/server", RPC: "CreateContainer", Fields: []string{"config.log_path"}, Rule: must("container.create.log-path", "CreateContainer refuses a log path that, after the log directory, is longer than a file's path can be.", limits)},
	{By: "impl/ledger", RPC: "CreateContainer", Rule: must("container.create.retry", "A repeated CreateContainer finds its container even if what it was made of has gone since.", kubelet+": asks again after a call that timed out")},
}
