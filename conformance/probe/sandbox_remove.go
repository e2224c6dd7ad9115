package probe

import (
	"ocid/conformance/target"
	"ocid/fixtures/witness"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"google.golang.org/grpc/codes"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// "RemovePodSandbox removes the sandbox. If there are any running containers in
// the sandbox, they must be forcibly terminated and removed. This call is
// idempotent, and must not return an error if the sandbox has already been
// removed." (cri-api v1)
var _ = Describe("RemovePodSandbox", func() {
	It("removes a sandbox that runs, with its containers",
		target.Covers("sandbox.remove.any", "sandbox.remove.containers", "sandbox.remove.infra"), podTime, func(ctx SpecContext) {
			t := target.Current()
			pod := t.Pod(ctx, target.SharedPID())
			running, created := pod.Run(ctx), pod.Create(ctx)
			Expect(pod.Remove(ctx)).To(Succeed())
			_, err := pod.TryStatus(ctx)
			t.ExpectCode(err, codes.NotFound)
			Expect(pod.Listed(ctx)).To(BeNil())
			Expect(pod.Processes()).To(BeEmpty())
			for _, c := range []*target.Container{running, created} {
				_, err := c.TryStatus(ctx)
				t.ExpectCode(err, codes.NotFound)
				Expect(c.Listed(ctx)).To(BeNil())
				Expect(c.Processes()).To(BeEmpty())
				Expect(t.Cgroups(c.ID)).To(BeEmpty())
			}
		})
	It("removes a stopped sandbox, and one whose process has died", target.Needs(target.FeatureHostNamespaces), target.Covers("sandbox.remove.any"), podTime, func(ctx SpecContext) {
		t := target.Current()
		stopped, dead := t.Pod(ctx), died(ctx, t)
		Expect(stopped.Stop(ctx)).To(Succeed())
		for _, pod := range []*target.Pod{stopped, dead} {
			Expect(pod.Remove(ctx)).To(Succeed())
			Expect(pod.Listed(ctx)).To(BeNil())
		}
	})
	It("succeeds for a sandbox that nobody knows", target.Covers("sandbox.remove.absent"), podTime, func(ctx SpecContext) {
		t := target.Current()
		Expect((&target.Pod{T: t, ID: podAbsent}).Remove(ctx)).To(Succeed())
		pod := t.Pod(ctx)
		Expect(pod.Remove(ctx)).To(Succeed())
		Expect(pod.Remove(ctx)).To(Succeed())
	})
	It("leaves nothing of a sandbox that runs",
		target.Covers("sandbox.remove.network", "sandbox.remove.netns", "sandbox.remove.ipc", "sandbox.remove.uts", "sandbox.remove.record"), podTime, func(ctx SpecContext) {
			t := target.Current()
			Expect(t.Pod(ctx).Remove(ctx)).To(Succeed()) // what is made once and kept is there
			req := t.PodRequest(target.HostPort(freePort(), 80))
			before := t.Now(ctx)
			pod, err := t.RunPod(ctx, req)
			Expect(err).NotTo(HaveOccurred())
			pod.Run(ctx, target.WithContainer(func(c *runtimeapi.ContainerConfig) { c.LogPath = "" }))
			Expect(pod.Remove(ctx)).To(Succeed())
			t.ExpectNothingLeft(ctx, before)
		})
})

// A removal in parallel waits: it must not answer before the thing is gone.
var _ = Describe("RemovePodSandbox while the sandbox is busy", target.Covers("sandbox.remove.join"), func() {
	gone := func(ctx SpecContext, b *busyPod) {
		GinkgoHelper()
		remove := removeBeside(ctx, b.Pod)
		remove.expectWaiting("the removal")
		b.release()
		_, err := remove.result(ctx)
		Expect(err).NotTo(HaveOccurred())
		_, err = b.TryStatus(ctx)
		b.T.ExpectCode(err, codes.NotFound)
		Expect(b.T.Leases(b.ID)).To(BeEmpty())
		Expect(pins(b.T, b.ID, "")).To(BeEmpty())
		_, err = b.call.result(ctx)
		Expect(err).NotTo(HaveOccurred(), "the call that was there first")
	}
	It("waits for the creation, and then removes", podTime, func(ctx SpecContext) { gone(ctx, creating(ctx, target.Current())) })
	It("waits for the stop, and then removes", podTime, func(ctx SpecContext) { gone(ctx, stopping(ctx, target.Current())) })
	It("waits for another removal", podTime, func(ctx SpecContext) { gone(ctx, removing(ctx, target.Current())) })
})

// "The storage record and the directories go last, so that what failed before
// can be tried again." (design notes: storage)
var _ = Describe("The storage record of a sandbox that is removed", target.Covers("sandbox.remove.record"), func() {
	It("stays when CNI DEL fails, and the next removal succeeds", podTime, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureStorageRecords, target.FeatureWitness)
		pod := t.Pod(ctx)
		t.Witness.Fault(witness.Fault{Program: witness.CNI, Op: "DEL", Action: witness.Fail, Times: 1})
		Expect(pod.Remove(ctx)).To(MatchError(ContainSubstring("told to fail")))
		Expect(pod.Status(ctx).GetState()).To(Equal(notReady))
		_, ok := t.Storage().Record(pod.ID)
		Expect(ok).To(BeTrue(), "the record is gone though the network is not")
		Expect(pod.Remove(ctx)).To(Succeed())
		_, ok = t.Storage().Record(pod.ID)
		Expect(ok).To(BeFalse(), "the record is left")
	})
	It("goes when nothing else is left", podTime, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureStorageRecords)
		pod := t.Pod(ctx)
		if t.Has(target.FeatureOwnKernel) {
			Expect(pod.Stop(ctx)).To(Succeed(), "the end of an infra container writes records, too")
		}
		release, waited := holdRecords(t, pod)
		call := removeBeside(ctx, pod)
		Eventually(ctx, waited).WithTimeout(podMoment).Should(BeTrue(), "the daemon does not come to delete the record")
		call.expectWaiting("the call")
		Expect(pins(t, pod.ID, "")).To(BeEmpty(), "namespaces when the record goes")
		Expect(shmOf(t, pod.ID)).To(BeEmpty(), "/dev/shm when the record goes")
		Expect(t.Leases(pod.ID)).To(BeEmpty(), "addresses when the record goes")
		_, ok := t.Storage().Record(pod.ID)
		Expect(ok).To(BeTrue(), "the record")
		release()
		_, err := call.result(ctx)
		Expect(err).NotTo(HaveOccurred())
		_, ok = t.Storage().Record(pod.ID)
		Expect(ok).To(BeFalse(), "the record is left")
	})
})
