package probe

import (
	"context"

	"ocid/conformance/target"
	"ocid/fixtures/witness"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// someLimits are limits that this host has.
func someLimits() *runtimeapi.LinuxContainerResources {
	return &runtimeapi.LinuxContainerResources{
		CpuPeriod: 50_000, CpuQuota: 25_000, CpuShares: 512, CpusetCpus: "0", CpusetMems: "0", OomScoreAdj: 600,
		MemoryLimitInBytes: 64 << 20, MemorySwapLimitInBytes: 96 << 20,
	}
}

func otherLimits() *runtimeapi.LinuxContainerResources {
	return &runtimeapi.LinuxContainerResources{CpuPeriod: 40_000, CpuQuota: 30_000, CpuShares: 1024, MemoryLimitInBytes: 80 << 20, MemorySwapLimitInBytes: 100 << 20, OomScoreAdj: 700}
}

// limitsOf are limits as the host's cgroups and the status say them.
type limitsOf struct {
	cgroup target.Limits
	status *runtimeapi.LinuxContainerResources
	config configLimits
	score  int
}

// configLimits are the limits in an OCI configuration.
type configLimits struct {
	Process struct{ OOMScoreAdj int }
	Linux   struct {
		Resources struct {
			CPU struct {
				Shares, Period, Quota int64
				Cpus, Mems            string
			}
			Memory struct{ Limit, Swap int64 }
			Pids   struct{ Limit int64 }
		}
	}
}

func readLimits(ctx context.Context, c *target.Container) (l limitsOf) {
	GinkgoHelper()
	l.cgroup, l.status, l.score = c.Limits(), c.Status(ctx).GetResources().GetLinux(), c.Init().OOMScore()
	if c.T.Has(target.FeatureStorageRecords) {
		c.OCIConfig(&l.config)
	}
	return l
}

func expectLimits(ctx context.Context, c *target.Container, want limitsOf) {
	GinkgoHelper()
	got := readLimits(ctx, c)
	Expect(got.cgroup).To(Equal(want.cgroup), "limits of the cgroup")
	Expect(proto.Equal(got.status, want.status)).To(BeTrue(), "limits of the status: %v, want %v", got.status, want.status)
	Expect(got.config).To(Equal(want.config), "limits of the OCI configuration")
	Expect(got.score).To(Equal(want.score), "OOM score")
}

// "UpdateContainerResources updates ContainerConfig of the container
// synchronously. If runtime fails to transactionally update the requested
// resources, an error is returned." (cri-api v1)
var _ = Describe("UpdateContainerResources", func() {
	It("changes the limits of a running container", target.Needs(target.FeatureHostCgroups), target.Covers("container.update.running", "container.update.everywhere"), containerLimit, func(ctx SpecContext) {
		c := target.Current().Pod(ctx).Run(ctx, target.Resources(someLimits()))
		Expect(c.Update(ctx, otherLimits())).To(Succeed())
		got := readLimits(ctx, c)
		Expect(got.cgroup.Memory).To(BeEquivalentTo(80 << 20))
		Expect(got.cgroup.Swap).To(BeEquivalentTo(100 << 20))
		Expect(got.cgroup.Quota).To(BeEquivalentTo(30_000))
		Expect(got.cgroup.Period).To(BeEquivalentTo(40_000))
		Expect(got.cgroup.CPUs).To(Equal("0"), "what the request does not name")
		if !target.CgroupV2() {
			Expect(got.cgroup.Shares).To(BeEquivalentTo(1024))
		}
		want := otherLimits()
		want.CpusetCpus, want.CpusetMems = "0", "0"
		Expect(proto.Equal(got.status, want)).To(BeTrue(), "limits of the status: %v", got.status)
		cpu, memory := got.config.Linux.Resources.CPU, got.config.Linux.Resources.Memory
		Expect([]int64{cpu.Shares, cpu.Period, cpu.Quota, memory.Limit, memory.Swap}).To(Equal([]int64{1024, 40_000, 30_000, 80 << 20, 100 << 20}), "OCI configuration")
		Expect(cpu.Cpus).To(Equal("0"), "OCI configuration")
		Expect(c.Output(ctx, "echo", "alive")).To(Equal("alive"))
	})

	It("changes one limit and no other", target.Needs(target.FeatureHostCgroups), target.Covers("container.update.everywhere"), containerLimit, func(ctx SpecContext) {
		c := target.Current().Pod(ctx).Run(ctx, target.Resources(someLimits()))
		want := readLimits(ctx, c)
		Expect(c.Update(ctx, &runtimeapi.LinuxContainerResources{CpuQuota: 20_000})).To(Succeed())
		want.cgroup.Quota, want.status.CpuQuota, want.config.Linux.Resources.CPU.Quota = 20_000, 20_000, 20_000
		expectLimits(ctx, c, want)
		Expect(c.Update(ctx, nil)).To(Succeed(), "an update of nothing")
		expectLimits(ctx, c, want)
	})

	It("lifts limits", target.Needs(target.FeatureHostCgroups), target.Covers("container.update.everywhere"), containerLimit, func(ctx SpecContext) {
		c := target.Current().Pod(ctx).Run(ctx, target.Resources(someLimits()))
		Expect(c.Update(ctx, &runtimeapi.LinuxContainerResources{CpuQuota: -1, MemoryLimitInBytes: -1, MemorySwapLimitInBytes: -1})).To(Succeed())
		got := c.Limits()
		Expect([]int64{got.Quota, got.Memory, got.Swap}).To(HaveEach(int64(-1)))
	})

	It("changes the limits of a container that was never started", target.Needs(target.FeatureHostCgroups), target.Covers("container.update.created"), containerLimit, func(ctx SpecContext) {
		c := target.Current().Pod(ctx).Create(ctx, target.Resources(someLimits()))
		Expect(c.Update(ctx, otherLimits())).To(Succeed())
		Expect(c.State(ctx)).To(Equal(isCreated))
		Expect(c.Limits().Memory).To(BeEquivalentTo(80 << 20))
		Expect(c.Start(ctx)).To(Succeed())
		Expect(c.Limits().Memory).To(BeEquivalentTo(80 << 20))
		Expect(c.Init().OOMScore()).To(Equal(700))
		Expect(c.State(ctx)).To(Equal(isRunning))
	})

	It("waits for a start in flight", target.Covers("container.update.starting"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		c, start, release := startStalled(ctx, t.Pod(ctx))
		update := beginCall(func() error { return c.Update(ctx, otherLimits()) })
		update.expectWaiting("UpdateContainerResources")
		release()
		_, err := start.result(ctx)
		Expect(err).NotTo(HaveOccurred())
		_, err = update.result(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(c.Limits().Memory).To(BeEquivalentTo(80 << 20))
	})

	It("is refused when the container has exited", target.Covers("container.update.over"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		c := ranOut(ctx, t.Pod(ctx), "true")
		err := c.Update(ctx, otherLimits())
		t.ExpectCode(err, codes.FailedPrecondition)
		t.ExpectRule(err, "container.update.over")
	})

	It("is refused at once when the container is being stopped or removed", target.Covers("container.update.over"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		for _, end := range []func(context.Context, *target.Container) (*aside[struct{}], func()){stopStalled, removeStalled} {
			c := t.Running(ctx)
			call, release := end(ctx, c)
			t.ExpectCode(c.Update(ctx, otherLimits()), codes.FailedPrecondition)
			release()
			_, err := call.result(ctx)
			Expect(err).NotTo(HaveOccurred())
		}
	})

	It("is refused for an unknown or half-made container", target.Covers("container.update.absent"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		err := nobody(t).Update(ctx, otherLimits())
		t.ExpectCode(err, codes.NotFound)
		t.ExpectRule(err, "container.update.absent")
		h := makeHalf(ctx, t.Pod(ctx))
		t.ExpectCode(h.Update(ctx, otherLimits()), codes.NotFound)
		h.release()
		_, err = h.call.result(ctx)
		Expect(err).NotTo(HaveOccurred())
	})

	It("sets the OOM score of all processes", target.Covers("container.update.oom-score"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureHostProcesses)
		c := t.Pod(ctx).Run(ctx, target.Shell("sleep 1000 & sleep 1001 & wait"), target.Resources(someLimits()))
		Eventually(ctx, c.Processes).WithTimeout(happensIn()).Should(HaveLen(3))
		Expect(c.Update(ctx, &runtimeapi.LinuxContainerResources{OomScoreAdj: 800})).To(Succeed())
		for _, p := range c.Processes() {
			Expect(p.OOMScore()).To(Equal(800), "%s", p)
		}
		const lasting = `i=0; while [ $i -lt 40 ] && [ $(cat /proc/$$/oom_score_adj) != 800 ]; do sleep 0.1; i=$((i+1)); done; cat /proc/$$/oom_score_adj`
		Expect(c.Output(ctx, "sh", "-c", lasting)).To(Equal("800"), "of a command that is run later")
		Expect(c.Status(ctx).GetResources().GetLinux().GetOomScoreAdj()).To(BeEquivalentTo(800))
	})
})

// "transactionally": all limits or none.
var _ = Describe("UpdateContainerResources that fails", func() {
	It("leaves everything as it was when the kernel refuses one limit", target.Needs(target.FeatureHostCgroups), target.Covers("container.update.all-or-none"), containerLimit, func(ctx SpecContext) {
		c := target.Current().Pod(ctx).Run(ctx, target.Resources(someLimits()))
		before := readLimits(ctx, c)
		update := otherLimits()
		update.CpusetCpus = "0-4000"
		Expect(c.Update(ctx, update)).NotTo(Succeed())
		expectLimits(ctx, c, before)
		Expect(c.Update(ctx, otherLimits())).To(Succeed(), "the next one")
		Expect(c.Limits().Memory).To(BeEquivalentTo(80 << 20))
	})

	It("leaves everything as it was when the runtime fails behind its work", target.Needs(target.FeatureHostCgroups), target.Covers("container.update.all-or-none"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		for _, r := range []*runtimeapi.LinuxContainerResources{someLimits(), {}} {
			c := t.Pod(ctx).Run(ctx, target.Resources(r))
			before := readLimits(ctx, c)
			fault := t.Witness.Fault(witness.Fault{Program: witness.OCI, Op: "update", Action: witness.FailAfter})
			update := otherLimits()
			update.CpusetCpus = "0"
			Expect(c.Update(ctx, update)).NotTo(Succeed())
			t.Witness.Release(fault)
			expectLimits(ctx, c, before)
		}
	})

	It("leaves everything as it was when the daemon dies in it", target.Needs(target.FeatureHostCgroups), target.Covers("container.update.all-or-none"), restartLimit, func(ctx SpecContext) {
		t := target.Current()
		for _, r := range []*runtimeapi.LinuxContainerResources{someLimits(), {}} {
			c := t.Pod(ctx).Run(ctx, target.Resources(r))
			before := readLimits(ctx, c)
			release := stallRuntimeOnce(t, "update", c.ID, witness.StallAfter)
			update := otherLimits()
			update.OomScoreAdj = 0
			call := begun(func() error { return c.Update(ctx, update) })
			Eventually(ctx, func() int64 { return c.Limits().Memory }).WithTimeout(happensIn()).Should(BeEquivalentTo(80 << 20))
			endDaemon(ctx, t, ends[1])
			release()
			_, _ = call.result(ctx)
			startDaemon(ctx, t)
			expectLimits(ctx, c, before)
		}
	})

	// Own: the kernel would end the container, or take its memory to the disk.
	It("asks nobody for less memory than is used", target.Covers("container.update.memory-use"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureHostCgroups)
		c := t.Pod(ctx).Run(ctx, target.Shell("dd if=/dev/zero of=/dev/shm/used bs=1M count=32 2>/dev/null; echo used; sleep 1000"), target.Resources(someLimits()))
		awaitLog(ctx, c, "used")
		before := readLimits(ctx, c)
		update := otherLimits()
		update.MemoryLimitInBytes, update.MemorySwapLimitInBytes = 16<<20, 16<<20
		err := c.Update(ctx, update)
		t.ExpectCode(err, codes.FailedPrecondition)
		t.ExpectRule(err, "container.update.memory-use")
		if t.Has(target.FeatureWitness) {
			Expect(t.Witness.Runtime("update", c.ID)).To(BeEmpty(), "calls of the runtime")
		}
		expectLimits(ctx, c, before)
		update.MemoryLimitInBytes, update.MemorySwapLimitInBytes = 48<<20, 48<<20
		Expect(c.Update(ctx, update)).To(Succeed(), "less than before and more than is used")
	})
})

// Own: kubelet's CPU manager and its resizing of pods know nothing of each other.
var _ = Describe("Updates of one container", func() {
	It("happen one after the other, each of them, and before a stop", target.Covers("container.update.in-turn"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		c := t.Running(ctx)
		release := stallRuntimeOnce(t, "update", c.ID, witness.Stall)
		first := beginCall(func() error { return c.Update(ctx, &runtimeapi.LinuxContainerResources{CpuQuota: 20_000}) })
		awaitRuntime(ctx, t, "update", ofContainer(c.ID))
		second := beginCall(func() error { return c.Update(ctx, &runtimeapi.LinuxContainerResources{CpuShares: 99}) })
		second.expectWaiting("a second update")
		Expect(c.State(ctx)).To(Equal(isRunning), "status during an update")
		Expect(c.Output(ctx, "echo", "hello")).To(Equal("hello"), "exec during an update")
		stop := beginCall(func() error { return c.Stop(ctx, 0) })
		stop.expectWaiting("a stop")
		release()
		for _, call := range []*aside[struct{}]{first, stop} {
			_, err := call.result(ctx)
			Expect(err).NotTo(HaveOccurred())
		}
		_, _ = second.result(ctx) // the stop may have been first
		Expect(c.State(ctx)).To(Equal(isExited))
		Expect(c.Status(ctx).GetResources().GetLinux().GetCpuQuota()).To(BeEquivalentTo(20_000))
	})

	It("are all obeyed", target.Covers("container.update.in-turn"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		c := t.Running(ctx)
		release := stallRuntimeOnce(t, "update", c.ID, witness.Stall)
		first := beginCall(func() error { return c.Update(ctx, &runtimeapi.LinuxContainerResources{CpuQuota: 20_000}) })
		awaitRuntime(ctx, t, "update", ofContainer(c.ID))
		second := beginCall(func() error { return c.Update(ctx, &runtimeapi.LinuxContainerResources{CpuShares: 99}) })
		second.expectWaiting("a second update")
		release()
		for _, call := range []*aside[struct{}]{first, second} {
			_, err := call.result(ctx)
			Expect(err).NotTo(HaveOccurred())
		}
		got := c.Status(ctx).GetResources().GetLinux()
		Expect([]int64{got.GetCpuQuota(), got.GetCpuShares()}).To(Equal([]int64{20_000, 99}))
		Expect(c.Limits().Quota).To(BeEquivalentTo(20_000))
	})
})

var _ = Describe("Limits as updated", func() {
	for _, sig := range ends {
		It("are kept over a restart of the daemon after "+sig.String(), target.Needs(target.FeatureHostCgroups), target.Covers("container.update.kept"), restartLimit, func(ctx SpecContext) {
			t := target.Current()
			c := t.Pod(ctx).Run(ctx, target.Resources(someLimits()))
			Expect(c.Update(ctx, otherLimits())).To(Succeed())
			before := readLimits(ctx, c)
			Expect(t.Restart(ctx, sig)).To(Succeed())
			expectLimits(ctx, c, before)
			Expect(c.Update(ctx, &runtimeapi.LinuxContainerResources{CpuQuota: 20_000})).To(Succeed(), "an update after the restart")
			Expect(c.Status(ctx).GetResources().GetLinux().GetMemoryLimitInBytes()).To(BeEquivalentTo(80 << 20))
		})
	}
})
