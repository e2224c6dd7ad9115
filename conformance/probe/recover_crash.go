package probe

import (
	"ocid/conformance/target"
	"ocid/fixtures/witness"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"google.golang.org/protobuf/proto"
)

// "own: kill -9 at any point converges, finished or fully undone"
var _ = Describe("A sandbox after kill -9", func() {
	It("is gone if it was being made", target.Covers("recover.sandbox.creating"), restartLimit, func(ctx SpecContext) {
		t := target.Current()
		req := t.PodRequest()
		before := t.Now(ctx)
		release := stallNetworkOnce(t, "ADD", req.GetConfig().GetMetadata().GetName())
		begun(func() error { _, err := t.RunPod(ctx, proto.CloneOf(req)); return err })
		id := awaitStruck(ctx, t, witness.CNI, "ADD").Container
		crash(ctx, t)
		release()
		Expect(t.Leases(id)).To(BeEmpty(), "leases")
		t.ExpectNothingLeft(ctx, before)
		p, err := t.RunPod(ctx, req)
		Expect(err).NotTo(HaveOccurred(), "the name is free")
		Expect(p.ID).NotTo(Equal(id))
		expectUsable(ctx, p)
	})

	It("is gone if its infra container was being made", target.Covers("recover.sandbox.creating"), restartLimit, func(ctx SpecContext) {
		t := target.Current()
		req := t.PodRequest(target.SharedPID())
		before := t.Now(ctx)
		release := stallRuntimeOnce(t, "create", "", witness.StallAfter)
		begun(func() error { _, err := t.RunPod(ctx, proto.CloneOf(req)); return err })
		id := awaitStruck(ctx, t, witness.OCI, "create").Container
		Eventually(ctx, func() []target.Process { return t.ProcessesOf(id) }).WithTimeout(happensIn()).ShouldNot(BeEmpty(), "infra process")
		crash(ctx, t)
		release()
		t.ExpectNothingLeft(ctx, before)
		_, err := t.RunPod(ctx, req)
		Expect(err).NotTo(HaveOccurred(), "the name is free")
	})

	It("is stopped if it was being stopped", target.Covers("recover.sandbox.stopping"), restartLimit, func(ctx SpecContext) {
		t := target.Current()
		p := t.Pod(ctx, target.SharedPID())
		c := p.Run(ctx)
		release := stallNetworkOnce(t, "DEL", p.Config.GetMetadata().GetName())
		begun(func() error { return p.Stop(ctx) })
		awaitStruck(ctx, t, witness.CNI, "DEL")
		crash(ctx, t)
		release()
		Expect(p.Status(ctx).GetState()).To(Equal(podNotReady))
		Expect(c.State(ctx)).To(Equal(isExited))
		expectNoTrace(ctx, p)
		Expect(t.Witness.Network("DEL", p.ID)).NotTo(BeEmpty(), "CNI DEL that came to its end")
		Expect(p.Remove(ctx)).To(Succeed())
	})

	It("is gone if it was being removed", target.Covers("recover.sandbox.removing"), restartLimit, func(ctx SpecContext) {
		t := target.Current()
		req := t.PodRequest(target.SharedPID())
		before := t.Now(ctx)
		p, err := t.RunPod(ctx, req)
		Expect(err).NotTo(HaveOccurred(), "RunPodSandbox")
		p.Run(ctx, withoutLog())
		release := stallNetworkOnce(t, "DEL", p.Config.GetMetadata().GetName())
		begun(func() error { return p.Remove(ctx) })
		awaitStruck(ctx, t, witness.CNI, "DEL")
		crash(ctx, t)
		release()
		Expect(p.Listed(ctx)).To(BeNil(), "ListPodSandbox")
		t.ExpectNothingLeft(ctx, before)
		Expect(p.Remove(ctx)).To(Succeed(), "RemovePodSandbox again")
	})

	// "StopPodSandbox … This call is idempotent, and must not return an error if
	// all relevant resources have already been reclaimed." (cri-api v1)
	It("is still stopped if it was stopped, and a stop has nothing to do", target.Covers("recover.sandbox.stopped"), restartLimit, func(ctx SpecContext) {
		t := target.Current()
		p := t.Pod(ctx, target.SharedPID())
		Expect(p.Stop(ctx)).To(Succeed())
		status := p.Status(ctx)
		crash(ctx, t)
		expectUnchanged(p.Status(ctx), status)
		Expect(status.GetState()).To(Equal(podNotReady))
		calls := len(t.Witness.Calls())
		Expect(p.Stop(ctx)).To(Succeed())
		Expect(t.Witness.Calls()[calls:]).To(BeEmpty(), "calls of plugins and runtime by a stop of what is stopped")
		Expect(p.Remove(ctx)).To(Succeed())
	})
})

// "own: kill -9 at any point converges, finished or fully undone"
var _ = Describe("A container after kill -9", func() {
	for _, action := range []witness.Action{witness.Stall, witness.StallAfter} {
		It("is gone if it was being made: "+string(action), target.Covers("recover.container.creating"), restartLimit, func(ctx SpecContext) {
			t := target.Current()
			p := t.Pod(ctx)
			before := t.Now(ctx)
			req := p.ContainerRequest()
			release := stallRuntimeOnce(t, "create", "", action)
			begun(func() error { _, err := p.CreateFrom(ctx, proto.CloneOf(req)); return err })
			id := awaitStruck(ctx, t, witness.OCI, "create").Container
			crash(ctx, t)
			release()
			t.ExpectNothingLeft(ctx, before)
			c, err := p.CreateFrom(ctx, req)
			Expect(err).NotTo(HaveOccurred(), "the name is free")
			Expect(c.ID).NotTo(Equal(id))
			Expect(c.Start(ctx)).To(Succeed())
		})
	}

	for _, op := range []string{"kill", "delete"} {
		It("is gone if it was being removed, in the runtime's "+op, target.Covers("recover.container.removing"), restartLimit, func(ctx SpecContext) {
			t := target.Current()
			p := t.Pod(ctx)
			before := t.Now(ctx)
			c := p.Run(ctx, withoutLog())
			release := stallRuntimeOnce(t, op, c.ID, witness.Stall)
			begun(func() error { return c.Remove(ctx) })
			awaitStruck(ctx, t, witness.OCI, op)
			crash(ctx, t)
			release()
			t.ExpectNothingLeft(ctx, before)
			Expect(c.Remove(ctx)).To(Succeed(), "RemoveContainer again")
			Expect(p.Status(ctx).GetState()).To(Equal(podReady), "its sandbox")
		})
	}

	It("is CREATED if its start had not come to the runtime, and stays so", target.Needs(target.FeatureHostNamespaces), target.Covers("recover.container.in-doubt"), restartLimit, func(ctx SpecContext) {
		t := target.Current()
		c := t.Pod(ctx).Create(ctx)
		init := c.Init()
		release := stallRuntimeOnce(t, "start", c.ID, witness.Stall)
		begun(func() error { return c.Start(ctx) })
		awaitStruck(ctx, t, witness.OCI, "start")
		crash(ctx, t)
		Expect(c.State(ctx)).To(Equal(isCreated))
		release()
		Consistently(func() []string { return c.Init().Args }, waitsLong, waitsLong/10).
			Should(Equal(init.Args), "the command runs behind the daemon's back")
		Expect(c.Start(ctx)).To(Succeed())
		Expect(c.State(ctx)).To(Equal(isRunning))
		Expect(c.Output(ctx, "echo", "works")).To(Equal("works"))
	})

	It("is RUNNING if the runtime had started it", target.Covers("recover.container.in-doubt"), restartLimit, func(ctx SpecContext) {
		t := target.Current()
		c := t.Pod(ctx).Create(ctx, target.Shell("echo ready; "+`trap 'exit 3' TERM; sleep 2000 & wait $!`))
		release := stallRuntimeOnce(t, "start", c.ID, witness.StallAfter)
		begun(func() error { return c.Start(ctx) })
		t.Witness.Wait(ctx, func(call witness.Call) bool { return call.Op == "start" && call.Phase == witness.Done })
		awaitLog(ctx, c, "ready")
		crash(ctx, t)
		release()
		status := c.Status(ctx)
		Expect(status.GetState()).To(Equal(isRunning))
		Expect(status.GetStartedAt()).To(BeNumerically(">=", status.GetCreatedAt()), "started_at")
		Expect(c.Stop(ctx, 5)).To(Succeed())
		Expect(c.Status(ctx).GetExitCode()).To(Equal(int32(3)))
	})

	It("is RUNNING if its stop had not ended it", target.Covers("recover.container.in-doubt"), restartLimit, func(ctx SpecContext) {
		t := target.Current()
		c := t.Pod(ctx).Run(ctx, target.Shell(stubborn))
		awaitLog(ctx, c, "ready")
		begun(func() error { return c.Stop(ctx, 300) })
		awaitLog(ctx, c, "asked")
		crash(ctx, t)
		Expect(c.State(ctx)).To(Equal(isRunning))
		Expect(c.Output(ctx, "echo", "works")).To(Equal("works"))
		Expect(c.Stop(ctx, 0)).To(Succeed(), "StopContainer that does not wait")
		Expect(c.Status(ctx)).To(And(HaveField("State", isExited), HaveField("ExitCode", int32(137))))
	})

	It("is EXITED if its stop ended it meanwhile", target.Covers("recover.container.exited"), restartLimit, func(ctx SpecContext) {
		t := target.Current()
		c := t.Pod(ctx).Run(ctx)
		release := stallRuntimeOnce(t, "kill", c.ID, witness.StallAfter)
		begun(func() error { return c.Stop(ctx, 0) })
		awaitStruck(ctx, t, witness.OCI, "kill")
		Eventually(ctx, func() []target.Process { return monitorsOf(t, c.ID) }).WithTimeout(happensIn()).Should(BeEmpty(), "monitor")
		crash(ctx, t)
		release()
		Expect(c.Status(ctx)).To(And(HaveField("State", isExited), HaveField("ExitCode", int32(137))))
	})
})
