package probe

import (
	"context"
	"maps"
	"strings"
	"syscall"

	"ocid/conformance/target"
	"ocid/fixtures/witness"

	. "github.com/onsi/ginkgo/v2"
	"github.com/onsi/ginkgo/v2/types"
	. "github.com/onsi/gomega"
	gomegatypes "github.com/onsi/gomega/types"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// told is what the runtime was told when it created a sandbox's own container
// and a container of the sandbox.
type told struct {
	t          *target.T
	pod        *target.Pod
	container  *target.Container
	infra, app witness.Call
}

// Of the pod that the annotations are read from.
const (
	toldPodName       = "told-pod"
	toldContainerName = "told-container"
)

// tell runs a pod that has a process of its own, as the shared PID namespace
// demands, and a container, and returns what the runtime was told.
func tell(ctx context.Context) *told {
	GinkgoHelper()
	t := target.Current()
	pod := t.Pod(ctx, target.SharedPID(), target.PodName(toldPodName), target.WithPod(func(c *runtimeapi.PodSandboxConfig) {
		c.GetMetadata().Attempt = 3
		c.GetLinux().Resources = &runtimeapi.LinuxContainerResources{
			CpuPeriod: 50_000, CpuQuota: 125_000, CpuShares: 2560, MemoryLimitInBytes: 805_306_368,
		}
	}))
	image, err := t.Images.ImageStatus(ctx, &runtimeapi.ImageStatusRequest{Image: t.ContainerConfig("", "").GetImage()})
	Expect(err).NotTo(HaveOccurred())
	container := pod.Create(ctx, target.ContainerName(toldContainerName), target.WithContainer(func(c *runtimeapi.ContainerConfig) {
		c.GetImage().Image = image.GetImage().GetId() // as kubelet does, which keeps the pod's wording beside it
	}))
	return &told{t: t, pod: pod, container: container, infra: t.Witness.Create(pod.ID), app: t.Witness.Create(container.ID)}
}

// A saying is what a key has to say; nil is nothing that a rule speaks of.
type saying func(*told) gomegatypes.GomegaMatcher

func says(text string) saying { return func(*told) gomegatypes.GomegaMatcher { return Equal(text) } }

func saysOf(text func(*told) string) saying {
	return func(w *told) gomegatypes.GomegaMatcher { return Equal(text(w)) }
}

// annotation is a row: what a key says on the sandbox's own container and on the
// others.
func annotation(rule, key string, infra, app saying) TableEntry {
	return Entry(key, target.Covers(rule), types.NewCodeLocation(1), key, infra, app)
}

func sandboxID(w *told) string        { return w.pod.ID }
func sandboxUID(w *told) string       { return w.pod.Config.GetMetadata().GetUid() }
func sandboxNamespace(w *told) string { return w.pod.Config.GetMetadata().GetNamespace() }
func containerID(w *told) string      { return w.container.ID }
func imageName(w *told) string        { return w.container.Config.GetImage().GetUserSpecifiedImage() }
func manager(w *told) string          { return w.t.Version().GetRuntimeName() }
func defaultHandler(w *told) string   { return w.t.Var(target.VarDefaultHandler) }

// uniqueName is made of all that tells two sandboxes apart.
func uniqueName(w *told) gomegatypes.GomegaMatcher {
	return And(ContainSubstring(toldPodName), ContainSubstring(sandboxUID(w)), ContainSubstring(sandboxNamespace(w)), HaveSuffix("3"))
}

// Kata and gVisor read one of two vocabularies, that of CRI-O or that of
// containerd: which container is the sandbox (a missing answer makes each
// container a machine of its own), which sandbox a container belongs to, what
// the guest has to pull, and how large a machine is to be. A daemon that speaks
// both needs not know who listens.
var _ = Describe("The runtime is told", func() {
	BeforeEach(func() { target.Current().Need(target.FeatureWitness) })

	Context("about a sandbox and its container", Ordered, ContinueOnFailure, func() {
		var seen *told
		BeforeAll(func(ctx SpecContext) { seen = tell(ctx) }, requestNode)

		DescribeTable("under the key", func(key string, infra, app saying) {
			if infra != nil {
				Expect(seen.infra.Spec.Annotations).To(HaveKeyWithValue(key, infra(seen)), "on the sandbox's own container")
			}
			Expect(seen.app.Spec.Annotations).To(HaveKeyWithValue(key, app(seen)), "on a container")
		},
			annotation("annotation.crio.type", "io.kubernetes.cri-o.ContainerType", says("sandbox"), says("container")),
			annotation("annotation.cri.type", "io.kubernetes.cri.container-type", says("sandbox"), says("container")),
			annotation("annotation.crio.sandbox-id", "io.kubernetes.cri-o.SandboxID", saysOf(sandboxID), saysOf(sandboxID)),
			annotation("annotation.cri.sandbox-id", "io.kubernetes.cri.sandbox-id", saysOf(sandboxID), saysOf(sandboxID)),
			annotation("annotation.crio.sandbox-name", "io.kubernetes.cri-o.SandboxName", uniqueName, uniqueName),
			annotation("annotation.crio.kube-name", "io.kubernetes.cri-o.KubeName", says(toldPodName), says(toldPodName)),
			annotation("annotation.cri.sandbox-name", "io.kubernetes.cri.sandbox-name", says(toldPodName), says(toldPodName)),
			annotation("annotation.crio.namespace", "io.kubernetes.cri-o.Namespace", saysOf(sandboxNamespace), saysOf(sandboxNamespace)),
			annotation("annotation.cri.namespace", "io.kubernetes.cri.sandbox-namespace", saysOf(sandboxNamespace), saysOf(sandboxNamespace)),
			annotation("annotation.cri.sandbox-uid", "io.kubernetes.cri.sandbox-uid", saysOf(sandboxUID), saysOf(sandboxUID)),
			annotation("annotation.crio.container-id", "io.kubernetes.cri-o.ContainerID", saysOf(sandboxID), saysOf(containerID)),
			annotation("annotation.crio.container-name", "io.kubernetes.cri-o.ContainerName", nil, says(toldContainerName)),
			annotation("annotation.cri.container-name", "io.kubernetes.cri.container-name", nil, says(toldContainerName)),
			annotation("annotation.crio.image-name", "io.kubernetes.cri-o.ImageName", nil, saysOf(imageName)),
			annotation("annotation.cri.image-name", "io.kubernetes.cri.image-name", nil, saysOf(imageName)),
			annotation("annotation.crio.privileged", "io.kubernetes.cri-o.PrivilegedRuntime", says("false"), says("false")),
			annotation("annotation.crio.handler", "io.kubernetes.cri-o.RuntimeHandler", saysOf(defaultHandler), saysOf(defaultHandler)),
			annotation("annotation.cri.cpu-period", "io.kubernetes.cri.sandbox-cpu-period", says("50000"), says("50000")),
			annotation("annotation.cri.cpu-quota", "io.kubernetes.cri.sandbox-cpu-quota", says("125000"), says("125000")),
			annotation("annotation.cri.cpu-shares", "io.kubernetes.cri.sandbox-cpu-shares", says("2560"), says("2560")),
			annotation("annotation.cri.memory", "io.kubernetes.cri.sandbox-memory", says("805306368"), says("805306368")),
			annotation("annotation.manager", "io.container.manager", saysOf(manager), saysOf(manager)),
		)
	})

	// The founding rules, privilege: the flag is the sandbox's, and its containers
	// inherit it whatever they ask for.
	It("that a container's sandbox is privileged", target.Covers("annotation.crio.privileged"), requestLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeaturePrivileged)
		pod := t.Pod(ctx, target.Privileged(), target.SharedPID())
		for _, id := range []string{pod.ID, pod.Create(ctx).ID, pod.Create(ctx, target.PrivilegedContainer()).ID} {
			Expect(t.Witness.Create(id).Spec.Annotations).To(HaveKeyWithValue("io.kubernetes.cri-o.PrivilegedRuntime", "true"), id)
		}
	})

	It("which handler a sandbox runs on that names one", target.Covers("annotation.crio.handler"), requestLimit, func(ctx SpecContext) {
		t := target.Current()
		for _, name := range t.Handlers() {
			pod := t.Pod(ctx, target.Handler(name), target.SharedPID())
			for _, id := range []string{pod.ID, pod.Create(ctx).ID} {
				Expect(t.Witness.Create(id).Spec.Annotations).To(HaveKeyWithValue("io.kubernetes.cri-o.RuntimeHandler", name), id)
			}
		}
	})

	// A request whose caller is not kubelet may have one wording only.
	It("the image as the request names it", target.Covers("annotation.crio.image-name", "annotation.cri.image-name"), requestLimit, func(ctx SpecContext) {
		t := target.Current()
		container := t.Pod(ctx).Create(ctx, target.WithContainer(func(c *runtimeapi.ContainerConfig) { c.GetImage().UserSpecifiedImage = "" }))
		name := container.Config.GetImage().GetImage()
		Expect(t.Witness.Create(container.ID).Spec.Annotations).To(And(
			HaveKeyWithValue("io.kubernetes.cri-o.ImageName", name), HaveKeyWithValue("io.kubernetes.cri.image-name", name)))
	})

	// The pod's author writes its annotations; a runtime that took their word for
	// which sandbox a container is in would put it into another one's machine.
	It("nothing else by a pod that annotates itself with the same keys", requestLimit,
		target.Covers("annotation.cri.type", "annotation.crio.type", "annotation.cri.sandbox-id", "annotation.crio.sandbox-id"),
		func(ctx SpecContext) {
			t := target.Current()
			lies := map[string]string{
				"io.kubernetes.cri.container-type": "sandbox", "io.kubernetes.cri-o.ContainerType": "sandbox",
				"io.kubernetes.cri.sandbox-id": "lie", "io.kubernetes.cri-o.SandboxID": "lie",
			}
			pod := t.Pod(ctx, target.SharedPID(), target.Annotations(lies))
			container := pod.Create(ctx, target.ContainerAnnotations(lies))
			for id, kind := range map[string]string{pod.ID: "sandbox", container.ID: "container"} {
				Expect(t.Witness.Create(id).Spec.Annotations).To(And(
					HaveKeyWithValue("io.kubernetes.cri.container-type", kind), HaveKeyWithValue("io.kubernetes.cri-o.ContainerType", kind),
					HaveKeyWithValue("io.kubernetes.cri.sandbox-id", pod.ID), HaveKeyWithValue("io.kubernetes.cri-o.SandboxID", pod.ID)), id)
			}
		})
})

// odd are labels or annotations that a daemon could be tempted to touch.
func odd() map[string]string {
	return map[string]string{
		"io.kubernetes.cri-o.SandboxID":                     "mine",
		"io.kubernetes.cri-o.PrivilegedRuntime":             "yes",
		"io.kubernetes.cri.sandbox-id":                      "mine too",
		"io.kubernetes.cri.container-type":                  "neither",
		"io.container.manager":                              "nobody",
		"io.katacontainers.config.hypervisor.default_vcpus": "2",
		"dev.gvisor.spec.mount.cache.type":                  "tmpfs",
		"empty.example/value":                               "",
		"":                                                  "empty key",
		"spaces.example/value":                              " \t around \n",
		"lines.example/value":                               "{\n  \"a\": \"<&>\"\n}\r\n",
		"letters.example/value":                             "Grüße, 世界 \u2028 \u0000 \ufffd",
		"long.example/value":                                strings.Repeat("0123456789abcdef", 4096),
		strings.Repeat("long.", 200) + "example/key":        "long key",
		"kubectl.kubernetes.io/last-applied-configuration":  `{"apiVersion":"v1","kind":"Pod"}`,
		"org.opencontainers.image.stopSignal":               "SIGKILL",
		"run.oci.keep_original_groups":                      "1",
		"module.wasm.image/variant":                         "compat",
	}
}

// "Unstructured key-value map that may be set by the kubelet to store and
// retrieve arbitrary metadata. This will include any annotations set on a pod
// through the Kubernetes API. Annotations MUST NOT be altered by the runtime; the
// annotations stored here MUST be returned in the PodSandboxStatus associated
// with the pod this PodSandboxConfig creates." (cri-api v1, PodSandboxConfig)
var _ = Describe("A pod's labels and annotations", func() {
	It("come back as they were given", target.Covers("annotation.unaltered"), requestLimit, func(ctx SpecContext) {
		t := target.Current()
		pod := t.Pod(ctx, target.Labels(odd()), target.Annotations(odd()))
		expectUnaltered(ctx, pod)
		if !t.Has(target.FeatureRestart) {
			return
		}
		Expect(t.Restart(ctx, syscall.SIGTERM)).To(Succeed())
		expectUnaltered(ctx, pod)
	})

	It("are none if there are none", target.Covers("annotation.unaltered"), requestLimit, func(ctx SpecContext) {
		pod := target.Current().Pod(ctx, target.WithPod(func(c *runtimeapi.PodSandboxConfig) { c.Labels, c.Annotations = nil, nil }))
		pod.Create(ctx)
		expectUnaltered(ctx, pod)
	})
})

func expectUnaltered(ctx context.Context, pod *target.Pod) {
	GinkgoHelper()
	status, listed := pod.Status(ctx), pod.Listed(ctx)
	Expect(listed).NotTo(BeNil())
	labels, annotations := map[string]string{}, map[string]string{}
	maps.Copy(labels, pod.Config.GetLabels())
	maps.Copy(annotations, pod.Config.GetAnnotations())
	for where, got := range map[string]interface {
		GetLabels() map[string]string
		GetAnnotations() map[string]string
	}{"PodSandboxStatus": status, "ListPodSandbox": listed} {
		Expect(maps.Equal(got.GetLabels(), labels)).To(BeTrue(), "labels in %s: %q", where, got.GetLabels())
		Expect(maps.Equal(got.GetAnnotations(), annotations)).To(BeTrue(), "annotations in %s: %q", where, got.GetAnnotations())
	}
}
