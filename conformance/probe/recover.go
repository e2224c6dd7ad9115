package probe

import (
	"os"
	"syscall"
	"time"

	"ocid/conformance/target"
	"ocid/fixtures/witness"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// The kubelet takes a sandbox that is not READY, or a container whose state has
// changed, for one that has died, and makes another: a restart of the daemon
// must not show. (kubelet v1.37.2, kuberuntime podSandboxChanged)
var _ = Describe("A daemon that starts again", func() {
	for _, sig := range ends {
		when := " after " + unix.SignalName(sig)

		It("has the sandbox as it was"+when, target.Covers("recover.sandbox.ready", "recover.status"), restartLimit, func(ctx SpecContext) {
			t := target.Current()
			opts := []target.PodOption{
				target.Labels(map[string]string{"tier": "back"}), target.Annotations(map[string]string{"note": "as\nsent"}), target.SharedPID(),
			}
			if t.Has(target.FeatureHandlers) {
				opts = append(opts, target.Handler(t.Handlers()[1]))
			}
			p := t.Pod(ctx, opts...)
			status, listed := p.Status(ctx), p.Listed(ctx)
			Expect(status.GetNetwork().GetIp()).NotTo(BeEmpty(), "IP")
			Expect(t.Restart(ctx, sig)).To(Succeed())
			expectUnchanged(p.Status(ctx), status)
			expectUnchanged(p.Listed(ctx), listed)
			Expect(p.Status(ctx).GetState()).To(Equal(podReady))
			Expect(p.Status(ctx).GetCreatedAt()).To(BeNumerically(">", int64(0)))
			expectUsable(ctx, p)
		})

		It("has the containers as they were"+when, target.Covers("recover.container.alive", "recover.status"), restartLimit, func(ctx SpecContext) {
			t := target.Current()
			p := t.Pod(ctx)
			marked := target.ContainerLabels(map[string]string{"app": "web"})
			noted := target.ContainerAnnotations(map[string]string{"note": "as\nsent"})
			runs, waits := p.Run(ctx, marked, noted), p.Create(ctx, marked, noted)
			init := runs.Init()
			var before []proto.Message
			for _, c := range []*target.Container{runs, waits} {
				before = append(before, c.Status(ctx), c.Listed(ctx))
			}
			Expect(t.Restart(ctx, sig)).To(Succeed())
			for i, c := range []*target.Container{runs, waits} {
				expectUnchanged(c.Status(ctx), before[2*i])
				expectUnchanged(c.Listed(ctx), before[2*i+1])
			}
			Expect(runs.State(ctx)).To(Equal(isRunning))
			Expect(waits.State(ctx)).To(Equal(isCreated))
			Expect(runs.Init()).To(And(HaveField("PID", init.PID), HaveField("Started", init.Started)))
			Expect(runs.Output(ctx, "echo", "works")).To(Equal("works"))
			Expect(waits.Start(ctx)).To(Succeed(), "StartContainer")
			for _, c := range []*target.Container{runs, waits} {
				Expect(c.Stop(ctx, 5)).To(Succeed(), "StopContainer")
				Expect(c.Status(ctx).GetExitCode()).To(BeZero(), "exit code of %s", c)
			}
		})

		It("sees the end of a container that ran on"+when, target.Covers("recover.container.alive"), restartLimit, func(ctx SpecContext) {
			t := target.Current()
			c := t.Pod(ctx).Run(ctx, target.Shell(`trap 'exit 9' TERM; echo ready; sleep 2000 & wait $!`))
			awaitLog(ctx, c, "ready")
			Expect(t.Restart(ctx, sig)).To(Succeed())
			Expect(unix.Kill(c.Init().PID, unix.SIGTERM)).To(Succeed())
			awaitState(ctx, c, isExited)
			Expect(c.Status(ctx).GetExitCode()).To(Equal(int32(9)))
		})

		It("has the exit of a container that ended meanwhile"+when, target.Covers("recover.container.exited"), restartLimit, func(ctx SpecContext) {
			t := target.Current()
			p := t.Pod(ctx)
			c := p.Run(ctx, target.Shell(`trap 'echo last words; exit 7' TERM; echo ready; sleep 2000 & wait $!`))
			done := p.Run(ctx, target.Shell(`trap 'exit 0' TERM; echo ready; sleep 2000 & wait $!`))
			awaitLog(ctx, c, "ready")
			awaitLog(ctx, done, "ready")
			before := c.Status(ctx)
			first, second := c.Init(), done.Init()
			endDaemon(ctx, t, sig)
			from := time.Now().UnixNano()
			for _, init := range []target.Process{first, second} {
				Expect(unix.Kill(init.PID, unix.SIGTERM)).To(Succeed())
			}
			for _, x := range []*target.Container{c, done} {
				Eventually(ctx, func() []target.Process { return monitorsOf(t, x.ID) }).WithTimeout(happensIn).Should(BeEmpty(), "monitor")
			}
			to := time.Now().UnixNano()
			startDaemon(ctx, t)
			status := c.Status(ctx)
			Expect(status.GetState()).To(Equal(isExited))
			Expect(status.GetExitCode()).To(Equal(int32(7)))
			Expect(status.GetReason()).To(Equal("Error"))
			Expect(status.GetCreatedAt()).To(Equal(before.GetCreatedAt()))
			Expect(status.GetStartedAt()).To(Equal(before.GetStartedAt()))
			Expect(status.GetFinishedAt()).To(And(BeNumerically(">=", from-clockStep), BeNumerically("<=", to+clockStep)), "when it ended, not when that was noticed")
			Expect(logOf(c)).To(ContainSubstring("last words"))
			Expect(done.Status(ctx)).To(And(HaveField("State", isExited), HaveField("ExitCode", int32(0)), HaveField("Reason", "Completed")))
			Expect(done.Status(ctx).GetFinishedAt()).To(BeNumerically(">=", from-clockStep))
			Expect(t.Mounts(c.ID)).To(BeEmpty(), "mounts of a container that has ended")
			Expect(p.Status(ctx).GetState()).To(Equal(podReady), "its sandbox")
			Expect(c.Remove(ctx)).To(Succeed())
			expectGone(ctx, c)
		})

		It("still has the exit of a container that had ended before"+when, target.Covers("recover.container.exited", "recover.status"), restartLimit, func(ctx SpecContext) {
			t := target.Current()
			c := ranOut(ctx, t.Pod(ctx), "exit 5")
			before := c.Status(ctx)
			Expect(before.GetExitCode()).To(Equal(int32(5)))
			Expect(t.Restart(ctx, sig)).To(Succeed())
			expectUnchanged(c.Status(ctx), before)
			Expect(c.Stop(ctx, 0)).To(Succeed())
		})
	}
})

// clockStep is how far a file's time may lie behind the clock (ns).
const clockStep = int64(20 * time.Millisecond)

func expectUnchanged(got, want proto.Message) {
	GinkgoHelper()
	Expect(proto.Equal(got, want)).To(BeTrue(), "was:\n%s\nis:\n%s", prototext.Format(want), prototext.Format(got))
}

// "kubelet: reads reason ContainerStatusUnknown" (kubelet v1.37.2, the status of a
// container that can't be found is Terminated with exit code 137 and that
// reason; own: a runtime that has lost an exit says so, with code 255)
var _ = Describe("A container whose exit nobody saw", func() {
	It("is EXITED with 255 and ContainerStatusUnknown", target.Covers("recover.container.lost"), restartLimit, func(ctx SpecContext) {
		t := target.Current()
		p := t.Pod(ctx)
		c := p.Run(ctx)
		started := c.Status(ctx).GetStartedAt()
		init, monitors := c.Init(), monitorsOf(t, c.ID)
		endDaemon(ctx, t, syscall.SIGKILL)
		killProcesses(ctx, t, append(monitors, init)...)
		startDaemon(ctx, t)
		expectLost(c.Status(ctx))
		Expect(c.Status(ctx).GetStartedAt()).To(Equal(started))
		Expect(p.Status(ctx).GetState()).To(Equal(podReady), "its sandbox")
		Expect(c.Remove(ctx)).To(Succeed())
		expectGone(ctx, c)
	})
})

func expectLost(status *runtimeapi.ContainerStatus) {
	GinkgoHelper()
	Expect(status.GetState()).To(Equal(isExited))
	Expect(status.GetExitCode()).To(Equal(int32(255)))
	Expect(status.GetReason()).To(Equal("ContainerStatusUnknown"))
	Expect(status.GetMessage()).NotTo(BeEmpty(), "message")
	Expect(status.GetFinishedAt()).To(BeNumerically(">=", status.GetStartedAt()), "finished_at")
}

// A sandbox that has lost a part, as after a reboot, is NOTREADY (own), for the
// kubelet to see that it has to make another.
var _ = Describe("A sandbox that has lost a part", func() {
	It("is NOTREADY after a reboot, its containers are EXITED, all can be removed",
		target.Covers("recover.sandbox.broken", "recover.container.exited", "recover.container.lost"), restartLimit, func(ctx SpecContext) {
			t := target.Current()
			first, second := t.PodRequest(), t.PodRequest(target.SharedPID())
			before := t.Now(ctx)
			p, err := t.RunPod(ctx, first)
			Expect(err).NotTo(HaveOccurred(), "RunPodSandbox")
			shared, err := t.RunPod(ctx, second)
			Expect(err).NotTo(HaveOccurred(), "RunPodSandbox")
			runs, waits := p.Run(ctx, withoutLog()), p.Create(ctx, withoutLog())
			over := shared.Run(ctx, withoutLog(), target.Shell("exit 5"))
			awaitState(ctx, over, isExited)
			endDaemon(ctx, t, syscall.SIGKILL)
			killProcesses(ctx, t, t.Mentioning("")...)
			Expect(t.Reboot(ctx)).To(Succeed())
			for _, x := range []*target.Pod{p, shared} {
				Expect(x.Status(ctx).GetState()).To(Equal(podNotReady), "status of %s", x)
				Expect(x.Listed(ctx).GetState()).To(Equal(podNotReady), "list entry of %s", x)
			}
			expectLost(runs.Status(ctx))
			Expect(waits.State(ctx)).To(Equal(isExited))
			Expect(over.Status(ctx)).To(And(HaveField("State", isExited), HaveField("ExitCode", int32(5))))
			Expect(runs.Stop(ctx, 5)).To(Succeed(), "StopContainer")
			Expect(waits.Remove(ctx)).To(Succeed(), "RemoveContainer")
			Expect(p.Stop(ctx)).To(Succeed(), "StopPodSandbox")
			Expect(p.Remove(ctx)).To(Succeed(), "RemovePodSandbox")
			Expect(shared.Remove(ctx)).To(Succeed(), "RemovePodSandbox of one that was not stopped")
			t.ExpectNothingLeft(ctx, before)
			expectUsable(ctx, t.Pod(ctx))
		})

	It("is NOTREADY when its infra process ended meanwhile", target.Covers("recover.sandbox.broken"), restartLimit, func(ctx SpecContext) {
		t := target.Current()
		p := t.Pod(ctx, target.SharedPID())
		inside := p.Processes()
		Expect(inside).NotTo(BeEmpty(), "infra process")
		endDaemon(ctx, t, syscall.SIGTERM)
		killProcesses(ctx, t, inside[0])
		startDaemon(ctx, t)
		Expect(p.Status(ctx).GetState()).To(Equal(podNotReady))
		_, err := p.TryCreate(ctx)
		Expect(err).To(HaveOccurred(), "CreateContainer in it")
		Expect(p.Stop(ctx)).To(Succeed())
		Expect(p.Remove(ctx)).To(Succeed())
	})

	It("stays NOTREADY if it was", target.Covers("recover.sandbox.broken"), restartLimit, func(ctx SpecContext) {
		t := target.Current()
		p := t.Pod(ctx, target.SharedPID())
		killProcesses(ctx, t, p.Processes()[0])
		Eventually(ctx, func() runtimeapi.PodSandboxState { return p.Status(ctx).GetState() }).WithTimeout(happensIn).Should(Equal(podNotReady))
		crash(ctx, t)
		Expect(p.Status(ctx).GetState()).To(Equal(podNotReady))
		Expect(p.Remove(ctx)).To(Succeed())
	})

	It("is NOTREADY when its network namespace went meanwhile", target.Covers("recover.sandbox.broken"), restartLimit, func(ctx SpecContext) {
		t := target.Current()
		p := t.Pod(ctx)
		endDaemon(ctx, t, syscall.SIGTERM)
		for _, path := range netnsOf(p) {
			Expect(unix.Unmount(path, unix.MNT_DETACH)).To(Succeed())
			Expect(os.Remove(path)).To(Succeed())
		}
		startDaemon(ctx, t)
		Expect(p.Status(ctx).GetState()).To(Equal(podNotReady))
		Expect(p.Stop(ctx)).To(Succeed())
		Expect(p.Remove(ctx)).To(Succeed())
	})
})

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
		Eventually(ctx, func() []target.Process { return t.ProcessesOf(id) }).WithTimeout(happensIn).ShouldNot(BeEmpty(), "infra process")
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

	It("is CREATED if its start had not come to the runtime, and stays so", target.Covers("recover.container.in-doubt"), restartLimit, func(ctx SpecContext) {
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
		awaitStruck(ctx, t, witness.OCI, "start")
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
		Eventually(ctx, func() []target.Process { return monitorsOf(t, c.ID) }).WithTimeout(happensIn).Should(BeEmpty(), "monitor")
		crash(ctx, t)
		release()
		Expect(c.Status(ctx)).To(And(HaveField("State", isExited), HaveField("ExitCode", int32(137))))
	})
})
