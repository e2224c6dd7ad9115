package probe

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"ocid/conformance/target"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"google.golang.org/protobuf/proto"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// "LinuxContainerResources specifies Linux specific configuration for resources."
// (cri-api v1)
var _ = Describe("A container's limits", func() {
	It("hold from its start", target.Needs(target.FeatureHostCgroups), target.Covers("container.limits.set"), containerLimit, func(ctx SpecContext) {
		c := target.Current().Pod(ctx).Run(ctx, target.Resources(someLimits()))
		got := c.Limits()
		if !target.CgroupV2() {
			Expect(got.Shares).To(BeEquivalentTo(512))
		}
		got.Shares = 0
		Expect(got).To(Equal(target.Limits{Period: 50_000, Quota: 25_000, Memory: 64 << 20, Swap: 96 << 20, CPUs: "0", Mems: "0"}))
	})

	It("are none where it has none", target.Needs(target.FeatureHostCgroups), target.Covers("container.limits.set"), containerLimit, func(ctx SpecContext) {
		got := target.Current().Running(ctx).Limits()
		Expect([]int64{got.Quota, got.Memory, got.Swap}).To(HaveEach(int64(-1)))
	})

	// Own: a container swaps only if somebody wants it to.
	It("of memory are those of swap too", target.Needs(target.FeatureHostCgroups), target.Covers("container.limits.swap"), containerLimit, func(ctx SpecContext) {
		p := target.Current().Pod(ctx)
		got := p.Run(ctx, target.Resources(&runtimeapi.LinuxContainerResources{MemoryLimitInBytes: 64 << 20})).Limits()
		Expect([]int64{got.Memory, got.Swap}).To(HaveEach(BeEquivalentTo(64 << 20)))
		got = p.Run(ctx, target.Resources(&runtimeapi.LinuxContainerResources{MemoryLimitInBytes: 64 << 20, MemorySwapLimitInBytes: -1})).Limits()
		Expect([]int64{got.Memory, got.Swap}).To(Equal([]int64{64 << 20, -1}))
	})

	It("stand in its status, before it is started and after it has exited", target.Covers("container.status.resources"), containerLimit, func(ctx SpecContext) {
		p := target.Current().Pod(ctx)
		c := p.Create(ctx, target.Resources(someLimits()))
		expect := func(state string) {
			GinkgoHelper()
			got := c.Status(ctx).GetResources().GetLinux()
			Expect(proto.Equal(got, someLimits())).To(BeTrue(), "limits of a container that is %s: %v", state, got)
		}
		expect("CREATED")
		Expect(c.Start(ctx)).To(Succeed())
		expect("RUNNING")
		Expect(c.Stop(ctx, 0)).To(Succeed())
		expect("EXITED")
		Expect(p.Create(ctx).Status(ctx).GetResources().GetLinux()).NotTo(BeNil(), "limits of a container without any")
	})

	It("in its status are those that hold", target.Needs(target.FeatureHostNamespaces), target.Covers("container.status.resources"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		c := t.Pod(ctx).Run(ctx, target.Resources(&runtimeapi.LinuxContainerResources{OomScoreAdj: -1000}))
		status := c.Status(ctx).GetResources().GetLinux()
		Expect(status.GetOomScoreAdj()).To(BeEquivalentTo(c.Init().OOMScore()))
	})

	// "HugepageLimit corresponds to the file `hugetlb.<hugepagesize>.limit_in_byte`
	// in container level cgroup." (cri-api v1)
	It("of huge pages hold where the kernel has them, and are none elsewhere", target.Needs(target.FeatureHostCgroups), target.Covers("container.limits.hugepages"), containerLimit, func(ctx SpecContext) {
		asked := []*runtimeapi.HugepageLimit{{PageSize: "2MB", Limit: 4 << 20}}
		c := target.Current().Pod(ctx).Run(ctx, target.Resources(&runtimeapi.LinuxContainerResources{HugepageLimits: asked}))
		told := c.Status(ctx).GetResources().GetLinux().GetHugepageLimits()
		file := "hugetlb.2MB.limit_in_bytes"
		if target.CgroupV2() {
			file = "hugetlb.2MB.max"
		}
		limit, found := c.Limit(file)
		if !found {
			Expect(told).To(BeEmpty(), "limits in the status, and none in the cgroup")
			return
		}
		Expect(limit).To(Equal("4194304"))
		Expect(told).To(HaveExactElements(And(HaveField("PageSize", "2MB"), HaveField("Limit", uint64(4<<20)))))
	})

	// "OOMScoreAdj adjusts the oom-killer score." Only CAP_SYS_RESOURCE lets a
	// process lower its own, see proc(5).
	It("of the OOM killer are clamped to what the kernel lets the daemon set", target.Needs(target.FeatureHostNamespaces), target.Covers("container.limits.oom-score"), containerLimit, func(ctx SpecContext) {
		p := target.Current().Pod(ctx)
		lowest := ownOOMScore()
		if mayLowerOOMScore() {
			lowest = -1000
		}
		for _, asked := range []int64{900, 1, 0, -500, -998} {
			c := p.Run(ctx, withResources(setOOMScore, asked)...)
			Expect(c.Init().OOMScore()).To(Equal(max(int(asked), lowest)), "oom_score_adj of %d", asked)
		}
	})

	// "Unified resources for cgroup v2."
	It("of cgroup v2 are refused where there is none", target.Covers("container.limits.unified"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		p := t.Pod(ctx)
		unified := &runtimeapi.LinuxContainerResources{Unified: map[string]string{"memory.high": "67108864"}}
		if target.CgroupV2() {
			high, _ := p.Run(ctx, target.Resources(unified)).Limit("memory.high")
			Expect(high).To(Equal("67108864"))
			return
		}
		_, err := p.TryCreate(ctx, target.Resources(unified))
		expectInvalid(t, err, "container.limits.unified", "config.linux.resources.unified")
		c := p.Run(ctx)
		expectInvalid(t, c.Update(ctx, unified), "container.limits.unified", "linux.unified")
	})

	It("are refused if they contradict one another", target.Covers("container.limits.contradiction"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		p := t.Pod(ctx)
		c := p.Run(ctx)
		calls := witnessed(t)
		for field, all := range map[string][]*runtimeapi.LinuxContainerResources{
			"memory_swap_limit_in_bytes": {{MemoryLimitInBytes: 64 << 20, MemorySwapLimitInBytes: 64<<20 - 1}},
			"cpuset_cpus":                {{CpusetCpus: "zero"}, {CpusetCpus: "1-0"}, {CpusetCpus: "0,"}, {CpusetCpus: "-1"}},
			"cpuset_mems":                {{CpusetMems: "0-"}},
		} {
			for _, r := range all {
				_, err := p.TryCreate(ctx, target.Resources(r))
				expectInvalid(t, err, "container.limits.contradiction", "config.linux.resources."+field)
				expectInvalid(t, c.Update(ctx, r), "container.limits.contradiction", "linux."+field)
			}
		}
		expectUntouched(t, calls)
	})

	It("of processes are those of the daemon's configuration", target.Needs(target.FeatureHostCgroups), target.Covers("container.limits.pids"), restartLimit, func(ctx SpecContext) {
		t := target.Current()
		free := t.Running(ctx)
		pids, _ := free.Limit("pids.max")
		Expect(pids).To(Equal("max"), "by default")
		Expect(t.Reconfigure(ctx, map[string]string{target.VarPidsLimit: "17"})).To(Succeed())
		c := t.Running(ctx)
		pids, _ = c.Limit("pids.max")
		Expect(pids).To(Equal("17"))
		Expect(c.Update(ctx, otherLimits())).To(Succeed())
		pids, _ = c.Limit("pids.max")
		Expect(pids).To(Equal("17"), "after an update")
	})
})

func ownOOMScore() int {
	GinkgoHelper()
	data, err := os.ReadFile("/proc/self/oom_score_adj")
	Expect(err).NotTo(HaveOccurred())
	n, err := strconv.Atoi(strings.TrimSpace(string(data)))
	Expect(err).NotTo(HaveOccurred())
	return n
}

// mayLowerOOMScore says whether the suite, and so the daemon that it starts, has
// CAP_SYS_RESOURCE, the capability with the number 24.
func mayLowerOOMScore() bool {
	GinkgoHelper()
	data, err := os.ReadFile("/proc/self/status")
	Expect(err).NotTo(HaveOccurred())
	_, rest, _ := strings.Cut(string(data), "CapEff:\t")
	var caps uint64
	_, err = fmt.Sscanf(rest, "%x", &caps)
	Expect(err).NotTo(HaveOccurred())
	return caps&(1<<24) != 0
}

// "reason: Must be set to "OOMKilled" for containers terminated by cgroup
// out-of-memory killer." (cri-api v1, ContainerStatus)
var _ = Describe("The reason of a container", func() {
	small := target.Resources(&runtimeapi.LinuxContainerResources{MemoryLimitInBytes: 16 << 20})
	const eat = "dd if=/dev/zero of=/dev/null bs=64M count=1"
	for what, c := range map[string]struct {
		command []string
		reason  string
		code    int32
	}{
		"that the OOM killer has killed":                   {[]string{"/bin/sh", "-c", "exec " + eat}, "OOMKilled", 137},
		"that fails because its child was killed":          {[]string{"/bin/sh", "-c", eat + "; exit 3"}, "OOMKilled", 3},
		"that ends well though its child was killed":       {[]string{"/bin/sh", "-c", eat + "; exit 0"}, "Completed", 0},
		"that was killed by itself and not for its memory": {[]string{"/bin/sh", "-c", "kill -9 $$; sleep 1; exit 137"}, "Error", 137},
	} {
		It(what+" is "+c.reason, target.Covers("container.status.oom-killed"), containerLimit, func(ctx SpecContext) {
			t := target.Current()
			t.Need(target.FeatureHostCgroups)
			ctr := t.Pod(ctx).Run(ctx, target.Command(c.command...), small)
			awaitState(ctx, ctr, stateExited)
			status := ctr.Status(ctx)
			Expect(status.GetReason()).To(Equal(c.reason))
			Expect(status.GetExitCode()).To(Equal(c.code))
		})
	}

	It("is OOMKilled in the event that tells of its end", target.Covers("container.status.oom-killed", "events.containers", "events.status"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureHostCgroups)
		p := t.Pod(ctx)
		events := t.Events(ctx)
		c := p.Run(ctx, target.Shell("exec "+eat), small)
		all := expectTold(ctx, events, map[string]string{c.ID: "c"}, life("c", created, started, stopped)...)
		Expect(all[2].GetContainersStatuses()).To(ConsistOf(And(
			HaveField("State", isExited), HaveField("Reason", "OOMKilled"), HaveField("ExitCode", int32(137)))))
	})

	It("is OOMKilled though nobody was there to see it", target.Covers("container.status.oom-killed"), restartLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureHostCgroups)
		c := t.Pod(ctx).Run(ctx, target.Shell("sleep 0.3; exec "+eat), small)
		init := c.Init()
		endDaemon(ctx, t, ends[1])
		Eventually(ctx, func() bool { return vanished(t, init) }).WithTimeout(10 * time.Second).Should(BeTrue())
		startDaemon(ctx, t)
		awaitState(ctx, c, stateExited)
		Expect(c.Status(ctx).GetReason()).To(Equal("OOMKilled"))
	})
})
