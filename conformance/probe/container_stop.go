package probe

import (
	"context"
	"strings"
	"time"

	"ocid/conformance/target"
	"ocid/fixtures/images"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"google.golang.org/grpc/codes"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// "StopContainer stops a running container with a grace period (i.e., timeout).
// This call is idempotent, and must not return an error if the container has
// already been stopped." (cri-api v1, RuntimeService)
var _ = Describe("StopContainer", func() {
	It("ends a running container", target.Covers("container.stop.running"), containerLimit, func(ctx SpecContext) {
		c := target.Current().Running(ctx)
		Expect(c.Processes()).NotTo(BeEmpty())
		Expect(c.Stop(ctx, 10)).To(Succeed())
		st := c.Status(ctx)
		Expect(st.GetState()).To(Equal(runtimeapi.ContainerState_CONTAINER_EXITED), "state when StopContainer has returned")
		Expect(st.GetExitCode()).To(BeZero(), "its own exit code")
		Expect(c.Processes()).To(BeEmpty())
	})

	// "NamespaceMode.POD: a container with a PID namespace of POD expects to view
	// all of the processes in all of the containers in the pod": they do not end
	// with the container's first process.
	It("ends all processes of a container in its pod's PID namespace", target.Covers("container.stop.running"), containerLimit, func(ctx SpecContext) {
		p := target.Current().Pod(ctx, target.SharedPID())
		kind := p.Run(ctx, target.Shell(`trap 'exit 0' TERM; setsid sleep 2001 & echo ready; while :; do sleep 2000 & wait $!; done`))
		deaf := p.Run(ctx, target.Shell(`setsid sleep 2001 & `+stubborn))
		for c, timeout := range map[*target.Container]int64{kind: 10, deaf: 0} {
			awaitLog(ctx, c, "ready")
			Expect(c.Stop(ctx, timeout)).To(Succeed())
			Expect(c.State(ctx)).To(Equal(runtimeapi.ContainerState_CONTAINER_EXITED))
			Eventually(ctx, c.Processes).WithTimeout(happensIn()).Should(BeEmpty())
		}
	})

	It("succeeds on an exited container", target.Covers("container.stop.again"), containerLimit, func(ctx SpecContext) {
		c := target.Current().Running(ctx)
		Expect(c.Stop(ctx, 10)).To(Succeed())
		first := c.Status(ctx)
		Expect(c.Stop(ctx, 10)).To(Succeed())
		Expect(c.Stop(ctx, 0)).To(Succeed())
		Expect(c.Status(ctx).GetFinishedAt()).To(Equal(first.GetFinishedAt()))
	})

	It("succeeds on an unknown container", target.Covers("container.stop.absent"), containerLimit, func(ctx SpecContext) {
		Expect(nobody(target.Current()).Stop(ctx, 10)).To(Succeed())
	})

	It("leaves a container that was never started CREATED", target.Covers("container.stop.created"), containerLimit, func(ctx SpecContext) {
		c := target.Current().Pod(ctx).Create(ctx)
		Expect(c.Stop(ctx, 0)).To(Succeed())
		Expect(c.State(ctx)).To(Equal(runtimeapi.ContainerState_CONTAINER_CREATED))
		Expect(c.Start(ctx)).To(Succeed())
		Expect(c.State(ctx)).To(Equal(runtimeapi.ContainerState_CONTAINER_RUNNING))
	})
})

// The kubelet stops in parallel to anything else that it does.
var _ = Describe("StopContainer beside another call", func() {
	It("waits for a start, then stops", target.Covers("container.stop.join"), containerLimit, func(ctx SpecContext) {
		c, start, release := startStalled(ctx, target.Current().Pod(ctx))
		stop := beginCall(func() error { return c.Stop(ctx, 0) })
		stop.expectWaiting("StopContainer")
		release()
		_, err := start.result(ctx)
		Expect(err).NotTo(HaveOccurred())
		_, err = stop.result(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(c.State(ctx)).To(Equal(runtimeapi.ContainerState_CONTAINER_EXITED))
	})

	It("waits for a create", target.Covers("container.stop.join"), containerLimit, func(ctx SpecContext) {
		h := makeHalf(ctx, target.Current().Pod(ctx))
		stop := beginCall(func() error { return h.Stop(ctx, 0) })
		stop.expectWaiting("StopContainer")
		h.release()
		_, err := h.call.result(ctx)
		Expect(err).NotTo(HaveOccurred())
		_, err = stop.result(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(h.State(ctx)).To(Equal(runtimeapi.ContainerState_CONTAINER_CREATED))
	})

	It("waits for a stop", target.Covers("container.stop.join"), containerLimit, func(ctx SpecContext) {
		c := target.Current().Running(ctx)
		first, release := stopStalled(ctx, c)
		second := beginCall(func() error { return c.Stop(ctx, 0) })
		second.expectWaiting("StopContainer")
		release()
		for _, call := range []*aside[struct{}]{first, second} {
			_, err := call.result(ctx)
			Expect(err).NotTo(HaveOccurred())
		}
		Expect(c.State(ctx)).To(Equal(runtimeapi.ContainerState_CONTAINER_EXITED))
	})

	It("waits for a removal", target.Covers("container.stop.join"), containerLimit, func(ctx SpecContext) {
		c := target.Current().Running(ctx)
		remove, release := removeStalled(ctx, c)
		stop := beginCall(func() error { return c.Stop(ctx, 0) })
		stop.expectWaiting("StopContainer")
		release()
		_, err := remove.result(ctx)
		Expect(err).NotTo(HaveOccurred())
		_, err = stop.result(ctx)
		Expect(err).NotTo(HaveOccurred())
	})
})

// signalled tells by its exit code which signal came first.
const signalled = `trap 'exit 21' USR1; trap 'exit 22' USR2; trap 'exit 23' TERM; echo ready; while :; do sleep 2000 & wait $!; done`

// "ContainerConfig.stop_signal"; an image may name a signal of its own; else it
// is SIGTERM, as everywhere.
var _ = Describe("The stop signal", func() {
	expect := func(ctx context.Context, code int32, image string, change func(*runtimeapi.ContainerConfig)) {
		GinkgoHelper()
		t := target.Current()
		ref, err := t.Image(ctx, image)
		Expect(err).NotTo(HaveOccurred())
		c := t.Pod(ctx).Run(ctx, target.Image(ref), target.Shell(signalled), target.WithContainer(change))
		awaitLog(ctx, c, "ready")
		Expect(c.Stop(ctx, 10)).To(Succeed())
		Expect(c.Status(ctx).GetExitCode()).To(Equal(code), "exit code, which tells the signal")
	}
	nothing := func(*runtimeapi.ContainerConfig) {}

	It("is SIGTERM", target.Covers("container.stop.signal"), containerLimit, func(ctx SpecContext) {
		expect(ctx, 23, images.Busybox, nothing)
	})
	It("is the image's", target.Covers("container.stop.signal"), containerLimit, func(ctx SpecContext) {
		expect(ctx, 21, images.StopSignal, nothing)
	})
	It("is the config's, whatever the image says", target.Covers("container.stop.signal"), containerLimit, func(ctx SpecContext) {
		expect(ctx, 22, images.StopSignal, func(c *runtimeapi.ContainerConfig) { c.StopSignal = runtimeapi.Signal_SIGNAL_SIGUSR2 })
	})

	It("is sent once", target.Covers("container.stop.signal"), containerLimit, func(ctx SpecContext) {
		c := target.Current().Pod(ctx).Run(ctx, target.Shell(stubborn))
		awaitLog(ctx, c, "ready")
		first := beginCall(func() error { return c.Stop(ctx, 30) })
		awaitLog(ctx, c, "asked")
		second := beginCall(func() error { return c.Stop(ctx, 1) })
		for _, call := range []*aside[struct{}]{first, second} {
			_, err := call.result(ctx)
			Expect(err).NotTo(HaveOccurred())
		}
		Expect(strings.Count(logOf(c), "asked")).To(Equal(1), "signals that came; log: %s", logOf(c))
	})
})

// "StopContainerRequest.timeout: Timeout in seconds to wait for the container to
// stop before forcibly terminating it. Default: 0 (forcibly terminate the
// container immediately)" (cri-api v1)
var _ = Describe("The grace period", func() {
	killed := func(ctx context.Context, c *target.Container) {
		GinkgoHelper()
		st := c.Status(ctx)
		Expect(st.GetState()).To(Equal(runtimeapi.ContainerState_CONTAINER_EXITED))
		Expect(st.GetExitCode()).To(Equal(int32(137)), "exit code of SIGKILL")
	}
	stubbornOne := func(ctx context.Context) *target.Container {
		GinkgoHelper()
		c := target.Current().Pod(ctx).Run(ctx, target.Shell(stubborn))
		awaitLog(ctx, c, "ready")
		return c
	}

	It("ends with SIGKILL", target.Covers("container.stop.grace"), containerLimit, func(ctx SpecContext) {
		c := stubbornOne(ctx)
		begin := time.Now()
		Expect(c.Stop(ctx, 1)).To(Succeed())
		Expect(time.Since(begin)).To(And(BeNumerically(">=", time.Second), BeNumerically("<", 4*time.Second)))
		killed(ctx, c)
		Expect(logOf(c)).To(ContainSubstring("asked"), "the stop signal came first")
	})

	It("is over at once if it is 0", target.Covers("container.stop.grace"), containerLimit, func(ctx SpecContext) {
		c := stubbornOne(ctx)
		begin := time.Now()
		Expect(c.Stop(ctx, 0)).To(Succeed())
		Expect(time.Since(begin)).To(BeNumerically("<", time.Second))
		killed(ctx, c)
		Expect(logOf(c)).NotTo(ContainSubstring("asked"), "no stop signal")
	})

	It("is not waited for when the container ends sooner", target.Covers("container.stop.grace"), containerLimit, func(ctx SpecContext) {
		c := target.Current().Running(ctx)
		begin := time.Now()
		Expect(c.Stop(ctx, 15)).To(Succeed())
		Expect(time.Since(begin)).To(BeNumerically("<", 5*time.Second))
	})

	It("is that of the stop, whatever a stop before the start said", target.Covers("container.stop.grace"), containerLimit, func(ctx SpecContext) {
		c := target.Current().Pod(ctx).Create(ctx, target.Shell(signalled))
		Expect(c.Stop(ctx, 0)).To(Succeed())
		Expect(c.Start(ctx)).To(Succeed())
		awaitLog(ctx, c, "ready")
		Expect(c.Stop(ctx, 10)).To(Succeed())
		Expect(c.Status(ctx).GetExitCode()).To(Equal(int32(23)), "exit code on SIGTERM")
	})

	It("is shortened by a second stop", target.Covers("container.stop.shorter"), containerLimit, func(ctx SpecContext) {
		c := stubbornOne(ctx)
		first := beginCall(func() error { return c.Stop(ctx, 60) })
		awaitLog(ctx, c, "asked")
		first.expectWaiting("StopContainer")
		second := beginCall(func() error { return c.Stop(ctx, 0) })
		for _, call := range []*aside[struct{}]{first, second} {
			_, err := call.result(ctx)
			Expect(err).NotTo(HaveOccurred())
		}
		killed(ctx, c)
	})

	It("is not lengthened by a second stop", target.Covers("container.stop.shorter"), containerLimit, func(ctx SpecContext) {
		c := stubbornOne(ctx)
		first := beginCall(func() error { return c.Stop(ctx, 1) })
		awaitLog(ctx, c, "asked")
		second := beginCall(func() error { return c.Stop(ctx, 60) })
		for _, call := range []*aside[struct{}]{first, second} {
			_, err := call.result(ctx)
			Expect(err).NotTo(HaveOccurred())
		}
		killed(ctx, c)
	})
})

// A stop that was not seen is not reported (own rule).
var _ = Describe("StopContainer whose caller goes", func() {
	It("is an error, and the container runs on", target.Covers("container.stop.cancelled"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		c := t.Pod(ctx).Run(ctx, target.Shell(stubborn))
		awaitLog(ctx, c, "ready")
		born := c.Birth(ctx)
		short, cancel := context.WithTimeout(ctx, 400*time.Millisecond)
		defer cancel()
		t.ExpectCode(c.Stop(short, 1), codes.DeadlineExceeded, codes.Canceled)
		Expect(c.State(ctx)).To(Equal(runtimeapi.ContainerState_CONTAINER_RUNNING))
		Consistently(func() runtimeapi.ContainerState { return c.State(ctx) }, 1200*time.Millisecond, 50*time.Millisecond).
			Should(Equal(runtimeapi.ContainerState_CONTAINER_RUNNING), "beyond the grace period")
		Expect(c.Birth(ctx)).To(Equal(born), "the container's process")
		Expect(c.Stop(ctx, 0)).To(Succeed())
		Expect(c.State(ctx)).To(Equal(runtimeapi.ContainerState_CONTAINER_EXITED))
	})

	It("takes nothing from the grace period of the next stop", target.Covers("container.stop.cancelled"), containerLimit, func(ctx SpecContext) {
		c := target.Current().Pod(ctx).Run(ctx, target.Shell(stubborn))
		awaitLog(ctx, c, "ready")
		short, cancel := context.WithTimeout(ctx, waitsLong)
		defer cancel()
		Expect(c.Stop(short, 1)).NotTo(Succeed())
		Consistently(c.Processes, time.Second, 50*time.Millisecond).ShouldNot(BeEmpty(), "until the first grace period is over")
		second := beginCall(func() error { return c.Stop(ctx, 30) })
		second.expectWaiting("StopContainer with a grace period of 30 s")
		Expect(c.Stop(ctx, 0)).To(Succeed())
		_, err := second.result(ctx)
		Expect(err).NotTo(HaveOccurred())
	})
})
