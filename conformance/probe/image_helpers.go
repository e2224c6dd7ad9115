package probe

import (
	"context"
	"strings"

	"ocid/conformance/target"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// pullRef pulls without credentials and returns the reference of the answer.
func pullRef(ctx context.Context, t *target.T, ref string) (string, error) {
	resp, err := t.Images.PullImage(ctx, &runtimeapi.PullImageRequest{Image: &runtimeapi.ImageSpec{Image: ref}})
	return resp.GetImageRef(), err
}

// removeRef removes an image by any reference.
func removeRef(ctx context.Context, t *target.T, ref string) error {
	_, err := t.Images.RemoveImage(ctx, &runtimeapi.RemoveImageRequest{Image: &runtimeapi.ImageSpec{Image: ref}})
	return err
}

// imageOf returns what ImageStatus has for a reference; nil if there is nothing.
func imageOf(ctx context.Context, t *target.T, ref string) *runtimeapi.Image {
	GinkgoHelper()
	resp, err := t.Images.ImageStatus(ctx, &runtimeapi.ImageStatusRequest{Image: &runtimeapi.ImageSpec{Image: ref}})
	Expect(err).NotTo(HaveOccurred(), "ImageStatus of %s", ref)
	return resp.GetImage()
}

// listedImages returns what ListImages has with the ID.
func listedImages(ctx context.Context, t *target.T, id string) []*runtimeapi.Image {
	GinkgoHelper()
	resp, err := t.Images.ListImages(ctx, &runtimeapi.ListImagesRequest{})
	Expect(err).NotTo(HaveOccurred(), "ListImages")
	var some []*runtimeapi.Image
	for _, i := range resp.GetImages() {
		if sameID(i.GetId(), id) {
			some = append(some, i)
		}
	}
	return some
}

// sameID compares image IDs, which some daemons write with the algorithm before
// them.
func sameID(a, b string) bool {
	return strings.TrimPrefix(a, "sha256:") == strings.TrimPrefix(b, "sha256:")
}

// pulled pulls an image and removes it, with all that was in use of it, at the
// end of the case.
func pulled(ctx context.Context, t *target.T, ref string) string {
	GinkgoHelper()
	t.Cleanup("image "+ref, func(ctx context.Context) error { return removeRef(ctx, t, ref) })
	id, err := pullRef(ctx, t, ref)
	Expect(err).NotTo(HaveOccurred(), "PullImage %s", ref)
	return id
}
