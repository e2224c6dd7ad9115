package spec

import "slices"

// Events of a sandbox's life.
const (
	RunPodSandbox      Event = "RunPodSandbox"
	RunOther           Event = "RunPodSandbox (another request with the name)"
	StopPodSandbox     Event = "StopPodSandbox"
	RemovePodSandbox   Event = "RemovePodSandbox"
	PodSandboxStatus   Event = "PodSandboxStatus"
	JoinSandbox        Event = "CreateContainer (in the sandbox)"
	SandboxProcessDied Event = "infra process exits"
)

const (
	sandboxStates = Absent | Creating | Ready | Stopping | NotReady | Stopped | Removing
	sandboxBusy   = Creating | Stopping | Removing
)

// sandboxLife answers: what does a call mean for a sandbox in this state?
var sandboxLife = Lifecycle{Object: "sandbox", States: sandboxStates, Rows: slices.Concat([]Transition{
	{On: RunPodSandbox, From: Absent, Act: Do, Via: Creating, To: Ready, Else: Absent, Stuck: NotReady,
		Rule: must("sandbox.run.new", "RunPodSandbox creates a sandbox and returns when it is READY.", criRuntime+": RunPodSandbox creates and starts a pod-level sandbox. Runtimes must ensure the sandbox is in the ready state on success.")},
	{On: RunPodSandbox, From: Stopping | Removing, Act: Join,
		Rule: must("sandbox.run.wait", "RunPodSandbox waits while the sandbox that an equal call has made is going away.", "own: its name is about to be free")},
	{On: RunPodSandbox, From: Creating, Act: Join,
		Rule: must("sandbox.run.join", "RunPodSandbox that equals a call in flight joins it and gets the same sandbox ID.", "own: kubelet repeats a call whose deadline has passed")},
	{On: RunPodSandbox, From: Ready, Act: Done,
		Rule: must("sandbox.run.again", "RunPodSandbox that equals an earlier call gets the ID of the sandbox that is READY.", "own: kubelet repeats a call whose deadline has passed")},
	{On: RunPodSandbox, From: NotReady | Stopped, Act: Refuse, Code: AlreadyExists,
		Rule: must("sandbox.run.taken", "RunPodSandbox refuses the name of a sandbox that is no longer READY.", "own: a sandbox that has stopped is never READY again, so it can't be what the caller wants")},

	{On: RunOther, From: Absent, Act: Do, Via: Creating, To: Ready, Else: Absent, Stuck: NotReady,
		Rule: must("sandbox.run.other-new", "RunPodSandbox creates a sandbox for a name that nobody holds.", criRuntime).unseen("the event only exists when the name is held, so this state is never met")},
	{On: RunOther, From: Creating | Ready | NotReady | Stopped, Act: Refuse, Code: AlreadyExists,
		Rule: must("sandbox.run.other", "RunPodSandbox refuses a name that a different request holds.", "own: two different pods can't share one name")},
	{On: RunOther, From: Stopping | Removing, Act: Join,
		Rule: should("sandbox.run.other-join", "RunPodSandbox waits while the holder of its name is going away.", "own")},

	{On: StopPodSandbox, From: Ready | NotReady, Act: Do, Via: Stopping, To: Stopped, Else: NotReady,
		Rule: must("sandbox.stop.ready", "StopPodSandbox ends every process of the sandbox and reclaims its network.", criRuntime+": StopPodSandbox stops any running process that is part of the sandbox and reclaims network resources (e.g., IP addresses) allocated to the sandbox.")},
	{On: StopPodSandbox, From: Stopped, Act: Done,
		Rule: must("sandbox.stop.again", "StopPodSandbox succeeds on a stopped sandbox.", criRuntime+": This call is idempotent, and must not return an error if all relevant resources have already been reclaimed.")},
	{On: StopPodSandbox, From: Absent, Act: Done,
		Rule: must("sandbox.stop.absent", "StopPodSandbox succeeds on an unknown sandbox.", criRuntime+": This call is idempotent, and must not return an error if all relevant resources have already been reclaimed.")},
	{On: StopPodSandbox, From: sandboxBusy, Act: Join,
		Rule: must("sandbox.stop.join", "StopPodSandbox waits for an operation in flight and then stops what is left to stop.", "own: kubelet stops again and again, in parallel too")},

	{On: RemovePodSandbox, From: Ready | NotReady | Stopped, Act: Do, Via: Removing, To: Absent, Else: NotReady,
		Rule: must("sandbox.remove.any", "RemovePodSandbox removes the sandbox and its containers, by force if they run.", criRuntime+": If there are any running containers in the sandbox, they must be forcibly terminated and removed.")},
	{On: RemovePodSandbox, From: Absent, Act: Done,
		Rule: must("sandbox.remove.absent", "RemovePodSandbox succeeds on an unknown sandbox.", criRuntime+": This call is idempotent, and must not return an error if the sandbox has already been removed.")},
	{On: RemovePodSandbox, From: sandboxBusy, Act: Join,
		Rule: must("sandbox.remove.join", "RemovePodSandbox waits for an operation in flight and then removes what is left.", "own")},

	{On: PodSandboxStatus, From: Ready | Stopping | NotReady | Stopped | Removing, Act: Done,
		Rule: must("sandbox.status.present", "PodSandboxStatus answers for every sandbox that RunPodSandbox has returned.", criRuntime)},
	{On: PodSandboxStatus, From: Absent | Creating, Act: Refuse, Code: NotFound,
		Rule: must("sandbox.status.absent", "PodSandboxStatus refuses an unknown or half-made sandbox with NotFound.", kubelet+": any other code fails the whole status read of the pod")},

	{On: JoinSandbox, From: Ready, Act: Done,
		Rule: must("sandbox.join.ready", "CreateContainer is allowed in a sandbox that is READY.", criRuntime)},
	{On: JoinSandbox, From: Absent | Creating, Act: Refuse, Code: NotFound,
		Rule: must("sandbox.join.absent", "CreateContainer refuses an unknown sandbox with NotFound.", criRuntime)},
	{On: JoinSandbox, From: Stopping | NotReady | Stopped | Removing, Act: Refuse, Code: FailedPrecondition,
		Rule: must("sandbox.join.stopped", "CreateContainer refuses a sandbox that is no longer READY.", "own: the network of a stopped sandbox is gone; critest calls the opposite a discrepancy")},

	{On: SandboxProcessDied, From: Ready, Act: Do, To: NotReady,
		Rule: must("sandbox.died.ready", "A sandbox whose infra process has exited is NOTREADY.", criRuntime+": PodSandboxState")},
	{On: SandboxProcessDied, From: Absent | NotReady | Stopped, Act: Done,
		Rule: must("sandbox.died.late", "The exit of the infra process of a sandbox that is not READY changes nothing.", own).unseen("nothing changes, which no probe can tell from a change to the same")},
	{On: SandboxProcessDied, From: sandboxBusy, Act: Join,
		Rule: must("sandbox.died.busy", "The exit of the infra process waits for an operation in flight.", own).unseen("the operation in flight ends the process itself; what the exit adds afterwards is what the operation has done")},
}, streamSandboxLife, resourceSandboxLife, statsSandboxLife)}
