package spec

// Facts about a sandbox that its plans look at.
const (
	OnHostNetwork Facts = 1 << iota
	OnHostIPC
	HasInfra
)

var sandboxFacts = FactSet{"host network", "host IPC", "infra process"}

const netnsSource = "design notes: network namespace first"

// Steps of the plans of a sandbox.
const (
	StepRecord      StepName = "record"
	StepFiles       StepName = "files"
	StepNetNS       StepName = "netns"
	StepNetwork     StepName = "network"
	StepUTS         StepName = "uts"
	StepIPC         StepName = "ipc"
	StepInfraCreate StepName = "infra-create"
	StepInfraStart  StepName = "infra-start"
	StepContainers  StepName = "containers"
	StepInfra       StepName = "infra"
	StepMount       StepName = "mount"
	StepConfig      StepName = "config"
	StepCreate      StepName = "create"
	StepKill        StepName = "kill"
	StepDelete      StepName = "delete"
	StepUnmount     StepName = "unmount"
)

const onlyIfMade = "own: nothing is left behind"

// runPodSandbox answers: what does RunPodSandbox do, and in which order?
var runPodSandbox = Plan{Name: "RunPodSandbox", Object: "sandbox", Facts: sandboxFacts, Backward: true, Steps: []Step{
	{Name: StepRecord, Undo: true,
		Rule: must("sandbox.run.record", "The infrastructure container's storage record has the sandbox's ID and exists before anything else of the sandbox.", "design notes: storage").needs(StorageRecords)},
	{Name: StepFiles, After: []StepName{StepRecord},
		Rule: must("sandbox.run.files", "The sandbox's resolv.conf and hostname files exist before its containers.", "cri-api v1, PodSandboxConfig.dns_config")},
	{Name: StepNetNS, After: []StepName{StepRecord}, Unless: OnHostNetwork, Undo: true,
		Rule: must("sandbox.run.netns", "A sandbox that is not on the host network has a network namespace of its own, pinned before CNI is called.", netnsSource)},
	{Name: StepNetwork, After: []StepName{StepNetNS}, Unless: OnHostNetwork, Undo: true,
		Rule: must("sandbox.run.network", "CNI ADD has succeeded before the runtime creates the sandbox.", netnsSource)},
	{Name: StepUTS, After: []StepName{StepRecord}, Unless: OnHostNetwork, Undo: true,
		Rule: must("sandbox.run.uts", "A sandbox that is not on the host network has a UTS namespace with the hostname of its config.", "cri-api v1, PodSandboxConfig.hostname")},
	{Name: StepIPC, After: []StepName{StepRecord}, Unless: OnHostIPC, Undo: true,
		Rule: must("sandbox.run.ipc", "A sandbox that is not in the host's IPC namespace has an IPC namespace and a /dev/shm of its own.", "cri-api v1, NamespaceOption.ipc")},
	{Name: StepInfraCreate, After: []StepName{StepFiles, StepNetNS, StepNetwork, StepUTS, StepIPC}, When: HasInfra, Undo: true,
		Rule: must("sandbox.run.infra-create", "The runtime creates the infra container inside the complete network namespace.", netnsSource)},
	{Name: StepInfraStart, After: []StepName{StepInfraCreate}, When: HasInfra,
		Rule: must("sandbox.run.infra-start", "The infra process runs when RunPodSandbox returns.", criRuntime)},
}}

// createContainer answers: what does CreateContainer do, and in which order?
var createContainer = Plan{Name: "CreateContainer", Object: "container", Backward: true, Steps: []Step{
	{Name: StepRecord, Undo: true,
		Rule: must("container.create.record", "A container's storage record tracks its pod's ID and exists before anything else of the container.", "design notes: storage").needs(StorageRecords)},
	{Name: StepMount, After: []StepName{StepRecord},
		Rule: must("container.create.mount", "A container's root filesystem is a layer of its own on top of its image.", criRuntime)},
	{Name: StepConfig, After: []StepName{StepMount},
		Rule: must("container.create.config", "The OCI configuration is kept in the ContainerDirectory and the ContainerRunDirectory.", "design notes: storage").needs(StorageRecords)},
	{Name: StepCreate, After: []StepName{StepConfig}, Undo: true,
		Rule: must("container.create.runtime", "The runtime creates the container; a failure leaves nothing of it.", criRuntime)},
}}
