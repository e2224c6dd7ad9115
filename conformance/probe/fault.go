package probe

import (
	"context"
	"errors"
	"os"
	"time"

	"ocid/conformance/target"
	"ocid/fixtures/witness"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// A badProgram is a way in which the runtime, or a CNI plugin, does not do its
// work.
type badProgram struct {
	what  string
	fault witness.Fault
	says  string // what the error has to contain
}

func badPrograms(program, op string) []badProgram {
	fault := func(action witness.Action, exit int) witness.Fault {
		return witness.Fault{Program: program, Op: op, Action: action, Exit: exit, Message: "the disk is on fire"}
	}
	return []badProgram{
		{"exits 1", fault(witness.Fail, 1), "the disk is on fire"},
		{"does its work and exits 7", fault(witness.FailAfter, 7), "the disk is on fire"},
		{"prints garbage and exits 1", fault(witness.Garbage, 1), ""},
		{"prints garbage and exits 0", fault(witness.Garbage, 0), ""},
		{"hangs", fault(witness.Stall, 1), "deadline exceeded"},
		{"does its work and hangs", fault(witness.StallAfter, 1), "deadline exceeded"},
	}
}

// hurry makes the daemon wait for nothing much longer than it has to, if the fault is
// one that hangs.
func (b badProgram) hurry(ctx context.Context, t *target.T) {
	GinkgoHelper()
	if b.fault.Action == witness.Stall || b.fault.Action == witness.StallAfter {
		create := "1s"
		if t.Has(target.FeatureOwnKernel) {
			create = "8s" // the next try boots a machine
		}
		Expect(t.Reconfigure(ctx, map[string]string{"CREATE_TIMEOUT": create, "ADD_TIMEOUT": "1s"})).To(Succeed())
	}
}

func (b badProgram) expectError(t *target.T, err error, rule string) {
	GinkgoHelper()
	Expect(err).To(MatchError(ContainSubstring(b.says)), "the cause")
	Expect(err.Error()).NotTo(ContainSubstring("\x00"), "what a program printed")
	t.ExpectRule(err, rule)
}

// Bad programs are part of the machine's bad days (own): each failure is an error
// that names its rule and its cause, and leaves nothing, so that the next try
// works.
var _ = Describe("A runtime that", func() {
	for _, b := range badPrograms(witness.OCI, "create") {
		It(b.what+" fails RunPodSandbox", target.Covers("sandbox.run.infra-create"), restartLimit, func(ctx SpecContext) {
			t := target.Current()
			b.hurry(ctx, t)
			req := t.PodRequest(target.SharedPID())
			before := t.Now(ctx)
			fault := t.Witness.Fault(b.fault)
			_, err := t.RunPod(ctx, req)
			b.expectError(t, err, "sandbox.run.infra-create")
			t.Witness.Release(fault)
			t.ExpectNothingLeft(ctx, before)
			p, err := t.RunPod(ctx, req)
			Expect(err).NotTo(HaveOccurred(), "the next try")
			expectUsable(ctx, p)
		})

		It(b.what+" fails CreateContainer", target.Covers("container.create.runtime"), restartLimit, func(ctx SpecContext) {
			t := target.Current()
			b.hurry(ctx, t)
			p := t.Pod(ctx)
			req := p.ContainerRequest()
			before := t.Now(ctx)
			fault := t.Witness.Fault(b.fault)
			_, err := p.CreateFrom(ctx, req)
			b.expectError(t, err, "container.create.runtime")
			t.Witness.Release(fault)
			t.ExpectNothingLeft(ctx, before)
			c, err := p.CreateFrom(ctx, req)
			Expect(err).NotTo(HaveOccurred(), "the next try")
			Expect(c.Start(ctx)).To(Succeed())
		})
	}

	It("is missing fails what needs it, and nothing else", target.Covers("sandbox.run.infra-create", "container.create.runtime"), restartLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureHostNamespaces)
		p := t.Pod(ctx)
		req := t.PodRequest(target.SharedPID())
		before := t.Now(ctx)
		path, restore := hideRuntime(t)
		_, err := t.RunPod(ctx, req)
		Expect(err).To(MatchError(ContainSubstring(path)), "RunPodSandbox")
		t.ExpectRule(err, "sandbox.run.infra-create")
		_, err = p.TryCreate(ctx, withoutLog())
		Expect(err).To(MatchError(ContainSubstring(path)), "CreateContainer")
		t.ExpectRule(err, "container.create.runtime")
		t.ExpectNothingLeft(ctx, before)
		if !t.Has(target.FeatureOwnKernel) {
			none := t.Pod(ctx)
			Expect(none.Stop(ctx)).To(Succeed(), "StopPodSandbox without a process")
		}
		restore()
		_, err = t.RunPod(ctx, req)
		Expect(err).NotTo(HaveOccurred(), "RunPodSandbox when it is back")
	})
})

// hideRuntime takes the default runtime's program away, until the end of the
// case at most.
func hideRuntime(t *target.T) (path string, restore func()) {
	GinkgoHelper()
	t.Need(target.FeatureWitness)
	settings := t.Profile().Witness.Handlers[t.Handlers()[0]].Path
	path = os.Expand(settings, t.Var)
	back := func() error {
		if err := os.Rename(path+".hidden", path); !errors.Is(err, os.ErrNotExist) {
			return err
		}
		return nil
	}
	t.Cleanup("the runtime's program", func(context.Context) error { return back() })
	Expect(os.Rename(path, path+".hidden")).To(Succeed())
	return path, func() { Expect(back()).To(Succeed()) }
}

var _ = Describe("A CNI plugin that", func() {
	for _, b := range badPrograms(witness.CNI, "ADD") {
		It(b.what+" fails RunPodSandbox", target.Covers("sandbox.run.network"), restartLimit, func(ctx SpecContext) {
			t := target.Current()
			b.hurry(ctx, t)
			req := t.PodRequest()
			before := t.Now(ctx)
			fault := t.Witness.Fault(b.fault)
			_, err := t.RunPod(ctx, req)
			b.expectError(t, err, "sandbox.run.network")
			t.Witness.Release(fault)
			t.ExpectNothingLeft(ctx, before)
			p, err := t.RunPod(ctx, req)
			Expect(err).NotTo(HaveOccurred(), "the next try")
			expectUsable(ctx, p)
		})
	}
})

// A full disk is the kubelet's reason to evict: what is there must go on, and
// must be stopped and removed. A removal may need a little space itself; then it
// says so, and can be tried again.
var _ = Describe("A daemon whose disk is full", func() {
	It("refuses what needs space, leaves nothing of it, and loses nothing",
		target.Covers("image.pull", "sandbox.run.record", "container.create.record"), SpecTimeout(60*time.Second), func(ctx SpecContext) {
			t := target.Current()
			d := startElsewhere(ctx, t)
			pulled(ctx, t, t.DefaultImage())
			p, evicted := t.Pod(ctx), t.Pod(ctx)
			c := p.Run(ctx, target.Command("/bin/sleep", "2000"))
			evicted.Run(ctx, target.Command("/bin/sleep", "2000"))
			podReq, containerReq := t.PodRequest(), p.ContainerRequest()
			before := t.Now(ctx)
			d.fill()

			image := t.Ref("id-1").Tagged
			_, err := pullRef(ctx, t, image)
			Expect(err).To(MatchError(ContainSubstring("no space left on device")), "PullImage")
			_, err = t.RunPod(ctx, podReq)
			Expect(err).To(MatchError(ContainSubstring("no space left on device")), "RunPodSandbox")
			_, err = p.CreateFrom(ctx, containerReq)
			Expect(err).To(MatchError(ContainSubstring("no space left on device")), "CreateContainer")
			Expect(imageOf(ctx, t, image)).To(BeNil(), "ImageStatus of what was not pulled")
			t.ExpectNothingLeft(ctx, before)
			Expect(p.Status(ctx).GetState()).To(Equal(podReady))
			Expect(c.Output(ctx, "echo", "works")).To(Equal("works"))

			d.restart(ctx)
			Expect(p.Status(ctx).GetState()).To(Equal(podReady), "after a restart on the full disk")
			Expect(c.State(ctx)).To(Equal(isRunning), "after a restart on the full disk")
			Expect(evicted.Stop(ctx)).To(Succeed(), "StopPodSandbox on the full disk")
			Expect(evicted.Remove(ctx)).To(Or(Succeed(), MatchError(ContainSubstring("no space left on device"))), "RemovePodSandbox on the full disk")

			Expect(os.Remove(d.filler)).To(Succeed())
			Expect(evicted.Remove(ctx)).To(Succeed(), "RemovePodSandbox, now that there is space")
			pulled(ctx, t, image)
			again, err := t.RunPod(ctx, podReq)
			Expect(err).NotTo(HaveOccurred(), "RunPodSandbox, now that there is space")
			expectUsable(ctx, again)
			expectUsable(ctx, p)
		})

	It("takes a pull back that has no room for all of it", target.Covers("image.pull"), SpecTimeout(60*time.Second), func(ctx SpecContext) {
		t := target.Current()
		d := startElsewhere(ctx, t)
		d.fill()
		Expect(os.Truncate(d.filler, d.size(d.filler)-int64(busyboxSize()/2))).To(Succeed())
		free := d.free()
		_, err := pullRef(ctx, t, t.DefaultImage())
		Expect(err).To(MatchError(ContainSubstring("no space left on device")), "PullImage")
		Expect(imageOf(ctx, t, t.DefaultImage())).To(BeNil(), "ImageStatus")
		Eventually(ctx, d.free).WithTimeout(happensIn()).Should(BeNumerically(">", free-aLittle), "free bytes after the pull")
		Expect(os.Remove(d.filler)).To(Succeed())
		pulled(ctx, t, t.DefaultImage())
		expectUsable(ctx, t.Pod(ctx))
	})
})
