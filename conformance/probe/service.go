package probe

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"ocid/conformance/target"
	"ocid/fixtures/witness"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func statusOf(ctx context.Context, t *target.T) *runtimeapi.StatusResponse {
	GinkgoHelper()
	resp, err := t.Runtime.Status(ctx, &runtimeapi.StatusRequest{})
	Expect(err).NotTo(HaveOccurred(), "Status")
	return resp
}

// condition returns a condition of Status; an empty one if there is none.
func condition(ctx context.Context, t *target.T, kind string) *runtimeapi.RuntimeCondition {
	GinkgoHelper()
	for _, c := range statusOf(ctx, t).GetStatus().GetConditions() {
		if c.GetType() == kind {
			return c
		}
	}
	return &runtimeapi.RuntimeCondition{}
}

// "1. Required conditions: Conditions are required for kubelet to work properly.
// Kubelet will reject the runtime without them: RuntimeReady, NetworkReady"
// (cri-api v1, RuntimeCondition)
var _ = Describe("Status", func() {
	It("has the conditions RuntimeReady and NetworkReady", target.Covers("service.status"), func(ctx SpecContext) {
		t := target.Current()
		var types []string
		for _, c := range statusOf(ctx, t).GetStatus().GetConditions() {
			types = append(types, c.GetType())
			Expect(c.GetStatus()).To(BeTrue(), "%s: %s", c.GetType(), c.GetMessage())
		}
		Expect(types).To(ContainElements("RuntimeReady", "NetworkReady"))
		Expect(slices.Compact(slices.Sorted(slices.Values(types)))).To(HaveLen(len(types)), "a condition is there twice")
	})

	// "Name must be unique in StatusResponse. An empty string denotes the default
	// handler." (cri-api v1, RuntimeHandler.name)
	It("lists every runtime handler, and the default one under the empty name", target.Covers("service.handlers"), func(ctx SpecContext) {
		t := target.Current()
		var names []string
		for _, h := range statusOf(ctx, t).GetRuntimeHandlers() {
			names = append(names, h.GetName())
		}
		Expect(names).To(ContainElements(append([]string{""}, t.Handlers()...)), "a daemon may have others of its own")
		Expect(slices.Compact(slices.Sorted(slices.Values(names)))).To(HaveLen(len(names)), "a name is there twice")
	})
})

// networkFile is a CNI configuration of the suite; dir is where it stands.
func networkFile(t *target.T) (dir, file string) {
	GinkgoHelper()
	t.Need(target.FeatureWitness)
	dir = filepath.Join(t.Work(), "cni")
	entries, err := os.ReadDir(dir)
	Expect(err).NotTo(HaveOccurred())
	Expect(entries).To(HaveLen(1), "the suite's CNI configurations")
	return dir, filepath.Join(dir, entries[0].Name())
}

// replaceNetwork puts another content in the place of the CNI configuration; nil
// takes it away. The end of the case brings it back.
func replaceNetwork(t *target.T, content []byte) (restore func()) {
	GinkgoHelper()
	_, file := networkFile(t)
	original, err := os.ReadFile(file)
	Expect(err).NotTo(HaveOccurred())
	put := func(content []byte) error {
		if content == nil {
			return os.Remove(file)
		}
		if err := os.WriteFile(file+".next", content, 0o600); err != nil {
			return err
		}
		return os.Rename(file+".next", file)
	}
	t.Cleanup("CNI configuration", func(context.Context) error { return put(original) })
	Expect(put(content)).To(Succeed())
	return func() { Expect(put(original)).To(Succeed()) }
}

// "NetworkReady means the runtime network is up and ready to accept containers
// which require container network." (cri-api v1, RuntimeCondition)
var _ = Describe("A network that can't be used", func() {
	missing := `{"cniVersion": "1.0.0", "name": "other", "plugins": [{"type": "nosuchplugin"}]}`
	for what, c := range map[string]struct {
		content []byte
		says    string
	}{
		"no configuration":      {nil, "cni"},
		"an empty file":         {[]byte{}, "10-suite.conflist"},
		"a corrupt file":        {[]byte(`{"cniVersion": "1.0.0", "name": `), "10-suite.conflist"},
		"a file with no plugin": {[]byte(`{"cniVersion": "1.0.0", "name": "other", "plugins": []}`), "10-suite.conflist"},
		"a missing plugin":      {[]byte(missing), "nosuchplugin"},
	} {
		It("is told by Status, with the reason: "+what, target.Covers("service.network-ready"), restartLimit, func(ctx SpecContext) {
			t := target.Current()
			old := t.Pod(ctx)
			req := t.PodRequest()
			before := t.Now(ctx)
			restore := replaceNetwork(t, c.content)
			Eventually(ctx, func() bool { return condition(ctx, t, "NetworkReady").GetStatus() }).WithTimeout(happensIn()).WithPolling(5*time.Millisecond).
				Should(BeFalse(), "NetworkReady of a daemon that runs on")
			network := condition(ctx, t, "NetworkReady")
			Expect(network.GetReason()).NotTo(BeEmpty(), "reason")
			Expect(network.GetMessage()).To(ContainSubstring(c.says), "message")
			Expect(condition(ctx, t, "RuntimeReady").GetStatus()).To(BeTrue(), "RuntimeReady")

			_, err := t.RunPod(ctx, req)
			Expect(err).To(MatchError(ContainSubstring(c.says)), "RunPodSandbox")
			t.ExpectRule(err, "sandbox.run.network")
			t.ExpectNothingLeft(ctx, before)
			if t.Has(target.FeatureHostNetwork) {
				host := t.Pod(ctx, target.HostNetwork())
				expectUsable(ctx, host)
			}
			Expect(old.Stop(ctx)).To(Succeed(), "StopPodSandbox of one that has an address")
			Expect(t.Leases(old.ID)).To(BeEmpty(), "its address")

			restore()
			Eventually(ctx, func() bool { return condition(ctx, t, "NetworkReady").GetStatus() }).WithTimeout(happensIn()).WithPolling(5*time.Millisecond).
				Should(BeTrue(), "NetworkReady after the repair")
			_, err = t.RunPod(ctx, req)
			Expect(err).NotTo(HaveOccurred(), "RunPodSandbox after the repair")
		})
	}

	It("does not keep the daemon from starting", target.Covers("service.network-ready"), restartLimit, func(ctx SpecContext) {
		t := target.Current()
		p := t.Pod(ctx)
		restore := replaceNetwork(t, []byte("{"))
		crash(ctx, t)
		Expect(condition(ctx, t, "NetworkReady").GetStatus()).To(BeFalse(), "NetworkReady")
		Expect(condition(ctx, t, "RuntimeReady").GetStatus()).To(BeTrue(), "RuntimeReady")
		Expect(p.Status(ctx).GetState()).To(Equal(podReady), "a sandbox that has its network")
		restore()
		Eventually(ctx, func() bool { return condition(ctx, t, "NetworkReady").GetStatus() }).WithTimeout(happensIn()).Should(BeTrue())
	})
})

// "Cgroup driver to use" (cri-api v1, LinuxRuntimeConfiguration): the kubelet has
// to use the one that the runtime uses.
var _ = Describe("RuntimeConfig", target.Covers("service.cgroup-driver"), func() {
	It("names the driver that makes the cgroups", func(ctx SpecContext) {
		t := target.Current()
		resp, err := t.Runtime.RuntimeConfig(ctx, &runtimeapi.RuntimeConfigRequest{})
		Expect(err).NotTo(HaveOccurred())
		Expect(resp.GetLinux()).NotTo(BeNil(), "linux")
		systemd := slices.ContainsFunc(t.Running(ctx).Init().Cgroups, func(path string) bool { return strings.HasSuffix(path, ".scope") })
		want := runtimeapi.CgroupDriver_CGROUPFS
		if systemd {
			want = runtimeapi.CgroupDriver_SYSTEMD
		}
		Expect(resp.GetLinux().GetCgroupDriver()).To(Equal(want))
	})
})

// "Every refusal says which row spoke, in the message and as a machine-readable
// detail (google.rpc.ErrorInfo: reason = rule ID, domain = ocid)" (own)
var _ = Describe("A refusal", target.Covers("service.rule-info"), func() {
	expectRule := func(t *target.T, err error, rule string) {
		GinkgoHelper()
		t.Need(target.FeatureRuleInfo)
		Expect(err).To(HaveOccurred())
		var infos []*errdetails.ErrorInfo
		for _, d := range status.Convert(err).Details() {
			if info, ok := d.(*errdetails.ErrorInfo); ok {
				infos = append(infos, info)
			}
		}
		Expect(infos).To(ConsistOf(And(HaveField("Reason", rule), HaveField("Domain", "ocid"))), "google.rpc.ErrorInfo")
		Expect(status.Convert(err).Message()).To(HavePrefix(rule + ": "))
	}

	It("of an unknown object names its rule", func(ctx SpecContext) {
		t := target.Current()
		_, err := nobody(t).TryStatus(ctx)
		expectRule(t, err, "container.status.absent")
		Expect(err.Error()).To(ContainSubstring(nobody(t).ID), "the object")
	})

	It("of what the state does not allow names its rule", func(ctx SpecContext) {
		t := target.Current()
		c := t.Running(ctx)
		expectRule(t, c.Start(ctx), "container.start.again")
		_, err := c.Pod.CreateFrom(ctx, c.Pod.ContainerRequest(target.ContainerName(c.Config.GetMetadata().GetName())))
		expectRule(t, err, "container.create.other")
	})

	It("of a step that fails names its rule", containerLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Witness.Fault(witness.Fault{Program: witness.CNI, Op: "ADD", Action: witness.Fail, Message: "no address left"})
		_, err := t.TryPod(ctx)
		expectRule(t, err, "sandbox.run.network")
		Expect(err.Error()).To(ContainSubstring("no address left"), "the cause")
	})

	// Own: who reads the error has to find what the daemon had set out to do.
	It("of a call whose work fails names what was to happen", target.Covers("service.failure"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		c := t.Running(ctx)
		t.Witness.Fault(witness.Fault{Program: witness.OCI, Op: "kill", Match: c.ID, Action: witness.Fail, Message: "no kill today", Times: 1})
		err := c.Stop(ctx, 1)
		expectRule(t, err, "container.stop.running")
		Expect(err.Error()).To(ContainSubstring("no kill today"), "the cause")
		Expect(c.Stop(ctx, 0)).To(Succeed())
	})
})
