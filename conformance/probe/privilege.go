package probe

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"syscall"

	"ocid/conformance/target"

	. "github.com/onsi/ginkgo/v2"
	"github.com/onsi/ginkgo/v2/types"
	. "github.com/onsi/gomega"
	"google.golang.org/grpc/codes"
)

// privilegeOf is a row: what a pod asks for, and the first of these that makes it
// privileged: the flag, the host's network, PID or IPC namespace, or nothing.
func privilegeOf(rule string, flag, network, pid, ipc bool) TableEntry {
	var opts []target.PodOption
	var features []target.Feature
	what := "nothing"
	for _, o := range []struct {
		asked    bool
		what     string
		opt      target.PodOption
		features []target.Feature
	}{
		{flag, "the flag", target.Privileged(), []target.Feature{target.FeaturePrivileged}},
		{network, "the host's network", target.HostNetwork(), []target.Feature{target.FeatureHostNetwork, target.FeatureHostNamespaces}},
		{pid, "the host's PIDs", target.HostPID(), []target.Feature{target.FeatureHostNamespaces}},
		{ipc, "the host's IPC", target.HostIPC(), []target.Feature{target.FeatureHostNamespaces}},
	} {
		if !o.asked {
			continue
		}
		opts, features = append(opts, o.opt), append(features, o.features...)
		if what == "nothing" {
			what = o.what
		} else {
			what += " and " + o.what
		}
	}
	privileged := flag || network || pid || ipc
	return Entry(what, target.Covers(rule), requestLimit, types.NewCodeLocation(1), opts, features, privileged)
}

// The founding rules, privilege: a sandbox is privileged if its security context
// says so or if it is in the host's network, PID or IPC namespace, and in no
// other case. A privileged sandbox may have a privileged container, runs on the
// privileged runtime, and the runtime is told.
var _ = DescribeTable("The privilege of a sandbox that asks for",
	func(ctx SpecContext, opts []target.PodOption, features []target.Feature, privileged bool) {
		t := target.Current()
		t.Need(features...)
		expectPrivilege(ctx, t.Pod(ctx, opts...), privileged)
	},
	privilegeOf("privilege.flag", true, false, false, false),
	privilegeOf("privilege.flag", true, true, false, false),
	privilegeOf("privilege.flag", true, false, true, false),
	privilegeOf("privilege.flag", true, true, true, false),
	privilegeOf("privilege.flag", true, false, false, true),
	privilegeOf("privilege.flag", true, true, false, true),
	privilegeOf("privilege.flag", true, false, true, true),
	privilegeOf("privilege.flag", true, true, true, true),
	privilegeOf("privilege.host-network", false, true, false, false),
	privilegeOf("privilege.host-network", false, true, true, false),
	privilegeOf("privilege.host-network", false, true, false, true),
	privilegeOf("privilege.host-network", false, true, true, true),
	privilegeOf("privilege.host-pid", false, false, true, false),
	privilegeOf("privilege.host-pid", false, false, true, true),
	privilegeOf("privilege.host-ipc", false, false, false, true),
	privilegeOf("privilege.none", false, false, false, false),
)

// A shared PID namespace, a handler by name or a user of the node are no
// privilege.
var _ = Describe("The privilege of a sandbox", func() {
	It("is none for a shared PID namespace", target.Covers("privilege.none"), requestLimit, func(ctx SpecContext) {
		expectPrivilege(ctx, target.Current().Pod(ctx, target.SharedPID()), false)
	})

	It("is none for an annotation that claims it", target.Covers("privilege.none"), requestLimit, func(ctx SpecContext) {
		expectPrivilege(ctx, target.Current().Pod(ctx, target.Annotations(map[string]string{"io.kubernetes.cri-o.PrivilegedRuntime": "true"})), false)
	})

	It("is none for a config with nothing that is Linux's", target.Covers("privilege.none"), requestLimit, func(ctx SpecContext) {
		t := target.Current()
		req := t.PodRequest()
		req.GetConfig().GetLinux().SecurityContext = nil
		p, err := t.RunPod(ctx, req)
		Expect(err).NotTo(HaveOccurred())
		expectPrivilege(ctx, p, false)
	})

	for _, end := range []struct {
		name string
		sig  os.Signal
	}{{"stopped", syscall.SIGTERM}, {"killed", syscall.SIGKILL}} {
		// The founding rules, privilege: the flag outlives the daemon. The host
		// namespaces of the sandbox are not looked at again: it is what it was made.
		It("is what it was after the daemon was "+end.name, target.Covers("privilege.persistent"), requestLimit, func(ctx SpecContext) {
			t := target.Current()
			t.Need(target.FeatureRestart, target.FeaturePrivileged)
			pods := map[*target.Pod]bool{t.Pod(ctx, target.Privileged()): true, t.Pod(ctx): false}
			if t.Has(target.FeatureHostNamespaces) {
				pods[t.Pod(ctx, target.HostIPC())] = true
			}
			Expect(t.Restart(ctx, end.sig)).To(Succeed())
			for p, privileged := range pods {
				expectPrivilege(ctx, p, privileged)
			}
		})
	}

	// A sandbox keeps the runtime that it was made on, whatever the configuration
	// says since.
	It("keeps its runtime when another one becomes the privileged one", target.Covers("privilege.persistent"), requestLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureRestart, target.FeaturePrivileged, target.FeatureHandlers, target.FeatureWitness)
		pod := t.Pod(ctx, target.Privileged())
		native := t.Var(target.VarPrivilegedHandler)
		Expect(t.Reconfigure(ctx, map[string]string{target.VarPrivilegedHandler: ""})).To(Succeed())
		c := pod.Run(ctx, target.PrivilegedContainer())
		Expect(t.Witness.Create(c.ID).Handler).To(Equal(native))
	})
})

// expectPrivilege makes containers in the sandbox and looks at what becomes of
// them: which runtime creates them, what it is told, and whether one may be
// privileged.
func expectPrivilege(ctx context.Context, p *target.Pod, want bool) {
	GinkgoHelper()
	t := p.T
	plain := p.Create(ctx)
	if t.Has(target.FeatureWitness) {
		call := t.Witness.Create(plain.ID)
		Expect(call.Spec.Annotations).To(HaveKeyWithValue("io.kubernetes.cri-o.PrivilegedRuntime", strconv.FormatBool(want)))
		handler := t.Var(target.VarDefaultHandler)
		if want {
			handler = t.Var(target.VarPrivilegedHandler)
		}
		if t.Has(target.FeatureHandlers) {
			Expect(call.Handler).To(Equal(handler), "the runtime that creates a container")
		}
	}
	elevated, err := p.TryCreate(ctx, target.PrivilegedContainer())
	if !want {
		Expect(err).To(HaveOccurred(), "a privileged container in a sandbox that is not privileged")
		t.ExpectCode(err, codes.InvalidArgument)
		return
	}
	Expect(err).NotTo(HaveOccurred(), "a privileged container in a privileged sandbox")
	Expect(elevated.Start(ctx)).To(Succeed(), fmt.Sprint(elevated))
}
