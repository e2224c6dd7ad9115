package probe

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"time"

	"ocid/conformance/target"
	"ocid/fixtures/witness"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// "CreateContainer creates a new container in specified PodSandbox"
// "StartContainer starts the container." (cri-api v1, RuntimeService)
var _ = Describe("CreateContainer", func() {
	It("creates a container whose command has not run", target.Covers("container.create.new"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		dir := GinkgoT().TempDir()
		before := time.Now().UnixNano()
		c := t.Pod(ctx).Create(ctx, target.Shell("touch /host/ran"), target.Mount(dir, "/host", false),
			target.ContainerLabels(map[string]string{"a": "b"}), target.ContainerAnnotations(map[string]string{"c": "d"}))
		st := c.Status(ctx)
		Expect(st.GetId()).To(Equal(c.ID))
		Expect(st.GetState()).To(Equal(runtimeapi.ContainerState_CONTAINER_CREATED))
		Expect(st.GetMetadata().GetName()).To(Equal(c.Config.GetMetadata().GetName()))
		Expect(st.GetLabels()).To(Equal(map[string]string{"a": "b"}))
		Expect(st.GetAnnotations()).To(Equal(map[string]string{"c": "d"}))
		Expect(st.GetCreatedAt()).To(BeNumerically(">=", before))
		Expect(st.GetStartedAt()).To(BeZero(), "started_at: the container has not yet been started")
		Expect(c.Listed(ctx)).NotTo(BeNil())
		Consistently(func() error { _, err := os.Stat(filepath.Join(dir, "ran")); return err }, waitsLong).Should(MatchError(os.ErrNotExist))
	})

	It("makes a container for each attempt", target.Covers("container.create.new"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		p := t.Pod(ctx)
		first := p.Create(ctx)
		req := p.ContainerRequest(target.ContainerName(first.Config.GetMetadata().GetName()))
		req.GetConfig().GetMetadata().Attempt = 1
		second, err := p.CreateFrom(ctx, req)
		Expect(err).NotTo(HaveOccurred())
		Expect(second.ID).NotTo(Equal(first.ID))
		Expect(second.Status(ctx).GetMetadata().GetAttempt()).To(Equal(uint32(1)))
	})
})

// The kubelet repeats a CreateContainer whose deadline has passed; the name is a
// property of the operation, not a lock that the repetition runs into.
var _ = Describe("CreateContainer once more", func() {
	It("joins an equal call in flight", target.Covers("container.create.join"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		p := t.Pod(ctx)
		first := makeHalf(ctx, p)
		second := beginAside(func() (*target.Container, error) { return p.CreateFrom(ctx, proto.CloneOf(first.req)) })
		second.expectWaiting("an equal CreateContainer")
		first.release()
		a, err := first.call.result(ctx)
		Expect(err).NotTo(HaveOccurred())
		b, err := second.result(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect([]string{a.ID, b.ID}).To(HaveEach(first.ID))
		Expect(t.Witness.Create(first.ID)).NotTo(BeNil())
		Expect(createCalls(t, p)).To(HaveLen(1), "containers created")
	})

	It("waits for the stop of the container, then refuses", target.Covers("container.create.wait"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		p := t.Pod(ctx)
		req := p.ContainerRequest()
		c := runFrom(ctx, p, req)
		stop, release := stopStalled(ctx, c)
		again := beginAside(func() (*target.Container, error) { return p.CreateFrom(ctx, proto.CloneOf(req)) })
		again.expectWaiting("an equal CreateContainer")
		release()
		_, err := stop.result(ctx)
		Expect(err).NotTo(HaveOccurred())
		_, err = again.result(ctx)
		t.ExpectCode(err, codes.AlreadyExists)
	})

	It("waits for the removal of the container, then makes another", target.Covers("container.create.wait"), containerLimit, func(ctx SpecContext) {
		p := target.Current().Pod(ctx)
		req := p.ContainerRequest()
		c := runFrom(ctx, p, req)
		remove, release := removeStalled(ctx, c)
		again := beginAside(func() (*target.Container, error) { return p.CreateFrom(ctx, proto.CloneOf(req)) })
		again.expectWaiting("an equal CreateContainer")
		release()
		_, err := remove.result(ctx)
		Expect(err).NotTo(HaveOccurred())
		next, err := again.result(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(next.ID).NotTo(Equal(c.ID))
		Expect(next.State(ctx)).To(Equal(runtimeapi.ContainerState_CONTAINER_CREATED))
	})

	It("gets the ID of the container that the first call made", target.Covers("container.create.again"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		p := t.Pod(ctx)
		req := p.ContainerRequest()
		c, err := p.CreateFrom(ctx, proto.CloneOf(req))
		Expect(err).NotTo(HaveOccurred())
		expectSame(ctx, c, req, "CREATED")
		Expect(c.Start(ctx)).To(Succeed())
		expectSame(ctx, c, req, "RUNNING")
		Expect(c.State(ctx)).To(Equal(runtimeapi.ContainerState_CONTAINER_RUNNING))
	})

	It("gets the ID of a container that is being started", target.Covers("container.create.again"), containerLimit, func(ctx SpecContext) {
		p := target.Current().Pod(ctx)
		req := p.ContainerRequest()
		c, start, release := startStalled(ctx, p, func(r *runtimeapi.CreateContainerRequest) { r.Config = req.GetConfig() })
		expectSame(ctx, c, req, "being started")
		release()
		_, err := start.result(ctx)
		Expect(err).NotTo(HaveOccurred())
	})

	It("is refused when the container has exited", target.Covers("container.create.taken"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		p := t.Pod(ctx)
		req := p.ContainerRequest(target.Shell("exit 0"))
		c := runFrom(ctx, p, req)
		awaitState(ctx, c, runtimeapi.ContainerState_CONTAINER_EXITED)
		_, err := p.CreateFrom(ctx, proto.CloneOf(req))
		t.ExpectCode(err, codes.AlreadyExists)
		t.ExpectRule(err, "container.create.taken")
	})

	// The kubelet: the deadline of a CreateContainer passes while the runtime
	// works; the daemon goes on, and the repetition finds what it has made.
	It("gets the result of a call whose caller has gone", target.Covers("sandbox.run.deadline"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		p := t.Pod(ctx)
		h := &halfMade{req: p.ContainerRequest()}
		h.release = stallRuntime(t, "create", h.req.GetConfig().GetMetadata().GetName(), "stall")
		short, cancel := context.WithTimeout(ctx, waitsLong)
		defer cancel()
		_, err := p.CreateFrom(short, proto.CloneOf(h.req))
		t.ExpectCode(err, codes.DeadlineExceeded)
		h.release()
		c, err := p.CreateFrom(ctx, h.req)
		Expect(err).NotTo(HaveOccurred())
		Expect(createCalls(t, p)).To(HaveLen(1), "containers created")
		Expect(t.Witness.Create(c.ID).Container).To(Equal(c.ID))
		Expect(c.State(ctx)).To(Equal(runtimeapi.ContainerState_CONTAINER_CREATED))
	})
})

// createCalls are those for the pod's containers, not for what stands for
// the pod itself.
func createCalls(t *target.T, p *target.Pod) []witness.Call {
	GinkgoHelper()
	return slices.DeleteFunc(t.Witness.Runtime("create", ""), func(c witness.Call) bool { return c.Container == p.ID })
}

// runFrom creates and starts the container of a request, which stays as it is.
func runFrom(ctx context.Context, p *target.Pod, req *runtimeapi.CreateContainerRequest) *target.Container {
	GinkgoHelper()
	c, err := p.CreateFrom(ctx, proto.CloneOf(req))
	Expect(err).NotTo(HaveOccurred(), "CreateContainer")
	Expect(c.Start(ctx)).To(Succeed(), "StartContainer")
	return c
}

func expectSame(ctx context.Context, c *target.Container, req *runtimeapi.CreateContainerRequest, state string) {
	GinkgoHelper()
	again, err := c.Pod.CreateFrom(ctx, proto.CloneOf(req))
	Expect(err).NotTo(HaveOccurred(), "equal CreateContainer of a container that is "+state)
	Expect(again.ID).To(Equal(c.ID), "ID of a container that is "+state)
}

// otherRequest is a request for the same name and attempt that wants something else.
func otherRequest(req *runtimeapi.CreateContainerRequest) *runtimeapi.CreateContainerRequest {
	different := proto.CloneOf(req)
	different.GetConfig().Envs = append(different.GetConfig().GetEnvs(), &runtimeapi.KeyValue{Key: "DIFFERENT", Value: []byte("yes")})
	return different
}

// A name and attempt stand for one container; two different ones can't share it.
var _ = Describe("CreateContainer with a name that another request holds", func() {
	refused := func(ctx context.Context, p *target.Pod, req *runtimeapi.CreateContainerRequest, state string) {
		GinkgoHelper()
		_, err := p.CreateFrom(ctx, otherRequest(req))
		Expect(err).To(HaveOccurred(), "the holder is "+state)
		p.T.ExpectCode(err, codes.AlreadyExists)
		p.T.ExpectRule(err, "container.create.other")
	}

	It("is refused", target.Covers("container.create.other"), containerLimit, func(ctx SpecContext) {
		p := target.Current().Pod(ctx)
		req := p.ContainerRequest()
		c, err := p.CreateFrom(ctx, proto.CloneOf(req))
		Expect(err).NotTo(HaveOccurred())
		refused(ctx, p, req, "CREATED")
		Expect(c.Start(ctx)).To(Succeed())
		refused(ctx, p, req, "RUNNING")
		Expect(c.Stop(ctx, 0)).To(Succeed())
		refused(ctx, p, req, "EXITED")
	})

	It("is refused at once while the holder is being made", target.Covers("container.create.other"), containerLimit, func(ctx SpecContext) {
		p := target.Current().Pod(ctx)
		h := makeHalf(ctx, p)
		refused(ctx, p, h.req, "being made")
		h.release()
		_, err := h.call.result(ctx)
		Expect(err).NotTo(HaveOccurred())
	})

	It("waits for the removal of the holder", target.Covers("container.create.other-join"), containerLimit, func(ctx SpecContext) {
		p := target.Current().Pod(ctx)
		req := p.ContainerRequest()
		c := runFrom(ctx, p, req)
		remove, release := removeStalled(ctx, c)
		next := beginAside(func() (*target.Container, error) { return p.CreateFrom(ctx, otherRequest(req)) })
		next.expectWaiting("another CreateContainer")
		release()
		_, err := remove.result(ctx)
		Expect(err).NotTo(HaveOccurred())
		n, err := next.result(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(n.ID).NotTo(Equal(c.ID))
		Expect(n.Start(ctx)).To(Succeed())
		Expect(n.Output(ctx, "/bin/sh", "-c", "echo $DIFFERENT")).To(Equal("yes"))
	})

	It("waits for the stop of the holder, then is refused", target.Covers("container.create.other-join"), containerLimit, func(ctx SpecContext) {
		p := target.Current().Pod(ctx)
		req := p.ContainerRequest()
		c := runFrom(ctx, p, req)
		stop, release := stopStalled(ctx, c)
		next := beginAside(func() (*target.Container, error) { return p.CreateFrom(ctx, otherRequest(req)) })
		next.expectWaiting("another CreateContainer")
		release()
		_, err := stop.result(ctx)
		Expect(err).NotTo(HaveOccurred())
		_, err = next.result(ctx)
		p.T.ExpectCode(err, codes.AlreadyExists)
	})
})
