package spec

const streamedSource = "cri-api v1, RuntimeService.StreamPodSandboxes: streams results in lists of at least one item. Each item must appear in exactly one response and must not be duplicated. The server must close the stream with EOF after all items have been sent."

// eventsPromises are the promises about events, streamed lists and the state of the service.
var eventsPromises = []Promise{
	{By: "impl/server", RPC: "StreamPodSandboxes", Rule: must("list.stream.sandboxes", "StreamPodSandboxes sends what ListPodSandbox answers to the same filter, each sandbox once, and ends.", streamedSource)},
	{By: "impl/server", RPC: "StreamContainers", Rule: must("list.stream.containers", "StreamContainers sends what ListContainers answers to the same filter, each container once, and ends.", streamedSource)},
	{By: "impl/server", RPC: "StreamImages", Rule: must("list.stream.images", "StreamImages sends what ListImages answers to the same filter, each image once, and ends.", streamedSource)},
	{By: "impl/server", RPC: "StreamPodSandboxes", Rule: must("list.stream.messages", "A message of a streamed list holds at least one item, and several only up to 1 MiB together.", streamedSource+" avoiding the gRPC message size limit")},
}
