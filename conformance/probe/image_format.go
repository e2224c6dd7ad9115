package probe

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"strings"

	"ocid/conformance/target"
	"ocid/fixtures/images"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
)

// "Implementations MUST support … application/vnd.oci.image.layer.v1.tar,
// …tar+gzip, …tar+zstd" (OCI image specification, layers)
var _ = Describe("An image", target.Covers("image.layer.compression"), func() {
	It("may have its layers in any form", imageLimit, func(ctx SpecContext) {
		t := target.Current()
		all, err := images.Formats()
		Expect(err).NotTo(HaveOccurred())
		p := t.Pod(ctx)
		for _, img := range all {
			ref := pushed(ctx, t, img, nil)
			id := pulled(ctx, t, ref.Tagged)
			Expect(sameID(id, ref.ID)).To(BeTrue(), "image_ref of %s", img.Name)
			c := p.Run(ctx, target.Image(ref.Tagged))
			Expect(c.Output(ctx, "cat", "/etc/marker")).To(Equal(img.Name))
			Expect(c.Remove(ctx)).To(Succeed())
		}
	})
})

// "Whiteout files", "hardlinks", "extended attributes", "device nodes" (OCI image
// specification, layers)
var _ = Describe("A container", target.Covers("image.layer.content"), func() {
	It("sees all that layers hold", imageLimit, func(ctx SpecContext) {
		t := target.Current()
		content, err := images.Content(40)
		ref := pushed(ctx, t, content, err)
		pulled(ctx, t, ref.Tagged)
		c := t.Pod(ctx).Run(ctx, target.Image(ref.Tagged))
		sh := func(script string) string { return c.Output(ctx, "sh", "-c", script) }
		Expect(sh("stat -c '%a %u %g %h %F' /c/file")).To(Equal("4750 1000 50 2 regular file"), "owner, mode and links of a file")
		Expect(sh("stat -c '%i' /c/file")).To(Equal(sh("stat -c '%i' /c/hard")), "a hard link is the same file")
		Expect(sh("readlink /c/soft")).To(Equal("file"))
		Expect(sh("stat -c '%F %t %T' /c/null")).To(Equal("character special file 1 3"))
		Expect(sh("stat -c '%F' /c/pipe")).To(Equal("fifo"))
		Expect(sh("cat /c/" + images.LongName())).To(Equal("long"))
		Expect(sh("ls /c/opaque")).To(Equal("new"), "an opaque directory")
		Expect(sh("test -e /c/gone || echo gone")).To(Equal("gone"), "what a whiteout took away")
		Expect(sh("ls -a /c | grep -c '^.wh' || true")).To(Equal("0"), "whiteouts")
		Expect(sh("cat /c/layer-39")).To(Equal("39"), "the last of many layers")
		Expect(xattrOf(c, "/c/xattr", "user.ocid")).To(Equal("kept"), "extended attribute")
	})
})

// "architecture … os … Image indexes are used to … point at different
// platform-specific manifests" (OCI image specification)
var _ = Describe("PullImage from an index", target.Covers("image.pull.platform"), func() {
	It("takes the image for this machine, or none", imageLimit, func(ctx SpecContext) {
		t := target.Current()
		all, err := images.Formats()
		Expect(err).NotTo(HaveOccurred())
		here, other := all[0], all[1]
		both := images.Index(map[string]v1.Image{"s390x": other.Image, "amd64": here.Image})
		ref, digest, err := images.PushIndex(ctx, t.Registry.Addr(), "index", both)
		Expect(err).NotTo(HaveOccurred())
		id := pulled(ctx, t, ref)
		want, err := here.Image.ConfigName()
		Expect(err).NotTo(HaveOccurred())
		Expect(sameID(id, want.String())).To(BeTrue(), "image_ref")
		Expect(imageOf(ctx, t, ref).GetRepoDigests()).To(ContainElement(strings.TrimSuffix(ref, ":1")+"@"+digest), "repo_digests")
		Expect(removeRef(ctx, t, ref)).To(Succeed())

		before := t.Now(ctx)
		none, _, err := images.PushIndex(ctx, t.Registry.Addr(), "index-none", images.Index(map[string]v1.Image{"s390x": other.Image}))
		Expect(err).NotTo(HaveOccurred())
		windows, err := images.ForOS(here, "windows")
		for _, foreign := range []string{none, pushed(ctx, t, windows, err).Tagged} {
			_, err := pullRef(ctx, t, foreign)
			t.ExpectCode(err, codes.NotFound)
			t.ExpectRule(err, "image.pull.platform")
			Expect(imageOf(ctx, t, foreign)).To(BeNil(), "ImageStatus")
		}
		t.ExpectNothingLeft(ctx, before)
	})
})

// An image's configuration is JSON with a root filesystem whose layers are those of
// the manifest (OCI image specification).
var _ = Describe("PullImage of what is no container image", target.Covers("image.pull.unusable"), func() {
	layer := []byte("no archive, though it says so")
	plain := `{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":["sha256:` + strings.Repeat("0", 64) + `"]}}`
	for name, raw := range map[string]images.Raw{
		"an artifact":                        {Config: "{}", ConfigType: "application/vnd.ocid.test", Layer: layer, LayerType: "application/x-thing"},
		"an image with text for config":      {Config: "no JSON", Layer: layer},
		"an image with odd types":            {Config: `{"os": 7, "rootfs": []}`, Layer: layer},
		"an image with a layer of something": {Config: plain, Layer: layer},
		"an image with a layer cut short":    {Config: plain, Layer: gzipped(layer)[:20]},
	} {
		It("is refused and leaves nothing: "+name, imageLimit, func(ctx SpecContext) {
			t := target.Current()
			ref, err := images.PushRaw(ctx, t.Registry.Addr(), t.Fresh("raw"), raw)
			Expect(err).NotTo(HaveOccurred())
			before := t.Now(ctx)
			_, err = pullRef(ctx, t, ref)
			t.ExpectCode(err, codes.InvalidArgument)
			t.ExpectRule(err, "image.pull.unusable")
			Expect(err.Error()).To(ContainSubstring(ref), "the message names the image")
			Expect(imageOf(ctx, t, ref)).To(BeNil(), "ImageStatus")
			t.ExpectNothingLeft(ctx, before)
		})
	}
})

// xattrOf returns an extended attribute of a file in a container.
func xattrOf(c *target.Container, path, name string) string {
	GinkgoHelper()
	value := make([]byte, 100)
	n, err := unix.Getxattr(fmt.Sprintf("/proc/%d/root%s", c.Init().PID, path), name, value)
	Expect(err).NotTo(HaveOccurred(), "%s of %s", name, path)
	return string(value[:n])
}

func gzipped(data []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = w.Write(data)
	_ = w.Close()
	return out.Bytes()
}
