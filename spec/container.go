package spec

import "slices"

// Events of a container's life.
const (
	CreateContainer  Event = "CreateContainer"
	CreateOther      Event = "CreateContainer (another request with the name)"
	StartContainer   Event = "StartContainer"
	StopContainer    Event = "StopContainer"
	RemoveContainer  Event = "RemoveContainer"
	ContainerStatus  Event = "ContainerStatus"
	ExecSync         Event = "ExecSync"
	SandboxStops     Event = "the sandbox stops"
	ContainerExited  Event = "process exits"
	containerUnknown       = Absent | Creating
)

const (
	containerStates = Absent | Creating | Created | Starting | Running | Stopping | Exited | Removing
	containerBusy   = Creating | Starting | Stopping | Removing
)

// containerLife answers: what does a call mean for a container in this state?
var containerLife = Lifecycle{Object: "container", States: containerStates, Rows: slices.Concat([]Transition{
	{On: CreateContainer, From: Absent, Act: Do, Via: Creating, To: Created, Else: Absent, Stuck: Exited,
		Rule: must("container.create.new", "CreateContainer creates a container whose command has not been executed.", criRuntime+": CreateContainer creates a new container in specified PodSandbox")},
	{On: CreateContainer, From: Stopping | Removing, Act: Join,
		Rule: must("container.create.wait", "CreateContainer waits while the container that an equal call has made is going away.", "own: its name is about to be free")},
	{On: CreateContainer, From: Creating, Act: Join,
		Rule: must("container.create.join", "CreateContainer that equals a call in flight joins it and gets the same container ID.", "own: kubelet repeats a call whose deadline has passed")},
	{On: CreateContainer, From: Created | Starting | Running, Act: Done,
		Rule: must("container.create.again", "CreateContainer that equals an earlier call gets the ID of the container that call made.", "own: kubelet repeats a call whose deadline has passed")},
	{On: CreateContainer, From: Exited, Act: Refuse, Code: AlreadyExists,
		Rule: must("container.create.taken", "CreateContainer refuses the name and attempt of a container that has exited.", "own: an exited container can't be what the caller wants to start")},

	{On: CreateOther, From: Absent, Act: Do, Via: Creating, To: Created, Else: Absent, Stuck: Exited,
		Rule: must("container.create.other-new", "CreateContainer creates a container for a name that nobody holds.", criRuntime).unseen("the event only exists when the name is held, so this state is never met")},
	{On: CreateOther, From: Creating | Created | Starting | Running | Exited, Act: Refuse, Code: AlreadyExists,
		Rule: must("container.create.other", "CreateContainer refuses a name and attempt that a different request holds.", "own")},
	{On: CreateOther, From: Stopping | Removing, Act: Join,
		Rule: should("container.create.other-join", "CreateContainer waits while the holder of its name is going away.", "own")},

	{On: StartContainer, From: Created, Act: Do, Via: Starting, To: Running, Else: Exited,
		Rule: must("container.start.created", "StartContainer starts a created container.", criRuntime+": StartContainer starts the container.")},
	{On: StartContainer, From: Starting | Running | Stopping | Exited | Removing, Act: Refuse, Code: FailedPrecondition,
		Rule: must("container.start.again", "StartContainer refuses a container that is not CREATED.", criRuntime+": ContainerState")},
	{On: StartContainer, From: containerUnknown, Act: Refuse, Code: NotFound,
		Rule: must("container.start.absent", "StartContainer refuses an unknown container with NotFound.", criRuntime)},

	{On: StopContainer, From: Running, Act: Do, Via: Stopping, To: Exited,
		Rule: must("container.stop.running", "StopContainer ends the container and returns when it is EXITED.", criRuntime+": StopContainer stops a running container with a grace period (i.e., timeout). The runtime must forcibly kill the container after the grace period is reached.")},
	{On: StopContainer, From: Created, Act: Done,
		Rule: must("container.stop.created", "StopContainer succeeds on a container that was never started and leaves it CREATED.", criRuntime+": StopContainer stops a running container")},
	{On: StopContainer, From: Exited, Act: Done,
		Rule: must("container.stop.again", "StopContainer succeeds on an exited container.", criRuntime+": This call is idempotent, and must not return an error if the container has already been stopped.")},
	{On: StopContainer, From: Absent, Act: Done,
		Rule: must("container.stop.absent", "StopContainer succeeds on an unknown container.", criRuntime+": This call is idempotent, and must not return an error if the container has already been stopped.")},
	{On: StopContainer, From: containerBusy, Act: Join,
		Rule: must("container.stop.join", "StopContainer waits for an operation in flight and then stops what runs.", "own: kubelet stops in parallel")},

	{On: RemoveContainer, From: Created | Running | Exited, Act: Do, Via: Removing, To: Absent,
		Rule: must("container.remove.any", "RemoveContainer removes a container, by force if it runs.", criRuntime+": RemoveContainer removes the container. If the container is running, the container must be forcibly removed.")},
	{On: RemoveContainer, From: Absent, Act: Done,
		Rule: must("container.remove.absent", "RemoveContainer succeeds on an unknown container.", criRuntime+": This call is idempotent, and must not return an error if the container has already been removed.")},
	{On: RemoveContainer, From: containerBusy, Act: Join,
		Rule: must("container.remove.join", "RemoveContainer waits for an operation in flight and then removes what is left.", "own")},

	{On: ContainerStatus, From: containerStates &^ containerUnknown, Act: Done,
		Rule: must("container.status.present", "ContainerStatus answers at once for every container that CreateContainer has returned, also while it is being stopped.", criRuntime)},
	{On: ContainerStatus, From: containerUnknown, Act: Refuse, Code: NotFound,
		Rule: must("container.status.absent", "ContainerStatus refuses an unknown or half-made container with NotFound.", kubelet+": any other code fails the whole status read of the pod")},

	{On: ExecSync, From: Running | Stopping, Act: Done,
		Rule: must("container.exec.running", "ExecSync is allowed in a running container.", criRuntime+": ExecSync runs a command in a container synchronously.")},
	{On: ExecSync, From: Created | Starting | Exited | Removing, Act: Refuse, Code: FailedPrecondition,
		Rule: must("container.exec.idle", "ExecSync refuses a container that does not run.", criRuntime)},
	{On: ExecSync, From: containerUnknown, Act: Refuse, Code: NotFound,
		Rule: must("container.exec.absent", "ExecSync refuses an unknown container with NotFound.", criRuntime)},

	{On: SandboxStops, From: Created | Running, Act: Do, Via: Stopping, To: Exited,
		Rule: must("container.sandbox-stop.any", "A container whose sandbox is stopped is EXITED, killed if it runs.", criRuntime+": StopPodSandbox: If there are any running containers in the sandbox, they must be forcibly terminated.")},
	{On: SandboxStops, From: Absent | Exited, Act: Done,
		Rule: must("container.sandbox-stop.again", "A container that has exited, or is gone meanwhile, does not keep its sandbox from stopping.", criRuntime)},
	{On: SandboxStops, From: containerBusy, Act: Join,
		Rule: must("container.sandbox-stop.join", "A sandbox that stops waits for operations in flight on its containers.", own)},

	{On: ContainerExited, From: Created | Running, Act: Do, To: Exited,
		Rule: must("container.exited.running", "A container whose process has exited is EXITED with its exit code, without any call.", criRuntime+": ContainerState")},
	{On: ContainerExited, From: Absent | Exited, Act: Done,
		Rule: must("container.exited.late", "The exit of a container that is known to have exited changes nothing.", own).unseen("nothing changes, which no probe can tell from a change to the same")},
	{On: ContainerExited, From: containerBusy, Act: Join,
		Rule: must("container.exited.busy", "The exit of a process waits for an operation in flight on its container.", own).unseen("whoever stops or removes learns the exit itself, and what the waiting protects is a state that lasts milliseconds")},
}, streamLife, resourceLife, statsLife)}
