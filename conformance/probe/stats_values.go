package probe

import (
	"context"
	"strings"
	"time"

	"ocid/conformance/target"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const mib = 1 << 20

// busy computes until it is killed.
const busy = "while :; do :; done"

// A count is one that the kernel has, under the name of cgroup v1 or v2.
type count func() (v uint64, ok bool)

// number returns the count in a file of a cgroup: the first name that is there.
func number(t *target.T, cgroup string, names ...string) count {
	return func() (uint64, bool) {
		for _, name := range names {
			if v, ok := t.CgroupNumber(cgroup, name); ok {
				return v, true
			}
		}
		return 0, false
	}
}

// entry returns the count after one of the keys in a file of a cgroup. What lies
// below the cgroup is counted under the first key of cgroup v1.
func entry(t *target.T, cgroup, name string, keys ...string) count {
	return func() (uint64, bool) {
		for _, key := range keys {
			if v, ok := t.CgroupEntry(cgroup, name, key); ok {
				return v, true
			}
		}
		return 0, false
	}
}

// cpuTime is the kernel's count of CPU time, in ns.
func cpuTime(t *target.T, cgroup string) count {
	return func() (uint64, bool) {
		if v, ok := t.CgroupNumber(cgroup, "cpuacct.usage"); ok {
			return v, true
		}
		v, ok := t.CgroupEntry(cgroup, "cpu.stat", "usage_usec")
		return v * 1000, ok
	}
}

func workingSet(t *target.T, cgroup string) count {
	return func() (uint64, bool) {
		usage, ok := memoryUsage(t, cgroup)()
		inactive, _ := entry(t, cgroup, "memory.stat", "total_inactive_file", "inactive_file")()
		return usage - inactive, ok
	}
}

func memoryUsage(t *target.T, cgroup string) count {
	return number(t, cgroup, "memory.usage_in_bytes", "memory.current")
}

func (n count) now() uint64 {
	GinkgoHelper()
	v, ok := n()
	Expect(ok).To(BeTrue(), "the kernel has no such count")
	return v
}

// expectBetween fails unless a number of the daemon lies between what the
// kernel says before and after it, give or take the slack.
func expectBetween(what string, of count, slack uint64, got func() uint64) {
	GinkgoHelper()
	before := of.now()
	v := got()
	after := of.now()
	Expect(v+slack).To(BeNumerically(">=", min(before, after)), what)
	Expect(v).To(BeNumerically("<=", max(before, after)+slack), what)
}

// memoryLimit limits memory, and memory and swap together; 0 is no limit.
func memoryLimit(memory, swap int64) target.ContainerOption {
	return target.WithContainer(func(c *runtimeapi.ContainerConfig) {
		c.Linux.Resources = &runtimeapi.LinuxContainerResources{MemoryLimitInBytes: memory, MemorySwapLimitInBytes: swap}
	})
}

// fresh waits until readings that others may share are over.
func fresh(ctx context.Context, c *target.Container) *runtimeapi.ContainerStats {
	GinkgoHelper()
	now := time.Now().UnixNano()
	var st *runtimeapi.ContainerStats
	Eventually(ctx, func() int64 { st = c.Stats(ctx); return st.GetCpu().GetTimestamp() }).WithTimeout(happensIn()).WithPolling(5*time.Millisecond).
		Should(BeNumerically(">=", now), "a new reading")
	return st
}

// freshPod is fresh for a pod.
func freshPod(ctx context.Context, p *target.Pod) *runtimeapi.LinuxPodSandboxStats {
	GinkgoHelper()
	now := time.Now().UnixNano()
	var st *runtimeapi.LinuxPodSandboxStats
	Eventually(ctx, func() int64 { st = p.Stats(ctx); return st.GetCpu().GetTimestamp() }).WithTimeout(happensIn()).WithPolling(5*time.Millisecond).
		Should(BeNumerically(">=", now), "a new reading")
	return st
}

// "usage_core_nano_seconds: Cumulative CPU usage (sum across all cores) since
// object creation. usage_nano_cores: Total CPU usage (sum of all cores) averaged
// over the sample window." (cri-api v1)
var _ = Describe("The CPU usage of a container", func() {
	It("is the kernel's", target.Needs(target.FeatureHostCgroups), target.Covers("stats.cpu"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		c := t.Pod(ctx).Run(ctx, target.Shell(busy))
		Eventually(ctx, func() uint64 { return cpuTime(t, c.ID).now() }).WithTimeout(happensIn()).Should(BeNumerically(">", 20*time.Millisecond))
		for range 3 {
			expectBetween("usage_core_nano_seconds", cpuTime(t, c.ID), 0, func() uint64 { return fresh(ctx, c).GetCpu().GetUsageCoreNanoSeconds().GetValue() })
		}
	})

	It("has a rate from the first answer", target.Needs(target.FeatureHostCgroups), target.Covers("stats.cpu.rate"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		pod := t.Pod(ctx)
		for range 4 { // a daemon that reads at an interval may have read one of them by chance
			Expect(pod.Run(ctx).Stats(ctx).GetCpu().GetUsageNanoCores()).NotTo(BeNil(), "usage_nano_cores of the first answer")
		}
		c := pod.Run(ctx, target.Shell(busy))
		Eventually(ctx, func() uint64 { return cpuTime(t, c.ID).now() }).WithTimeout(happensIn()).Should(BeNumerically(">", 100*time.Millisecond))
		cpu := fresh(ctx, c).GetCpu()
		age := float64(cpu.GetTimestamp() - c.Status(ctx).GetCreatedAt())
		mean := float64(cpu.GetUsageCoreNanoSeconds().GetValue()) / age * float64(time.Second)
		Expect(float64(cpu.GetUsageNanoCores().GetValue())).To(And(BeNumerically(">", mean/3), BeNumerically("<", 1.2*float64(time.Second))), "one thread, usage_nano_cores; its mean is %.0f", mean)
	})

	It("has a rate of nothing while it sleeps", target.Covers("stats.cpu.rate"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureHostCgroups)
		c := t.Pod(ctx).Run(ctx, target.Shell("i=0; while [ $i -lt 150000 ]; do i=$((i+1)); done; echo over; exec sleep 1000"))
		Eventually(ctx, func() string { return logOf(c) }).WithTimeout(2 * happensIn()).Should(ContainSubstring("over"))
		Eventually(ctx, func() uint64 { return c.Stats(ctx).GetCpu().GetUsageNanoCores().GetValue() }).WithTimeout(happensIn()).
			Should(BeNumerically("<", time.Second/100), "the window passes by")
		st := c.Stats(ctx)
		mean := float64(st.GetCpu().GetUsageCoreNanoSeconds().GetValue()) / float64(st.GetCpu().GetTimestamp()-c.Status(ctx).GetCreatedAt()) * float64(time.Second)
		Expect(float64(st.GetCpu().GetUsageNanoCores().GetValue())).To(BeNumerically("<", mean/2), "less than ever since its creation")
	})
})

// "working_set_bytes: The amount of working set memory in bytes. available_bytes:
// Available memory for use. This is defined as the memory limit -
// workingSetBytes. usage_bytes: Total memory in use. This includes all memory
// regardless of when it was accessed. rss_bytes: The amount of anonymous and
// swap cache memory. page_faults: Cumulative number of minor page faults."
// (cri-api v1)
var _ = Describe("The memory of a container", func() {
	// holds anonymous memory and pages of a file that it does not use.
	const holds = `dd if=/dev/zero of=/file bs=1M count=12 2>/dev/null; x=$(head -c 9000000 /dev/zero | tr '\0' x); echo ready; while :; do sleep 1000; done`

	It("is the kernel's", target.Covers("stats.memory", "stats.memory.faults"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureHostCgroups)
		c := t.Pod(ctx).Run(ctx, target.Shell(holds))
		awaitLog(ctx, c, "ready")
		inactive := entry(t, c.ID, "memory.stat", "total_inactive_file", "inactive_file")
		Expect(inactive.now()).To(BeNumerically(">", 6*mib), "pages of the file")
		expectBetween("usage_bytes", memoryUsage(t, c.ID), mib, func() uint64 { return fresh(ctx, c).GetMemory().GetUsageBytes().GetValue() })
		expectBetween("working_set_bytes", workingSet(t, c.ID), mib, func() uint64 { return fresh(ctx, c).GetMemory().GetWorkingSetBytes().GetValue() })
		expectBetween("rss_bytes", entry(t, c.ID, "memory.stat", "total_rss", "anon"), mib, func() uint64 { return fresh(ctx, c).GetMemory().GetRssBytes().GetValue() })
		Expect(c.Stats(ctx).GetMemory().GetRssBytes().GetValue()).To(BeNumerically(">", 8*mib))
		major := entry(t, c.ID, "memory.stat", "total_pgmajfault", "pgmajfault")
		expectBetween("major_page_faults", major, 0, func() uint64 { return fresh(ctx, c).GetMemory().GetMajorPageFaults().GetValue() })
		all := entry(t, c.ID, "memory.stat", "total_pgfault", "pgfault")
		minor := func() (uint64, bool) {
			v, ok := all()
			return v - major.now(), ok
		}
		expectBetween("page_faults", minor, 0, func() uint64 { return fresh(ctx, c).GetMemory().GetPageFaults().GetValue() })
		Expect(c.Stats(ctx).GetMemory().GetPageFaults().GetValue()).To(BeNumerically(">", 100))
	})

	It("is available up to the limit, and not set without one", target.Covers("stats.memory.available"), containerLimit, func(ctx SpecContext) {
		pod := target.Current().Pod(ctx)
		m := pod.Run(ctx, memoryLimit(64*mib, 0)).Stats(ctx).GetMemory()
		Expect(m.GetAvailableBytes()).NotTo(BeNil())
		Expect(m.GetAvailableBytes().GetValue() + m.GetWorkingSetBytes().GetValue()).To(BeEquivalentTo(64 * mib))
		Expect(pod.Run(ctx).Stats(ctx).GetMemory().GetAvailableBytes()).To(BeNil(), "without a limit")
	})

	// "swap_available_bytes: Available swap for use. This is defined as the swap
	// limit - swapUsageBytes." (cri-api v1)
	It("may go to swap up to the limit", target.Needs(target.FeatureHostCgroups), target.Covers("stats.swap"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		pod := t.Pod(ctx)
		c := pod.Run(ctx, memoryLimit(64*mib, 96*mib))
		accounted := number(t, c.ID, "memory.memsw.usage_in_bytes", "memory.swap.current")
		if _, ok := accounted(); !ok {
			Expect(c.Stats(ctx).GetSwap()).To(BeNil(), "swap is not accounted for")
			return
		}
		s := c.Stats(ctx).GetSwap()
		Expect(s.GetSwapUsageBytes()).NotTo(BeNil())
		Expect(s.GetTimestamp()).To(BeNumerically(">", 0))
		Expect(s.GetSwapUsageBytes().GetValue() + s.GetSwapAvailableBytes().GetValue()).To(BeEquivalentTo(32 * mib))
		none := pod.Run(ctx, memoryLimit(64*mib, 64*mib)).Stats(ctx).GetSwap()
		Expect(none.GetSwapAvailableBytes()).NotTo(BeNil())
		Expect(none.GetSwapAvailableBytes().GetValue()).To(BeZero(), "no swap allowed")
		Expect(pod.Run(ctx).Stats(ctx).GetSwap().GetSwapAvailableBytes()).To(BeNil(), "without a limit")
	})
})

// pressureTotal is the kernel's total of a line of a pressure file, in ns.
func pressureTotal(t *target.T, cgroup, file, line string) count {
	return func() (uint64, bool) {
		for text := range strings.Lines(t.CgroupFile(cgroup, file)) {
			if rest, ok := strings.CutPrefix(text, line+" "); ok {
				_, total, _ := strings.Cut(strings.TrimSpace(rest), "total=")
				v, ok := parseUint(total)
				return v * 1000, ok
			}
		}
		return 0, false
	}
}

// "PSI statistics for an individual resource. Full: PSI data for all tasks in the
// cgroup. Some: PSI data for some tasks in the cgroup. Total: Total time duration
// for tasks in the cgroup have waited due to congestion. Unit: nanoseconds."
// (cri-api v1). Two threads that are kept to one CPU wait for it.
var _ = Describe("The pressure of a container", target.Covers("stats.pressure"), func() {
	It("is the kernel's", target.Needs(target.FeatureHostCgroups), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		c := t.Pod(ctx).Run(ctx, target.Shell(busy+" & "+busy+" & "+busy), target.WithContainer(func(c *runtimeapi.ContainerConfig) {
			c.Linux.Resources = &runtimeapi.LinuxContainerResources{CpusetCpus: "0"}
		}))
		some := pressureTotal(t, c.ID, "cpu.pressure", "some")
		if _, ok := some(); !ok {
			Expect(c.Stats(ctx).GetCpu().GetPsi()).To(BeNil(), "the kernel has none")
			return
		}
		Eventually(ctx, func() uint64 { return some.now() }).WithTimeout(happensIn()).Should(BeNumerically(">", 20*time.Millisecond))
		Eventually(ctx, func() float64 { return c.Stats(ctx).GetCpu().GetPsi().GetSome().GetAvg10() }).WithTimeout(2*happensIn()).
			Should(And(BeNumerically(">", 0), BeNumerically("<=", 100)), "avg10, in percent")
		for file, psi := range map[string]func() *runtimeapi.PsiStats{
			"cpu.pressure":    func() *runtimeapi.PsiStats { return fresh(ctx, c).GetCpu().GetPsi() },
			"memory.pressure": func() *runtimeapi.PsiStats { return fresh(ctx, c).GetMemory().GetPsi() },
			"io.pressure":     func() *runtimeapi.PsiStats { return fresh(ctx, c).GetIo().GetPsi() },
		} {
			Expect(psi()).NotTo(BeNil(), file)
			expectBetween(file+", some", pressureTotal(t, c.ID, file, "some"), 0, func() uint64 { return psi().GetSome().GetTotal() })
			expectBetween(file+", full", pressureTotal(t, c.ID, file, "full"), 0, func() uint64 { return psi().GetFull().GetTotal() })
		}
	})
})

// "Timestamp in nanoseconds at which the information were collected. Must be >
// 0." (cri-api v1)
var _ = Describe("The timestamps of stats", target.Covers("stats.timestamp"), func() {
	It("are when the numbers were read", containerLimit, func(ctx SpecContext) {
		c := target.Current().Running(ctx)
		var last int64
		for range 4 {
			began := time.Now().Add(-time.Second).UnixNano()
			st := fresh(ctx, c)
			for what, at := range map[string]int64{"cpu": st.GetCpu().GetTimestamp(), "memory": st.GetMemory().GetTimestamp()} {
				Expect(at).To(And(BeNumerically(">", began), BeNumerically("<=", time.Now().UnixNano())), what)
			}
			Expect(st.GetWritableLayer().GetTimestamp()).To(BeNumerically(">", time.Now().Add(-time.Minute).UnixNano()), "writable layer")
			Expect(st.GetCpu().GetTimestamp()).To(BeNumerically(">", last), "a later reading")
			last = st.GetCpu().GetTimestamp()
			pod := c.Pod.Stats(ctx)
			Expect(pod.GetNetwork().GetTimestamp()).To(BeNumerically(">", began), "network")
			Expect(pod.GetProcess().GetTimestamp()).To(BeNumerically(">", began), "processes")
		}
	})
})
