package probe

import (
	"context"
	"encoding/json"
	"os/exec"
	"slices"

	"ocid/conformance/target"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"google.golang.org/grpc/codes"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func updatePodCIDR(ctx context.Context, t *target.T, cidr string) error {
	_, err := t.Runtime.UpdateRuntimeConfig(ctx, &runtimeapi.UpdateRuntimeConfigRequest{
		RuntimeConfig: &runtimeapi.RuntimeConfig{NetworkConfig: &runtimeapi.NetworkConfig{PodCidr: cidr}},
	})
	return err
}

// infoOf returns the JSON object under "info" of a verbose answer.
func infoOf(info map[string]string, err error) map[string]any {
	GinkgoHelper()
	Expect(err).NotTo(HaveOccurred())
	Expect(info).To(HaveKey("info"))
	var object map[string]any
	Expect(json.Unmarshal([]byte(info["info"]), &object)).To(Succeed(), "info is JSON")
	return object
}

func serviceInfo(ctx context.Context, t *target.T) map[string]any {
	GinkgoHelper()
	resp, err := t.Runtime.Status(ctx, &runtimeapi.StatusRequest{Verbose: true})
	return infoOf(resp.GetInfo(), err)
}

// "Unimplemented" is what kubelet reads as "does without": it falls back to
// another call or goes on.
var _ = Describe("A call that the daemon does not have", target.Covers("service.unimplemented"), func() {
	It("is Unimplemented", requestLimit, func(ctx SpecContext) {
		t := target.Current()
		_, err := t.Runtime.RestorePod(ctx, &runtimeapi.RestorePodRequest{})
		t.ExpectCode(err, codes.Unimplemented)
		t.ExpectRule(err, "service.unimplemented")
	})
})

// "CIDR to use for pod IP addresses. If the CIDR is empty, runtimes should omit
// it." (cri-api v1, NetworkConfig)
var _ = Describe("UpdateRuntimeConfig", target.Covers("service.pod-cidr"), func() {
	It("takes the pod CIDRs, and an empty one changes nothing", requestLimit, func(ctx SpecContext) {
		t := target.Current()
		p := t.Pod(ctx)
		for _, cidr := range []string{"10.1.0.0/16", "192.0.2.0/24,2001:db8::/64"} {
			Expect(updatePodCIDR(ctx, t, cidr)).To(Succeed())
			Expect(updatePodCIDR(ctx, t, "")).To(Succeed())
			_, err := t.Runtime.UpdateRuntimeConfig(ctx, &runtimeapi.UpdateRuntimeConfigRequest{})
			Expect(err).NotTo(HaveOccurred())
			Expect(serviceInfo(ctx, t)).To(HaveKeyWithValue("podCIDR", cidr))
		}
		q := t.Pod(ctx)
		Expect(q.Status(ctx).GetNetwork().GetIp()).NotTo(Or(BeEmpty(), HavePrefix("192.0.2.")), "an address as the CNI configuration has it")
		Expect(p.Status(ctx).GetState()).To(Equal(podReady))
	})
})

var _ = Describe("Status", func() {
	// "RuntimeFeatures describes the set of features implemented by the CRI
	// implementation." (cri-api v1)
	It("tells the features of the daemon", target.Covers("service.features"), func(ctx SpecContext) {
		features := statusOf(ctx, target.Current()).GetFeatures()
		Expect(features.GetSupplementalGroupsPolicy()).To(BeTrue(), "supplemental_groups_policy")
		Expect(features.GetMountOptions()).To(BeTrue(), "mount_options")
	})

	// "For runc-compatible runtimes, availability of this feature can be detected by
	// checking whether the Linux kernel version is >= 5.12, and, `runc features | jq
	// .mountOptions` contains \"rro\"." (cri-api v1, RuntimeHandlerFeatures)
	It("tells the features of each handler as its runtime has them", target.Covers("service.handler-features"), func(ctx SpecContext) {
		t := target.Current()
		byName := map[string]*runtimeapi.RuntimeHandlerFeatures{}
		for _, h := range statusOf(ctx, t).GetRuntimeHandlers() {
			Expect(byName).NotTo(HaveKey(h.GetName()), "a name that is there twice")
			byName[h.GetName()] = h.GetFeatures()
		}
		handlers := t.Handlers()
		Expect(byName[""].String()).To(Equal(byName[handlers[0]].String()), "the default handler under both names")
		var told struct {
			MountOptions []string `json:"mountOptions"`
			Linux        struct {
				Namespaces []string `json:"namespaces"`
			} `json:"linux"`
		}
		out, err := exec.CommandContext(ctx, t.NeedVariable(target.VarRuntime), "features").Output() // which an old one does not know
		if err == nil {
			Expect(json.Unmarshal(out, &told)).To(Succeed())
		}
		Expect(byName[""].GetRecursiveReadOnlyMounts()).To(Equal(slices.Contains(told.MountOptions, "rro")), "recursive_read_only_mounts")
		shared := slices.Contains(told.Linux.Namespaces, "user") && !t.Has(target.FeatureOwnKernel)
		Expect(byName[""].GetUserNamespaces()).To(Equal(shared), "user_namespaces")
	})
})

// "Info is extra information [...]. The key could be arbitrary string, and value
// should be in json format. [...] It should only be returned non-empty when
// Verbose is true." (cri-api v1)
var _ = Describe("Info", target.Covers("service.verbose"), func() {
	It("is there only if verbose is asked for, as JSON", requestLimit, func(ctx SpecContext) {
		t := target.Current()
		c := t.Running(ctx)
		image := &runtimeapi.ImageSpec{Image: c.Config.GetImage().GetImage()}
		ask := func(verbose bool) (all []map[string]string) {
			GinkgoHelper()
			service, err := t.Runtime.Status(ctx, &runtimeapi.StatusRequest{Verbose: verbose})
			Expect(err).NotTo(HaveOccurred())
			sandbox, err := t.Runtime.PodSandboxStatus(ctx, &runtimeapi.PodSandboxStatusRequest{PodSandboxId: c.Pod.ID, Verbose: verbose})
			Expect(err).NotTo(HaveOccurred())
			container, err := t.Runtime.ContainerStatus(ctx, &runtimeapi.ContainerStatusRequest{ContainerId: c.ID, Verbose: verbose})
			Expect(err).NotTo(HaveOccurred())
			of, err := t.Images.ImageStatus(ctx, &runtimeapi.ImageStatusRequest{Image: image, Verbose: verbose})
			Expect(err).NotTo(HaveOccurred())
			return []map[string]string{service.GetInfo(), sandbox.GetInfo(), container.GetInfo(), of.GetInfo()}
		}
		for i, info := range ask(false) {
			Expect(info).To(BeEmpty(), "info of answer %d", i)
		}
		all := ask(true)
		Expect(infoOf(all[0], nil)).To(HaveKeyWithValue("config", Not(BeEmpty())))
		Expect(infoOf(all[1], nil)).To(And(HaveKeyWithValue("pid", BeNumerically(">=", 0)), HaveKeyWithValue("runtimeHandler", t.Handlers()[0])))
		container := infoOf(all[2], nil)
		Expect(container).To(And(HaveKeyWithValue("sandboxID", c.Pod.ID), HaveKeyWithValue("runtimeSpec", HaveKey("process"))))
		if t.Has(target.FeatureHostNamespaces) {
			Expect(container).To(HaveKeyWithValue("pid", BeNumerically("==", c.Init().PID)))
		}
		Expect(infoOf(all[3], nil)).To(HaveKeyWithValue("imageSpec", Not(BeEmpty())))
	})
})
