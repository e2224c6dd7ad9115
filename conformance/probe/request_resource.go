package probe

import (
	"context"

	"ocid/conformance/target"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"google.golang.org/grpc/codes"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// A badLimit is a limit that no kernel takes, and one that is on the edge.
type badLimit struct {
	name, field string // of the rule and in LinuxContainerResources
	set         func(*runtimeapi.LinuxContainerResources, int64)
	bad, good   []int64
}

// "CPU CFS (Completely Fair Scheduler) period. Default: 0 (not specified).",
// "… quota.", "CPU shares (relative weight vs. other containers).", "Memory limit
// in bytes.", "Memory swap limit in bytes.", "OOMScoreAdj adjusts the oom-killer
// score." (cri-api v1, LinuxContainerResources) What the kernel takes stands in
// kernel/sched/core.c and proc(5).
func badLimits() []badLimit {
	return []badLimit{
		{"cpu-period", "cpu_period", setCPUPeriod, []int64{-1, 999, 1_000_001}, []int64{1000, 1_000_000}},
		{"cpu-quota", "cpu_quota", setCPUQuota, []int64{-2, 1 << 44}, []int64{-1, 1<<44 - 1}},
		{"cpu-shares", "cpu_shares", setCPUShares, []int64{-1, 1, 262145}, []int64{2, 262144}},
		{"memory", "memory_limit_in_bytes", setMemory, []int64{-2, 1<<62 + 1}, []int64{-1, 1 << 62}},
		{"memory-swap", "memory_swap_limit_in_bytes", setSwap, []int64{-2, 1<<62 + 1}, []int64{-1, 1 << 62}},
		{"oom-score", "oom_score_adj", setOOMScore, []int64{-1001, 1001}, []int64{-1000, 1000}},
	}
}

func setCPUQuota(r *runtimeapi.LinuxContainerResources, v int64)  { r.CpuQuota = v }
func setCPUShares(r *runtimeapi.LinuxContainerResources, v int64) { r.CpuShares = v }
func setSwap(r *runtimeapi.LinuxContainerResources, v int64)      { r.MemorySwapLimitInBytes = v }

func hugepages(size string) *runtimeapi.LinuxContainerResources {
	return &runtimeapi.LinuxContainerResources{HugepageLimits: []*runtimeapi.HugepageLimit{{PageSize: "2MB"}, {PageSize: size}}}
}

// A limited call is one that has limits in its request, of an object that nobody
// has: what is wrong with the limits is told first.
type limited struct {
	rules, field string
	send         func(context.Context, *target.T, *runtimeapi.LinuxContainerResources) error
}

func (l limited) each(limits []badLimit) {
	for _, b := range limits {
		rule := l.rules + b.name
		It("no "+l.field+b.field+" that is none", target.Covers(rule), requestLimit, func(ctx SpecContext) {
			t := target.Current()
			for _, v := range b.bad {
				r := &runtimeapi.LinuxContainerResources{}
				b.set(r, v)
				expectInvalid(t, l.send(ctx, t, r), rule, l.field+b.field)
			}
			for _, v := range b.good {
				r := &runtimeapi.LinuxContainerResources{}
				b.set(r, v)
				t.ExpectCode(l.send(ctx, t, r), codes.NotFound)
			}
			t.ExpectCode(l.send(ctx, t, &runtimeapi.LinuxContainerResources{}), codes.NotFound)
			expectUntouched(t, 0)
		})
	}
}

// "UpdateContainerResources updates ContainerConfig of the container
// synchronously." (cri-api v1)
var _ = Describe("UpdateContainerResources takes", func() {
	update := limited{"request.update.", "linux.", func(ctx context.Context, t *target.T, r *runtimeapi.LinuxContainerResources) error {
		return answerOf(t.Runtime.UpdateContainerResources(ctx, &runtimeapi.UpdateContainerResourcesRequest{ContainerId: nobody(t).ID, Linux: r}))
	}}
	update.each(badLimits())

	// "The value of PageSize has the format <size><unit-prefix>B (2MB, 1GB)"
	It("no huge pages without a size", target.Covers("request.update.hugepage-size"), requestLimit, func(ctx SpecContext) {
		t := target.Current()
		expectInvalid(t, update.send(ctx, t, hugepages("")), "request.update.hugepage-size", "linux.hugepage_limits[1].page_size")
		t.ExpectCode(update.send(ctx, t, hugepages("1GB")), codes.NotFound)
	})

	It("no size of huge pages that leads to another file", target.Covers("request.update.hugepage-name"), requestLimit, func(ctx SpecContext) {
		t := target.Current()
		for _, size := range []string{"../../2MB", "a/b", "a\x00"} {
			expectInvalid(t, update.send(ctx, t, hugepages(size)), "request.update.hugepage-name", "linux.hugepage_limits[1].page_size")
		}
	})
})

// "UpdatePodSandboxResources synchronously updates the PodSandboxConfig with the
// pod-level resource configuration." (cri-api v1)
var _ = Describe("UpdatePodSandboxResources takes", func() {
	send := func(set func(*runtimeapi.UpdatePodSandboxResourcesRequest, *runtimeapi.LinuxContainerResources)) func(context.Context, *target.T, *runtimeapi.LinuxContainerResources) error {
		return func(ctx context.Context, t *target.T, r *runtimeapi.LinuxContainerResources) error {
			req := &runtimeapi.UpdatePodSandboxResourcesRequest{PodSandboxId: nobody(t).ID}
			set(req, r)
			return answerOf(t.Runtime.UpdatePodSandboxResources(ctx, req))
		}
	}
	limited{"request.update-sandbox.", "resources.", send(func(req *runtimeapi.UpdatePodSandboxResourcesRequest, r *runtimeapi.LinuxContainerResources) {
		req.Resources = r
	})}.each(badLimits()[:5])
	limited{"request.update-sandbox.overhead-", "overhead.", send(func(req *runtimeapi.UpdatePodSandboxResourcesRequest, r *runtimeapi.LinuxContainerResources) {
		req.Overhead = r
	})}.each(badLimits()[:5])
})

var _ = DescribeTable("CreateContainer refuses",
	func(ctx SpecContext, rule, field string, changes []target.ContainerOption) {
		t := target.Current()
		p := t.Pod(ctx)
		calls := witnessed(t)
		for _, change := range changes {
			_, err := p.TryCreate(ctx, change)
			expectInvalid(t, err, rule, field)
		}
		expectUntouched(t, calls)
	},
	create("request.create.cpu-quota", "config.linux.resources.cpu_quota", "a CPU quota that is none", withResources(setCPUQuota, -2, 1<<44)...),
	create("request.create.cpu-shares", "config.linux.resources.cpu_shares", "CPU shares that the kernel does not take", withResources(setCPUShares, -1, 1, 262145)...),
	create("request.create.memory-swap", "config.linux.resources.memory_swap_limit_in_bytes", "a swap limit that is no size", withResources(setSwap, -2, 1<<62+1)...),
	create("request.create.hugepage-size", "config.linux.resources.hugepage_limits[1].page_size", "huge pages without a size",
		target.WithContainer(func(c *runtimeapi.ContainerConfig) { c.GetLinux().Resources = hugepages("") })),
	create("request.create.hugepage-name", "config.linux.resources.hugepage_limits[1].page_size", "huge pages of a size that is a path",
		target.WithContainer(func(c *runtimeapi.ContainerConfig) { c.GetLinux().Resources = hugepages("../2MB") })),
)

var _ = DescribeTable("CreateContainer accepts",
	func(ctx SpecContext, changes []target.ContainerOption) {
		c := target.Current().Pod(ctx).Run(ctx, changes...)
		Expect(c.State(ctx)).To(Equal(runtimeapi.ContainerState_CONTAINER_RUNNING))
	},
	accepted("request.create.cpu-quota", "no CPU quota", withResources(setCPUQuota, -1)...),
	accepted("request.create.cpu-shares", "the fewest CPU shares", withResources(setCPUShares, 2)...),
	accepted("request.create.cpu-shares", "the most CPU shares", withResources(setCPUShares, 262144)...),
	accepted("request.create.memory-swap", "no limit of swap", withResources(setSwap, -1)...),
	// kubelet sends one for each size that it sees.
	accepted("request.create.hugepage-size", "no huge pages of any size",
		target.WithContainer(func(c *runtimeapi.ContainerConfig) { c.GetLinux().Resources = hugepages("1GB") })),
)

// A call about one object names it, see the empty names of other calls.
var _ = Describe("An empty name", func() {
	It("is refused by UpdateContainerResources", target.Covers("request.update.container"), requestLimit, func(ctx SpecContext) {
		t := target.Current()
		expectInvalid(t, answerOf(t.Runtime.UpdateContainerResources(ctx, &runtimeapi.UpdateContainerResourcesRequest{})), "request.update.container", "container_id")
	})

	It("is refused by ReopenContainerLog", target.Covers("request.reopen-log.container"), requestLimit, func(ctx SpecContext) {
		t := target.Current()
		expectInvalid(t, answerOf(t.Runtime.ReopenContainerLog(ctx, &runtimeapi.ReopenContainerLogRequest{})), "request.reopen-log.container", "container_id")
	})

	It("is refused by UpdatePodSandboxResources", target.Covers("request.update-sandbox.sandbox"), requestLimit, func(ctx SpecContext) {
		t := target.Current()
		expectInvalid(t, answerOf(t.Runtime.UpdatePodSandboxResources(ctx, &runtimeapi.UpdatePodSandboxResourcesRequest{})), "request.update-sandbox.sandbox", "pod_sandbox_id")
	})
})
