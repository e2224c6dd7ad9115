package derived

import (
	"fmt"
	"strconv"

	"ocid/conformance/target"
	"ocid/fixtures/witness"
	"ocid/spec"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// What the runtime is told stands in the configuration that it gets at create.
var _ = Describe("Annotation", target.Derived(), Ordered, ContinueOnFailure, func() {
	var pod *target.Pod
	var ctr *target.Container
	told := map[spec.Objects]witness.Call{}
	BeforeAll(func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureWitness)
		pod = t.Pod(ctx, target.SharedPID(), target.WithPod(func(c *runtimeapi.PodSandboxConfig) { c.Linux.Resources = podResources() }))
		ctr = pod.Create(ctx)
		told[spec.InfraContainer], told[spec.AppContainer] = t.Witness.Create(pod.ID), t.Witness.Create(ctr.ID)
	}, NodeTimeout(setUp))
	for _, a := range book().Annotations {
		for _, object := range []spec.Objects{spec.InfraContainer, spec.AppContainer} {
			It(fmt.Sprintf("%s on the %s", a.Key, objectName(object)), covers(a.Rule), func() {
				need(pod.T, a.Rule)
				got := told[object].Spec.Annotations
				if a.On&object == 0 {
					Expect(got).NotTo(HaveKey(a.Key))
					return
				}
				expectValue(got, a, object, ctr)
			})
		}
	}
})

func objectName(o spec.Objects) string {
	if o == spec.InfraContainer {
		return "infra container"
	}
	return "container"
}

func podResources() *runtimeapi.LinuxContainerResources {
	return &runtimeapi.LinuxContainerResources{CpuPeriod: 50_000, CpuQuota: 20_000, CpuShares: 300, MemoryLimitInBytes: 96 << 20}
}

func expectValue(got map[string]string, a spec.Annotation, object spec.Objects, c *target.Container) {
	GinkgoHelper()
	Expect(got).To(HaveKey(a.Key))
	meta := c.Pod.Config.GetMetadata()
	if a.Value == spec.SandboxKey { // how it is put together is the daemon's affair
		Expect(got[a.Key]).To(And(ContainSubstring(meta.GetName()), ContainSubstring(meta.GetNamespace()), ContainSubstring(meta.GetUid())))
		return
	}
	kind, id := "container", c.ID
	if object == spec.InfraContainer {
		kind, id = "sandbox", c.Pod.ID
	}
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	want := map[spec.Value]string{
		spec.ContainerType:    kind,
		spec.SandboxID:        c.Pod.ID,
		spec.SandboxName:      meta.GetName(),
		spec.SandboxNamespace: meta.GetNamespace(),
		spec.SandboxUID:       meta.GetUid(),
		spec.ContainerName:    c.Config.GetMetadata().GetName(),
		spec.ContainerID:      id,
		spec.ImageName:        c.Config.GetImage().GetImage(),
		spec.Privileged:       "false",
		spec.RuntimeHandler:   c.T.Var(target.VarDefaultHandler),
		spec.CPUPeriod:        number(podResources().GetCpuPeriod()),
		spec.CPUQuota:         number(podResources().GetCpuQuota()),
		spec.CPUShares:        number(podResources().GetCpuShares()),
		spec.Memory:           number(podResources().GetMemoryLimitInBytes()),
		spec.Manager:          c.T.Version().GetRuntimeName(),
	}
	Expect(want).To(HaveKey(a.Value), "what this value is to be is not known")
	Expect(got).To(HaveKeyWithValue(a.Key, want[a.Value]))
}
