package probe

import (
	"os"
	"path/filepath"
	"time"

	"ocid/conformance/target"
	"ocid/fixtures/witness"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"google.golang.org/grpc/codes"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// "StartContainer starts the container." (cri-api v1, RuntimeService)
var _ = Describe("StartContainer", func() {
	It("runs the command", target.Covers("container.start.created"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		dir := GinkgoT().TempDir()
		c := t.Pod(ctx).Create(ctx, target.Shell("touch /host/ran; sleep 2000"), target.Mount(dir, "/host", false))
		before := time.Now().UnixNano()
		Expect(c.Start(ctx)).To(Succeed())
		st := c.Status(ctx)
		Expect(st.GetState()).To(Equal(runtimeapi.ContainerState_CONTAINER_RUNNING))
		Expect(st.GetStartedAt()).To(BeNumerically(">=", before), "started_at")
		Expect(st.GetFinishedAt()).To(BeZero(), "finished_at")
		Eventually(ctx, func() string { return filepath.Join(dir, "ran") }).WithTimeout(happensIn()).Should(BeAnExistingFile())
		Expect(c.Processes()).NotTo(BeEmpty())
		Expect(c.Stop(ctx, 0)).To(Succeed())
	})

	// A process can end before the runtime's command that has started it.
	It("takes nothing away from the runtime that starts a process which ends at once", target.Covers("container.start.brief"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		c := t.Pod(ctx).Create(ctx, target.Shell("exit 4"))
		release := stallRuntime(t, "start", c.ID, witness.StallAfter)
		start := beginCall(func() error { return c.Start(ctx) })
		awaitRuntime(ctx, t, "start", ofContainer(c.ID))
		if !t.Has(target.FeatureKeepers) { // who look when the start is over
			Eventually(ctx, c.Processes).WithTimeout(happensIn()).Should(BeEmpty(), "processes of the container")
		}
		Consistently(ctx, func() any { return t.Witness.Runtime("delete", c.ID) }).WithTimeout(200*time.Millisecond).Should(BeEmpty(), "deletions while the runtime starts it")
		release()
		_, err := start.result(ctx)
		Expect(err).NotTo(HaveOccurred())
		awaitState(ctx, c, isExited)
		Expect(c.Status(ctx).GetExitCode()).To(Equal(int32(4)))
		Eventually(ctx, func() any { return t.Witness.Runtime("delete", c.ID) }).WithTimeout(happensIn()).ShouldNot(BeEmpty())
	})

	// CONTAINER_CREATED, CONTAINER_RUNNING, CONTAINER_EXITED (cri-api v1,
	// ContainerState): there is no way back.
	It("refuses a container that was started before", target.Covers("container.start.again"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		p := t.Pod(ctx)
		refused := func(c *target.Container, state string) {
			GinkgoHelper()
			err := c.Start(ctx)
			Expect(err).To(HaveOccurred(), state)
			t.ExpectCode(err, codes.FailedPrecondition)
			t.ExpectRule(err, "container.start.again")
		}
		c := p.Run(ctx, target.Shell(stubborn))
		refused(c, "RUNNING")
		Expect(c.State(ctx)).To(Equal(runtimeapi.ContainerState_CONTAINER_RUNNING))
		stop, release := stopStalled(ctx, c)
		refused(c, "being stopped")
		release()
		_, err := stop.result(ctx)
		Expect(err).NotTo(HaveOccurred())
		refused(c, "EXITED")
		Expect(c.State(ctx)).To(Equal(runtimeapi.ContainerState_CONTAINER_EXITED))
		Expect(t.Witness.Runtime("start", c.ID)).To(HaveLen(1), "starts of the runtime")
	})

	It("refuses a container that is being started", target.Covers("container.start.again"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		c, start, release := startStalled(ctx, t.Pod(ctx))
		t.ExpectCode(c.Start(ctx), codes.FailedPrecondition)
		release()
		_, err := start.result(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(c.State(ctx)).To(Equal(runtimeapi.ContainerState_CONTAINER_RUNNING))
	})

	It("refuses a container that is being removed", target.Covers("container.start.again"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		c := t.Running(ctx)
		remove, release := removeStalled(ctx, c)
		t.ExpectCode(c.Start(ctx), codes.FailedPrecondition)
		release()
		_, err := remove.result(ctx)
		Expect(err).NotTo(HaveOccurred())
	})

	It("refuses an unknown container", target.Covers("container.start.absent"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		err := nobody(t).Start(ctx)
		t.ExpectCode(err, codes.NotFound)
		t.ExpectRule(err, "container.start.absent")
	})

	It("refuses a half-made container", target.Covers("container.start.absent"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		h := makeHalf(ctx, t.Pod(ctx))
		t.ExpectCode(h.Start(ctx), codes.NotFound)
		h.release()
		c, err := h.call.result(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(c.State(ctx)).To(Equal(runtimeapi.ContainerState_CONTAINER_CREATED))
	})
})

// The kubelet shows reason and message of a container that could not be
// started, reads them from ContainerStatus, and removes it later.
var _ = Describe("StartContainer that fails", func() {
	It("leaves a container to read and remove", target.Covers("container.start.fails"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		p := t.Pod(ctx)
		before := t.Now(ctx)
		c := p.Create(ctx)
		begin := time.Now().UnixNano()
		t.Witness.Fault(witness.Fault{Program: witness.OCI, Op: "start", Action: witness.Fail, Message: "no start today"})
		err := c.Start(ctx)
		Expect(err).To(MatchError(ContainSubstring("no start today")))
		t.ExpectRule(err, "container.start.fails")
		st := c.Status(ctx)
		Expect(st.GetState()).To(Equal(runtimeapi.ContainerState_CONTAINER_EXITED))
		Expect(st.GetReason()).To(Equal("StartError"))
		Expect(st.GetMessage()).To(ContainSubstring("no start today"))
		Expect(st.GetExitCode()).To(Equal(int32(128)))
		Expect(st.GetStartedAt()).To(BeNumerically(">=", begin), "started_at")
		Expect(st.GetFinishedAt()).To(BeNumerically(">=", st.GetStartedAt()), "finished_at")
		Eventually(ctx, c.Processes).WithTimeout(happensIn()).Should(BeEmpty())
		t.ExpectCode(c.Start(ctx), codes.FailedPrecondition)
		Expect(c.Stop(ctx, 10)).To(Succeed())
		Expect(c.Status(ctx).GetReason()).To(Equal("StartError"), "reason after a stop")
		Expect(c.Remove(ctx)).To(Succeed())
		removeLog(c)
		t.ExpectNothingLeft(ctx, before)
	})

	// Runtimes find out that there is no such command when they create the
	// container (runc) or when they start it.
	It("tells which command is not there", target.Covers("container.start.fails"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		p := t.Pod(ctx)
		before := t.Now(ctx)
		c, err := p.TryCreate(ctx, target.Command("/no/such/command"))
		if err == nil {
			err = c.Start(ctx)
			Expect(c.Status(ctx).GetReason()).To(Equal("StartError"))
			Expect(c.Remove(ctx)).To(Succeed())
			removeLog(c)
		}
		Expect(err).To(MatchError(ContainSubstring("/no/such/command")))
		t.ExpectNothingLeft(ctx, before)
	})
})

// removeLog does what the kubelet does with the log of a removed container.
func removeLog(c *target.Container) {
	GinkgoHelper()
	err := os.Remove(c.Pod.LogPath(c.Config.GetLogPath()))
	Expect(err).To(Or(BeNil(), MatchError(os.ErrNotExist)))
}
