package probe

import (
	"os"
	"strings"
	"time"

	"ocid/conformance/target"
	"ocid/fixtures/images"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"google.golang.org/grpc/codes"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

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
		c.Output(ctx, "dd", "if=/dev/zero", "of=/written", "bs=1024", "count=8000")
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
		Expect(container.GetUsedBytes().GetValue()).To(BeNumerically(">=", 8000*1024), "used_bytes of the containers")
		Expect(container.GetUsedBytes().GetValue()).To(BeNumerically("<", 8000*1024+busyboxSize()/2), "used_bytes of the containers")
	})
})
