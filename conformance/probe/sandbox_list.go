package probe

import (
	"context"

	"ocid/conformance/target"
	"ocid/fixtures/witness"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"google.golang.org/grpc/codes"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const shortID = 13 // digits of an ID that people type

func sandboxIDs(ctx context.Context, t *target.T, f *runtimeapi.PodSandboxFilter) []string {
	GinkgoHelper()
	resp, err := t.Runtime.ListPodSandbox(ctx, &runtimeapi.ListPodSandboxRequest{Filter: f})
	Expect(err).NotTo(HaveOccurred(), "ListPodSandbox")
	ids := []string{}
	for _, s := range resp.GetItems() {
		ids = append(ids, s.GetId())
	}
	return ids
}

func containerIDs(ctx context.Context, t *target.T, f *runtimeapi.ContainerFilter) []string {
	GinkgoHelper()
	resp, err := t.Runtime.ListContainers(ctx, &runtimeapi.ListContainersRequest{Filter: f})
	Expect(err).NotTo(HaveOccurred(), "ListContainers")
	ids := []string{}
	for _, c := range resp.GetContainers() {
		ids = append(ids, c.GetId())
	}
	return ids
}

// "PodSandboxFilter is used to filter a list of PodSandboxes. All those fields
// are combined with 'AND'" (cri-api v1). "LabelSelector to select matches. Only
// api.MatchLabels is supported for now and the requirements are ANDed."
var _ = Describe("ListPodSandbox", func() {
	It("returns what matches all fields of the filter", target.Covers("list.sandbox-filter"), podTime, func(ctx SpecContext) {
		t := target.Current()
		mark := t.Fresh("mark")
		a := t.Pod(ctx, target.Labels(map[string]string{"mark": mark, "side": "a"})).ID
		pod := t.Pod(ctx, target.Labels(map[string]string{"mark": mark, "side": "b"}))
		Expect(pod.Stop(ctx)).To(Succeed())
		b := pod.ID
		state := func(s runtimeapi.PodSandboxState) *runtimeapi.PodSandboxStateValue {
			return &runtimeapi.PodSandboxStateValue{State: s}
		}
		ready, not := state(runtimeapi.PodSandboxState_SANDBOX_READY), state(notReady)
		all, sideB := map[string]string{"mark": mark}, map[string]string{"mark": mark, "side": "b"}
		for _, x := range []struct {
			filter *runtimeapi.PodSandboxFilter
			want   []string
		}{
			{nil, []string{a, b}},
			{&runtimeapi.PodSandboxFilter{}, []string{a, b}},
			{&runtimeapi.PodSandboxFilter{Id: a}, []string{a}},
			{&runtimeapi.PodSandboxFilter{Id: a[:shortID]}, []string{a}},
			{&runtimeapi.PodSandboxFilter{Id: podAbsent}, nil},
			{&runtimeapi.PodSandboxFilter{State: ready}, []string{a}},
			{&runtimeapi.PodSandboxFilter{State: not}, []string{b}},
			{&runtimeapi.PodSandboxFilter{LabelSelector: all}, []string{a, b}},
			{&runtimeapi.PodSandboxFilter{LabelSelector: sideB}, []string{b}},
			{&runtimeapi.PodSandboxFilter{LabelSelector: map[string]string{"mark": mark, "side": ""}}, nil},
			{&runtimeapi.PodSandboxFilter{LabelSelector: map[string]string{"nothing": ""}}, nil},
			{&runtimeapi.PodSandboxFilter{LabelSelector: all, State: ready}, []string{a}},
			{&runtimeapi.PodSandboxFilter{Id: a, State: not}, nil},
			{&runtimeapi.PodSandboxFilter{Id: a, LabelSelector: sideB}, nil},
			{&runtimeapi.PodSandboxFilter{Id: b[:shortID], State: not, LabelSelector: sideB}, []string{b}},
		} {
			Expect(sandboxIDs(ctx, t, x.filter)).To(ConsistOf(x.want), "filter %v", x.filter)
		}
	})
	It("does not show a sandbox that is being created", target.Covers("list.half-made"), podTime, func(ctx SpecContext) {
		t := target.Current()
		b := creating(ctx, t)
		Expect(sandboxIDs(ctx, t, nil)).To(BeEmpty())
		Expect(sandboxIDs(ctx, t, &runtimeapi.PodSandboxFilter{Id: b.ID})).To(BeEmpty())
		b.release()
		_, err := b.call.result(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(sandboxIDs(ctx, t, nil)).To(ConsistOf(b.ID))
	})
	// An ID that people shortened too much is no ID: guessing would stop somebody
	// else's pod.
	It("knows no sandbox by a prefix that several have", target.Covers("list.ambiguous"), podTime, func(ctx SpecContext) {
		t := target.Current()
		var opts []target.PodOption
		if t.Has(target.FeatureHostNetwork) {
			opts = append(opts, target.HostNetwork()) // which is quick
		}
		seen := map[string]*target.Pod{} // 17 IDs at most, 16 first digits
		for {
			pod := t.Pod(ctx, opts...)
			other := seen[pod.ID[:1]]
			if other == nil {
				seen[pod.ID[:1]] = pod
				continue
			}
			short := &target.Pod{T: t, ID: pod.ID[:1]}
			Expect(sandboxIDs(ctx, t, &runtimeapi.PodSandboxFilter{Id: short.ID})).To(BeEmpty())
			_, err := short.TryStatus(ctx)
			t.ExpectCode(err, codes.NotFound)
			Expect(short.Stop(ctx)).To(Succeed())
			Expect(short.Remove(ctx)).To(Succeed())
			for _, p := range []*target.Pod{pod, other} {
				Expect(p.Status(ctx).GetState()).To(Equal(runtimeapi.PodSandboxState_SANDBOX_READY))
			}
			return
		}
	})
})

// "ContainerFilter is used to filter containers. All those fields are combined
// with 'AND'" (cri-api v1)
var _ = Describe("ListContainers", func() {
	It("returns what matches all fields of the filter", target.Covers("list.container-filter"), podTime, func(ctx SpecContext) {
		t := target.Current()
		first, second := t.Pod(ctx), t.Pod(ctx)
		labels := func(side string) target.ContainerOption {
			return target.ContainerLabels(map[string]string{"app": "x", "side": side})
		}
		a, b, c := first.Run(ctx, labels("a")).ID, first.Create(ctx, labels("b")).ID, second.Create(ctx, labels("b")).ID
		state := func(s runtimeapi.ContainerState) *runtimeapi.ContainerStateValue {
			return &runtimeapi.ContainerStateValue{State: s}
		}
		running, created := state(runtimeapi.ContainerState_CONTAINER_RUNNING), state(runtimeapi.ContainerState_CONTAINER_CREATED)
		sideB := map[string]string{"app": "x", "side": "b"}
		for _, x := range []struct {
			filter *runtimeapi.ContainerFilter
			want   []string
		}{
			{nil, []string{a, b, c}},
			{&runtimeapi.ContainerFilter{}, []string{a, b, c}},
			{&runtimeapi.ContainerFilter{Id: a}, []string{a}},
			{&runtimeapi.ContainerFilter{Id: a[:shortID]}, []string{a}},
			{&runtimeapi.ContainerFilter{Id: podAbsent}, nil},
			{&runtimeapi.ContainerFilter{PodSandboxId: first.ID}, []string{a, b}},
			{&runtimeapi.ContainerFilter{PodSandboxId: second.ID[:shortID]}, []string{c}},
			{&runtimeapi.ContainerFilter{PodSandboxId: podAbsent}, nil},
			{&runtimeapi.ContainerFilter{State: running}, []string{a}},
			{&runtimeapi.ContainerFilter{State: created}, []string{b, c}},
			{&runtimeapi.ContainerFilter{LabelSelector: sideB}, []string{b, c}},
			{&runtimeapi.ContainerFilter{LabelSelector: map[string]string{"side": ""}}, nil},
			{&runtimeapi.ContainerFilter{PodSandboxId: first.ID, LabelSelector: sideB}, []string{b}},
			{&runtimeapi.ContainerFilter{PodSandboxId: first.ID, State: created}, []string{b}},
			{&runtimeapi.ContainerFilter{Id: a, State: created}, nil},
			{&runtimeapi.ContainerFilter{Id: a, PodSandboxId: second.ID}, nil},
			{&runtimeapi.ContainerFilter{Id: c, PodSandboxId: second.ID, State: created, LabelSelector: sideB}, []string{c}},
		} {
			Expect(containerIDs(ctx, t, x.filter)).To(ConsistOf(x.want), "filter %v", x.filter)
		}
	})
	It("does not show a container that is being created", target.Covers("list.half-made"), podTime, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureWitness)
		pod := t.Pod(ctx)
		fault := t.Witness.Fault(witness.Fault{Program: witness.OCI, Op: "create", Action: witness.Stall})
		call := beginAside(func() (*target.Container, error) { return pod.TryCreate(ctx) })
		id := t.Witness.Wait(ctx, ociBegun("create", "")).Container
		Expect(containerIDs(ctx, t, nil)).To(BeEmpty())
		Expect(containerIDs(ctx, t, &runtimeapi.ContainerFilter{Id: id})).To(BeEmpty())
		t.Witness.Release(fault)
		c, err := call.result(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(containerIDs(ctx, t, nil)).To(ConsistOf(c.ID))
	})
	It("knows no container by a prefix that several have", target.Covers("list.ambiguous"), podTime, func(ctx SpecContext) {
		t := target.Current()
		pod := t.Pod(ctx)
		seen := map[string]bool{}
		for {
			id := pod.Create(ctx).ID
			if !seen[id[:1]] {
				seen[id[:1]] = true
				continue
			}
			Expect(containerIDs(ctx, t, &runtimeapi.ContainerFilter{Id: id[:1]})).To(BeEmpty())
			short := &target.Container{T: t, Pod: pod, ID: id[:1]}
			_, err := short.TryStatus(ctx)
			t.ExpectCode(err, codes.NotFound)
			return
		}
	})
})
