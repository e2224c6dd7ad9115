package probe

import (
	"context"
	"strings"

	"ocid/conformance/target"
	"ocid/fixtures/images"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// volumeImage pulls the image with files in /data and returns its reference and
// its ID.
func volumeImage(ctx context.Context, t *target.T) (ref, id string) {
	GinkgoHelper()
	ref, err := t.Image(ctx, images.Volume)
	Expect(err).NotTo(HaveOccurred())
	resp, err := t.Images.ImageStatus(ctx, &runtimeapi.ImageStatusRequest{Image: &runtimeapi.ImageSpec{Image: ref}})
	Expect(err).NotTo(HaveOccurred())
	return ref, resp.GetImage().GetId()
}

func imageMount(id, sub string) *runtimeapi.Mount {
	return &runtimeapi.Mount{ContainerPath: "/vol", Image: &runtimeapi.ImageSpec{Image: id}, ImageSubPath: sub, Readonly: true}
}

// expectVolumeFailed expects the words by which the kubelet tells a failed image
// volume from any other failure (kuberuntime_manager.go: it looks for a message
// with the prefix).
func expectVolumeFailed(t *target.T, err error, rule string, code codes.Code) {
	GinkgoHelper()
	t.ExpectCode(err, code)
	t.ExpectRule(err, rule)
	Expect(status.Convert(err).Message()).To(HavePrefix("ImageVolumeMountFailed"))
}

// "Mount an image reference (image ID, with or without digest), which is a special
// use case for image volume mounts. [...] All image mounts are per feature
// definition readonly." (cri-api v1, Mount.image) "The volume gets mounted
// read-only (ro) and non-executable files (noexec)." (Kubernetes API,
// ImageVolumeSource)
var _ = Describe("An image volume", func() {
	It("shows the image's files", target.Covers("volume.image"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		ref, id := volumeImage(ctx, t)
		for _, name := range []string{ref, id} {
			m := imageMount(name, "")
			m.Readonly = false // it is all the same
			c := t.Pod(ctx).Run(ctx, mounts(m))
			Expect(c.Output(ctx, "cat", "/vol/data/from-image")).To(Equal("kept"))
			fails(ctx, c, "touch", "/vol/data/new")
			fails(ctx, c, "/bin/sh", "-c", "/vol/bin/busybox true")
		}
	})
	It("shows what is below its sub path", target.Covers("volume.image", "volume.image.sub-path"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		_, id := volumeImage(ctx, t)
		p := t.Pod(ctx)
		Expect(p.Run(ctx, mounts(imageMount(id, "data"))).Output(ctx, "cat", "/vol/from-image")).To(Equal("kept"))
		Expect(p.Run(ctx, mounts(imageMount(id, "data/from-image"))).Output(ctx, "cat", "/vol")).To(Equal("kept"))
		for _, link := range []string{"data/to-etc", "data/up"} {
			c := p.Run(ctx, mounts(imageMount(id, link)))
			Expect(c.Output(ctx, "cat", "/vol/passwd")).To(ContainSubstring("default-user"), "the image's /etc")
		}
	})
	It("may be mounted twice", target.Covers("volume.image"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		_, id := volumeImage(ctx, t)
		p, second := t.Pod(ctx), imageMount(id, "data")
		second.ContainerPath = "/second"
		c, other := p.Run(ctx, mounts(imageMount(id, ""), second)), p.Run(ctx, mounts(imageMount(id, "")))
		Expect(c.Remove(ctx)).To(Succeed())
		Expect(other.Output(ctx, "cat", "/vol/data/from-image")).To(Equal("kept"))
	})
	It("of an image that is not there is refused", target.Covers("volume.image.missing"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		p := t.Pod(ctx)
		before := t.Now(ctx)
		for _, name := range []string{"localhost/not/there:1", strings.Repeat("0a", 32)} {
			_, err := p.TryCreate(ctx, mounts(imageMount(name, "")))
			expectVolumeFailed(t, err, "volume.image.missing", codes.NotFound)
		}
		t.ExpectNothingLeft(ctx, before)
	})
	It("with a sub path that is not in the image is refused", target.Covers("volume.image.sub-path"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		_, id := volumeImage(ctx, t)
		p := t.Pod(ctx)
		before := t.Now(ctx)
		for _, sub := range []string{"no/such", "data/from-image/below", "../etc", "data/../../etc", "/data"} {
			_, err := p.TryCreate(ctx, mounts(imageMount(id, ""), imageMount(id, sub)))
			expectVolumeFailed(t, err, "volume.image.sub-path", codes.InvalidArgument)
		}
		t.ExpectNothingLeft(ctx, before)
	})
	It("keeps its image", target.Covers("image.remove.used"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		ref, id := volumeImage(ctx, t)
		c := t.Pod(ctx).Run(ctx, mounts(imageMount(id, "")))
		refused := func() {
			GinkgoHelper()
			err := removeRef(ctx, t, ref)
			t.ExpectCode(err, codes.FailedPrecondition)
			t.ExpectRule(err, "image.remove.used")
		}
		refused()
		Expect(c.Stop(ctx, 0)).To(Succeed())
		refused()
		Expect(c.Remove(ctx)).To(Succeed())
		Expect(removeRef(ctx, t, ref)).To(Succeed())
	})
	It("is unmounted when its container exits", target.Covers("volume.image.exited"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureStorageRecords)
		_, id := volumeImage(ctx, t)
		p := t.Pod(ctx)
		mounted := func() (n int) {
			for _, m := range t.Storage().Mounted {
				n += m.Count
			}
			return n
		}
		before := mounted()
		c := p.Run(ctx, mounts(imageMount(id, "data")))
		Expect(mounted()).To(Equal(before+2), "the container's root filesystem and the volume")
		Expect(c.Stop(ctx, 0)).To(Succeed())
		Eventually(ctx, mounted).WithTimeout(happensIn()).Should(Equal(before))
		Expect(c.Status(ctx).GetMounts()).To(HaveLen(1))
	})
})

// "Volumes: A set of directories describing where the process is likely to write
// data specific to a container instance." (OCI image specification)
var _ = Describe("A volume that an image declares", func() {
	It("is the container's own, with the image's content", target.Covers("volume.declared"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		ref, _ := volumeImage(ctx, t)
		p := t.Pod(ctx)
		readonly := target.WithContainer(func(c *runtimeapi.ContainerConfig) { c.GetLinux().GetSecurityContext().ReadonlyRootfs = true })
		silent := target.WithContainer(func(c *runtimeapi.ContainerConfig) { c.LogPath = "" })
		before := t.Now(ctx)
		c := p.Run(ctx, target.Image(ref), silent, readonly)
		fails(ctx, c, "touch", "/new")
		Expect(c.Output(ctx, "stat", "-c", "%u %n", "/data", "/data/from-image", "/fresh")).To(Equal("1000 /data\n1000 /data/from-image\n0 /fresh"))
		Expect(c.Output(ctx, "cat", "/data/from-image")).To(Equal("kept"))
		c.Output(ctx, "touch", "/data/new", "/fresh/new")
		other := p.Run(ctx, target.Image(ref), silent)
		Expect(other.Output(ctx, "ls", "/data")).To(Equal("from-image\nto-etc\nup"))
		Expect(c.Remove(ctx)).To(Succeed())
		Expect(other.Remove(ctx)).To(Succeed())
		t.ExpectNothingLeft(ctx, before)
	})
	for mode, fresh := range map[string]int32{"mkdir": 0, "ignore": 1} {
		It("is in the root filesystem with image.volumes = "+mode, target.Covers("volume.declared.mode"), restartLimit, func(ctx SpecContext) {
			t := target.Current()
			t.Need(target.FeatureRestart)
			Expect(t.Reconfigure(ctx, map[string]string{target.VarVolumes: mode})).To(Succeed())
			ref, _ := volumeImage(ctx, t)
			c := t.Pod(ctx).Run(ctx, target.Image(ref))
			fails(ctx, c, "grep", "-E", " /(data|fresh) ", "/proc/mounts")
			Expect(c.Output(ctx, "cat", "/data/from-image")).To(Equal("kept"))
			_, _, code, err := c.Exec(ctx, "test", "-d", "/fresh")
			Expect(err).NotTo(HaveOccurred())
			Expect(code).To(Equal(fresh), "test -d of a volume that is not in the image")
		})
	}
	It("gives way to a mount", target.Covers("volume.declared.over"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		ref, _ := volumeImage(ctx, t)
		c := t.Pod(ctx).Run(ctx, target.Image(ref), mounts(&runtimeapi.Mount{HostPath: hostDir("mine"), ContainerPath: "/data/"}))
		Expect(c.Output(ctx, "ls", "/data")).To(Equal("mine"))
		Expect(c.Output(ctx, "grep", "-c", " /data ", "/proc/mounts")).To(Equal("1"))
	})
})

// "Mounts for the container." (cri-api v1, ContainerStatus.mounts) The kubelet
// compares them with what it has asked for.
var _ = Describe("ContainerStatus", func() {
	It("has the mounts as they were asked for", target.Covers("container.status.mounts"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		_, id := volumeImage(ctx, t)
		want := []*runtimeapi.Mount{
			imageMount(id, "data"),
			{HostPath: "/usr", ContainerPath: "/a", Readonly: true, RecursiveReadOnly: t.Has(target.FeatureHostFiles)},
			{HostPath: "/usr", ContainerPath: "/b", SelinuxRelabel: true, MountOptions: []string{"noexec"}},
		}
		c := t.Pod(ctx).Run(ctx, mounts(want...))
		expectMounts(c.Status(ctx).GetMounts(), want)
		Expect(c.Stop(ctx, 0)).To(Succeed())
		expectMounts(c.Status(ctx).GetMounts(), want)
	})
})

func expectMounts(got, want []*runtimeapi.Mount) {
	GinkgoHelper()
	Expect(got).To(HaveLen(len(want)))
	for i := range want {
		Expect(got[i].String()).To(Equal(want[i].String()))
	}
}
