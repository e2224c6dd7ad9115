package probe

import (
	"os"
	"syscall"
	"time"

	"ocid/conformance/target"

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
			born := runs.Birth(ctx)
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
			Expect(runs.Birth(ctx)).To(Equal(born), "its first process")
			Expect(runs.Output(ctx, "echo", "works")).To(Equal("works"))
			Expect(waits.Start(ctx)).To(Succeed(), "StartContainer")
			awaitLog(ctx, waits, "up\n")
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
			c.Signal(ctx, syscall.SIGTERM)
			awaitState(ctx, c, isExited)
			Expect(c.Status(ctx).GetExitCode()).To(Equal(int32(9)))
		})

		It("has the exit of a container that ended meanwhile"+when, target.Needs(target.FeatureHostNamespaces), target.Covers("recover.container.exited"), restartLimit, func(ctx SpecContext) {
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
				Eventually(ctx, func() []target.Process { return monitorsOf(t, x.ID) }).WithTimeout(happensIn()).Should(BeEmpty(), "monitor")
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
	It("is EXITED with 255 and ContainerStatusUnknown", target.Needs(target.FeatureHostNamespaces), target.Covers("recover.container.lost"), restartLimit, func(ctx SpecContext) {
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
		Eventually(ctx, func() runtimeapi.PodSandboxState { return p.Status(ctx).GetState() }).WithTimeout(happensIn()).Should(Equal(podNotReady))
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
