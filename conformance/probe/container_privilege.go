package probe

import (
	"context"

	"ocid/conformance/target"
	"ocid/fixtures/witness"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"google.golang.org/grpc/codes"
)

// Numbers of capabilities, capabilities(7).
const (
	capChown, capKill, capSetUID, capNetBindService = 0, 5, 7, 10
	capNetAdmin, capSysModule, capSysPtrace         = 12, 16, 19
	capSysAdmin, capSysBoot                         = 21, 22
)

// "LinuxContainerSecurityContext.privileged: Run container in privileged mode.
// Processes in privileged containers are essentially equivalent to root on the
// host." "LinuxSandboxSecurityContext.privileged: Indicates whether the sandbox
// will be asked to run a privileged container. If a privileged container is to be
// executed within it, this MUST be true." (cri-api v1)
var _ = Describe("A privileged container", func() {
	It("is refused in a sandbox that is not privileged", target.Covers("container.privilege.denied"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		p := t.Pod(ctx)
		before := t.Now(ctx)
		_, err := p.TryCreate(ctx, target.PrivilegedContainer())
		t.ExpectCode(err, codes.InvalidArgument)
		t.ExpectRule(err, "container.privilege.denied")
		t.ExpectNothingLeft(ctx, before)
	})

	It("has all capabilities in a privileged sandbox", target.Covers("container.privilege.elevated"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeaturePrivileged)
		c := t.Pod(ctx, target.Privileged()).Run(ctx, target.PrivilegedContainer())
		all := ownCaps("CapBnd")
		Expect(firstOf(ctx, c).caps("CapEff")).To(Equal(all), "all that this host gives")
		Expect(firstOf(ctx, c).caps("CapBnd")).To(Equal(all))
	})
})

var _ = Describe("A container that does not ask for privilege", func() {
	plain := func(ctx context.Context, opts ...target.PodOption) {
		GinkgoHelper()
		caps := firstOf(ctx, target.Current().Running(ctx, opts...)).caps("CapBnd")
		for _, has := range []int{capChown, capKill, capSetUID, capNetBindService} {
			Expect(caps&(1<<has)).NotTo(BeZero(), "capability %d is a default one: %x", has, caps)
		}
		for _, lacks := range []int{capNetAdmin, capSysModule, capSysPtrace, capSysAdmin, capSysBoot} {
			Expect(caps&(1<<lacks)).To(BeZero(), "capability %d is for privileged ones: %x", lacks, caps)
		}
	}
	It("has the default capabilities", target.Covers("container.privilege.plain"), containerLimit, func(ctx SpecContext) {
		plain(ctx)
	})
	It("has the default capabilities in a privileged sandbox", target.Covers("container.privilege.plain"), containerLimit, func(ctx SpecContext) {
		target.Current().Need(target.FeaturePrivileged)
		plain(ctx, target.Privileged())
	})
})

// The founding rules, privilege: every container of a sandbox runs on the
// runtime of its sandbox.
var _ = Describe("A container's runtime handler", func() {
	inherited := func(ctx context.Context, want string, opts ...target.PodOption) {
		GinkgoHelper()
		t := target.Current()
		c := t.Pod(ctx, opts...).Run(ctx)
		c.Output(ctx, "true")
		Expect(c.Stop(ctx, 10)).To(Succeed())
		Expect(c.Remove(ctx)).To(Succeed())
		calls := t.Witness.Find(func(w witness.Call) bool { return w.Program == witness.OCI && w.Container == c.ID })
		Expect(calls).NotTo(BeEmpty())
		Expect(calls).To(HaveEach(HaveField("Handler", want)), "runtime calls for the container")
	}
	for i, which := range []string{"first", "second"} {
		It("is its sandbox's: the "+which+" one", target.Covers("container.handler.inherited"), containerLimit, func(ctx SpecContext) {
			t := target.Current()
			t.Need(target.FeatureHandlers, target.FeatureWitness)
			handler := t.Profile().Handlers[i]
			inherited(ctx, handler, target.Handler(handler))
		})
	}
	It("is its sandbox's, also without privilege of its own", target.Covers("container.handler.inherited"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureHandlers, target.FeatureWitness, target.FeaturePrivileged)
		inherited(ctx, t.Var(target.VarPrivilegedHandler), target.Privileged())
	})
})
