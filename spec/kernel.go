package spec

const ownKernel = "design notes: VM runtimes"

// kernelPromises are the promises about pods whose runtime boots a kernel for
// them.
var kernelPromises = []Promise{
	{By: "impl/oci", Rule: must("kernel.own", "The containers of a pod on a VM runtime share one kernel, which is neither the host's nor another pod's.", ownKernel+": annotations tell the runtime whether to boot a VM or to add to one").needs(OwnKernel)},
	{By: "impl/server", Rule: must("kernel.one-machine", "A pod on a VM runtime has one virtual machine from its start to its stop, however many containers it has.", ownKernel).needs(OwnKernel)},
	{By: "impl/server", Rule: must("kernel.network", "A server in a container on a VM runtime answers at the pod's address, although nothing in the pod's network namespace listens.", ownKernel+": the VM runtime scans the interfaces when it creates the VM").needs(OwnKernel)},
	{By: "impl/server", Rule: must("kernel.addresses", "A container on a VM runtime has the addresses, the hardware address and the routes that CNI gave the pod.", ownKernel+": the network namespace is complete before the sandbox is created").needs(OwnKernel)},
	{By: "impl/server", Rule: must("kernel.privileged", "With a VM runtime as the default and a privileged one beside it, exactly the privileged pods run on the host's kernel, with all their containers, also after a restart of the daemon.", "design notes: privilege").needs(OwnKernel)},
	{By: "impl/server", Rule: must("kernel.files", "What a container on a VM runtime writes into its root filesystem is in its layer on the host.", ownKernel).needs(OwnKernel)},
	{By: "impl/server", Rule: must("kernel.dies", "A pod whose virtual machine has died is NOTREADY, its containers are EXITED, and it can be removed.", kubelet+": makes a new sandbox for one that is NOTREADY").needs(OwnKernel)},
	{By: "impl/server", Rule: must("kernel.restart", "A virtual machine and its containers live through a restart of the daemon, which goes on with them.", ownKernel).needs(OwnKernel)},
	{By: "impl/network", Rule: must("kernel.cni-del", "CNI DEL takes a pod off its network although its VM runtime has left interfaces in the namespace or taken addresses off it.", ownKernel).needs(OwnKernel)},
	{By: "impl/oci", Rule: must("kernel.sysctls", "All sysctls of a pod on a VM runtime are set in its kernel, those too that are the node's elsewhere.", "cri-api v1, LinuxPodSandboxConfig.sysctls").needs(OwnKernel)},
	{By: "impl/server", Rule: must("kernel.size", "A virtual machine has more memory and processors for a pod whose sandbox config asks for them.", "cri-api v1, LinuxPodSandboxConfig.resources: the sum of the pod's containers").needs(OwnKernel)},
	{By: "impl/runtime", RPC: "UpdateContainerResources", Rule: must("kernel.limits", "The limits of a container on a VM runtime hold in its kernel, and UpdateContainerResources changes them there.", "cri-api v1, UpdateContainerResources").needs(OwnKernel)},
	{By: "impl/server", RPC: "ContainerStats", Rule: must("kernel.stats", "The statistics of a container on a VM runtime are what it uses in its kernel.", "cri-api v1, ContainerStats; own: the host's cgroup holds what stands for it").needs(OwnKernel)},
	{By: "impl/stats", RPC: "PodSandboxStats", Rule: must("kernel.traffic", "The traffic of a pod on a VM runtime is that of the interfaces that CNI gave it, once.", "cri-api v1, NetworkUsage").needs(OwnKernel)},
}
