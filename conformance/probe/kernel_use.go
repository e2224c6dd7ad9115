package probe

import (
	"context"
	"strconv"
	"strings"
	"time"

	"ocid/conformance/target"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// memTotal is the memory of the kernel that a container runs on, in bytes.
func memTotal(ctx context.Context, c *target.Container) int {
	GinkgoHelper()
	fields := strings.Fields(c.Output(ctx, "grep", "MemTotal:", "/proc/meminfo"))
	n, err := strconv.Atoi(fields[1])
	Expect(err).NotTo(HaveOccurred())
	return n * 1024
}

// guestLimit is what a file of the container's cgroup says in its own kernel.
func guestLimit(ctx context.Context, c *target.Container, file string) string {
	GinkgoHelper()
	return c.Output(ctx, "/bin/sh", "-c", "cat /sys/fs/cgroup/"+file+" 2>/dev/null || cat /sys/fs/cgroup/"+c.ID+"/"+file)
}

// "Sysctls holds linux sysctls config for the sandbox.", "Optional resources
// represents the sum of container resources for this sandbox" (cri-api v1,
// LinuxPodSandboxConfig)
var _ = Describe("The kernel of a pod on a VM runtime, as the pod asks for it,", func() {
	It("has its sysctls", target.Covers("kernel.sysctls"), kernelLimit, func(ctx SpecContext) {
		t := ownKernel()
		const port, requests = "/proc/sys/net/ipv4/ip_unprivileged_port_start", "/proc/sys/kernel/panic"
		onNode := hostFile(port) + hostFile(requests)
		c := t.Pod(ctx, podSysctl("net.ipv4.ip_unprivileged_port_start", "81"), podSysctl("kernel.panic", "4")).Run(ctx)
		Expect(c.Output(ctx, "cat", port)).To(Equal("81"))
		Expect(c.Output(ctx, "cat", requests)).To(Equal("4"))
		Expect(hostFile(port) + hostFile(requests)).To(Equal(onNode))
	})

	It("has its memory and processors", target.Covers("kernel.size"), kernelLimit, func(ctx SpecContext) {
		t := ownKernel()
		small := t.Pod(ctx).Run(ctx)
		large := t.Pod(ctx, target.WithPod(func(p *runtimeapi.PodSandboxConfig) {
			p.Linux.Resources = &runtimeapi.LinuxContainerResources{CpuPeriod: 100_000, CpuQuota: 200_000, MemoryLimitInBytes: 256 * mib}
		})).Run(ctx)
		Expect(memTotal(ctx, large)-memTotal(ctx, small)).To(BeNumerically(">", 200*mib), "bytes more")
		Expect(small.Output(ctx, "nproc")).To(Equal("1"))
		Expect(large.Output(ctx, "nproc")).To(Equal("2"))
	})

	// "UpdateContainerResources updates ContainerConfig of the container
	// synchronously." (cri-api v1)
	It("limits its containers", target.Covers("kernel.limits"), kernelLimit, func(ctx SpecContext) {
		t := ownKernel()
		c := t.Pod(ctx).Run(ctx, target.Resources(&runtimeapi.LinuxContainerResources{MemoryLimitInBytes: 64 * mib, CpuPeriod: 100_000, CpuQuota: 50_000}))
		Expect(guestLimit(ctx, c, "memory.max")).To(Equal(strconv.Itoa(64 * mib)))
		Expect(guestLimit(ctx, c, "cpu.max")).To(Equal("50000 100000"))
		Expect(c.Update(ctx, &runtimeapi.LinuxContainerResources{MemoryLimitInBytes: 80 * mib, CpuQuota: 70_000})).To(Succeed())
		Expect(guestLimit(ctx, c, "memory.max")).To(Equal(strconv.Itoa(80 * mib)))
		Expect(guestLimit(ctx, c, "cpu.max")).To(HavePrefix("70000 "))
	})
})

// "ContainerStats returns stats of the container." (cri-api v1)
var _ = Describe("The statistics of a pod on a VM runtime", func() {
	It("are what its containers use", target.Covers("kernel.stats"), kernelLimit, func(ctx SpecContext) {
		t := ownKernel()
		pod := t.Pod(ctx)
		idle := pod.Run(ctx)
		c := pod.Run(ctx, target.Resources(&runtimeapi.LinuxContainerResources{MemoryLimitInBytes: 96 * mib}),
			target.Shell("dd if=/dev/zero of=/dev/shm/held bs=1M count=40 2>/dev/null; echo ready; while :; do :; done"))
		Eventually(ctx, func() string { return logOf(c) }).WithTimeout(20 * time.Second).Should(ContainSubstring("ready"))
		cpu := func() uint64 { return c.Stats(ctx).GetCpu().GetUsageCoreNanoSeconds().GetValue() }
		Eventually(ctx, cpu).WithTimeout(20 * time.Second).Should(BeNumerically(">", 500*time.Millisecond))
		m := c.Stats(ctx).GetMemory()
		Expect(m.GetUsageBytes().GetValue()).To(And(BeNumerically(">", 40*mib), BeNumerically("<=", 96*mib)))
		Expect(m.GetAvailableBytes().GetValue() + m.GetWorkingSetBytes().GetValue()).To(BeEquivalentTo(96 * mib))
		Expect(c.Stats(ctx).GetCpu().GetUsageNanoCores().GetValue()).To(BeNumerically(">", time.Second/10), "rate")
		Expect(idle.Stats(ctx).GetMemory().GetUsageBytes().GetValue()).To(And(BeNumerically(">", 0), BeNumerically("<", 8*mib)), "the container beside it")
		Expect(idle.Stats(ctx).GetCpu().GetUsageCoreNanoSeconds().GetValue()).To(BeNumerically("<", cpu()))
	})

	It("have the traffic of CNI's interfaces", target.Covers("kernel.traffic"), kernelLimit, func(ctx SpecContext) {
		t := ownKernel()
		pod := t.Pod(ctx)
		_, _, _, err := pod.Run(ctx).Exec(ctx, "nc", "-w", "1", t.Var("GATEWAY"), "9")
		Expect(err).NotTo(HaveOccurred())
		n := pod.Stats(ctx).GetNetwork()
		Expect(n.GetDefaultInterface().GetName()).To(Equal("eth0"))
		Expect(n.GetDefaultInterface().GetTxBytes().GetValue()).To(BeNumerically(">", 0))
		for _, i := range n.GetInterfaces() {
			Expect(i.GetName()).To(Equal("eth0"), "an interface that CNI did not give")
		}
	})
})
