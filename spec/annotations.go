package spec

const (
	bothObjects = InfraContainer | AppContainer
	crioKeys    = "vocabulary of CRI-O (io.kubernetes.cri-o), read by Kata and gVisor"
	criKeys     = "vocabulary of containerd (io.kubernetes.cri), read by Kata and gVisor"
)

func told(id ID, text, source string) Rule {
	return must("annotation."+id, text, source).needs(Witness)
}

// annotations answers: what is the OCI runtime told about a container?
var annotations = []Annotation{
	{Key: "io.kubernetes.cri-o.ContainerType", Value: ContainerType, On: bothObjects,
		Rule: told("crio.type", "The runtime is told whether a container is the sandbox or a container of it.", crioKeys)},
	{Key: "io.kubernetes.cri.container-type", Value: ContainerType, On: bothObjects,
		Rule: told("cri.type", "The runtime is told whether a container is the sandbox or a container of it.", criKeys)},
	{Key: "io.kubernetes.cri-o.SandboxID", Value: SandboxID, On: bothObjects,
		Rule: told("crio.sandbox-id", "The runtime is told which sandbox a container belongs to.", crioKeys)},
	{Key: "io.kubernetes.cri.sandbox-id", Value: SandboxID, On: bothObjects,
		Rule: told("cri.sandbox-id", "The runtime is told which sandbox a container belongs to.", criKeys)},
	{Key: "io.kubernetes.cri-o.SandboxName", Value: SandboxKey, On: bothObjects,
		Rule: told("crio.sandbox-name", "The runtime is told the sandbox's name, unique on the node.", crioKeys)},
	{Key: "io.kubernetes.cri-o.KubeName", Value: SandboxName, On: bothObjects,
		Rule: told("crio.kube-name", "The runtime is told the pod's name.", crioKeys)},
	{Key: "io.kubernetes.cri.sandbox-name", Value: SandboxName, On: bothObjects,
		Rule: told("cri.sandbox-name", "The runtime is told the pod's name.", criKeys)},
	{Key: "io.kubernetes.cri-o.Namespace", Value: SandboxNamespace, On: bothObjects,
		Rule: told("crio.namespace", "The runtime is told the pod's namespace.", crioKeys)},
	{Key: "io.kubernetes.cri.sandbox-namespace", Value: SandboxNamespace, On: bothObjects,
		Rule: told("cri.namespace", "The runtime is told the pod's namespace.", criKeys)},
	{Key: "io.kubernetes.cri.sandbox-uid", Value: SandboxUID, On: bothObjects,
		Rule: told("cri.sandbox-uid", "The runtime is told the pod's UID.", criKeys)},
	{Key: "io.kubernetes.cri-o.ContainerID", Value: ContainerID, On: bothObjects,
		Rule: told("crio.container-id", "The runtime is told the container's ID.", crioKeys)},
	{Key: "io.kubernetes.cri-o.ContainerName", Value: ContainerName, On: AppContainer,
		Rule: told("crio.container-name", "The runtime is told the container's name.", crioKeys)},
	{Key: "io.kubernetes.cri.container-name", Value: ContainerName, On: AppContainer,
		Rule: told("cri.container-name", "The runtime is told the container's name.", criKeys)},
	{Key: "io.kubernetes.cri-o.ImageName", Value: ImageName, On: AppContainer,
		Rule: told("crio.image-name", "The runtime is told the image as the request names it.", crioKeys)},
	{Key: "io.kubernetes.cri.image-name", Value: ImageName, On: AppContainer,
		Rule: told("cri.image-name", "The runtime is told the image as the request names it.", criKeys)},
	{Key: "io.kubernetes.cri-o.PrivilegedRuntime", Value: Privileged, On: bothObjects,
		Rule: told("crio.privileged", "A container inherits the privilege flag of its sandbox, and the runtime is told it.", privilegeSource)},
	{Key: "io.kubernetes.cri-o.RuntimeHandler", Value: RuntimeHandler, On: bothObjects,
		Rule: told("crio.handler", "The runtime is told the runtime handler of the sandbox.", crioKeys)},
	{Key: "io.kubernetes.cri.sandbox-cpu-period", Value: CPUPeriod, On: bothObjects,
		Rule: told("cri.cpu-period", "The runtime is told the pod's CPU period in µs, from which a VM is sized.", criKeys)},
	{Key: "io.kubernetes.cri.sandbox-cpu-quota", Value: CPUQuota, On: bothObjects,
		Rule: told("cri.cpu-quota", "The runtime is told the pod's CPU quota in µs, from which a VM is sized.", criKeys)},
	{Key: "io.kubernetes.cri.sandbox-cpu-shares", Value: CPUShares, On: bothObjects,
		Rule: told("cri.cpu-shares", "The runtime is told the pod's CPU shares, from which a VM is sized.", criKeys)},
	{Key: "io.kubernetes.cri.sandbox-memory", Value: Memory, On: bothObjects,
		Rule: told("cri.memory", "The runtime is told the pod's memory limit in bytes, from which a VM is sized.", criKeys)},
	{Key: "io.container.manager", Value: Manager, On: bothObjects,
		Rule: told("manager", "The runtime is told which daemon manages the container.", "io.container.manager, as CRI-O writes it")},
}

var annotationPromises = []Promise{
	{By: "impl/server", RPC: "ListPodSandbox", Rule: must("annotation.unaltered", "Status and List return a pod's own annotations and labels unaltered.", "cri-api v1, PodSandboxConfig.annotations: Annotations MUST NOT be altered by the runtime")},
}
