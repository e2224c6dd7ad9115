package probe

import (
	"context"
	"os"
	"strings"
	"time"

	"ocid/conformance/target"
	"ocid/fixtures/images"
	"ocid/fixtures/registry"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
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
		Expect(err).To(HaveOccurred(), "PullImage")
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
		Eventually(ctx, func() []string { blobs, _ := asked(); return blobs }).WithTimeout(happensIn).ShouldNot(BeEmpty(), "blobs asked for")
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
		Eventually(ctx, t.Registry.Counts).WithTimeout(happensIn).ShouldNot(Equal(counts), "blobs asked for")
		leave()
		_, err := call.result(ctx)
		t.ExpectCode(err, codes.Canceled)
		t.ExpectNothingLeft(ctx, before)
	})
})

// "ImageStatus returns the status of the image. If the image is not present,
// returns a response with ImageStatusResponse.Image set to nil." (cri-api v1)
var _ = Describe("ImageStatus", target.Covers("image.status"), func() {
	It("has ID, size, tags and digests, by any name", imageLimit, func(ctx SpecContext) {
		t := target.Current()
		ref := t.Ref(images.Tags)
		for _, tag := range ref.Tags {
			pulled(ctx, t, tag)
		}
		names := []string{ref.ID, strings.TrimPrefix(ref.ID, "sha256:"), ref.ByDigest, ref.Tagged + "@" + ref.Digest}
		for _, name := range append(names, ref.Tags...) {
			image := imageOf(ctx, t, name)
			Expect(image).NotTo(BeNil(), "ImageStatus of %s", name)
			Expect(sameID(image.GetId(), ref.ID)).To(BeTrue(), "id %q", image.GetId())
			Expect(image.GetRepoTags()).To(ConsistOf(ref.Tags), "repo_tags")
			Expect(image.GetRepoDigests()).To(ConsistOf(ref.ByDigest), "repo_digests")
			Expect(image.GetSize()).To(BeNumerically(">", busyboxSize()), "size, in bytes")
			Expect(image.GetSize()).To(BeNumerically("<", 4*busyboxSize()), "size, in bytes")
		}
	})

	// "uid: UID that will run the command(s). This is used as a default if no user
	// is specified when creating the container. UID and the following user name are
	// mutually exclusive." (cri-api v1, Image)
	for name, want := range map[string]*runtimeapi.Image{
		images.UserID:        {Uid: &runtimeapi.Int64Value{Value: 1002}},
		images.UserIDGroup:   {Uid: &runtimeapi.Int64Value{Value: 1003}},
		images.UserName:      {Username: "www-data"},
		images.UserNameGroup: {Username: "www-data"},
		images.ID1:           {},
	} {
		It("has the user of the image "+name, imageLimit, func(ctx SpecContext) {
			t := target.Current()
			pulled(ctx, t, t.Ref(name).Tagged)
			image := imageOf(ctx, t, t.Ref(name).Tagged)
			Expect(image.GetUid().GetValue()).To(Equal(want.GetUid().GetValue()), "uid")
			Expect(image.GetUid() == nil).To(Equal(want.GetUid() == nil), "uid is set")
			Expect(image.GetUsername()).To(Equal(want.GetUsername()), "username")
		})
	}

	It("has no image and no error for what is not there", imageLimit, func(ctx SpecContext) {
		t := target.Current()
		ref := t.Ref(images.ID1)
		for _, name := range []string{ref.Tagged, ref.ByDigest, ref.ID, "localhost/nosuch:1"} {
			Expect(imageOf(ctx, t, name)).To(BeNil(), "ImageStatus of %s", name)
		}
	})
})

func busyboxSize() uint64 {
	GinkgoHelper()
	info, err := os.Stat("/bin/busybox")
	Expect(err).NotTo(HaveOccurred())
	return uint64(info.Size())
}

// "ListImages lists existing images." (cri-api v1)
var _ = Describe("ListImages", target.Covers("image.list"), func() {
	It("has each image once with all its tags", imageLimit, func(ctx SpecContext) {
		t := target.Current()
		ref, other := t.Ref(images.Tags), t.Ref(images.ID1)
		for _, tag := range ref.Tags {
			pulled(ctx, t, tag)
		}
		pulled(ctx, t, other.Tagged)
		Expect(listedImages(ctx, t, ref.ID)).To(ConsistOf(HaveField("RepoTags", ConsistOf(ref.Tags))))
		Expect(listedImages(ctx, t, other.ID)).To(ConsistOf(HaveField("RepoTags", ConsistOf(other.Tagged))))
		resp, err := t.Images.ListImages(ctx, &runtimeapi.ListImagesRequest{Filter: &runtimeapi.ImageFilter{Image: &runtimeapi.ImageSpec{Image: other.Tagged}}})
		Expect(err).NotTo(HaveOccurred())
		Expect(resp.GetImages()).To(HaveLen(1), "filtered by name")
		Expect(sameID(resp.GetImages()[0].GetId(), other.ID)).To(BeTrue(), "filtered by name")
	})
})

// "RemoveImage removes the image. This call is idempotent, and must not return an
// error if the image has already been removed." (cri-api v1)
var _ = Describe("RemoveImage", func() {
	It("removes the image with all its tags, twice", target.Covers("image.remove"), imageLimit, func(ctx SpecContext) {
		t := target.Current()
		ref := t.Ref(images.Tags)
		before := t.Now(ctx)
		for _, tag := range ref.Tags {
			pulled(ctx, t, tag)
		}
		Expect(removeRef(ctx, t, ref.Tags[1])).To(Succeed())
		Expect(listedImages(ctx, t, ref.ID)).To(BeEmpty(), "ListImages")
		for _, tag := range ref.Tags {
			Expect(imageOf(ctx, t, tag)).To(BeNil(), "ImageStatus of %s", tag)
		}
		t.ExpectNothingLeft(ctx, before)
		for _, name := range []string{ref.Tags[1], ref.Tags[0], ref.ID, ref.ByDigest, "localhost/nosuch:1"} {
			Expect(removeRef(ctx, t, name)).To(Succeed(), "RemoveImage of %s, which is not there", name)
		}
		Expect(imageOf(ctx, t, t.DefaultImage())).NotTo(BeNil(), "another image with layers in common")
	})

	It("refuses an image that a container uses", target.Covers("image.remove.used"), imageLimit, func(ctx SpecContext) {
		t := target.Current()
		ref := t.Ref(images.ID2)
		id := pulled(ctx, t, ref.Tagged)
		p := t.Pod(ctx)
		c := p.Create(ctx, target.Image(ref.Tagged))
		for _, name := range []string{ref.Tagged, id} {
			err := removeRef(ctx, t, name)
			t.ExpectCode(err, codes.FailedPrecondition)
			t.ExpectRule(err, "image.remove.used")
			Expect(err.Error()).To(ContainSubstring(c.ID), "the message names the container")
		}
		Expect(imageOf(ctx, t, ref.Tagged).GetRepoTags()).To(ConsistOf(ref.Tagged), "the image and its tag")
		Expect(c.Start(ctx)).To(Succeed())
		Expect(c.Output(ctx, "cat", "/etc/marker")).To(Equal(images.ID2))
		Expect(removeRef(ctx, t, ref.Tagged)).NotTo(Succeed(), "while the container runs")
		Expect(c.Remove(ctx)).To(Succeed())
		Expect(removeRef(ctx, t, ref.Tagged)).To(Succeed(), "after the container")
		Expect(imageOf(ctx, t, ref.Tagged)).To(BeNil())
	})
})

// "ImageFSInfo returns information of the filesystem that is used to store
// images." kubelet refuses an answer without image_filesystems, and garbage
// collects by used_bytes. (cri-api v1, kubelet v1.37.2)
var _ = Describe("ImageFsInfo", target.Covers("image.fs"), func() {
	It("has where images and containers are, and what they use", imageLimit, func(ctx SpecContext) {
		t := target.Current()
		c := t.Pod(ctx).Run(ctx)
		c.Output(ctx, "dd", "if=/dev/zero", "of=/written", "bs=1024", "count=3000")
		if t.Has(target.FeatureRestart) { // the daemon may remember the last look for a while
			crash(ctx, t)
		}
		asked := time.Now().Add(-time.Minute).UnixNano()
		resp, err := t.Images.ImageFsInfo(ctx, &runtimeapi.ImageFsInfoRequest{})
		Expect(err).NotTo(HaveOccurred())
		Expect(resp.GetImageFilesystems()).NotTo(BeEmpty(), "image_filesystems")
		Expect(resp.GetContainerFilesystems()).NotTo(BeEmpty(), "container_filesystems")
		image, container := resp.GetImageFilesystems()[0], resp.GetContainerFilesystems()[0]
		for _, use := range []*runtimeapi.FilesystemUsage{image, container} {
			Expect(use.GetTimestamp()).To(BeNumerically(">", asked), "timestamp, in ns")
			Expect(use.GetFsId().GetMountpoint()).To(And(HavePrefix(t.Var("ROOT")), BeADirectory()), "mountpoint")
			Expect(use.GetInodesUsed().GetValue()).To(BeNumerically(">", 1), "inodes_used")
		}
		Expect(image.GetUsedBytes().GetValue()).To(BeNumerically(">=", busyboxSize()), "used_bytes of the images")
		Expect(image.GetUsedBytes().GetValue()).To(BeNumerically("<", 3*busyboxSize()), "used_bytes of the images")
		Expect(container.GetUsedBytes().GetValue()).To(BeNumerically(">=", 3000*1024), "used_bytes of the containers")
		Expect(container.GetUsedBytes().GetValue()).To(BeNumerically("<", 3000*1024+busyboxSize()/2), "used_bytes of the containers")
	})
})
