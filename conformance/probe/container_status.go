package probe

import (
	"context"
	"syscall"
	"time"

	"ocid/conformance/target"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"google.golang.org/grpc/codes"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const (
	stateCreated = runtimeapi.ContainerState_CONTAINER_CREATED
	stateRunning = runtimeapi.ContainerState_CONTAINER_RUNNING
	stateExited  = runtimeapi.ContainerState_CONTAINER_EXITED
)

// "ContainerStatus returns status of the container. If the container is not
// present, returns an error." (cri-api v1). The kubelet reads it in its sync
// loop and must not wait for an operation in flight; any code but NotFound fails
// the status of the whole pod.
var _ = Describe("ContainerStatus", func() {
	// at fails unless the answer comes at once.
	at := func(ctx context.Context, c *target.Container, want runtimeapi.ContainerState, when string) {
		GinkgoHelper()
		short, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		st, err := c.TryStatus(short)
		Expect(err).NotTo(HaveOccurred(), when)
		Expect(st.GetId()).To(Equal(c.ID), when)
		Expect(st.GetState()).To(Equal(want), when)
	}

	It("answers for a created, a running and an exited container", target.Covers("container.status.present"), containerLimit, func(ctx SpecContext) {
		c := target.Current().Pod(ctx).Create(ctx)
		at(ctx, c, stateCreated, "created")
		Expect(c.Start(ctx)).To(Succeed())
		at(ctx, c, stateRunning, "started")
		Expect(c.Stop(ctx, 10)).To(Succeed())
		at(ctx, c, stateExited, "stopped")
	})

	It("answers while the container is being started", target.Covers("container.status.present"), containerLimit, func(ctx SpecContext) {
		c, start, release := startStalled(ctx, target.Current().Pod(ctx))
		at(ctx, c, stateCreated, "being started")
		release()
		_, err := start.result(ctx)
		Expect(err).NotTo(HaveOccurred())
		at(ctx, c, stateRunning, "started")
	})

	It("answers while the container is being stopped", target.Covers("container.status.present"), containerLimit, func(ctx SpecContext) {
		c := target.Current().Running(ctx)
		stop, release := stopStalled(ctx, c)
		at(ctx, c, stateRunning, "being stopped")
		release()
		_, err := stop.result(ctx)
		Expect(err).NotTo(HaveOccurred())
		at(ctx, c, stateExited, "stopped")
	})

	It("answers while the container is being removed", target.Covers("container.status.present"), containerLimit, func(ctx SpecContext) {
		c := target.Current().Running(ctx)
		remove, release := removeStalled(ctx, c)
		_, err := c.TryStatus(ctx)
		Expect(err).NotTo(HaveOccurred())
		release()
		_, err = remove.result(ctx)
		Expect(err).NotTo(HaveOccurred())
	})

	It("refuses an unknown container", target.Covers("container.status.absent"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		_, err := nobody(t).TryStatus(ctx)
		t.ExpectCode(err, codes.NotFound)
		t.ExpectRule(err, "container.status.absent")
	})

	It("refuses a half-made container", target.Covers("container.status.absent"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		h := makeHalf(ctx, t.Pod(ctx))
		_, err := h.TryStatus(ctx)
		t.ExpectCode(err, codes.NotFound)
		Expect(h.Listed(ctx)).To(BeNil())
		h.release()
		_, err = h.call.result(ctx)
		Expect(err).NotTo(HaveOccurred())
	})

	// "ContainerStatus.image: Spec of the image. image_ref: Reference to the image
	// in use. For most runtimes, this should be an image ID. image_id: ID of the
	// image in use" (cri-api v1)
	It("names the image", target.Covers("container.status.image"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		image := &runtimeapi.ImageSpec{Image: t.DefaultImage()}
		known, err := t.Images.ImageStatus(ctx, &runtimeapi.ImageStatusRequest{Image: image})
		Expect(err).NotTo(HaveOccurred())
		c := t.Pod(ctx).Create(ctx)
		st := c.Status(ctx)
		Expect(st.GetImage().GetImage()).To(Equal(t.DefaultImage()))
		Expect(st.GetImage().GetUserSpecifiedImage()).To(Equal(t.DefaultImage()))
		Expect(st.GetImageId()).To(Equal(known.GetImage().GetId()))
		Expect(append(known.GetImage().GetRepoDigests(), known.GetImage().GetId())).To(ContainElement(st.GetImageRef()))
		Expect(c.Listed(ctx).GetImageId()).To(Equal(known.GetImage().GetId()), "in the list")
	})
})

// "ContainerStatus: created_at, started_at, finished_at: time in nanoseconds;
// exit_code: only required when finished_at != 0; reason: brief CamelCase string
// explaining why the container is in its current state" (cri-api v1)
var _ = Describe("A container that has exited", func() {
	It("is EXITED without any call", target.Covers("container.exited.running"), containerLimit, func(ctx SpecContext) {
		c := target.Current().Pod(ctx).Run(ctx, target.Shell("exit 7"))
		awaitState(ctx, c, stateExited)
		Expect(c.Status(ctx).GetExitCode()).To(Equal(int32(7)))
		Expect(c.Listed(ctx).GetState()).To(Equal(stateExited), "in the list")
	})

	It("is EXITED when it was killed before its start", target.Needs(target.FeatureHostNamespaces), target.Covers("container.exited.running"), containerLimit, func(ctx SpecContext) {
		c := target.Current().Pod(ctx).Create(ctx)
		Expect(syscall.Kill(c.Init().PID, syscall.SIGKILL)).To(Succeed())
		awaitState(ctx, c, stateExited)
		Expect(c.Start(ctx)).NotTo(Succeed())
	})

	exits := func(ctx context.Context, begin int64, c *target.Container, code int32, reason string) {
		GinkgoHelper()
		awaitState(ctx, c, stateExited)
		st := c.Status(ctx)
		Expect(st.GetExitCode()).To(Equal(code), "exit code")
		Expect(st.GetReason()).To(Equal(reason), "reason")
		Expect(st.GetCreatedAt()).To(BeNumerically(">=", begin), "created_at")
		Expect(st.GetStartedAt()).To(BeNumerically(">=", st.GetCreatedAt()), "started_at")
		Expect(st.GetFinishedAt()).To(BeNumerically(">=", st.GetStartedAt()), "finished_at")
		Expect(st.GetFinishedAt()).To(BeNumerically("<=", time.Now().UnixNano()), "finished_at")
	}
	for script, end := range map[string]struct {
		code   int32
		reason string
	}{
		"exit 0":   {0, "Completed"},
		"exit 3":   {3, "Error"},
		"exit 255": {255, "Error"},
	} {
		It("says how: "+script, target.Covers("container.status.exit"), containerLimit, func(ctx SpecContext) {
			begin := time.Now().UnixNano()
			exits(ctx, begin, target.Current().Pod(ctx).Run(ctx, target.Shell(script)), end.code, end.reason)
		})
	}

	It("says how when it was killed from outside", target.Needs(target.FeatureHostNamespaces), target.Covers("container.status.exit"), containerLimit, func(ctx SpecContext) {
		begin := time.Now().UnixNano()
		c := target.Current().Running(ctx)
		Expect(syscall.Kill(c.Init().PID, syscall.SIGKILL)).To(Succeed())
		exits(ctx, begin, c, 137, "Error")
	})
})
