package spec

// Events about statistics.
const (
	ContainerStats  Event = "ContainerStats"
	PodSandboxStats Event = "PodSandboxStats"
)

// statsLife are the rows of a container's life about statistics and metrics.
var statsLife = []Transition{
	{On: ContainerStats, From: Running | Stopping, Act: Done,
		Rule: must("container.stats.running", "ContainerStats has what a container uses, also while it is being stopped.", criRuntime+": ContainerStats returns stats of the container.")},
	{On: ContainerStats, From: Created | Starting | Exited | Removing, Act: Done,
		Rule: must("container.stats.idle", "ContainerStats of a container that does not run has its writable layer, and no use of CPU or memory.", criRuntime+": If the container does not exist, the call returns an error.")},
	{On: ContainerStats, From: containerUnknown, Act: Refuse, Code: NotFound,
		Rule: must("container.stats.absent", "ContainerStats refuses an unknown or half-made container with NotFound.", criRuntime+": If the container does not exist, the call returns an error.")},
}

// statsSandboxLife are the rows of a sandbox's life about statistics and metrics.
var statsSandboxLife = []Transition{
	{On: PodSandboxStats, From: Ready | Stopping | NotReady | Stopped | Removing, Act: Done,
		Rule: must("sandbox.stats.present", "PodSandboxStats answers for every sandbox that RunPodSandbox has returned.", criRuntime+": PodSandboxStats returns stats of the pod sandbox.")},
	{On: PodSandboxStats, From: Absent | Creating, Act: Refuse, Code: NotFound,
		Rule: must("sandbox.stats.absent", "PodSandboxStats refuses an unknown or half-made sandbox with NotFound.", criRuntime+": If the pod sandbox does not exist, the call returns an error.")},
}

const statsSource = "cri-api v1, "

// statsPromises are the promises about statistics and metrics.
var statsPromises = []Promise{
	{By: "impl/stats", RPC: "ContainerStats", Rule: must("stats.cpu", "The CPU usage of a container is what the kernel counts for its cgroup, in ns.", statsSource+"CpuUsage.usage_core_nano_seconds: Cumulative CPU usage (sum across all cores) since object creation.")},
	{By: "impl/stats", RPC: "ContainerStats", Rule: must("stats.cpu.rate", "The first answer about a container has its CPU usage per second already, in ns per second, averaged over the sample window.", statsSource+"CpuUsage.usage_nano_cores: Total CPU usage (sum of all cores) averaged over the sample window.")},
	{By: "impl/stats", RPC: "ContainerStats", Rule: must("stats.memory", "The memory usage of a container is what the kernel counts for its cgroup, the working set is that without inactive pages of files, and rss is anonymous memory.", statsSource+"MemoryUsage; "+kubelet+": evicts by the working set")},
	{By: "impl/stats", RPC: "ContainerStats", Rule: must("stats.memory.faults", "Page faults are the minor ones, major page faults the others.", statsSource+"MemoryUsage.page_faults: Cumulative number of minor page faults.")},
	{By: "impl/server", RPC: "ContainerStats", Rule: must("stats.memory.available", "Available memory is the limit without the working set, and is not set where there is no limit.", statsSource+"MemoryUsage.available_bytes: Available memory for use. This is defined as the memory limit - workingSetBytes.")},
	{By: "impl/stats", RPC: "ContainerStats", Rule: must("stats.swap", "Where the kernel accounts for swap, a container's stats have its swap usage and what is left of its swap limit.", statsSource+"SwapUsage.swap_available_bytes: This is defined as the swap limit - swapUsageBytes.")},
	{By: "impl/stats", RPC: "ContainerStats", Rule: must("stats.pressure", "Where the kernel has pressure of a cgroup, a container's stats have that of CPU, memory and IO, totals in ns.", statsSource+"PsiData.Total: Unit: nanoseconds.")},
	{By: "impl/stats", Rule: must("stats.timestamp", "Each part of an answer has the time in ns at which it was read, and a later reading has a later time.", statsSource+"CpuUsage.timestamp: Timestamp in nanoseconds at which the information were collected. Must be > 0.")},
	{By: "impl/store", RPC: "ContainerStats", Rule: must("stats.layer", "The writable layer of a container is what it has written: the bytes in blocks that it takes on disk, its inodes, and the directory of the storage.", statsSource+"ContainerStats.writable_layer; "+kubelet+": evicts by it")},
	{By: "impl/server", RPC: "ListContainerStats", Rule: must("stats.list", "ListContainerStats returns the containers that run and match ID, sandbox and labels together, and an unambiguous ID prefix is an ID.", statsSource+"RuntimeService: ListContainerStats returns stats of all running containers.")},
	{By: "impl/server", RPC: "PodSandboxStats", Rule: must("stats.pod", "PodSandboxStats has the CPU and memory of the cgroup that the sandbox's config names, and the stats of the running containers.", statsSource+"LinuxPodSandboxStats; LinuxPodSandboxConfig.cgroup_parent")},
	{By: "impl/server", RPC: "PodSandboxStats", Rule: must("stats.pod.processes", "PodSandboxStats counts the processes of the sandbox and of its containers.", statsSource+"ProcessUsage.process_count: Number of processes.")},
	{By: "impl/stats", RPC: "PodSandboxStats", Rule: must("stats.pod.network", "PodSandboxStats has what the kernel counts for the pod's own interface, and for each other one but the loopback.", statsSource+"NetworkUsage.interfaces: Stats for all found network interfaces, excluding the default.")},
	{By: "impl/server", RPC: "PodSandboxStats", Rule: must("stats.pod.host-network", "A sandbox on the host network has no network stats: what the host's interfaces count is not the pod's.", own)},
	{By: "impl/server", RPC: "ListPodSandboxStats", Rule: must("stats.pod.list", "ListPodSandboxStats returns the READY sandboxes that match ID and labels together, each with a linux part.", statsSource+"PodSandboxStatsFilter: All those fields are combined with 'AND'; "+kubelet+": reads the linux part without asking whether it is there")},
	{By: "impl/stats", Rule: must("stats.restart", "A restarted daemon has the stats of containers and sandboxes that live.", own).needs(Restart)},
	{By: "impl/stats", Rule: must("stats.open", "The cgroup files of a container are read through files that stay open, and are closed when it has exited; so is the socket in a pod's network namespace when the sandbox stops.", "own: a reading costs one system call for each file").needs(Restart)},
	{By: "impl/server", RPC: "StreamContainerStats", Rule: must("list.stream.stats", "StreamContainerStats sends what ListContainerStats answers to the same filter, each container once, and ends.", streamedSource)},
	{By: "impl/server", RPC: "StreamPodSandboxStats", Rule: must("list.stream.pod-stats", "StreamPodSandboxStats sends what ListPodSandboxStats answers to the same filter, each sandbox once, and ends.", streamedSource)},
	{By: "impl/server", RPC: "StreamPodSandboxMetrics", Rule: must("list.stream.metrics", "StreamPodSandboxMetrics sends what ListPodSandboxMetrics answers, each sandbox once, and ends.", streamedSource)},
	{By: "impl/server", RPC: "ListMetricDescriptors", Rule: must("metrics.descriptors", "ListMetricDescriptors names each metric once, with a help text and sorted label keys, and is the same for ever.", statsSource+"RuntimeService: This list should be static at startup")},
	{By: "impl/server", RPC: "ListMetricDescriptors", Rule: must("metrics.names", "The metrics are those that kubelet shows under /metrics/cadvisor, as far as a cgroup, a network namespace and a layer have them.", kubelet+": shows what the runtime has in the place of cAdvisor's")},
	{By: "impl/server", RPC: "ListPodSandboxMetrics", Rule: must("metrics.labels", "Each metric was described, and has as many label values as label keys, in their order: container, id, image, name, namespace and pod, and the metric's own.", statsSource+"Metric.label_values: The corresponding LabelValues to the LabelKeys defined in the MetricDescriptor.")},
	{By: "impl/server", RPC: "ListPodSandboxMetrics", Rule: must("metrics.values", "Metrics have the values of the kernel, in the unit that their name says, and the time of the reading.", statsSource+"Metric.timestamp: it should reflect the time in nanoseconds it was collected")},
	{By: "impl/server", RPC: "ListPodSandboxMetrics", Rule: must("metrics.running", "ListPodSandboxMetrics has READY sandboxes and their running containers.", own)},
	{By: "impl/store", RPC: "ImageFsInfo", Rule: must("image.fs.blocks", "ImageFsInfo counts the blocks on disk: a sparse file takes what it takes, a hard link nothing.", statsSource+"FilesystemUsage.used_bytes; "+kubelet+": removes images by it")},
	{By: "impl/store", RPC: "ImageFsInfo", Rule: must("image.fs.walk", "A layer of an image is looked through once in its life, not at each ImageFsInfo, and not again by a restarted daemon.", "own: images may have millions of files").needs(Restart)},
}
