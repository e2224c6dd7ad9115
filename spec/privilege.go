package spec

// Facts that the privilege of a sandbox is derived from.
const (
	AskedPrivileged Facts = 1 << iota
	HostNetwork
	HostPID
	HostIPC
)

const privilegeSource = "design notes: privilege"

// privilege answers: is a sandbox privileged?
var privilege = Decision[bool]{
	Name:  "privilege",
	Facts: FactSet{"security_context.privileged", "host network", "host PID", "host IPC"},
	Rows: []Choice[bool]{
		{When: AskedPrivileged, Then: true, Rule: must("privilege.flag", "A sandbox whose config says privileged is privileged.", privilegeSource)},
		{When: HostNetwork, Then: true, Rule: must("privilege.host-network", "A sandbox in the host's network namespace is privileged.", privilegeSource).needs(HostNamespaces)},
		{When: HostPID, Then: true, Rule: must("privilege.host-pid", "A sandbox in the host's PID namespace is privileged.", privilegeSource).needs(HostNamespaces)},
		{When: HostIPC, Then: true, Rule: must("privilege.host-ipc", "A sandbox in the host's IPC namespace is privileged.", privilegeSource).needs(HostNamespaces)},
		{Then: false, Rule: must("privilege.none", "Any other sandbox is not privileged.", privilegeSource)},
	},
}

// Facts about a container that asks for privilege.
const (
	InPrivilegedSandbox Facts = 1 << iota
	ContainerAsks
)

// Elevation is what a container gets of its sandbox's privilege.
type Elevation string

// The elevations. Every container inherits the sandbox's flag and runtime;
// elevated ones have the host's devices and all capabilities besides.
const (
	Elevated Elevation = "elevated"
	Plain    Elevation = "plain"
	Denied   Elevation = "denied"
)

// elevation answers: may a container be privileged in its sandbox?
var elevation = Decision[Elevation]{
	Name:  "elevation",
	Facts: FactSet{"sandbox is privileged", "container asks for privileged"},
	Rows: []Choice[Elevation]{
		{When: ContainerAsks, Unless: InPrivilegedSandbox, Then: Denied, Code: InvalidArgument,
			Rule: must("container.privilege.denied", "CreateContainer refuses a privileged container in a sandbox that is not privileged.", "cri-api v1, LinuxSandboxSecurityContext.privileged: If a privileged container is to be executed within it, this MUST be true.")},
		{When: ContainerAsks, Then: Elevated,
			Rule: must("container.privilege.elevated", "A privileged container in a privileged sandbox has all capabilities.", "cri-api v1, LinuxContainerSecurityContext.privileged")},
		{Then: Plain,
			Rule: must("container.privilege.plain", "A container that does not ask for privileged has the default capabilities, in a privileged sandbox too.", "cri-api v1, LinuxContainerSecurityContext.privileged")},
	},
}

// handlerFacts: how a runtime handler is chosen.
const (
	HandlerNamed Facts = 1 << iota
	HandlerKnown
	SandboxPrivileged
	PrivilegedHandlerSet
)

// HandlerChoice says which of the configured runtime handlers is meant.
type HandlerChoice string

// The choices.
const (
	NamedHandler      HandlerChoice = "the named handler"
	PrivilegedHandler HandlerChoice = "the privileged handler"
	DefaultHandler    HandlerChoice = "the default handler"
	NoHandler         HandlerChoice = "none"
)

// handler answers: which runtime holds a sandbox?
var handler = Decision[HandlerChoice]{
	Name:  "handler",
	Facts: FactSet{"a handler is named", "the named handler is configured", "sandbox is privileged", "a privileged handler is configured"},
	Rows: []Choice[HandlerChoice]{
		{When: HandlerNamed, Unless: HandlerKnown, Then: NoHandler, Code: InvalidArgument,
			Rule: must("handler.unknown", "RunPodSandbox refuses a runtime handler that is not configured.", "cri-api v1, RunPodSandboxRequest.runtime_handler: If the runtime handler is unknown, this request should be rejected.")},
		{When: HandlerNamed, Then: NamedHandler,
			Rule: must("handler.named", "A sandbox runs on the runtime handler that it names.", "cri-api v1, RunPodSandboxRequest.runtime_handler")},
		{When: SandboxPrivileged | PrivilegedHandlerSet, Then: PrivilegedHandler,
			Rule: must("handler.privileged", "A privileged sandbox that names no handler runs on the privileged runtime, if one is configured.", privilegeSource)},
		{Then: DefaultHandler,
			Rule: must("handler.default", "Any other sandbox that names no handler runs on the default runtime.", "cri-api v1, RunPodSandboxRequest.runtime_handler: An empty string should select the default handler")},
	},
}

// Facts that decide whether a sandbox has an infra process.
const (
	InfraAlways Facts = 1 << iota
	VMRuntime
	SharedPID
)

// infra answers: does the sandbox get an infrastructure process?
var infra = Decision[bool]{
	Name:  "infra",
	Facts: FactSet{"infra = \"always\"", "VM runtime", "PID namespace of the pod is shared"},
	Rows: []Choice[bool]{
		{When: InfraAlways, Then: true, Rule: must("infra.always", "A sandbox has an infra process if the configuration says always.", own)},
		{When: VMRuntime, Then: true, Rule: must("infra.vm", "A sandbox on a VM runtime has an infra process: its create boots the VM.", "design notes: annotations")},
		{When: SharedPID, Then: true, Rule: must("infra.shared-pid", "A sandbox whose containers share a PID namespace has an infra process that holds it.", "cri-api v1, NamespaceMode.POD")},
		{Then: false, Rule: must("infra.none", "Any other sandbox has no infra process: its namespaces are pinned.", own)},
	},
}

var privilegePromises = []Promise{
	{By: "impl/server", RPC: "CreateContainer", Rule: must("container.handler.inherited", "A container runs on the runtime handler of its sandbox.", privilegeSource)},
	{By: "impl/server", Rule: must("privilege.persistent", "The privilege of a sandbox survives a restart of the daemon.", privilegeSource).needs(Restart)},
}
