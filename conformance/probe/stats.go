package probe

import (
	"context"

	"ocid/conformance/target"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"google.golang.org/grpc/codes"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// "ContainerStats returns stats of the container. If the container does not
// exist, the call returns an error." (cri-api v1)
var _ = Describe("ContainerStats", func() {
	// uses fails unless the answer has what a running container uses.
	uses := func(ctx context.Context, c *target.Container) {
		GinkgoHelper()
		st := c.Stats(ctx)
		Expect(st.GetCpu().GetUsageCoreNanoSeconds().GetValue()).To(BeNumerically(">", 0), "cpu")
		Expect(st.GetMemory().GetUsageBytes().GetValue()).To(BeNumerically(">", 0), "memory")
		Expect(st.GetWritableLayer().GetFsId().GetMountpoint()).NotTo(BeEmpty(), "writable layer")
	}
	// idle fails unless the answer has the writable layer alone.
	idle := func(ctx context.Context, c *target.Container, state string) {
		GinkgoHelper()
		st := c.Stats(ctx)
		Expect(st.GetAttributes().GetMetadata().GetName()).To(Equal(c.Config.GetMetadata().GetName()), state)
		Expect(st.GetWritableLayer().GetFsId().GetMountpoint()).NotTo(BeEmpty(), state)
		Expect(st.GetCpu()).To(BeNil(), state)
		Expect(st.GetMemory()).To(BeNil(), state)
	}

	It("answers for a running container", target.Covers("container.stats.running"), containerLimit, func(ctx SpecContext) {
		c := target.Current().Pod(ctx).Run(ctx, target.ContainerLabels(map[string]string{"a": "b"}), target.ContainerAnnotations(map[string]string{"c": "d"}))
		uses(ctx, c)
		a := c.Stats(ctx).GetAttributes()
		Expect(a.GetMetadata().GetName()).To(Equal(c.Config.GetMetadata().GetName()))
		Expect(a.GetLabels()).To(Equal(c.Config.GetLabels()))
		Expect(a.GetAnnotations()).To(Equal(c.Config.GetAnnotations()))
	})

	It("answers for a container that is being stopped", target.Covers("container.stats.running"), containerLimit, func(ctx SpecContext) {
		c := target.Current().Running(ctx)
		stop, release := stopStalled(ctx, c)
		uses(ctx, c)
		release()
		_, err := stop.result(ctx)
		Expect(err).NotTo(HaveOccurred())
	})

	It("has the layer of a container that does not run", target.Covers("container.stats.idle"), containerLimit, func(ctx SpecContext) {
		c := target.Current().Pod(ctx).Create(ctx)
		idle(ctx, c, "CREATED")
		Expect(c.Start(ctx)).To(Succeed())
		Expect(c.Stop(ctx, 0)).To(Succeed())
		idle(ctx, c, "EXITED")
	})

	It("has the layer of a container that is being started", target.Covers("container.stats.idle"), containerLimit, func(ctx SpecContext) {
		c, start, release := startStalled(ctx, target.Current().Pod(ctx))
		idle(ctx, c, "being started")
		release()
		_, err := start.result(ctx)
		Expect(err).NotTo(HaveOccurred())
	})

	It("has the layer of a container that is being removed", target.Covers("container.stats.idle"), containerLimit, func(ctx SpecContext) {
		c := target.Current().Running(ctx)
		remove, release := removeStalled(ctx, c)
		idle(ctx, c, "being removed")
		release()
		_, err := remove.result(ctx)
		Expect(err).NotTo(HaveOccurred())
	})

	It("refuses an unknown container", target.Covers("container.stats.absent"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		_, err := nobody(t).TryStats(ctx)
		t.ExpectCode(err, codes.NotFound)
		t.ExpectRule(err, "container.stats.absent")
	})

	It("refuses a half-made container", target.Covers("container.stats.absent"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		h := makeHalf(ctx, t.Pod(ctx))
		_, err := h.TryStats(ctx)
		t.ExpectCode(err, codes.NotFound)
		h.release()
		_, err = h.call.result(ctx)
		Expect(err).NotTo(HaveOccurred())
	})
})

// "PodSandboxStats returns stats of the pod sandbox. If the pod sandbox does not
// exist, the call returns an error." (cri-api v1)
var _ = Describe("PodSandboxStats", func() {
	It("answers for a sandbox, whatever its state", target.Covers("sandbox.stats.present"), podTime, func(ctx SpecContext) {
		t := target.Current()
		pod := t.Pod(ctx, target.Labels(map[string]string{"a": "b"}), target.Annotations(map[string]string{"c": "d"}))
		st, err := pod.TryStats(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(st.GetAttributes().GetMetadata().GetUid()).To(Equal(pod.Config.GetMetadata().GetUid()))
		Expect(st.GetAttributes().GetLabels()).To(Equal(pod.Config.GetLabels()))
		Expect(st.GetAttributes().GetAnnotations()).To(Equal(pod.Config.GetAnnotations()))
		Expect(pod.Stop(ctx)).To(Succeed())
		pod.Stats(ctx)
	})

	It("answers for a sandbox whose process died", target.Covers("sandbox.stats.present"), podTime, func(ctx SpecContext) {
		died(ctx, target.Current()).Stats(ctx)
	})

	for what, begin := range map[string]func(context.Context, *target.T, ...target.PodOption) *busyPod{"stopped": stopping, "removed": removing} {
		It("answers for a sandbox that is being "+what, target.Covers("sandbox.stats.present"), podTime, func(ctx SpecContext) {
			b := begin(ctx, target.Current())
			b.Stats(ctx)
			b.release()
			_, err := b.call.result(ctx)
			Expect(err).NotTo(HaveOccurred())
		})
	}

	It("refuses an unknown sandbox", target.Covers("sandbox.stats.absent"), podTime, func(ctx SpecContext) {
		t := target.Current()
		_, err := (&target.Pod{T: t, ID: podAbsent}).TryStats(ctx)
		t.ExpectCode(err, codes.NotFound)
		t.ExpectRule(err, "sandbox.stats.absent")
	})

	It("refuses a half-made sandbox", target.Covers("sandbox.stats.absent"), podTime, func(ctx SpecContext) {
		t := target.Current()
		b := creating(ctx, t)
		_, err := b.TryStats(ctx)
		t.ExpectCode(err, codes.NotFound)
		b.release()
		_, err = b.call.result(ctx)
		Expect(err).NotTo(HaveOccurred())
	})
})

func statsIDs(ctx context.Context, t *target.T, f *runtimeapi.ContainerStatsFilter) []string {
	GinkgoHelper()
	resp, err := t.Runtime.ListContainerStats(ctx, &runtimeapi.ListContainerStatsRequest{Filter: f})
	Expect(err).NotTo(HaveOccurred(), "ListContainerStats")
	ids := []string{}
	for _, c := range resp.GetStats() {
		Expect(c.GetCpu()).NotTo(BeNil(), "cpu")
		Expect(c.GetMemory()).NotTo(BeNil(), "memory")
		ids = append(ids, c.GetAttributes().GetId())
	}
	return ids
}

func podStatsIDs(ctx context.Context, t *target.T, f *runtimeapi.PodSandboxStatsFilter) []string {
	GinkgoHelper()
	resp, err := t.Runtime.ListPodSandboxStats(ctx, &runtimeapi.ListPodSandboxStatsRequest{Filter: f})
	Expect(err).NotTo(HaveOccurred(), "ListPodSandboxStats")
	ids := []string{}
	for _, p := range resp.GetStats() {
		Expect(p.GetLinux()).NotTo(BeNil(), "linux part")
		ids = append(ids, p.GetAttributes().GetId())
	}
	return ids
}

// "ListContainerStats returns stats of all running containers."
// "ContainerStatsFilter is used to filter containers. All those fields are
// combined with 'AND'" (cri-api v1)
var _ = Describe("ListContainerStats", func() {
	It("returns what runs and matches the filter, and what StreamContainerStats sends", target.Covers("stats.list", "list.stream.stats"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		pod, other := t.Pod(ctx), t.Pod(ctx)
		label := func(v string) target.ContainerOption { return target.ContainerLabels(map[string]string{"side": v}) }
		a, b, c := pod.Run(ctx, label("a")).ID, pod.Run(ctx, label("b")).ID, other.Run(ctx, label("a")).ID
		created := pod.Create(ctx, label("a")).ID
		exited := pod.Run(ctx, label("a"))
		Expect(exited.Stop(ctx, 0)).To(Succeed())
		sideA := map[string]string{"side": "a"}
		for _, x := range []struct {
			filter *runtimeapi.ContainerStatsFilter
			want   []string
		}{
			{nil, []string{a, b, c}},
			{&runtimeapi.ContainerStatsFilter{}, []string{a, b, c}},
			{&runtimeapi.ContainerStatsFilter{Id: a}, []string{a}},
			{&runtimeapi.ContainerStatsFilter{Id: b[:shortID]}, []string{b}},
			{&runtimeapi.ContainerStatsFilter{Id: created}, nil},
			{&runtimeapi.ContainerStatsFilter{Id: exited.ID}, nil},
			{&runtimeapi.ContainerStatsFilter{Id: podAbsent}, nil},
			{&runtimeapi.ContainerStatsFilter{PodSandboxId: pod.ID}, []string{a, b}},
			{&runtimeapi.ContainerStatsFilter{PodSandboxId: other.ID[:shortID]}, []string{c}},
			{&runtimeapi.ContainerStatsFilter{LabelSelector: sideA}, []string{a, c}},
			{&runtimeapi.ContainerStatsFilter{LabelSelector: sideA, PodSandboxId: pod.ID}, []string{a}},
			{&runtimeapi.ContainerStatsFilter{LabelSelector: sideA, Id: b}, nil},
			{&runtimeapi.ContainerStatsFilter{Id: a, PodSandboxId: other.ID}, nil},
		} {
			Expect(statsIDs(ctx, t, x.filter)).To(ConsistOf(x.want), "filter %v", x.filter)
			sent := streamed(ctx, t.Runtime.StreamContainerStats, &runtimeapi.StreamContainerStatsRequest{Filter: x.filter}, (*runtimeapi.StreamContainerStatsResponse).GetContainerStats)
			ids := []string{}
			for _, c := range sent {
				Expect(c.GetCpu()).NotTo(BeNil(), "cpu")
				ids = append(ids, c.GetAttributes().GetId())
			}
			Expect(ids).To(ConsistOf(x.want), "streamed, filter %v", x.filter)
		}
	})
})

// "ListPodSandboxStats returns stats of the pod sandboxes matching a filter."
// "All those fields are combined with 'AND'." (cri-api v1). The kubelet reads
// linux.containers of each without asking whether there is a linux.
var _ = Describe("ListPodSandboxStats", func() {
	It("returns READY sandboxes that match the filter, and what StreamPodSandboxStats sends", target.Covers("stats.pod.list", "list.stream.pod-stats"), podTime, func(ctx SpecContext) {
		t := target.Current()
		a := t.Pod(ctx, target.Labels(map[string]string{"mark": "m", "side": "a"})).ID
		b := t.Pod(ctx, target.Labels(map[string]string{"mark": "m", "side": "b"}), target.HostNetwork()).ID
		stopped := t.Pod(ctx, target.Labels(map[string]string{"mark": "m", "side": "a"}))
		Expect(stopped.Stop(ctx)).To(Succeed())
		both, sideB := map[string]string{"mark": "m"}, map[string]string{"mark": "m", "side": "b"}
		for _, x := range []struct {
			filter *runtimeapi.PodSandboxStatsFilter
			want   []string
		}{
			{nil, []string{a, b}},
			{&runtimeapi.PodSandboxStatsFilter{}, []string{a, b}},
			{&runtimeapi.PodSandboxStatsFilter{Id: a}, []string{a}},
			{&runtimeapi.PodSandboxStatsFilter{Id: b[:shortID]}, []string{b}},
			{&runtimeapi.PodSandboxStatsFilter{Id: stopped.ID}, nil},
			{&runtimeapi.PodSandboxStatsFilter{Id: podAbsent}, nil},
			{&runtimeapi.PodSandboxStatsFilter{LabelSelector: both}, []string{a, b}},
			{&runtimeapi.PodSandboxStatsFilter{LabelSelector: sideB}, []string{b}},
			{&runtimeapi.PodSandboxStatsFilter{LabelSelector: sideB, Id: a}, nil},
		} {
			Expect(podStatsIDs(ctx, t, x.filter)).To(ConsistOf(x.want), "filter %v", x.filter)
			sent := streamed(ctx, t.Runtime.StreamPodSandboxStats, &runtimeapi.StreamPodSandboxStatsRequest{Filter: x.filter}, (*runtimeapi.StreamPodSandboxStatsResponse).GetPodSandboxStats)
			ids := []string{}
			for _, p := range sent {
				ids = append(ids, p.GetAttributes().GetId())
			}
			Expect(ids).To(ConsistOf(x.want), "streamed, filter %v", x.filter)
		}
	})
})
