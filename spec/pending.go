package spec

// pending lists the calls that answer Unimplemented and have no rule yet.
var pending = []string{
	"ContainerStats",
	"ListContainerStats",
	"StreamContainerStats",
	"PodSandboxStats",
	"ListPodSandboxStats",
	"StreamPodSandboxStats",
	"CheckpointContainer",
	"CheckpointPod",
	"RestorePod",
	"ListMetricDescriptors",
	"ListPodSandboxMetrics",
	"StreamPodSandboxMetrics",
}
