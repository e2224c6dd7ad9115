package probe

import (
	"context"
	"strings"

	"ocid/conformance/target"
	"ocid/fixtures/witness"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"google.golang.org/grpc/codes"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// podInfo is all that a verbose status adds.
func podInfo(ctx context.Context, p *target.Pod) string {
	GinkgoHelper()
	resp, err := p.T.Runtime.PodSandboxStatus(ctx, &runtimeapi.PodSandboxStatusRequest{PodSandboxId: p.ID, Verbose: true})
	Expect(err).NotTo(HaveOccurred())
	var all []string
	for key, value := range resp.GetInfo() {
		all = append(all, key+": "+value)
	}
	return strings.Join(all, "\n")
}

// "UpdatePodSandboxResources synchronously updates the PodSandboxConfig with the
// pod-level resource configuration. This method is called _after_ the Kubelet
// reconfigures the pod-level cgroups." (cri-api v1)
var _ = Describe("UpdatePodSandboxResources", func() {
	overhead, resources := &runtimeapi.LinuxContainerResources{MemoryLimitInBytes: 1234567}, &runtimeapi.LinuxContainerResources{CpuQuota: 7654321}

	It("records what the pod has", target.Covers("sandbox.update.ready"), containerLimit, func(ctx SpecContext) {
		p := target.Current().Pod(ctx)
		Expect(podInfo(ctx, p)).NotTo(ContainSubstring("1234567"))
		Expect(p.Update(ctx, overhead, resources)).To(Succeed())
		Expect(podInfo(ctx, p)).To(And(ContainSubstring("1234567"), ContainSubstring("7654321")))
		Expect(p.Update(ctx, nil, &runtimeapi.LinuxContainerResources{CpuQuota: 7777777})).To(Succeed())
		Expect(podInfo(ctx, p)).To(And(ContainSubstring("1234567"), ContainSubstring("7777777")))
		expectReady(ctx, p)
		expectUsable(ctx, p)
	})

	for _, sig := range ends {
		It("lasts over a restart of the daemon after "+sig.String(), target.Covers("sandbox.update.kept"), restartLimit, func(ctx SpecContext) {
			t := target.Current()
			p := t.Pod(ctx)
			Expect(p.Update(ctx, overhead, resources)).To(Succeed())
			Expect(t.Restart(ctx, sig)).To(Succeed())
			Expect(podInfo(ctx, p)).To(And(ContainSubstring("1234567"), ContainSubstring("7654321")))
		})
	}

	It("is refused when the sandbox is no longer READY", target.Covers("sandbox.update.over"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		p := t.Pod(ctx)
		Expect(p.Stop(ctx)).To(Succeed())
		err := p.Update(ctx, overhead, resources)
		t.ExpectCode(err, codes.FailedPrecondition)
		t.ExpectRule(err, "sandbox.update.over")
	})

	It("is refused for an unknown sandbox", target.Covers("sandbox.update.absent"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		err := (&target.Pod{T: t, ID: nobody(t).ID}).Update(ctx, overhead, resources)
		t.ExpectCode(err, codes.NotFound)
		t.ExpectRule(err, "sandbox.update.absent")
	})

	It("is refused for a half-made sandbox", target.Covers("sandbox.update.absent"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureWitness)
		release := stallNetworkOnce(t, "ADD", "")
		run := beginAside(func() (*target.Pod, error) { return t.TryPod(ctx) })
		add := awaitStruck(ctx, t, witness.CNI, "ADD")
		t.ExpectCode((&target.Pod{T: t, ID: add.Container}).Update(ctx, overhead, resources), codes.NotFound)
		release()
		_, err := run.result(ctx)
		Expect(err).NotTo(HaveOccurred())
	})
})
