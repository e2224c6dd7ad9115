package probe

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"ocid/conformance/target"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// "Path of the mount on the host." (cri-api v1, Mount.host_path) The kubelet
// mounts hostPath volumes of type Socket, CharDevice and BlockDevice.
var _ = Describe("A mount", func() {
	It("shows whatever stands at its source", target.Covers("mount.source"), containerLimit, func(ctx SpecContext) {
		dir := hostDir("file")
		expectSources(ctx, source{dir, "directory"}, source{filepath.Join(dir, "file"), "regular file"})
	})

	It("shows sockets, pipes and devices at its source", target.Covers("mount.source"), containerLimit, func(ctx SpecContext) {
		target.Current().Need(target.FeatureHostFiles)
		dir := hostDir("file")
		fifo, socket := filepath.Join(dir, "fifo"), filepath.Join(dir, "socket")
		Expect(unix.Mkfifo(fifo, 0o666)).To(Succeed())
		l, err := net.Listen("unix", socket)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(l.Close)
		c := expectSources(ctx, source{fifo, "fifo"}, source{socket, "socket"}, source{"/dev/zero", "character special file"})
		Expect(c.Output(ctx, "/bin/sh", "-c", "head -c 3 /m/2 | od -A n -t x1")).To(Equal("00 00 00"))
		pipe, err := os.OpenFile(fifo, os.O_RDWR|unix.O_NONBLOCK, 0)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(pipe.Close)
		c.Output(ctx, "/bin/sh", "-c", "echo through > /m/0")
		text := make([]byte, 20)
		n, err := pipe.Read(text)
		Expect(err).NotTo(HaveOccurred())
		Expect(string(text[:n])).To(Equal("through\n"))
	})

	// "If set, the mount needs SELinux relabeling." (cri-api v1, Mount.selinux_relabel)
	It("is not relabelled on a node without labels", target.Covers("mount.relabel"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		if _, err := os.Stat("/sys/fs/selinux/enforce"); err == nil {
			t.Need("a node without SELinux")
		}
		dir := hostDir("file")
		c := t.Pod(ctx).Run(ctx, mounts(
			&runtimeapi.Mount{HostPath: dir, ContainerPath: "/m", SelinuxRelabel: true},
			&runtimeapi.Mount{HostPath: dir, ContainerPath: "/n"}))
		c.Output(ctx, "touch", "/m/new")
		Expect(c.Output(ctx, "cat", "/m/file")).To(Equal("file"))
		Expect(c.Output(ctx, "/bin/sh", "-c", "grep ' /[mn] ' /proc/mounts | cut -d ' ' -f 3- | sed 's/fdno=[0-9]*//g' | uniq | wc -l")).To(Equal("1"), "different options")
		_, err := unix.Getxattr(filepath.Join(dir, "file"), "security.selinux", nil)
		Expect(err).To(HaveOccurred(), "security.selinux")
	})
})

// A source is a path on the host and what stat calls it.
type source struct{ path, kind string }

// expectSources runs a container with mounts at /m/0, /m/1, … and looks at them.
func expectSources(ctx context.Context, sources ...source) *target.Container {
	GinkgoHelper()
	t := target.Current()
	var all []*runtimeapi.Mount
	for i, s := range sources {
		all = append(all, &runtimeapi.Mount{HostPath: s.path, ContainerPath: fmt.Sprintf("/m/%d", i)})
	}
	c := t.Pod(ctx).Run(ctx, mounts(all...))
	for i, s := range sources {
		var st unix.Stat_t
		Expect(unix.Stat(s.path, &st)).To(Succeed())
		want := s.kind
		if t.Has(target.FeatureHostFiles) {
			want = fmt.Sprintf("%s %d", s.kind, st.Ino)
		}
		Expect(c.Output(ctx, "stat", "-c", "%F %i", fmt.Sprintf("/m/%d", i))).To(HavePrefix(want))
	}
	return c
}
