package probe

import (
	"syscall"

	"ocid/conformance/target"
	"ocid/fixtures/witness"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"google.golang.org/grpc/codes"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// "RemoveContainer removes the container. If the container is running, the
// container must be forcibly removed. This call is idempotent, and must not
// return an error if the container has already been removed." (cri-api v1)
var _ = Describe("RemoveContainer", func() {
	removes := func(make func(SpecContext, *target.Pod) *target.Container) func(SpecContext) {
		return func(ctx SpecContext) {
			t := target.Current()
			p := t.Pod(ctx)
			before := t.Now(ctx)
			c := make(ctx, p)
			Expect(c.Remove(ctx)).To(Succeed())
			_, err := c.TryStatus(ctx)
			t.ExpectCode(err, codes.NotFound)
			expectGone(ctx, c)
			removeLog(c)
			t.ExpectNothingLeft(ctx, before)
		}
	}
	covers := target.Covers("container.remove.any", "container.remove.record")
	It("removes a created container", covers, containerLimit, removes(func(ctx SpecContext, p *target.Pod) *target.Container {
		return p.Create(ctx)
	}))
	It("removes a running container", covers, containerLimit, removes(func(ctx SpecContext, p *target.Pod) *target.Container {
		return p.Run(ctx, target.Shell(stubborn))
	}))
	It("removes an exited container", covers, containerLimit, removes(func(ctx SpecContext, p *target.Pod) *target.Container {
		return ranOut(ctx, p, "exit 3")
	}))

	It("succeeds on an unknown container", target.Covers("container.remove.absent"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		Expect(nobody(t).Remove(ctx)).To(Succeed())
		c := t.Running(ctx)
		Expect(c.Remove(ctx)).To(Succeed())
		Expect(c.Remove(ctx)).To(Succeed(), "once more")
	})

	It("frees the name", target.Covers("container.remove.any"), containerLimit, func(ctx SpecContext) {
		p := target.Current().Pod(ctx)
		req := p.ContainerRequest()
		first := runFrom(ctx, p, req)
		Expect(first.Remove(ctx)).To(Succeed())
		Expect(runFrom(ctx, p, req).ID).NotTo(Equal(first.ID))
	})
})

// What a call does to a container, a removal waits for (own rule).
var _ = Describe("RemoveContainer beside another call", func() {
	It("waits for a start, then removes", target.Covers("container.remove.join"), containerLimit, func(ctx SpecContext) {
		c, start, release := startStalled(ctx, target.Current().Pod(ctx))
		remove := beginCall(func() error { return c.Remove(ctx) })
		remove.expectWaiting("RemoveContainer")
		release()
		_, err := start.result(ctx)
		Expect(err).NotTo(HaveOccurred())
		_, err = remove.result(ctx)
		Expect(err).NotTo(HaveOccurred())
		expectGone(ctx, c)
	})

	It("waits for a create, then removes", target.Covers("container.remove.join"), containerLimit, func(ctx SpecContext) {
		h := makeHalf(ctx, target.Current().Pod(ctx))
		remove := beginCall(func() error { return h.Remove(ctx) })
		remove.expectWaiting("RemoveContainer")
		h.release()
		_, err := h.call.result(ctx)
		Expect(err).NotTo(HaveOccurred())
		_, err = remove.result(ctx)
		Expect(err).NotTo(HaveOccurred())
		expectGone(ctx, h.Container)
	})

	It("waits for a stop, then removes", target.Covers("container.remove.join"), containerLimit, func(ctx SpecContext) {
		c := target.Current().Running(ctx)
		stop, release := stopStalled(ctx, c)
		remove := beginCall(func() error { return c.Remove(ctx) })
		remove.expectWaiting("RemoveContainer")
		release()
		_, err := stop.result(ctx)
		Expect(err).NotTo(HaveOccurred())
		_, err = remove.result(ctx)
		Expect(err).NotTo(HaveOccurred())
		expectGone(ctx, c)
	})

	It("waits for a removal", target.Covers("container.remove.join"), containerLimit, func(ctx SpecContext) {
		c := target.Current().Running(ctx)
		first, release := removeStalled(ctx, c)
		second := beginCall(func() error { return c.Remove(ctx) })
		second.expectWaiting("RemoveContainer")
		release()
		for _, call := range []*aside[struct{}]{first, second} {
			_, err := call.result(ctx)
			Expect(err).NotTo(HaveOccurred())
		}
		expectGone(ctx, c)
	})
})

// What fails can be tried again: nothing goes before what it depends on.
var _ = Describe("RemoveContainer whose runtime fails", func() {
	It("deletes nothing of a container that it can't kill", target.Covers("container.remove.kill", "container.remove.delete"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		c := t.Running(ctx)
		fault := t.Witness.Fault(witness.Fault{Program: witness.OCI, Op: "kill", Match: c.ID, Action: witness.Fail, Message: "no kill today"})
		Expect(c.Remove(ctx)).To(MatchError(ContainSubstring("no kill today")))
		Expect(t.Witness.Runtime("delete", c.ID)).To(BeEmpty(), "deletes by the runtime")
		Expect(c.Processes()).NotTo(BeEmpty())
		Expect(c.State(ctx)).To(Equal(runtimeapi.ContainerState_CONTAINER_RUNNING))
		t.Witness.Release(fault)
		Expect(c.Remove(ctx)).To(Succeed())
		expectGone(ctx, c)
	})

	It("keeps the record of a container that it can't delete", target.Covers("container.remove.delete", "container.remove.record"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		p := t.Pod(ctx)
		before := t.Now(ctx)
		c := p.Run(ctx)
		fault := t.Witness.Fault(witness.Fault{Program: witness.OCI, Op: "delete", Match: c.ID, Action: witness.Fail, Message: "no delete today"})
		Expect(c.Stop(ctx, 0)).To(Succeed())
		Expect(c.Remove(ctx)).To(MatchError(ContainSubstring("no delete today")))
		if t.Has(target.FeatureStorageRecords) {
			_, found := t.Storage().Record(c.ID)
			Expect(found).To(BeTrue(), "storage record")
		}
		Expect(c.State(ctx)).To(Equal(runtimeapi.ContainerState_CONTAINER_EXITED))
		t.Witness.Release(fault)
		Expect(c.Remove(ctx)).To(Succeed())
		expectGone(ctx, c)
		removeLog(c)
		t.ExpectNothingLeft(ctx, before)
	})
})

// "StopPodSandbox: If there are any running containers in the sandbox, they must
// be forcibly terminated." (cri-api v1)
var _ = Describe("A container whose sandbox stops", func() {
	It("is EXITED", target.Covers("container.sandbox-stop.any"), containerLimit, func(ctx SpecContext) {
		p := target.Current().Pod(ctx)
		running, created := p.Run(ctx, target.Shell(stubborn)), p.Create(ctx)
		Expect(p.Stop(ctx)).To(Succeed())
		for _, c := range []*target.Container{running, created} {
			Expect(c.State(ctx)).To(Equal(runtimeapi.ContainerState_CONTAINER_EXITED), "state of %s", c)
			Expect(c.Processes()).To(BeEmpty(), "processes of %s", c)
		}
		Expect(running.Status(ctx).GetExitCode()).To(Equal(int32(128+syscall.SIGKILL)), "exit code of SIGKILL")
	})

	It("stays what it was if it has exited", target.Covers("container.sandbox-stop.again"), containerLimit, func(ctx SpecContext) {
		p := target.Current().Pod(ctx)
		c := ranOut(ctx, p, "exit 3")
		before := c.Status(ctx)
		Expect(p.Stop(ctx)).To(Succeed())
		after := c.Status(ctx)
		Expect(after.GetState()).To(Equal(runtimeapi.ContainerState_CONTAINER_EXITED))
		Expect(after.GetExitCode()).To(Equal(int32(3)))
		Expect(after.GetFinishedAt()).To(Equal(before.GetFinishedAt()))
	})

	It("holds the stop up while it is being started", target.Covers("container.sandbox-stop.join"), containerLimit, func(ctx SpecContext) {
		p := target.Current().Pod(ctx)
		c, start, release := startStalled(ctx, p)
		stop := beginCall(func() error { return p.Stop(ctx) })
		stop.expectWaiting("StopPodSandbox")
		release()
		_, err := start.result(ctx)
		Expect(err).NotTo(HaveOccurred())
		_, err = stop.result(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(c.State(ctx)).To(Equal(runtimeapi.ContainerState_CONTAINER_EXITED))
		Expect(c.Processes()).To(BeEmpty())
	})

	It("holds the stop up while it is being made", target.Covers("container.sandbox-stop.join"), containerLimit, func(ctx SpecContext) {
		p := target.Current().Pod(ctx)
		h := makeHalf(ctx, p)
		stop := beginCall(func() error { return p.Stop(ctx) })
		stop.expectWaiting("StopPodSandbox")
		h.release()
		_, err := h.call.result(ctx)
		Expect(err).NotTo(HaveOccurred())
		_, err = stop.result(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(h.State(ctx)).To(Equal(runtimeapi.ContainerState_CONTAINER_EXITED))
		Expect(h.Processes()).To(BeEmpty())
	})
})
