package probe

import (
	"ocid/conformance/target"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// Which sandboxes have a process of their own. "NamespaceMode.POD: containers
// within a pod share a namespace" (cri-api v1): a PID namespace needs a process
// that holds it; network, IPC and UTS namespaces are pinned and need none.
var _ = Describe("The infra process", func() {
	It("is not there when nothing needs it", target.Covers("infra.none"), podTime, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureHostNamespaces, target.FeatureWitness)
		pod := t.Pod(ctx)
		Expect(pod.Processes()).To(BeEmpty())
		Expect(t.Witness.Creates(pod.ID)).To(BeEmpty(), "runtime create calls")
		pod.Run(ctx)
	})
	It("holds the PID namespace that containers share", target.Covers("infra.shared-pid"), podTime, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureHostNamespaces)
		pod := t.Pod(ctx, target.SharedPID())
		all := pod.Processes()
		Expect(all).To(HaveLen(1))
		ns := t.NamespaceOf(all[0].PID, "pid")
		Expect(ns).NotTo(Equal(t.HostNamespace("pid")))
		for range 2 {
			Expect(t.NamespaceOf(pod.Run(ctx).Init().PID, "pid")).To(Equal(ns))
		}
	})
	It("is there if the configuration says always", target.Covers("infra.always"), podTime, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureHostNamespaces)
		Expect(t.Reconfigure(ctx, map[string]string{target.VarInfra: "always"})).To(Succeed())
		Expect(t.Pod(ctx).Processes()).To(HaveLen(1))
	})
	// A VM runtime boots the machine when it creates the sandbox.
	It("is there on a VM runtime", target.Covers("infra.vm"), podTime, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureHandlers, target.FeatureWitness, target.FeatureHostNamespaces)
		plain, vm := t.Handlers()[0], t.Handlers()[1]
		Expect(t.Reconfigure(ctx, map[string]string{"NATIVE_VM": "true"})).To(Succeed())
		Expect(t.Witness.Create(t.Pod(ctx, target.Handler(vm)).ID).Handler).To(Equal(vm))
		Expect(t.Witness.Creates(t.Pod(ctx, target.Handler(plain)).ID)).To(BeEmpty(), "create calls on the handler that is none")
	})
})
