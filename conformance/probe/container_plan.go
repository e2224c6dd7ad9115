package probe

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"ocid/conformance/target"
	"ocid/fixtures/witness"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"google.golang.org/grpc/codes"
)

// The founding rules, storage: a container's storage record tracks the ID of its
// pod; the OCI configuration is written to the ContainerDirectory and to the
// ContainerRunDirectory.
var _ = Describe("CreateContainer before the runtime's create", func() {
	It("has a storage record that tracks the pod's ID", target.Covers("container.create.record"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		p := t.Pod(ctx)
		h := makeHalf(ctx, p)
		record, found := t.Storage().Record(h.ID)
		Expect(found).To(BeTrue(), "storage record with the ID that the runtime got")
		Expect(record.Metadata).To(ContainSubstring(p.ID), "metadata of the record")
		h.release()
		c, err := h.call.result(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(c.ID).To(Equal(h.ID))
	})

	It("has a layer on top of the image mounted", target.Covers("container.create.mount"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		h := makeHalf(ctx, t.Pod(ctx))
		root := h.create.Spec.Root
		Expect(root).NotTo(BeEmpty(), "root.path of the OCI configuration")
		Expect(t.Mounts(root)).To(ContainElement(HaveField("Mountpoint", root)), "mount of the root filesystem")
		Expect(filepath.Join(root, "bin/busybox")).To(BeAnExistingFile(), "the image's files")
		h.release()
		_, err := h.call.result(ctx)
		Expect(err).NotTo(HaveOccurred())
	})

	It("has the OCI configuration in both directories", target.Covers("container.create.config"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		h := makeHalf(ctx, t.Pod(ctx))
		got, err := os.ReadFile(filepath.Join(h.create.Bundle, "config.json"))
		Expect(err).NotTo(HaveOccurred(), "the configuration that the runtime got")
		for _, top := range []string{"ROOT", "RUNROOT"} {
			files := slices.DeleteFunc(t.Files(h.ID), func(f string) bool {
				return filepath.Base(f) != "config.json" || !strings.HasPrefix(f, t.Var(top)+"/storage/")
			})
			Expect(files).To(HaveLen(1), "config.json below %s/storage", top)
			kept, err := os.ReadFile(files[0])
			Expect(err).NotTo(HaveOccurred())
			Expect(string(kept)).To(Equal(string(got)), files[0])
		}
		h.release()
		_, err = h.call.result(ctx)
		Expect(err).NotTo(HaveOccurred())
	})
})

// "CreateContainer creates a new container in specified PodSandbox" (cri-api v1)
var _ = Describe("A container's root filesystem", func() {
	It("is its own, on top of its image", target.Covers("container.create.mount"), containerLimit, func(ctx SpecContext) {
		p := target.Current().Pod(ctx)
		a, b := p.Run(ctx), p.Run(ctx)
		a.Output(ctx, "/bin/sh", "-c", "echo mine > /mine")
		Expect(a.Output(ctx, "cat", "/mine")).To(Equal("mine"))
		_, _, code, err := b.Exec(ctx, "test", "-e", "/mine")
		Expect(err).NotTo(HaveOccurred())
		Expect(code).To(Equal(int32(1)), "the other container does not see the file")
	})
})

// Nothing is left of what failed (own rule): no record, no mount, no process, no
// cgroup, no name that is held.
var _ = Describe("CreateContainer whose runtime fails", func() {
	for _, action := range []witness.Action{witness.Fail, witness.FailAfter} {
		It("leaves nothing: "+string(action), target.Covers("container.create.runtime", "container.create.record"), containerLimit, func(ctx SpecContext) {
			t := target.Current()
			p := t.Pod(ctx)
			before := t.Now(ctx)
			req := p.ContainerRequest()
			fault := t.Witness.Fault(witness.Fault{Program: witness.OCI, Op: "create", Action: action, Message: "no create today"})
			_, err := p.CreateFrom(ctx, req)
			Expect(err).To(MatchError(ContainSubstring("no create today")), "the runtime's message")
			t.ExpectNothingLeft(ctx, before)
			t.Witness.Release(fault)
			c, err := p.CreateFrom(ctx, req)
			Expect(err).NotTo(HaveOccurred(), "the name is free")
			Expect(c.Start(ctx)).To(Succeed())
		})
	}

	It("has its waiters get the failure", target.Covers("container.create.runtime"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		p := t.Pod(ctx)
		before := t.Now(ctx)
		fault := t.Witness.Fault(witness.Fault{Program: witness.OCI, Op: "create", Action: witness.Stall, Exit: 1, Message: "no create today"})
		req := p.ContainerRequest()
		create := func() (*target.Container, error) { return p.CreateFrom(ctx, req) }
		first, second := beginAside(create), beginAside(create)
		awaitRuntime(ctx, t, "create", func(witness.Call) bool { return true })
		second.expectWaiting("an equal CreateContainer")
		t.Witness.Release(fault)
		for _, call := range []*aside[*target.Container]{first, second} {
			_, err := call.result(ctx)
			Expect(err).To(MatchError(ContainSubstring("no create today")))
		}
		t.ExpectNothingLeft(ctx, before)
	})
})

// kill -9 at any point converges: what was half made is gone when the daemon is
// back.
var _ = Describe("CreateContainer of a daemon that dies", func() {
	It("leaves nothing in the runtime", target.Covers("container.create.runtime"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureRestart)
		p := t.Pod(ctx)
		before := t.Now(ctx)
		release := stallRuntime(t, "create", "", witness.StallAfter)
		call := beginAside(func() (*target.Container, error) { return p.TryCreate(ctx) })
		id := awaitRuntime(ctx, t, "create", func(witness.Call) bool { return true }).Container
		Eventually(ctx, func() []target.Process { return t.ProcessesOf(id) }).WithTimeout(happensIn()).ShouldNot(BeEmpty(), "the container's init")
		Expect(t.Restart(ctx, syscall.SIGKILL)).To(Succeed())
		release()
		_, err := call.result(ctx)
		Expect(err).To(HaveOccurred(), "CreateContainer of a daemon that dies")
		t.ExpectNothingLeft(ctx, before)
	})
})

// "CreateContainerRequest.config.image"; a container needs an image that is on
// the node: the kubelet pulls before it creates.
var _ = Describe("CreateContainer of what is not there", func() {
	It("refuses an image", target.Covers("container.create.image"), containerLimit, func(ctx SpecContext) {
		refusesCreate(ctx, codes.NotFound, "container.create.image", target.Image("localhost:1/no/such:image"))
	})

	// "Mount.host_path: Path of the mount on the host. If the path doesn't exist,
	// runtime should report an error." (cri-api v1)
	It("refuses a mount of a missing path", target.Covers("container.create.mount-missing"), containerLimit, func(ctx SpecContext) {
		missing := filepath.Join(GinkgoT().TempDir(), "nothing")
		refusesCreate(ctx, codes.InvalidArgument, "container.create.mount-missing", target.Mount(missing, "/x", false))
		Expect(missing).NotTo(BeAnExistingFile(), "the daemon makes no path")
	})
})

func refusesCreate(ctx context.Context, code codes.Code, rule string, option target.ContainerOption) {
	GinkgoHelper()
	t := target.Current()
	p := t.Pod(ctx)
	before := t.Now(ctx)
	_, err := p.TryCreate(ctx, option)
	t.ExpectCode(err, code)
	t.ExpectRule(err, rule)
	t.ExpectNothingLeft(ctx, before)
}
