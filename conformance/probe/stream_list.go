package probe

import (
	"context"
	"strings"
	"time"

	"ocid/conformance/target"
	"ocid/fixtures/images"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"google.golang.org/protobuf/proto"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const streamListLimit = SpecTimeout(10 * time.Second)

// streamed returns the items of the messages of a streamed list, in order. A
// message without an item fails the case.
func streamed[Q, R, I any](ctx context.Context, call target.StreamCall[Q, R], req *Q, items func(*R) []I) []I {
	GinkgoHelper()
	messages, err := target.Collect(ctx, call, req)
	Expect(err).NotTo(HaveOccurred(), "%T", req)
	var all []I
	for i, m := range messages {
		Expect(items(m)).NotTo(BeEmpty(), "items of message %d", i)
		all = append(all, items(m)...)
	}
	return all
}

func streamedPods(ctx context.Context, t *target.T, f *runtimeapi.PodSandboxFilter) []*runtimeapi.PodSandbox {
	GinkgoHelper()
	return streamed(ctx, t.Runtime.StreamPodSandboxes, &runtimeapi.StreamPodSandboxesRequest{Filter: f}, (*runtimeapi.StreamPodSandboxesResponse).GetPodSandboxes)
}

func streamedContainers(ctx context.Context, t *target.T, f *runtimeapi.ContainerFilter) []*runtimeapi.Container {
	GinkgoHelper()
	return streamed(ctx, t.Runtime.StreamContainers, &runtimeapi.StreamContainersRequest{Filter: f}, (*runtimeapi.StreamContainersResponse).GetContainers)
}

func streamedImages(ctx context.Context, t *target.T, f *runtimeapi.ImageFilter) []*runtimeapi.Image {
	GinkgoHelper()
	return streamed(ctx, t.Images.StreamImages, &runtimeapi.StreamImagesRequest{Filter: f}, (*runtimeapi.StreamImagesResponse).GetImages)
}

// expectEqualItems fails the case unless both lists have equal items, whatever their
// order.
func expectEqualItems[M proto.Message](got, want []M) {
	GinkgoHelper()
	Expect(got).To(HaveLen(len(want)))
	for _, w := range want {
		Expect(got).To(ContainElement(Satisfy(func(g M) bool { return proto.Equal(g, w) })), "%v", w)
	}
}

// "This is an alternative to ListPodSandbox that streams results in lists of at
// least one item [...]. Each item must appear in exactly one response and must
// not be duplicated across responses in the same stream. The server must close
// the stream with EOF after all items have been sent." (cri-api v1,
// StreamPodSandboxes)
var _ = Describe("StreamPodSandboxes", target.Covers("list.stream.sandboxes"), func() {
	It("sends what ListPodSandbox answers to the same filter, and ends", streamListLimit, func(ctx SpecContext) {
		t := target.Current()
		Expect(streamedPods(ctx, t, nil)).To(BeEmpty(), "with no sandbox")
		mark := t.Fresh("mark")
		a := t.Pod(ctx, target.Labels(map[string]string{"mark": mark, "side": "a"}))
		b := t.Pod(ctx, target.Labels(map[string]string{"mark": mark, "side": "b"}), target.Annotations(map[string]string{"note": "kept"}))
		Expect(b.Stop(ctx)).To(Succeed())
		stopped := &runtimeapi.PodSandboxStateValue{State: notReady}
		for _, x := range []struct {
			filter *runtimeapi.PodSandboxFilter
			want   []string
		}{
			{nil, []string{a.ID, b.ID}},
			{&runtimeapi.PodSandboxFilter{Id: a.ID[:shortID]}, []string{a.ID}},
			{&runtimeapi.PodSandboxFilter{State: stopped}, []string{b.ID}},
			{&runtimeapi.PodSandboxFilter{LabelSelector: map[string]string{"side": "a"}}, []string{a.ID}},
			{&runtimeapi.PodSandboxFilter{LabelSelector: map[string]string{"mark": mark, "side": "a"}, State: stopped}, nil},
			{&runtimeapi.PodSandboxFilter{Id: podAbsent}, nil},
		} {
			got := streamedPods(ctx, t, x.filter)
			ids := []string{}
			for _, p := range got {
				ids = append(ids, p.GetId())
			}
			Expect(ids).To(ConsistOf(x.want), "filter %v", x.filter)
			list, err := t.Runtime.ListPodSandbox(ctx, &runtimeapi.ListPodSandboxRequest{Filter: x.filter})
			Expect(err).NotTo(HaveOccurred())
			expectEqualItems(got, list.GetItems())
		}
	})

	It("sends each of many large sandboxes once, in messages that can be taken", target.Covers("list.stream.messages"), kernelLimit, func(ctx SpecContext) {
		t := target.Current()
		const mib = 1 << 20
		want := map[string]int{}
		for _, size := range []int{600 << 10, 600 << 10, 300 << 10, 1100 << 10, 1, 1} {
			opts := []target.PodOption{target.Annotations(map[string]string{"large": strings.Repeat("x", size)})}
			if t.Has(target.FeatureHostNetwork) {
				opts = append(opts, target.HostNetwork()) // which is quick
			}
			want[t.Pod(ctx, opts...).ID] = size
		}
		messages, err := target.Collect(ctx, t.Runtime.StreamPodSandboxes, &runtimeapi.StreamPodSandboxesRequest{})
		Expect(err).NotTo(HaveOccurred())
		seen := map[string]int{}
		for _, m := range messages {
			Expect(m.GetPodSandboxes()).NotTo(BeEmpty(), "a message's items")
			if len(m.GetPodSandboxes()) > 1 {
				Expect(proto.Size(m)).To(BeNumerically("<", mib+10<<10), "bytes of a message of %d items", len(m.GetPodSandboxes()))
			}
			for _, p := range m.GetPodSandboxes() {
				Expect(seen).NotTo(HaveKey(p.GetId()), "a sandbox that was sent before")
				seen[p.GetId()] = len(p.GetAnnotations()["large"])
			}
		}
		Expect(seen).To(Equal(want))
	})
})

// "This is an alternative to ListContainers that streams results in lists of at
// least one item" (cri-api v1, StreamContainers)
var _ = Describe("StreamContainers", target.Covers("list.stream.containers"), func() {
	It("sends what ListContainers answers to the same filter, and ends", streamListLimit, func(ctx SpecContext) {
		t := target.Current()
		pod := t.Pod(ctx)
		Expect(streamedContainers(ctx, t, nil)).To(BeEmpty(), "with no container")
		a := pod.Run(ctx, target.ContainerLabels(map[string]string{"side": "a"}))
		b := pod.Create(ctx, target.ContainerLabels(map[string]string{"side": "b"}))
		running := &runtimeapi.ContainerStateValue{State: runtimeapi.ContainerState_CONTAINER_RUNNING}
		for _, x := range []struct {
			filter *runtimeapi.ContainerFilter
			want   []string
		}{
			{nil, []string{a.ID, b.ID}},
			{&runtimeapi.ContainerFilter{Id: b.ID[:shortID]}, []string{b.ID}},
			{&runtimeapi.ContainerFilter{PodSandboxId: pod.ID}, []string{a.ID, b.ID}},
			{&runtimeapi.ContainerFilter{PodSandboxId: podAbsent}, nil},
			{&runtimeapi.ContainerFilter{State: running}, []string{a.ID}},
			{&runtimeapi.ContainerFilter{LabelSelector: map[string]string{"side": "b"}}, []string{b.ID}},
			{&runtimeapi.ContainerFilter{LabelSelector: map[string]string{"side": "b"}, State: running}, nil},
		} {
			got := streamedContainers(ctx, t, x.filter)
			ids := []string{}
			for _, c := range got {
				ids = append(ids, c.GetId())
			}
			Expect(ids).To(ConsistOf(x.want), "filter %v", x.filter)
			list, err := t.Runtime.ListContainers(ctx, &runtimeapi.ListContainersRequest{Filter: x.filter})
			Expect(err).NotTo(HaveOccurred())
			expectEqualItems(got, list.GetContainers())
		}
	})
})

// "This is an alternative to ListImages that streams results in lists of at
// least one item" (cri-api v1, StreamImages)
var _ = Describe("StreamImages", target.Covers("list.stream.images"), func() {
	It("sends what ListImages answers to the same filter, and ends", imageLimit, func(ctx SpecContext) {
		t := target.Current()
		ref := t.Ref(images.ID1)
		pulled(ctx, t, ref.Tagged)
		for _, x := range []struct {
			filter *runtimeapi.ImageFilter
			least  int
		}{
			{nil, 2}, // with the suite's default image
			{&runtimeapi.ImageFilter{Image: &runtimeapi.ImageSpec{}}, 2},
			{&runtimeapi.ImageFilter{Image: &runtimeapi.ImageSpec{Image: ref.Tagged}}, 1},
			{&runtimeapi.ImageFilter{Image: &runtimeapi.ImageSpec{Image: "localhost/nosuch:1"}}, 0},
		} {
			got := streamedImages(ctx, t, x.filter)
			Expect(len(got)).To(BeNumerically(">=", x.least), "filter %v", x.filter)
			if x.filter.GetImage().GetImage() != "" {
				Expect(got).To(HaveLen(x.least), "filter %v", x.filter)
			}
			list, err := t.Images.ListImages(ctx, &runtimeapi.ListImagesRequest{Filter: x.filter})
			Expect(err).NotTo(HaveOccurred())
			expectEqualItems(got, list.GetImages())
		}
	})
})
