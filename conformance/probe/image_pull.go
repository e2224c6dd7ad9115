package probe

import (
	"context"
	"strings"
	"time"

	"ocid/conformance/target"
	"ocid/fixtures/images"
	"ocid/fixtures/registry"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const imageLimit = SpecTimeout(30 * time.Second)

// "PullImage pulls an image with authentication config." "image_ref: Reference to
// the image in use. For most runtimes, this should be an image ID or digest."
// (cri-api v1). kubelet asks for the reference next, by ImageStatus.
var _ = Describe("PullImage", func() {
	It("returns the ID under which the image is listed", target.Covers("image.pull", "image.list"), imageLimit, func(ctx SpecContext) {
		t := target.Current()
		ref := t.Ref(images.ID1)
		Expect(listedImages(ctx, t, ref.ID)).To(BeEmpty(), "before the pull")
		id := pulled(ctx, t, ref.Tagged)
		Expect(sameID(id, ref.ID)).To(BeTrue(), "image_ref %q is not the ID %q", id, ref.ID)
		all := listedImages(ctx, t, id)
		Expect(all).To(HaveLen(1), "ListImages")
		Expect(all[0].GetId()).To(Equal(id), "id of the list entry")
		Expect(imageOf(ctx, t, id).GetId()).To(Equal(id), "ImageStatus by image_ref")
		again, err := pullRef(ctx, t, ref.Tagged)
		Expect(err).NotTo(HaveOccurred(), "a second pull")
		Expect(again).To(Equal(id))
		Expect(listedImages(ctx, t, id)).To(HaveLen(1), "after a second pull")
	})

	for _, by := range []string{"tag", "digest", "tag and digest"} {
		It("takes a reference by "+by+", and containers run of it", target.Covers("image.pull"), imageLimit, func(ctx SpecContext) {
			t := target.Current()
			ref := t.Ref(images.ID2)
			name := map[string]string{"tag": ref.Tagged, "digest": ref.ByDigest, "tag and digest": ref.Tagged + "@" + ref.Digest}[by]
			id := pulled(ctx, t, name)
			Expect(sameID(id, ref.ID)).To(BeTrue(), "image_ref %q is not the ID %q", id, ref.ID)
			Expect(listedImages(ctx, t, id)).To(HaveLen(1))
			c := t.Pod(ctx).Run(ctx, target.Image(id))
			Expect(c.Output(ctx, "cat", "/etc/marker")).To(Equal(images.ID2))
			Expect(c.Pod.Stop(ctx)).To(Succeed())
			Expect(c.Pod.Remove(ctx)).To(Succeed())
		})
	}

	It("refuses with NotFound what the registry does not have", target.Covers("image.pull.missing"), imageLimit, func(ctx SpecContext) {
		t := target.Current()
		before := t.Now(ctx)
		ref := t.Ref(images.Busybox).Tagged
		repository := strings.TrimSuffix(ref, ":1")
		for _, missing := range []string{repository + ":nosuchtag", repository + "-nosuch:1", repository + "@sha256:" + strings.Repeat("0a", 32)} {
			_, err := pullRef(ctx, t, missing)
			t.ExpectCode(err, codes.NotFound)
			t.ExpectRule(err, "image.pull.missing")
			Expect(err.Error()).To(ContainSubstring(missing), "the message names the image")
		}
		t.ExpectNothingLeft(ctx, before)
	})
})

// "RegistryUnavailable: Get http error on the PullImage RPC call." The client
// drops the code of an error if it is Unknown, and the kubelet then reads the
// beginning of the message. (kubelet v1.37.2, pkg/kubelet/images evalCRIPullErr)
var _ = Describe("PullImage from a registry that is not there", target.Covers("image.pull.unavailable"), func() {
	expectUnavailable := func(t *target.T, err error) {
		GinkgoHelper()
		t.ExpectCode(err, codes.Unknown)
		t.ExpectRule(err, "image.pull.unavailable")
		Expect(status.Convert(err).Message()).To(HavePrefix("RegistryUnavailable"))
	}

	It("says so if connections are refused", imageLimit, func(ctx SpecContext) {
		t := target.Current()
		addr, release, err := registry.Down()
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(release)
		before := t.Now(ctx)
		_, err = pullRef(ctx, t, addr+"/ocid-test/busybox:1")
		expectUnavailable(t, err)
		t.ExpectNothingLeft(ctx, before)
	})

	It("says so if it answers 503", imageLimit, func(ctx SpecContext) {
		t := target.Current()
		before := t.Now(ctx)
		t.Registry.Set(registry.Unavailable)
		_, err := pullRef(ctx, t, t.Ref(images.ID1).Tagged)
		expectUnavailable(t, err)
		t.ExpectNothingLeft(ctx, before)
	})

	It("says so if it hangs", imageLimit, func(ctx SpecContext) {
		t := target.Current()
		Expect(t.Reconfigure(ctx, map[string]string{target.VarStallTimeout: "500ms"})).To(Succeed())
		before := t.Now(ctx)
		t.Registry.Set(registry.Hang)
		_, err := pullRef(ctx, t, t.Ref(images.ID1).Tagged)
		expectUnavailable(t, err)
		t.ExpectNothingLeft(ctx, before)
		t.Registry.Set(registry.None)
		pulled(ctx, t, t.Ref(images.ID1).Tagged)
	})
})

// Content is addressed by its digest (OCI distribution specification).
var _ = Describe("PullImage of content that was changed on its way", target.Covers("image.pull.digest"), func() {
	It("is refused and leaves nothing", imageLimit, func(ctx SpecContext) {
		t := target.Current()
		ref := t.Ref(images.ID3)
		before := t.Now(ctx)
		t.Registry.Set(registry.WrongDigest)
		_, err := pullRef(ctx, t, ref.Tagged)
		t.ExpectCode(err, codes.DataLoss)
		t.ExpectRule(err, "image.pull.digest")
		Expect(imageOf(ctx, t, ref.Tagged)).To(BeNil(), "ImageStatus")
		Expect(listedImages(ctx, t, ref.ID)).To(BeEmpty(), "ListImages")
		t.ExpectNothingLeft(ctx, before)
		t.Registry.Set(registry.None)
		pulled(ctx, t, ref.Tagged)
	})
})

// "own": pods of one image start together; the registry is asked once.
var _ = Describe("PullImage by several callers at a time", target.Covers("image.pull.shared"), func() {
	It("transfers once, whoever goes away", imageLimit, func(ctx SpecContext) {
		t := target.Current()
		ref := t.Ref(images.ID3)
		t.Cleanup("image", func(ctx context.Context) error { return removeRef(ctx, t, ref.Tagged) })
		before := t.Registry.Counts()
		asked := func() (blobs []string, most int) {
			for digest, n := range t.Registry.Counts() {
				if n -= before[digest]; n > 0 {
					blobs, most = append(blobs, digest), max(most, n)
				}
			}
			return blobs, most
		}
		t.Registry.Set(registry.Hang)
		leaving, leave := context.WithCancel(ctx)
		defer leave()
		first := beginAside(func() (string, error) { return pullRef(leaving, t, ref.Tagged) })
		Eventually(ctx, func() []string { blobs, _ := asked(); return blobs }).WithTimeout(happensIn()).ShouldNot(BeEmpty(), "blobs asked for")
		var others []*aside[string]
		for range 4 {
			others = append(others, beginAside(func() (string, error) { return pullRef(ctx, t, ref.Tagged) }))
		}
		for _, call := range others {
			call.expectWaiting("PullImage")
		}
		leave()
		_, err := first.result(ctx)
		t.ExpectCode(err, codes.Canceled)
		others[0].expectWaiting("PullImage of those who stay")
		t.Registry.Set(registry.None)
		for _, call := range others {
			id, err := call.result(ctx)
			Expect(err).NotTo(HaveOccurred(), "PullImage of one who stays")
			Expect(sameID(id, ref.ID)).To(BeTrue(), "image_ref")
		}
		blobs, most := asked()
		Expect(most).To(Equal(1), "GETs of one blob, of %d blobs", len(blobs))
	})

	It("transfers nothing for nobody", imageLimit, func(ctx SpecContext) {
		t := target.Current()
		before := t.Now(ctx)
		t.Registry.Set(registry.Hang)
		leaving, leave := context.WithCancel(ctx)
		defer leave()
		counts := t.Registry.Counts()
		call := beginAside(func() (string, error) { return pullRef(leaving, t, t.Ref(images.ID3).Tagged) })
		Eventually(ctx, t.Registry.Counts).WithTimeout(happensIn()).ShouldNot(Equal(counts), "blobs asked for")
		leave()
		_, err := call.result(ctx)
		t.ExpectCode(err, codes.Canceled)
		t.ExpectNothingLeft(ctx, before)
	})
})
