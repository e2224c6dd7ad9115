package probe

import (
	"fmt"
	"strings"
	"time"

	"ocid/conformance/target"
	"ocid/fixtures/images"
	"ocid/fixtures/registry"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"google.golang.org/grpc/codes"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// "unqualified-search-registries: An array of host[:port] registries to try when
// pulling an unqualified image, in order." "Short-name aliases …"
// (containers-registries.conf(5))
var _ = Describe("PullImage of a short name", target.Covers("image.name.short"), func() {
	It("asks the search registries in their order", imageLimit, func(ctx SpecContext) {
		t := target.Current()
		first := anotherRegistry(t)
		const short = "ocid-test/id-1:1"
		configured(ctx, t, target.VarRegistries, "unqualified-search-registries = [%q, \"${REGISTRY}\"]", first.Addr())
		removedLater(t, short)
		_, err := pullRef(ctx, t, short)
		Expect(err).NotTo(HaveOccurred(), "PullImage")
		Expect(imageOf(ctx, t, short).GetRepoTags()).To(ConsistOf(first.Addr()+"/"+short), "repo_tags: the first registry has it")
		Expect(removeRef(ctx, t, short)).To(Succeed())
		first.Set(registry.Unavailable)
		_, err = pullRef(ctx, t, short)
		Expect(err).NotTo(HaveOccurred(), "PullImage, while the first registry is not there")
		Expect(imageOf(ctx, t, short).GetRepoTags()).To(ConsistOf(t.Ref(images.ID1).Tagged), "repo_tags: the second registry has it")
	})

	It("takes its alias", imageLimit, func(ctx SpecContext) {
		t := target.Current()
		configured(ctx, t, target.VarRegistries, "[aliases]\nmine = \"${REGISTRY}/ocid-test/id-1\"")
		pulled(ctx, t, "mine:1")
		Expect(imageOf(ctx, t, "mine:1").GetRepoTags()).To(ConsistOf(t.Ref(images.ID1).Tagged), "repo_tags")
	})

	It("means docker.io if nothing else is said", imageLimit, func(ctx SpecContext) {
		t := target.Current()
		configured(ctx, t, target.VarRegistries, "[[registry]]\nprefix = \"docker.io/library\"\nlocation = \"${REGISTRY}/ocid-test\"\ninsecure = true")
		pulled(ctx, t, "latest")
		for _, name := range []string{"latest", "latest:latest", "docker.io/latest", "docker.io/library/latest:latest"} {
			Expect(imageOf(ctx, t, name).GetRepoTags()).To(ConsistOf("docker.io/library/latest:latest"), "repo_tags of %s", name)
		}
	})
})

// "enforcing: … If there are more than one search registries … and stdin is not a
// TTY … the operation fails." (containers-registries.conf(5), short-name-mode)
var _ = Describe("PullImage of an ambiguous short name", target.Covers("image.name.enforced"), func() {
	It("is refused where registries.conf enforces", imageLimit, func(ctx SpecContext) {
		t := target.Current()
		configured(ctx, t, target.VarRegistries, "short-name-mode = \"enforcing\"\nunqualified-search-registries = [%q, \"${REGISTRY}\"]", anotherRegistry(t).Addr())
		before := t.Now(ctx)
		_, err := pullRef(ctx, t, "ocid-test/id-1:1")
		t.ExpectCode(err, codes.InvalidArgument)
		t.ExpectRule(err, "image.name.enforced")
		t.ExpectNothingLeft(ctx, before)
		pulled(ctx, t, t.Ref(images.ID1).Tagged)
	})
})

// "mirror: … Mirrors are tried in the order … the primary location is last."
// (containers-registries.conf(5))
var _ = Describe("PullImage from mirrors", target.Covers("image.name.mirror"), func() {
	It("asks them in order and then the registry", imageLimit, func(ctx SpecContext) {
		t := target.Current()
		first, second := anotherRegistry(t), anotherRegistry(t)
		mirror := "[[registry.mirror]]\nlocation = \"%s/ocid-test\"\ninsecure = true\n"
		configured(ctx, t, target.VarRegistries, "[[registry]]\nprefix = \"far.invalid/x\"\nlocation = \"${REGISTRY}/ocid-test\"\ninsecure = true\n"+mirror+mirror,
			first.Addr(), second.Addr())
		asked := func() (n []int) {
			for _, p := range []*registry.Proxy{first, second} {
				n = append(n, len(p.Counts()))
			}
			return n
		}
		for _, step := range []struct {
			down []*registry.Proxy
			want func(n []int) bool
		}{
			{nil, func(n []int) bool { return n[0] > 0 && n[1] == 0 }},
			{[]*registry.Proxy{first}, func(n []int) bool { return n[1] > 0 }},
			{[]*registry.Proxy{first, second}, func([]int) bool { return true }},
		} {
			for _, p := range step.down {
				p.Set(registry.Unavailable)
			}
			pulled(ctx, t, "far.invalid/x/id-1:1")
			Expect(asked()).To(Satisfy(step.want), "blobs asked for at the mirrors, %d of them down", len(step.down))
			image := imageOf(ctx, t, "far.invalid/x/id-1:1")
			Expect(image.GetRepoTags()).To(ConsistOf("far.invalid/x/id-1:1"), "repo_tags")
			Expect(image.GetRepoDigests()).To(ConsistOf("far.invalid/x/id-1@"+t.Ref(images.ID1).Digest), "repo_digests")
			Expect(removeRef(ctx, t, "far.invalid/x/id-1:1")).To(Succeed())
		}
	})
})

// A reference is [domain/]path[:tag][@digest], its path in lower case (OCI
// distribution specification).
var _ = Describe("What is no reference", target.Covers("image.name.invalid"), func() {
	It("is refused by name and field", imageLimit, func(ctx SpecContext) {
		t := target.Current()
		before := t.Now(ctx)
		for _, bad := range []string{"UPPER/Case:1", "a b", "x:" + strings.Repeat("t", 129), "x@sha256:12", "://", "x/../y", "-x", "docker://x/y", strings.Repeat("z", 300)} {
			_, err := pullRef(ctx, t, bad)
			_, statusErr := t.Images.ImageStatus(ctx, &runtimeapi.ImageStatusRequest{Image: &runtimeapi.ImageSpec{Image: bad}})
			for call, err := range map[string]error{"PullImage": err, "ImageStatus": statusErr, "RemoveImage": removeRef(ctx, t, bad)} {
				Expect(err).To(HaveOccurred(), "%s of %q", call, bad)
				t.ExpectCode(err, codes.InvalidArgument)
				t.ExpectRule(err, "image.name.invalid")
				Expect(err.Error()).To(ContainSubstring("image.image"), "the message names the field")
			}
		}
		t.ExpectNothingLeft(ctx, before)
	})
})

// "Runtime handler used for pulling the image. If the runtime handler is unknown,
// the request should be rejected." (cri-api v1, ImageSpec.runtime_handler)
var _ = Describe("An image for a runtime handler", target.Covers("image.handler"), func() {
	It("is refused if the handler is unknown", imageLimit, func(ctx SpecContext) {
		t := target.Current()
		spec := &runtimeapi.ImageSpec{Image: t.DefaultImage(), RuntimeHandler: "nosuch"}
		_, pullErr := t.Images.PullImage(ctx, &runtimeapi.PullImageRequest{Image: spec})
		_, statusErr := t.Images.ImageStatus(ctx, &runtimeapi.ImageStatusRequest{Image: spec})
		_, listErr := t.Images.ListImages(ctx, &runtimeapi.ListImagesRequest{Filter: &runtimeapi.ImageFilter{Image: spec}})
		_, removeErr := t.Images.RemoveImage(ctx, &runtimeapi.RemoveImageRequest{Image: spec})
		for call, err := range map[string]error{"PullImage": pullErr, "ImageStatus": statusErr, "ListImages": listErr, "RemoveImage": removeErr} {
			Expect(err).To(HaveOccurred(), call)
			t.ExpectCode(err, codes.InvalidArgument)
			t.ExpectRule(err, "image.handler")
			Expect(err.Error()).To(ContainSubstring("runtime_handler"), "the message names the field")
		}
		for _, known := range t.Handlers() {
			spec.RuntimeHandler = known
			resp, err := t.Images.ImageStatus(ctx, &runtimeapi.ImageStatusRequest{Image: spec})
			Expect(err).NotTo(HaveOccurred(), "handler %s", known)
			Expect(resp.GetImage()).NotTo(BeNil(), "handler %s", known)
		}
	})
})

// "own": an image is pinned by any of its names.
var _ = Describe("A pinned image", func() {
	It("is listed as pinned, whatever kind of pattern", target.Covers("image.pinned"), SpecTimeout(60*time.Second), func(ctx SpecContext) {
		t := target.Current()
		ref := t.Ref(images.ID1)
		repository := strings.TrimSuffix(ref.Tagged, ":1")
		for pattern, want := range map[string]bool{
			ref.Tagged: true, repository: false, repository + "*": true, "*/id-1:*": true, "*ocid-test*": true, ref.ID[7:]: true,
			ref.ByDigest: true, repository + ":[0-9]": false, "nosuch*": false,
		} {
			configured(ctx, t, target.VarPinned, "[%q, %q]", "registry.invalid/pause:1", pattern)
			id := pulled(ctx, t, ref.Tagged)
			Expect(imageOf(ctx, t, id).GetPinned()).To(Equal(want), "ImageStatus: pattern %q", pattern)
			Expect(listedImages(ctx, t, id)).To(ConsistOf(HaveField("Pinned", want)), "ListImages: pattern %q", pattern)
		}
	})

	// "pinned: Recommendation on whether this image should be exempt from garbage
	// collection. It must only be treated as a recommendation -- the client can
	// still request that the image be deleted, and the runtime must oblige."
	It("is removed when asked for", target.Covers("image.remove.pinned"), imageLimit, func(ctx SpecContext) {
		t := target.Current()
		ref := t.Ref(images.ID1)
		configured(ctx, t, target.VarPinned, "[%q]", ref.Tagged)
		id := pulled(ctx, t, ref.Tagged)
		Expect(imageOf(ctx, t, id).GetPinned()).To(BeTrue(), "pinned")
		Expect(removeRef(ctx, t, ref.Tagged)).To(Succeed())
		Expect(imageOf(ctx, t, ref.Tagged)).To(BeNil(), "ImageStatus")
	})
})

// "ImageSpec for image which includes annotations." (cri-api v1, Image.spec)
var _ = Describe("Image.spec", target.Covers("image.spec"), func() {
	It("names the image and has the annotations of its manifest", imageLimit, func(ctx SpecContext) {
		t := target.Current()
		all, err := images.Formats()
		Expect(err).NotTo(HaveOccurred())
		ref := pushed(ctx, t, all[0], nil)
		for _, name := range []string{ref.Tagged, ref.ByDigest} {
			id := pulled(ctx, t, name)
			for _, image := range []*runtimeapi.Image{imageOf(ctx, t, name), listedImages(ctx, t, id)[0]} {
				Expect(image.GetSpec().GetImage()).To(Equal(name), "spec.image")
				Expect(image.GetSpec().GetAnnotations()).To(HaveKeyWithValue(images.Annotation, "gzip"), "spec.annotations")
			}
			Expect(removeRef(ctx, t, name)).To(Succeed())
		}
		Expect(imageOf(ctx, t, t.DefaultImage()).GetSpec().GetAnnotations()).To(BeEmpty(), fmt.Sprintf("annotations of %s", t.DefaultImage()))
	})
})
