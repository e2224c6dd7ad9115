package spec

import "slices"

// Events about limits and logs.
const (
	UpdateContainer Event = "UpdateContainerResources"
	ReopenLog       Event = "ReopenContainerLog"
	UpdateSandbox   Event = "UpdatePodSandboxResources"
)

const (
	updateSource = "cri-api v1, UpdateContainerResources: If runtime fails to transactionally update the requested resources, an error is returned."
	reopenSource = "cri-api v1, ReopenContainerLog: If the container is not running, container runtime can choose to either create a new log file and return nil, or return an error. Once it returns error, new container log file MUST NOT be created."
	limitSource  = "cri-api v1, LinuxContainerResources"
)

// resourceLife are the rows of a container's life about limits of containers and pods, and logs.
var resourceLife = []Transition{
	{On: UpdateContainer, From: Running, Act: Do, Via: Running, To: Running,
		Rule: must("container.update.running", "UpdateContainerResources changes the limits of a running container.", updateSource)},
	{On: UpdateContainer, From: Created, Act: Do, Via: Created, To: Created,
		Rule: must("container.update.created", "UpdateContainerResources changes the limits of a container that was never started.", updateSource)},
	{On: UpdateContainer, From: Starting, Act: Join,
		Rule: must("container.update.starting", "UpdateContainerResources waits for a start in flight and then changes the limits.", "own: kubelet does not order the two")},
	{On: UpdateContainer, From: Stopping | Exited | Removing, Act: Refuse, Code: FailedPrecondition,
		Rule: must("container.update.over", "UpdateContainerResources refuses a container that has exited or is about to.", "own: peers do so; there is nothing left to limit")},
	{On: UpdateContainer, From: containerUnknown, Act: Refuse, Code: NotFound,
		Rule: must("container.update.absent", "UpdateContainerResources refuses an unknown container with NotFound.", criRuntime)},

	{On: ReopenLog, From: Running | Stopping, Act: Done,
		Rule: must("container.reopen-log.running", "ReopenContainerLog is allowed while the container's process runs.", reopenSource)},
	{On: ReopenLog, From: Created | Starting | Exited | Removing, Act: Refuse, Code: FailedPrecondition,
		Rule: must("container.reopen-log.idle", "ReopenContainerLog refuses a container that does not run, and makes no file.", reopenSource)},
	{On: ReopenLog, From: containerUnknown, Act: Refuse, Code: NotFound,
		Rule: must("container.reopen-log.absent", "ReopenContainerLog refuses an unknown container with NotFound.", criRuntime)},
}

// resourceSandboxLife are the rows of a sandbox's life about limits of containers and pods, and logs.
var resourceSandboxLife = []Transition{
	{On: UpdateSandbox, From: Ready, Act: Do, Via: Ready, To: Ready,
		Rule: must("sandbox.update.ready", "UpdatePodSandboxResources records overhead and resources of a sandbox that is READY.", criRuntime+": UpdatePodSandboxResources synchronously updates the PodSandboxConfig with the pod-level resource configuration.")},
	{On: UpdateSandbox, From: Stopping | NotReady | Stopped | Removing, Act: Refuse, Code: FailedPrecondition,
		Rule: must("sandbox.update.over", "UpdatePodSandboxResources refuses a sandbox that is no longer READY.", "own: no container will run in it; kubelet goes on without")},
	{On: UpdateSandbox, From: Absent | Creating, Act: Refuse, Code: NotFound,
		Rule: must("sandbox.update.absent", "UpdatePodSandboxResources refuses an unknown sandbox with NotFound.", criRuntime)},
}

// limitRows are the requirements on the limits at a place of a request.
func limitRows(call, rpc, at string) []Requirement {
	return []Requirement{
		req(ID(call+"cpu-period"), rpc, at+"cpu_period", Between, "kernel: CFS period is 1 ms to 1 s").to(1000, 1000000),
		req(ID(call+"cpu-quota"), rpc, at+"cpu_quota", Between, "kernel: CFS quota is -1 for none, or less than 2^44 µs").to(-1, 1<<44-1),
		req(ID(call+"cpu-shares"), rpc, at+"cpu_shares", Between, "kernel: CPU shares are 2 to 262144").to(2, 262144),
		req(ID(call+"memory"), rpc, at+"memory_limit_in_bytes", Between, limitSource).to(-1, 1<<62),
		req(ID(call+"memory-swap"), rpc, at+"memory_swap_limit_in_bytes", Between, limitSource).to(-1, 1<<62),
		req(ID(call+"oom-score"), rpc, at+"oom_score_adj", Between, "proc(5): oom_score_adj").to(-1000, 1000),
		req(ID(call+"hugepage-size"), rpc, at+"hugepage_limits[].page_size", Required, "cri-api v1, HugepageLimit.page_size"),
		req(ID(call+"hugepage-name"), rpc, at+"hugepage_limits[].page_size", FileName, "own: it stands in the name of a file"),
	}
}

// sums is how many of limitRows are about what a pod has a sum of.
const sums = 5

// without leaves out rows that stand elsewhere.
func without(rows []Requirement, ids ...ID) []Requirement {
	return slices.DeleteFunc(rows, func(r Requirement) bool { return slices.Contains(ids, r.ID) })
}

// resourceRequests are the requirements about limits of containers and pods, and logs.
var resourceRequests = slices.Concat(
	without(limitRows("create.", create, "config.linux.resources."), "request.create.cpu-period", "request.create.memory", "request.create.oom-score"),
	[]Requirement{req("update.container", "UpdateContainerResources", "container_id", Required, criRuntime)},
	limitRows("update.", "UpdateContainerResources", "linux."),
	[]Requirement{req("reopen-log.container", "ReopenContainerLog", "container_id", Required, criRuntime)},
	[]Requirement{req("update-sandbox.sandbox", "UpdatePodSandboxResources", "pod_sandbox_id", Required, criRuntime)},
	limitRows("update-sandbox.", "UpdatePodSandboxResources", "resources.")[:sums],
	limitRows("update-sandbox.overhead-", "UpdatePodSandboxResources", "overhead.")[:sums],
)

// resourcePromises are the promises about limits of containers and pods, and logs.
var resourcePromises = []Promise{
	{By: "impl/oci", RPC: "CreateContainer", Rule: must("container.limits.set", "The limits of a container's config hold for its cgroup: CPU shares, quota and period, memory, swap, CPUs and memory nodes.", limitSource)},
	{By: "impl/oci", RPC: "CreateContainer", Rule: must("container.limits.swap", "A memory limit without a swap limit limits memory plus swap: the container does not swap.", "own: as peers do; swap is asked for by a limit above that of memory")},
	{By: "impl/oci", RPC: "CreateContainer", Rule: must("container.limits.contradiction", "CreateContainer and UpdateContainerResources refuse limits that contradict one another or name nothing: swap below memory, a list of CPUs that is none, a unified key that is a path.", limitSource)},
	{By: "impl/oci", RPC: "CreateContainer", Rule: must("container.limits.unified", "Unified keys are set on cgroup v2, and refused where there is no cgroup v2: a limit that is not set is not silently left out.", limitSource+".unified: Unified resources for cgroup v2.")},
	{By: "impl/oci", RPC: "CreateContainer", Rule: must("container.limits.oom-score", "A container's processes have the oom_score_adj of its config, or the lowest that the kernel lets the daemon set if that is higher.", limitSource+".oom_score_adj")},
	{By: "impl/oci", RPC: "CreateContainer", Rule: must("container.limits.hugepages", "Limits of huge pages hold where the kernel can limit them, and are in neither cgroup nor status where it can't.", "cri-api v1, HugepageLimit; kubelet: sends one for each size that the node has")},
	{By: "impl/oci", RPC: "CreateContainer", Rule: must("container.limits.pids", "No container has more processes and threads than the option runtime.pids_limit says; 0 is no limit.", "own: kubelet limits the pod's").needs(Restart)},
	{By: "impl/server", RPC: "ContainerStatus", Rule: must("container.status.resources", "ContainerStatus has the limits that hold for the container, from its creation on.", "cri-api v1, ContainerStatus.resources")},
	{By: "impl/runtime", RPC: "ContainerStatus", Rule: must("container.status.oom-killed", "The reason of a container that the kernel has ended for want of memory, itself or one of its children, is OOMKilled; not of one that has ended well nevertheless.", "cri-api v1, ContainerStatus.reason: Must be set to \"OOMKilled\" for containers terminated by cgroup out-of-memory killer.")},

	{By: "impl/server", RPC: "UpdateContainerResources", Rule: must("container.update.everywhere", "UpdateContainerResources changes the limits in the cgroup, the status and the OCI configuration, and leaves those alone that the request does not name.", limitSource+": 0 is not specified")},
	{By: "impl/runtime", RPC: "UpdateContainerResources", Rule: must("container.update.all-or-none", "UpdateContainerResources that fails leaves the limits of before in the cgroup, the status and the OCI configuration.", updateSource)},
	{By: "impl/server", RPC: "UpdateContainerResources", Rule: must("container.update.kept", "The limits as updated are the container's after a restart of the daemon too.", own).needs(Restart)},
	{By: "impl/server", RPC: "UpdateContainerResources", Rule: must("container.update.memory-use", "UpdateContainerResources refuses a memory limit below what the container uses, before the kernel is asked.", "own: the kernel would kill the container")},
	{By: "impl/runtime", RPC: "UpdateContainerResources", Rule: must("container.update.oom-score", "UpdateContainerResources sets the oom_score_adj of the processes that the container has, and of each command that runs in it for a second from then on.", limitSource+".oom_score_adj")},
	{By: "impl/ledger", RPC: "UpdateContainerResources", Rule: must("container.update.in-turn", "Updates of one container happen one after the other, each of them; StopContainer waits for the one in flight.", own).needs(Witness)},
	{By: "impl/server", RPC: "UpdatePodSandboxResources", Rule: must("sandbox.update.kept", "The overhead and the resources of a sandbox as updated stand in its verbose status, after a restart of the daemon too.", criRuntime).needs(Restart)},

	{By: "impl/runtime", RPC: "ReopenContainerLog", Rule: must("container.log.reopen", "When ReopenContainerLog returns, a new file is at the log's path and the output goes there; what was written before stays where it was moved to.", kubelet+": renames the log, then calls ReopenContainerLog")},
	{By: "impl/runtime", RPC: "ReopenContainerLog", Rule: must("container.log.whole-lines", "No line is lost or parted between two files, however often the log is reopened, unless the container leaves it unfinished for a second.", "own: readers of logs take a file's last line for whole")},
	{By: "impl/runtime", RPC: "ReopenContainerLog", Rule: must("container.log.unmoved", "ReopenContainerLog leaves a log that nobody has moved as it is.", "own: what stands in it is not lost")},
	{By: "impl/runtime", RPC: "ReopenContainerLog", Rule: must("container.log.directory", "ReopenContainerLog makes the log's directory again if it has vanished.", "own: the output of the container has to go somewhere")},
	{By: "impl/runtime", RPC: "ReopenContainerLog", Rule: must("container.log.reopen-fails", "ReopenContainerLog that can't make the new file is refused with FailedPrecondition and leaves none; the container runs on and its log is where it was.", reopenSource)},
	{By: "impl/server", RPC: "CreateContainer", Rule: must("container.log.unwritable", "CreateContainer whose log can't be written is refused and leaves nothing behind.", own)},
	{By: "impl/runtime", Rule: must("container.log.max-size", "A container's log is begun anew before it is larger than the option runtime.log_size_max (bytes) says.", "own: for nodes whose logs nobody rotates").needs(Restart)},
}
