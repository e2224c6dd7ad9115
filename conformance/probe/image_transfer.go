package probe

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"time"

	"ocid/conformance/target"
	"ocid/fixtures/images"
	"ocid/fixtures/registry"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// "own": kubelet sets no deadline for a pull. A layer that gets nothing is stuck,
// however well the others do.
var _ = Describe("PullImage of a layer that does not come", target.Covers("image.pull.stall"), func() {
	It("fails while others arrive, and says which layer", imageLimit, func(ctx SpecContext) {
		t := target.Current()
		configured(ctx, t, target.VarStallTimeout, "500ms")
		big, err := images.Big(2)
		ref := pushed(ctx, t, big, err)
		two, err := images.Content(1)
		Expect(err).NotTo(HaveOccurred())
		two.Image, err = withLayer(two.Image, big.Image)
		two.Name = "stalls"
		ref = pushed(ctx, t, two, err)
		before := t.Now(ctx)
		stuck := layersOf(two)[1]
		t.Registry.SetFor(registry.Hang, func(digest string) bool { return digest == stuck })
		t.Registry.Slow(4 << 10) // the big layer takes ten seconds
		bounded, cancel := context.WithTimeout(ctx, 6*time.Second)
		defer cancel()
		_, err = pullRef(bounded, t, ref.Tagged)
		t.ExpectCode(err, codes.Unknown)
		Expect(status.Convert(err).Message()).To(And(HavePrefix("RegistryUnavailable"), ContainSubstring(stuck), ContainSubstring("500ms")))
		t.ExpectNothingLeft(ctx, before)
	})

	It("waits for one that is slow", imageLimit, func(ctx SpecContext) {
		t := target.Current()
		configured(ctx, t, target.VarStallTimeout, "500ms")
		big, err := images.Big(1)
		ref := pushed(ctx, t, big, err)
		t.Registry.Slow(16 << 10)
		begin := time.Now()
		pulled(ctx, t, ref.Tagged)
		Expect(time.Since(begin)).To(BeNumerically(">", 700*time.Millisecond), "the transfer was slow")
	})
})

// withLayer puts the layers of another image on top.
func withLayer(img, other v1.Image) (v1.Image, error) {
	layers, err := other.Layers()
	if err != nil {
		return nil, err
	}
	return images.Append(img, layers...)
}

// "own": no other API shows how far a pull has come.
var _ = Describe("A pull in flight", target.Covers("image.pull.progress"), func() {
	It("is shown by verbose Status", imageLimit, func(ctx SpecContext) {
		t := target.Current()
		big, err := images.Big(2)
		ref := pushed(ctx, t, big, err)
		leaving, leave := context.WithCancel(ctx)
		defer leave()
		Expect(pullsShown(ctx, t)).To(BeEmpty(), "pulls before")
		t.Registry.Slow(4 << 10)
		call := beginAside(func() (string, error) { return pullRef(leaving, t, ref.Tagged) })
		shown := func() []pullShown { return pullsShown(ctx, t) }
		Eventually(ctx, shown).WithTimeout(happensIn()).Should(ConsistOf(And(
			HaveField("Image", ref.Tagged), HaveField("Bytes", BeNumerically(">", 8<<10)), HaveField("TotalBytes", BeNumerically(">", 2<<20)))))
		was := shown()[0]
		Expect(time.ParseDuration(was.Age)).To(BeNumerically(">", 0), "age")
		Expect(was.Bytes).To(BeNumerically("<", 2<<20), "bytes, while it is slow")
		Eventually(ctx, func() uint64 { return shown()[0].Bytes }).WithTimeout(happensIn()).Should(BeNumerically(">", was.Bytes), "bytes, a moment later")
		leave()
		_, err = call.result(ctx)
		Expect(err).To(HaveOccurred())
		Eventually(ctx, shown).WithTimeout(happensIn()).Should(BeEmpty(), "pulls after")
	})
})

// "own": a node's network is shared.
var _ = Describe("The layers of one pull", target.Covers("image.pull.parallel"), func() {
	for limit, want := range map[string]int{"1": 1, "3": 3} {
		It("are fetched "+limit+" at a time", imageLimit, func(ctx SpecContext) {
			t := target.Current()
			configured(ctx, t, target.VarParallelDownloads, "%s", limit)
			many, err := images.Content(6)
			ref := pushed(ctx, t, many, err)
			layers := layersOf(many)[1:]
			t.Registry.SetFor(registry.Hang, func(digest string) bool { return slices.Contains(layers, digest) })
			before := t.Registry.Counts()
			asked := func() (n int) {
				for _, d := range layers {
					n += t.Registry.Gets(d) - before[d]
				}
				return n
			}
			leaving, leave := context.WithCancel(ctx)
			defer leave()
			call := beginAside(func() (string, error) { return pullRef(leaving, t, ref.Tagged) })
			Eventually(ctx, asked).WithTimeout(happensIn()).Should(Equal(want), "layers asked for")
			Consistently(ctx, asked).WithTimeout(200*time.Millisecond).Should(Equal(want), "layers asked for")
			leave()
			_, err = call.result(ctx)
			Expect(err).To(HaveOccurred())
		})
	}
})

// "own": a full disk is not the registry's fault, and kubelet can make room.
var _ = Describe("PullImage on a full disk", target.Covers("image.pull.space"), func() {
	It("is ResourceExhausted and leaves nothing", imageLimit, func(ctx SpecContext) {
		t := target.Current()
		small := filepath.Join(t.Work(), "small")
		Expect(os.Mkdir(small, 0o700)).To(Succeed())
		Expect(unix.Mount("small", small, "tmpfs", 0, "size=1m")).To(Succeed())
		t.Cleanup("small disk", func(context.Context) error {
			if err := unix.Unmount(small, unix.MNT_DETACH); err != nil {
				return err
			}
			return os.Remove(small)
		})
		configured(ctx, t, target.VarTransferDir, "%s", small)
		big, err := images.Big(2)
		ref := pushed(ctx, t, big, err)
		before := t.Now(ctx)
		_, err = pullRef(ctx, t, ref.Tagged)
		t.ExpectCode(err, codes.ResourceExhausted)
		t.ExpectRule(err, "image.pull.space")
		t.ExpectNothingLeft(ctx, before)
		Expect(os.ReadDir(small)).To(BeEmpty(), "directory of transfers")
		pulled(ctx, t, t.Ref(images.ID1).Tagged)
	})
})

var _ = Describe("PullImage from a registry that closes connections", target.Covers("image.pull.unavailable"), func() {
	It("says so", imageLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Registry.Set(registry.Reset)
		_, err := pullRef(ctx, t, t.Ref(images.ID1).Tagged)
		t.ExpectCode(err, codes.Unknown)
		t.ExpectRule(err, "image.pull.unavailable")
		Expect(status.Convert(err).Message()).To(HavePrefix("RegistryUnavailable"))
	})

	It("says so if nobody knows its name", imageLimit, func(ctx SpecContext) {
		t := target.Current()
		_, err := pullRef(ctx, t, "nosuch.invalid/x:1")
		t.ExpectCode(err, codes.Unknown)
		t.ExpectRule(err, "image.pull.unavailable")
		Expect(status.Convert(err).Message()).To(HavePrefix("RegistryUnavailable"))
	})
})
