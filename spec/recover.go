package spec

// Facts about a sandbox that a starting daemon finds in its ledger.
const (
	RunOpen Facts = 1 << iota // the journal of RunPodSandbox is open
	StopOpen
	RemoveOpen
	WasReady
	WasStopped
	NetNSOpen  // its network namespace is pinned, or it has none
	InfraAlive // its infra process lives, or it has none
	RecordKept // its storage record is there
)

// Recovery is what a starting daemon does with an object.
type Recovery string

// The recoveries.
const (
	UndoRun      Recovery = "take the creation back"
	FinishStop   Recovery = "finish the stop"
	FinishRemove Recovery = "finish the removal"
	Adopt        Recovery = "adopt as it was"
	MarkNotReady Recovery = "NOTREADY"
	MarkExited   Recovery = "EXITED"
	AskRuntime   Recovery = "ask the runtime"
)

const recoverSource = "own: kill -9 at any point converges, finished or fully undone"

// recoverSandbox answers: what becomes of a sandbox when the daemon starts?
var recoverSandbox = Decision[Recovery]{
	Name:  "recover sandbox",
	Facts: FactSet{"creation open", "stop open", "removal open", "was READY", "was stopped", "network namespace open or none", "infra process alive or none", "storage record there"},
	Rows: []Choice[Recovery]{
		{When: RemoveOpen, Then: FinishRemove, Rule: must("recover.sandbox.removing", "A removal that a crash cut short is finished.", recoverSource).needs(Restart)},
		{When: RunOpen, Then: UndoRun, Rule: must("recover.sandbox.creating", "A creation that a crash cut short is taken back, and its name is free.", recoverSource).needs(Restart)},
		{When: StopOpen, Then: FinishStop, Rule: must("recover.sandbox.stopping", "A stop that a crash cut short is finished.", recoverSource).needs(Restart)},
		{When: WasStopped, Then: Adopt, Rule: must("recover.sandbox.stopped", "A stopped sandbox is still stopped after a restart.", recoverSource).needs(Restart)},
		{When: WasReady | NetNSOpen | InfraAlive | RecordKept, Then: Adopt, Rule: must("recover.sandbox.ready", "A READY sandbox with all its parts is READY after a restart.", recoverSource).needs(Restart)},
		{Then: MarkNotReady, Rule: must("recover.sandbox.broken", "A sandbox that has lost a part, as after a reboot, or was NOTREADY before, is NOTREADY and can be removed.", recoverSource).needs(Restart)},
	},
}

// Facts about a container that a starting daemon finds in its ledger.
const (
	CreateOpen Facts = 1 << iota
	ContainerRemoveOpen
	InDoubt // a start or stop was in flight
	WasLive // it was Created or Running
	Alive   // its process lives
)

// recoverContainer answers: what becomes of a container when the daemon starts?
var recoverContainer = Decision[Recovery]{
	Name:  "recover container",
	Facts: FactSet{"creation open", "removal open", "start or stop was in flight", "was CREATED or RUNNING", "process alive"},
	Rows: []Choice[Recovery]{
		{When: ContainerRemoveOpen, Then: FinishRemove, Rule: must("recover.container.removing", "A removal that a crash cut short is finished.", recoverSource).needs(Restart)},
		{When: CreateOpen, Then: UndoRun, Rule: must("recover.container.creating", "A creation that a crash cut short is taken back, and its name is free.", recoverSource).needs(Restart)},
		{When: InDoubt | Alive, Then: AskRuntime, Rule: must("recover.container.in-doubt", "A container whose start or stop a crash cut short is CREATED or RUNNING, as its runtime says.", recoverSource).needs(Restart)},
		{When: WasLive | Alive, Then: Adopt, Rule: must("recover.container.alive", "A container that lives is what it was.", recoverSource).needs(Restart)},
		{Then: MarkExited, Rule: must("recover.container.exited", "A container that has exited meanwhile is EXITED with its exit code and finish time.", recoverSource).needs(Restart)},
	},
}

var recoverPromises = []Promise{
	{By: "impl/server", Rule: must("recover.container.lost", "A container whose exit nobody saw is EXITED with code 255 and reason ContainerStatusUnknown.", kubelet+": reads reason ContainerStatusUnknown").needs(Restart)},
	{By: "impl/server", Rule: must("recover.status", "Labels, annotations, creation time, IP and runtime handler are the same after a restart.", recoverSource).needs(Restart)},
}
