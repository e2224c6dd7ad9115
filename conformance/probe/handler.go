package probe

import (
	"context"
	"strings"

	"ocid/conformance/target"

	. "github.com/onsi/ginkgo/v2"
	"github.com/onsi/ginkgo/v2/types"
	. "github.com/onsi/gomega"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// expectHandler fails the case unless the sandbox's own container and another
// one are created by that runtime and no other.
func expectHandler(ctx context.Context, want string, opts ...target.PodOption) {
	GinkgoHelper()
	t := target.Current()
	t.Need(target.FeatureHandlers, target.FeatureWitness)
	p := t.Pod(ctx, append(opts, target.SharedPID())...)
	c := p.Run(ctx)
	Expect(t.Witness.Create(p.ID).Handler).To(Equal(want), "of the sandbox's own container")
	Expect(t.Witness.Create(c.ID).Handler).To(Equal(want), "of a container")
	Expect(t.Witness.Runtime("start", c.ID)).To(HaveEach(HaveField("Handler", want)))
}

func unknownHandler(what, name string) TableEntry {
	return Entry(what, target.Covers("handler.unknown"), requestLimit, types.NewCodeLocation(1), name)
}

// "Named runtime configuration to use for this PodSandbox. If the runtime handler
// is unknown, this request should be rejected. An empty string should select the
// default handler, equivalent to the behavior before this feature was added."
// (cri-api v1, RunPodSandboxRequest.runtime_handler)
var _ = Describe("The runtime handler of a sandbox", func() {
	DescribeTable("is refused", func(ctx SpecContext, name string) {
		t := target.Current()
		valid := t.PodRequest()
		before := t.Now(ctx)
		for _, privileged := range []bool{false, true} {
			req := proto.CloneOf(valid)
			req.RuntimeHandler = name
			req.GetConfig().GetLinux().GetSecurityContext().Privileged = privileged
			_, err := t.RunPod(ctx, req)
			t.ExpectCode(err, codes.InvalidArgument)
			t.ExpectRule(err, "handler.unknown")
			expectShort(err)
		}
		expectUntouched(t, 0)
		t.ExpectNothingLeft(ctx, before)
		p, err := t.RunPod(ctx, valid)
		Expect(err).NotTo(HaveOccurred(), "the name of the refused pod is free")
		Expect(p.Status(ctx).GetRuntimeHandler()).To(BeEmpty())
	},
		unknownHandler("if it is unknown", "no-such-handler"),
		unknownHandler("if it is the beginning of a known one", "r"),
		unknownHandler("if it is a known one in capitals", "RUNC"),
		unknownHandler("if it is a path", "../bin/witness-runc"),
		unknownHandler("if it is a program", "/usr/sbin/runc"),
		unknownHandler("if it is white space", " "),
		unknownHandler("if it is very long", strings.Repeat("h", 10_000)),
		unknownHandler("if it is a known one and a NUL byte", "runc\x00"),
	)

	It("is the one that is named", target.Covers("handler.named"), requestLimit, func(ctx SpecContext) {
		for _, name := range target.Current().Handlers() {
			expectHandler(ctx, name, target.Handler(name))
		}
	})

	It("is the one that is named, for a privileged sandbox too", target.Covers("handler.named"), requestLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeaturePrivileged)
		for _, name := range t.Handlers() {
			expectHandler(ctx, name, target.Handler(name), target.Privileged())
		}
	})

	// The founding rules, privilege: privileged sandboxes can have a runtime of
	// their own, since a container with a kernel of its own can't do what they are
	// for.
	It("is the privileged one for a privileged sandbox", target.Covers("handler.privileged"), requestLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeaturePrivileged)
		expectHandler(ctx, t.Var(target.VarPrivilegedHandler), target.Privileged())
	})

	It("is the privileged one for a sandbox in a namespace of the host", target.Covers("handler.privileged"), requestLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureHostNamespaces)
		expectHandler(ctx, t.Var(target.VarPrivilegedHandler), target.HostIPC())
	})

	It("is the default one for any other sandbox", target.Covers("handler.default"), requestLimit, func(ctx SpecContext) {
		t := target.Current()
		expectHandler(ctx, t.Var(target.VarDefaultHandler))
	})

	It("is the default one for a privileged sandbox if none is for these", target.Covers("handler.default"), requestLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeaturePrivileged, target.FeatureRestart)
		Expect(t.Reconfigure(ctx, map[string]string{target.VarPrivilegedHandler: ""})).To(Succeed())
		expectHandler(ctx, t.Var(target.VarDefaultHandler), target.Privileged())
	})

	It("is the default one that the configuration names", target.Covers("handler.default"), requestLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureHandlers, target.FeatureRestart)
		all := t.Handlers()
		Expect(t.Reconfigure(ctx, map[string]string{target.VarDefaultHandler: all[len(all)-1]})).To(Succeed())
		expectHandler(ctx, all[len(all)-1])
	})
})

// maxRefusal is what a refusal may say, in bytes: gRPC libraries of other
// languages take 8 KiB of metadata, and a log line is for people.
const maxRefusal = 2048

func expectShort(err error) {
	GinkgoHelper()
	Expect(len(status.Convert(err).Message())).To(BeNumerically("<=", maxRefusal), "bytes of a refusal")
}
