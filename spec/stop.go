package spec

// stopPodSandbox answers: what does StopPodSandbox do, and in which order?
var stopPodSandbox = Plan{Name: "StopPodSandbox", Object: "sandbox", Facts: sandboxFacts, Steps: []Step{
	{Name: StepContainers,
		Rule: must("sandbox.stop.containers", "StopPodSandbox kills the sandbox's containers before it takes their network away.", criRuntime+": If there are any running containers in the sandbox, they must be forcibly terminated.")},
	{Name: StepInfra, After: []StepName{StepContainers}, When: HasInfra,
		Rule: must("sandbox.stop.infra", "StopPodSandbox ends the infra process after the containers.", criRuntime)},
	{Name: StepNetwork, After: []StepName{StepContainers, StepInfra}, Unless: OnHostNetwork,
		Rule: must("sandbox.stop.network", "StopPodSandbox calls CNI DEL, so that the address is free.", criRuntime+": reclaims network resources (e.g., IP addresses)")},
	{Name: StepNetNS, After: []StepName{StepNetwork}, Unless: OnHostNetwork,
		Rule: must("sandbox.stop.netns", "The network namespace is closed when CNI DEL has succeeded, and not before.", netnsSource)},
	{Name: StepIPC, After: []StepName{StepInfra}, Unless: OnHostIPC,
		Rule: must("sandbox.stop.ipc", "The IPC namespace and /dev/shm of a stopped sandbox are gone.", onlyIfMade)},
	{Name: StepUTS, After: []StepName{StepInfra}, Unless: OnHostNetwork,
		Rule: must("sandbox.stop.uts", "The UTS namespace of a stopped sandbox is gone.", onlyIfMade)},
}}

// removePodSandbox answers: what does RemovePodSandbox do, and in which order?
var removePodSandbox = Plan{Name: "RemovePodSandbox", Object: "sandbox", Facts: sandboxFacts, Steps: []Step{
	{Name: StepContainers,
		Rule: must("sandbox.remove.containers", "RemovePodSandbox kills and removes the sandbox's containers.", criRuntime+": they must be forcibly terminated and removed")},
	{Name: StepInfra, After: []StepName{StepContainers}, When: HasInfra,
		Rule: must("sandbox.remove.infra", "RemovePodSandbox ends the infra process of a sandbox that was not stopped.", criRuntime)},
	{Name: StepNetwork, After: []StepName{StepContainers, StepInfra}, Unless: OnHostNetwork,
		Rule: must("sandbox.remove.network", "RemovePodSandbox calls CNI DEL for a sandbox that was not stopped.", netnsSource)},
	{Name: StepNetNS, After: []StepName{StepNetwork}, Unless: OnHostNetwork,
		Rule: must("sandbox.remove.netns", "The network namespace goes on remove if it has not gone on stop.", netnsSource)},
	{Name: StepIPC, After: []StepName{StepInfra}, Unless: OnHostIPC,
		Rule: must("sandbox.remove.ipc", "The IPC namespace and /dev/shm go on remove if they have not gone on stop.", onlyIfMade)},
	{Name: StepUTS, After: []StepName{StepInfra}, Unless: OnHostNetwork,
		Rule: must("sandbox.remove.uts", "The UTS namespace goes on remove if it has not gone on stop.", onlyIfMade)},
	{Name: StepRecord, After: []StepName{StepContainers, StepInfra, StepNetwork, StepNetNS, StepIPC, StepUTS},
		Rule: must("sandbox.remove.record", "The storage record and the directories go last, so that what failed before can be tried again.", "design notes: storage")},
}}

// removeContainer answers: what does RemoveContainer do, and in which order?
var removeContainer = Plan{Name: "RemoveContainer", Object: "container", Steps: []Step{
	{Name: StepKill,
		Rule: must("container.remove.kill", "RemoveContainer kills a running container before it is deleted.", criRuntime+": If the container is running, the container must be forcibly removed.")},
	{Name: StepDelete, After: []StepName{StepKill},
		Rule: must("container.remove.delete", "The runtime's state and cgroup of a removed container are gone.", onlyIfMade)},
	{Name: StepUnmount, After: []StepName{StepDelete},
		Rule: must("container.remove.unmount", "The root filesystem is unmounted when no process uses it any more.", onlyIfMade).unseen("deleting the storage record unmounts too; the step is there for the order")},
	{Name: StepRecord, After: []StepName{StepUnmount, StepDelete},
		Rule: must("container.remove.record", "The storage record and the directories of a removed container are gone.", "design notes: storage")},
}}

var stopPromises = []Promise{
	{By: "impl/server", RPC: "StopContainer", Rule: must("container.stop.signal", "StopContainer sends the stop signal of the config, else of the image, else SIGTERM, once.", "cri-api v1, ContainerConfig.stop_signal")},
	{By: "impl/server", RPC: "StopContainer", Rule: must("container.stop.grace", "StopContainer sends SIGKILL when the timeout (s) is over, at once if it is 0.", "cri-api v1, StopContainerRequest.timeout: Timeout in seconds to wait for the container to stop before forcibly terminating it. Default: 0 (forcibly terminate the container immediately)")},
	{By: "impl/server", RPC: "StopContainer", Rule: must("container.stop.shorter", "A second StopContainer with less time left shortens the first.", "own: peers do so")},
	{By: "impl/server", RPC: "StopContainer", Rule: must("container.stop.cancelled", "StopContainer whose caller has gone answers an error, and the container keeps running unless it has exited.", "own: a stop that was not seen is not reported")},
	{By: "impl/network", RPC: "StopPodSandbox", Rule: must("sandbox.stop.netns-twice", "Closing a network namespace that is closed already is no error.", "design notes: idempotent stop")},
	{By: "impl/server", RPC: "StopPodSandbox", Rule: must("sandbox.stop.del-fails", "A CNI DEL that fails keeps the network namespace and is an error; the next call tries again.", "design notes: idempotent stop").needs(Witness)},
}
