package probe

import (
	"context"
	"strings"
	"syscall"
	"time"

	"ocid/conformance/target"
	"ocid/fixtures/images"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("RemoveImage", func() {
	It("takes any name of the image", target.Covers("image.remove.names"), imageLimit, func(ctx SpecContext) {
		t := target.Current()
		ref := t.Ref(images.ID1)
		bare := strings.TrimPrefix(ref.ID, "sha256:")
		for _, name := range []string{ref.Tagged, ref.ByDigest, ref.Tagged + "@" + ref.Digest, bare, ref.ID, bare[:12], "sha256:" + bare[:12]} {
			pulled(ctx, t, ref.Tagged)
			Expect(removeRef(ctx, t, name)).To(Succeed(), "RemoveImage of %s", name)
			Expect(listedImages(ctx, t, ref.ID)).To(BeEmpty(), "ListImages after RemoveImage of %s", name)
		}
	})

	// "own": a daemon that takes names away one by one can stop in between.
	It("is seen and remembered whole", target.Covers("image.remove.atomic"), SpecTimeout(60*time.Second), func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureRestart)
		ref := t.Ref(images.Tags)
		for round := range 3 {
			for _, tag := range ref.Tags {
				pulled(ctx, t, tag)
			}
			removal := beginCall(func() error { return removeRef(ctx, t, ref.Tags[1]) })
			look, stop := context.WithTimeout(ctx, time.Duration(20*(round+1))*time.Millisecond)
			for look.Err() == nil {
				expectWholeImage(ctx, t, ref)
			}
			stop()
			endDaemon(ctx, t, syscall.SIGKILL)
			_, _ = removal.result(ctx)
			startDaemon(ctx, t)
			expectWholeImage(ctx, t, ref)
			Expect(removeRef(ctx, t, ref.ID)).To(Succeed())
		}
	})

	It("meets pulls and creations", target.Covers("image.remove.race"), imageLimit, func(ctx SpecContext) {
		t := target.Current()
		ref := t.Ref(images.ID1)
		p := t.Pod(ctx)
		removedLater(t, ref.Tagged)
		for range 8 {
			pulled(ctx, t, ref.Tagged)
			removal := beginCall(func() error { return removeRef(ctx, t, ref.Tagged) })
			pull := beginAside(func() (string, error) { return pullRef(ctx, t, ref.Tagged) })
			c, err := p.CreateFrom(ctx, p.ContainerRequest(target.Image(ref.Tagged)))
			_, removed := removal.result(ctx)
			if removed != nil {
				t.ExpectRule(removed, "image.remove.used")
			}
			_, pullErr := pull.result(ctx)
			Expect(pullErr).NotTo(HaveOccurred(), "PullImage beside RemoveImage")
			if err != nil {
				t.ExpectRule(err, "container.create.image")
				continue
			}
			Expect(c.Start(ctx)).To(Succeed(), "a container that was created has its image")
			Expect(c.Output(ctx, "cat", "/etc/marker")).To(Equal(images.ID1))
			Expect(c.Remove(ctx)).To(Succeed())
		}
	})
})

// expectWholeImage expects the image to have all its tags, or not to be there.
func expectWholeImage(ctx context.Context, t *target.T, ref images.Ref) {
	GinkgoHelper()
	if all := listedImages(ctx, t, ref.ID); len(all) > 0 {
		Expect(all).To(ConsistOf(HaveField("RepoTags", ConsistOf(ref.Tags))), "ListImages")
	}
}
