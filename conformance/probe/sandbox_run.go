package probe

import (
	"context"
	"time"

	"ocid/conformance/target"
	"ocid/fixtures/witness"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"google.golang.org/protobuf/proto"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// "RunPodSandbox creates and starts a pod-level sandbox. Runtimes must ensure
// the sandbox is in the ready state on success." (cri-api v1)
var _ = Describe("RunPodSandbox", func() {
	It("returns the ID of a sandbox that is READY", target.Covers("sandbox.run.new"), podTime, func(ctx SpecContext) {
		t := target.Current()
		before := time.Now().UnixNano()
		pod := t.Pod(ctx)
		status := pod.Status(ctx)
		Expect(status.GetId()).To(Equal(pod.ID))
		Expect(status.GetState()).To(Equal(runtimeapi.PodSandboxState_SANDBOX_READY))
		Expect(status.GetCreatedAt()).To(And(BeNumerically(">=", before), BeNumerically("<=", time.Now().UnixNano())))
		Expect(proto.Equal(status.GetMetadata(), pod.Config.GetMetadata())).To(BeTrue(), "metadata: %v", status.GetMetadata())
		Expect(status.GetLabels()).To(Equal(pod.Config.GetLabels()))
		listed := pod.Listed(ctx)
		Expect(listed).NotTo(BeNil(), "not listed")
		Expect(listed.GetState()).To(Equal(runtimeapi.PodSandboxState_SANDBOX_READY))
	})

	// The kubelet repeats a call whose deadline has passed; two equal calls mean
	// one pod.
	It("gets the same answer when it is sent again", target.Covers("sandbox.run.again"), podTime, func(ctx SpecContext) {
		t := target.Current()
		req := t.PodRequest()
		pod, err := t.RunPod(ctx, req)
		Expect(err).NotTo(HaveOccurred())
		resp, err := t.Runtime.RunPodSandbox(ctx, req)
		Expect(err).NotTo(HaveOccurred(), "an equal request")
		Expect(resp.GetPodSandboxId()).To(Equal(pod.ID))
		Expect(pod.Status(ctx).GetState()).To(Equal(runtimeapi.PodSandboxState_SANDBOX_READY))
		if t.Has(target.FeatureWitness) {
			Expect(t.Witness.Network("ADD", "")).To(HaveLen(1), "CNI ADD calls")
		}
	})

	// "a stopped sandbox is never started again": StopPodSandbox ends the
	// sandbox's life, and its name is held until it is removed.
	It("refuses the name of a sandbox that was stopped", target.Covers("sandbox.run.taken"), podTime, func(ctx SpecContext) {
		t := target.Current()
		req := t.PodRequest()
		pod, err := t.RunPod(ctx, req)
		Expect(err).NotTo(HaveOccurred())
		Expect(pod.Stop(ctx)).To(Succeed())
		_, err = t.RunPod(ctx, req)
		expectTaken(t, err, "sandbox.run.taken")
		Expect(pod.Status(ctx).GetState()).To(Equal(runtimeapi.PodSandboxState_SANDBOX_NOTREADY))
		Expect(pod.Remove(ctx)).To(Succeed())
		again, err := t.RunPod(ctx, req)
		Expect(err).NotTo(HaveOccurred(), "the name is free when its holder is removed")
		Expect(again.ID).NotTo(Equal(pod.ID))
	})
})

// What two different pods with one name mean: the second one is refused, and the
// first one is left alone.
var _ = Describe("RunPodSandbox of another pod with the name", target.Covers("sandbox.run.other"), func() {
	other := func(req *runtimeapi.RunPodSandboxRequest) *runtimeapi.RunPodSandboxRequest {
		req = proto.CloneOf(req)
		req.Config.Labels = map[string]string{"another": "pod"}
		return req
	}
	It("is refused while the holder is READY or stopped", podTime, func(ctx SpecContext) {
		t := target.Current()
		req := t.PodRequest()
		pod, err := t.RunPod(ctx, req)
		Expect(err).NotTo(HaveOccurred())
		_, err = t.RunPod(ctx, other(req))
		expectTaken(t, err, "sandbox.run.other")
		Expect(pod.Status(ctx).GetState()).To(Equal(runtimeapi.PodSandboxState_SANDBOX_READY))
		Expect(pod.Stop(ctx)).To(Succeed())
		_, err = t.RunPod(ctx, other(req))
		expectTaken(t, err, "sandbox.run.other")
	})
	It("is refused while the holder is being created", podTime, func(ctx SpecContext) {
		t := target.Current()
		holder := creating(ctx, t)
		_, err := t.RunPod(ctx, other(holder.req))
		expectTaken(t, err, "sandbox.run.other")
		holder.release()
		id, err := holder.call.result(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(id).To(Equal(holder.ID))
	})
	It("waits while the holder is being removed, and gets the name", target.Covers("sandbox.run.other-join"), podTime, func(ctx SpecContext) {
		t := target.Current()
		holder := removing(ctx, t)
		second := runBeside(ctx, t, other(holder.req))
		second.expectWaiting("the second call")
		holder.release()
		id, err := second.result(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(id).NotTo(Equal(holder.ID))
		Expect(ownPod(t, id, holder.Config).Status(ctx).GetLabels()).To(Equal(map[string]string{"another": "pod"}))
	})
	It("waits while the holder is being stopped, and is refused", target.Covers("sandbox.run.other-join"), podTime, func(ctx SpecContext) {
		t := target.Current()
		holder := stopping(ctx, t)
		second := runBeside(ctx, t, other(holder.req))
		second.expectWaiting("the second call")
		holder.release()
		_, err := second.result(ctx)
		expectTaken(t, err, "sandbox.run.other")
	})
})

// The kubelet's deadline for RunPodSandbox passes while the runtime still works;
// it then sends the same request again, in parallel too.
var _ = Describe("RunPodSandbox while an equal one is in flight", func() {
	It("joins it: one sandbox, one CNI ADD", target.Covers("sandbox.run.join"), podTime, func(ctx SpecContext) {
		t := target.Current()
		first := creating(ctx, t)
		second := runBeside(ctx, t, first.req)
		second.expectWaiting("the second call")
		first.release()
		for _, call := range []*aside[string]{first.call, second} {
			id, err := call.result(ctx)
			Expect(err).NotTo(HaveOccurred())
			Expect(id).To(Equal(first.ID))
		}
		Expect(t.Witness.Network("ADD", "")).To(HaveLen(1), "CNI ADD calls")
		Expect(first.Status(ctx).GetState()).To(Equal(runtimeapi.PodSandboxState_SANDBOX_READY))
	})
	It("waits for the stop of the sandbox and is refused", target.Covers("sandbox.run.wait", "sandbox.run.taken"), podTime, func(ctx SpecContext) {
		t := target.Current()
		first := stopping(ctx, t)
		second := runBeside(ctx, t, first.req)
		second.expectWaiting("the second call")
		first.release()
		_, err := second.result(ctx)
		expectTaken(t, err, "sandbox.run.taken")
	})
	It("waits for the removal of the sandbox and makes a new one", target.Covers("sandbox.run.wait"), podTime, func(ctx SpecContext) {
		t := target.Current()
		first := removing(ctx, t)
		second := runBeside(ctx, t, first.req)
		second.expectWaiting("the second call")
		first.release()
		id, err := second.result(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(id).NotTo(Equal(first.ID))
		Expect(ownPod(t, id, first.Config).Status(ctx).GetState()).To(Equal(runtimeapi.PodSandboxState_SANDBOX_READY))
	})
})

// The kubelet gives up on a call when its deadline passes (remote_runtime.go) and
// repeats it; what the runtime then has must not be lost, nor be made twice.
var _ = Describe("A caller that goes away", target.Covers("sandbox.run.deadline"), func() {
	It("finds the sandbox by the same request", podTime, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureWitness)
		hold := midway(t, "ADD")
		req := t.PodRequest()
		short, cancel := context.WithCancel(ctx)
		first := runBeside(short, t, req)
		id := t.Witness.Wait(ctx, cniBegun("ADD", "")).Container
		pod := ownPod(t, id, req.GetConfig())
		cancel()
		_, err := first.result(ctx)
		Expect(err).To(HaveOccurred(), "its caller has gone")
		retry := runBeside(ctx, t, req)
		retry.expectWaiting("the retry")
		hold()
		got, err := retry.result(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(got).To(Equal(id))
		Expect(t.Witness.Network("ADD", "")).To(HaveLen(1), "CNI ADD calls")
		Expect(pod.Status(ctx).GetState()).To(Equal(runtimeapi.PodSandboxState_SANDBOX_READY))
	})
	It("finds the sandbox when it asks after the work is done", podTime, func(ctx SpecContext) {
		t := target.Current()
		b := gone(ctx, t)
		b.release()
		Eventually(ctx, func() bool { return b.Listed(ctx) != nil }).WithTimeout(podMoment).Should(BeTrue(), "the work is finished")
		resp, err := t.Runtime.RunPodSandbox(ctx, b.req)
		Expect(err).NotTo(HaveOccurred())
		Expect(resp.GetPodSandboxId()).To(Equal(b.ID))
	})
	It("finds the container by the same request", podTime, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureWitness)
		pod := t.Pod(ctx)
		fault := t.Witness.Fault(witness.Fault{Program: witness.OCI, Op: "create", Action: witness.Stall})
		req := pod.ContainerRequest()
		create := func(ctx context.Context) *aside[string] {
			return beginAside(func() (string, error) {
				resp, err := t.Runtime.CreateContainer(ctx, req)
				return resp.GetContainerId(), err
			})
		}
		short, cancel := context.WithCancel(ctx)
		first := create(short)
		id := t.Witness.Wait(ctx, func(c witness.Call) bool { return ociBegun("create", "")(c) && c.Container != pod.ID }).Container
		cancel()
		_, err := first.result(ctx)
		Expect(err).To(HaveOccurred(), "its caller has gone")
		retry := create(ctx)
		retry.expectWaiting("the retry")
		t.Witness.Release(fault)
		got, err := retry.result(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(got).To(Equal(id))
		Expect(t.Witness.Creates("")).To(BeEmpty(), "a create call without an ID")
		Expect(t.Witness.Creates(id)).To(HaveLen(1), "create calls")
	})
})

// gone returns a sandbox in creation whose caller has given up.
func gone(ctx context.Context, t *target.T) *busyPod {
	GinkgoHelper()
	t.Need(target.FeatureWitness)
	short, cancel := context.WithCancel(ctx)
	defer cancel()
	b := creating(short, t)
	cancel()
	_, err := b.call.result(ctx)
	Expect(err).To(HaveOccurred(), "its caller has gone")
	return b
}
