package probe

import (
	"context"
	"os"
	"path/filepath"
	"syscall"

	"ocid/conformance/target"
	"ocid/fixtures/witness"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const (
	private       = runtimeapi.MountPropagation_PROPAGATION_PRIVATE
	fromHost      = runtimeapi.MountPropagation_PROPAGATION_HOST_TO_CONTAINER
	bidirectional = runtimeapi.MountPropagation_PROPAGATION_BIDIRECTIONAL
)

// mounts gives a container these mounts and no other.
func mounts(all ...*runtimeapi.Mount) target.ContainerOption {
	return target.WithContainer(func(c *runtimeapi.ContainerConfig) { c.Mounts = all })
}

// hostDir makes a directory on the host with one file in it, which says its name.
func hostDir(file string) string {
	GinkgoHelper()
	dir, err := filepath.EvalSymlinks(GinkgoT().TempDir())
	Expect(err).NotTo(HaveOccurred())
	Expect(os.Chmod(dir, 0o755)).To(Succeed())
	Expect(os.WriteFile(filepath.Join(dir, file), []byte(file+"\n"), 0o644)).To(Succeed())
	return dir
}

// tmpfs mounts one on a new directory below another until the end of the case.
func tmpfs(dir, name string) string {
	GinkgoHelper()
	at := filepath.Join(dir, name)
	Expect(os.MkdirAll(at, 0o755)).To(Succeed())
	Expect(unix.Mount("probe", at, "tmpfs", 0, "mode=755")).To(Succeed())
	DeferCleanup(unix.Unmount, at, unix.MNT_DETACH)
	return at
}

// propagating makes a directory that is a mount of its own, with the propagation
// of the flag.
func propagating(flag uintptr) string {
	GinkgoHelper()
	dir := hostDir("here")
	Expect(unix.Mount(dir, dir, "", unix.MS_BIND, "")).To(Succeed())
	DeferCleanup(unix.Unmount, dir, unix.MNT_DETACH)
	Expect(unix.Mount("", dir, "", flag, "")).To(Succeed())
	return dir
}

// fails runs a command that has to exit with something else than 0.
func fails(ctx context.Context, c *target.Container, cmd ...string) {
	GinkgoHelper()
	out, _, code, err := c.Exec(ctx, cmd...)
	Expect(err).NotTo(HaveOccurred())
	Expect(code).NotTo(BeZero(), "exit code of %q; it wrote: %s", cmd, out)
}

var _ = Describe("A container's mounts", func() {
	It("are seen below each other in any order", target.Covers("mount.order"), containerLimit, func(ctx SpecContext) {
		above, below := hostDir("above"), hostDir("below")
		Expect(os.MkdirAll(filepath.Join(above, "in", "side"), 0o755)).To(Succeed())
		c := target.Current().Pod(ctx).Run(ctx, mounts(
			&runtimeapi.Mount{HostPath: below, ContainerPath: "/deep/in/side"}, &runtimeapi.Mount{HostPath: above, ContainerPath: "/deep/"}))
		Expect(c.Output(ctx, "cat", "/deep/in/side/below", "/deep/above")).To(Equal("below\nabove"))
	})

	// The kubelet mounts files of its own over those that a runtime provides.
	It("take the places of the daemon's", target.Covers("mount.over"), containerLimit, func(ctx SpecContext) {
		dir := hostDir("mine")
		c := target.Current().Pod(ctx).Run(ctx, mounts(
			&runtimeapi.Mount{HostPath: filepath.Join(dir, "mine"), ContainerPath: "/etc/hostname"},
			&runtimeapi.Mount{HostPath: filepath.Join(dir, "mine"), ContainerPath: "/etc/resolv.conf"},
			&runtimeapi.Mount{HostPath: dir, ContainerPath: "/dev/shm"}))
		Expect(c.Output(ctx, "cat", "/etc/hostname", "/etc/resolv.conf", "/dev/shm/mine")).To(Equal("mine\nmine\nmine"))
		Expect(c.Output(ctx, "grep", "-c", "-E", " /(etc/(hostname|resolv.conf)|dev/shm) ", "/proc/mounts")).To(Equal("3"), "nothing is below them")
	})

	It("are not on its root", target.Covers("mount.root"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		p := t.Pod(ctx)
		for _, path := range []string{"/", "//", "/.", "/x/.."} {
			_, err := p.TryCreate(ctx, mounts(&runtimeapi.Mount{HostPath: "/usr", ContainerPath: path}))
			expectInvalid(t, err, "mount.root", "config.mounts[0].container_path")
		}
	})

	// "mount_options specifies additional bind mount options (e.g., noexec, nodev,
	// nosuid) that the runtime must apply when mounting this volume into the
	// container." (cri-api v1, Mount.mount_options)
	It("have their options", target.Covers("mount.options"), containerLimit, func(ctx SpecContext) {
		dir := hostDir("file")
		Expect(os.WriteFile(filepath.Join(dir, "program"), []byte("#!/bin/sh\necho runs\n"), 0o755)).To(Succeed())
		options := []string{"noexec", "nodev", "nosuid"}
		var all []*runtimeapi.Mount
		for _, o := range options {
			all = append(all, &runtimeapi.Mount{HostPath: dir, ContainerPath: "/with/" + o, MountOptions: []string{o}})
		}
		all = append(all,
			&runtimeapi.Mount{HostPath: dir, ContainerPath: "/with/all", MountOptions: options, Readonly: true},
			&runtimeapi.Mount{HostPath: dir, ContainerPath: "/with/none"})
		c := target.Current().Pod(ctx).Run(ctx, mounts(all...))
		for _, o := range options {
			Expect(c.Output(ctx, "grep", " /with/"+o+" ", "/proc/mounts")).To(MatchRegexp(`[ ,]%s[ ,]`, o))
		}
		Expect(c.Output(ctx, "grep", " /with/all ", "/proc/mounts")).To(And(MatchRegexp(`[ ,]ro[ ,]`),
			MatchRegexp(`[ ,]noexec[ ,]`), MatchRegexp(`[ ,]nodev[ ,]`), MatchRegexp(`[ ,]nosuid[ ,]`)))
		Expect(c.Output(ctx, "/with/none/program")).To(Equal("runs"))
		fails(ctx, c, "/bin/sh", "-c", "/with/noexec/program")
	})
	It("have no other options", target.Covers("mount.options"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		p := t.Pod(ctx)
		for _, o := range []string{"suid", "rw", "bind", "rshared", "size=1m", "", "noexec,dev", "uid=0"} {
			_, err := p.TryCreate(ctx, mounts(&runtimeapi.Mount{HostPath: "/usr", ContainerPath: "/m", MountOptions: []string{"nodev", o}}))
			expectInvalid(t, err, "mount.options", "config.mounts[0].mount_options")
		}
	})
})

// "PROPAGATION_PRIVATE: No mount propagation ("rprivate" in Linux terminology).
// PROPAGATION_HOST_TO_CONTAINER: Mounts get propagated from the host to the
// container ("rslave" in Linux). PROPAGATION_BIDIRECTIONAL: Mounts get propagated
// from the host to the container and from the container to the host ("rshared" in
// Linux)." (cri-api v1, MountPropagation)
var _ = Describe("Mount propagation", func() {
	for _, mode := range []struct {
		propagation    runtimeapi.MountPropagation
		inside, beyond bool
	}{{private, false, false}, {fromHost, true, false}, {bidirectional, true, true}} {
		It("is "+mode.propagation.String(), target.Covers("mount.propagation", "request.create.mount-propagation"), containerLimit, func(ctx SpecContext) {
			t := target.Current()
			t.Need(target.FeatureHostNamespaces, target.FeaturePrivileged)
			dir := propagating(unix.MS_SHARED)
			Expect(os.Mkdir(filepath.Join(dir, "out"), 0o755)).To(Succeed())
			c := t.Pod(ctx, target.Privileged()).Run(ctx, target.PrivilegedContainer(),
				mounts(&runtimeapi.Mount{HostPath: dir, ContainerPath: "/m", Propagation: mode.propagation}))
			later := tmpfs(dir, "later")
			Expect(os.WriteFile(filepath.Join(later, "seen"), nil, 0o644)).To(Succeed())
			_, _, code, err := c.Exec(ctx, "test", "-e", "/m/later/seen")
			Expect(err).NotTo(HaveOccurred())
			Expect(code == 0).To(Equal(mode.inside), "the host's later mount is seen in the container")
			c.Output(ctx, "/bin/sh", "-c", "mount -t tmpfs probe /m/out && touch /m/out/seen")
			DeferCleanup(func() { _ = unix.Unmount(filepath.Join(dir, "out"), unix.MNT_DETACH) })
			_, err = os.Stat(filepath.Join(dir, "out", "seen"))
			Expect(err == nil).To(Equal(mode.beyond), "the container's mount is seen on the host")
		})
	}

	for _, way := range []struct {
		what        string
		flag        uintptr
		propagation runtimeapi.MountPropagation
		good        bool
	}{
		{"from a private mount", unix.MS_PRIVATE, fromHost, false}, {"to a private mount", unix.MS_PRIVATE, bidirectional, false},
		{"from a slave mount", unix.MS_SLAVE, fromHost, true}, {"to a slave mount", unix.MS_SLAVE, bidirectional, false},
	} {
		It(way.what, target.Covers("mount.shared"), containerLimit, func(ctx SpecContext) {
			t := target.Current()
			t.Need(target.FeatureHostNamespaces)
			dir := propagating(unix.MS_SHARED)
			if way.flag == unix.MS_SLAVE { // a slave of something
				other := hostDir("other")
				Expect(unix.Mount(dir, other, "", unix.MS_BIND, "")).To(Succeed())
				DeferCleanup(unix.Unmount, other, unix.MNT_DETACH)
				dir = other
			}
			Expect(unix.Mount("", dir, "", way.flag, "")).To(Succeed())
			Expect(os.Mkdir(filepath.Join(dir, "below"), 0o755)).To(Succeed())
			_, err := t.Pod(ctx).TryCreate(ctx, mounts(&runtimeapi.Mount{
				HostPath: filepath.Join(dir, "below"), ContainerPath: "/m", Propagation: way.propagation}))
			if way.good {
				Expect(err).NotTo(HaveOccurred())
				return
			}
			expectInvalid(t, err, "mount.shared", "config.mounts[0].propagation")
		})
	}
})

// "recursive_read_only: If set to true, the mount is made recursive read-only.
// (readonly == false && recursive_read_only == false) does not make the mount
// read-only." (cri-api v1, Mount)
var _ = Describe("A recursive read-only mount", func() {
	It("is read-only all the way down", target.Covers("mount.rro"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureHostNamespaces)
		dir := hostDir("top")
		tmpfs(dir, "below")
		c := t.Pod(ctx).Run(ctx, mounts(
			&runtimeapi.Mount{HostPath: dir, ContainerPath: "/rro", Readonly: true, RecursiveReadOnly: true},
			&runtimeapi.Mount{HostPath: dir, ContainerPath: "/ro", Readonly: true},
			&runtimeapi.Mount{HostPath: dir, ContainerPath: "/rw"}))
		fails(ctx, c, "touch", "/rro/new")
		fails(ctx, c, "touch", "/rro/below/new")
		fails(ctx, c, "touch", "/ro/new")
		c.Output(ctx, "touch", "/ro/below/new", "/rw/new", "/rw/below/new")
	})
	It("is refused where the runtime has none", target.Covers("mount.rro-handler"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureWitness, target.FeatureRestart, target.FeatureHostNamespaces)
		p := t.Pod(ctx)
		rro := mounts(&runtimeapi.Mount{HostPath: "/usr", ContainerPath: "/m", Readonly: true, RecursiveReadOnly: true})
		t.Cleanup("a daemon that has asked the runtime again", func(ctx context.Context) error { return t.Restart(ctx, syscall.SIGKILL) })
		fault := t.Witness.Fault(witness.Fault{Program: witness.OCI, Op: "features", Action: witness.Fail})
		crash(ctx, t)
		_, err := p.TryCreate(ctx, rro)
		t.ExpectCode(err, codes.FailedPrecondition)
		t.ExpectRule(err, "mount.rro-handler")
		Expect(err.Error()).To(ContainSubstring("RROUnsupported"), "the CRI's word for it")
		t.Witness.Release(fault)
		crash(ctx, t)
		p.Create(ctx, rro)
	})
})

var _ = DescribeTable("CreateContainer refuses", refusesRequest,
	create("request.create.working-dir-nul", "config.working_dir", "a working directory with a NUL byte", containerTexts(setWorkingDir, "/a\x00b")...),
	create("request.create.mount-target-nul", "config.mounts[1].container_path", "a mount at a path with a NUL byte",
		withMount(func(m *runtimeapi.Mount) { m.ContainerPath = "/a\x00b" })...),
	// "Path of the mount on the host. Has to be empty if the image field below is
	// provided, because those fields are mutually exclusive."
	create("request.create.mount-source-or-image", "config.mounts[1].container_path", "a mount of nothing",
		withMount(func(m *runtimeapi.Mount) { m.HostPath = "" })...),
	create("request.create.mount-image-alone", "config.mounts[1].host_path", "a mount of a path and an image",
		withMount(func(m *runtimeapi.Mount) { m.Image = &runtimeapi.ImageSpec{Image: "any"} })...),
	// "Specific image sub path [...] only necessary if the above image field is set."
	create("request.create.mount-sub-path", "config.mounts[1].image_sub_path", "an image's sub path without an image",
		withMount(func(m *runtimeapi.Mount) { m.ImageSubPath = "lib" })...),
	// "when set to true, readonly must be explicitly set to true, and propagation
	// must be PRIVATE (0)."
	create("request.create.mount-rro-private", "config.mounts[1].propagation", "a recursive read-only mount that is not private",
		withMount(func(m *runtimeapi.Mount) { m.RecursiveReadOnly, m.Propagation = true, fromHost },
			func(m *runtimeapi.Mount) { m.RecursiveReadOnly, m.Propagation = true, bidirectional })...),
	// "NamespaceMode for UserNamespace currently supports only POD and NODE, not
	// CONTAINER OR TARGET."
	create("request.create.userns-mode", podContext+"namespace_options.userns_options.mode", "a user namespace of its own", withSecurity(
		func(s *runtimeapi.LinuxContainerSecurityContext) {
			s.GetNamespaceOptions().UsernsOptions = &runtimeapi.UserNamespace{Mode: runtimeapi.NamespaceMode_CONTAINER}
		},
		func(s *runtimeapi.LinuxContainerSecurityContext) {
			s.GetNamespaceOptions().UsernsOptions = &runtimeapi.UserNamespace{Mode: runtimeapi.NamespaceMode_TARGET}
		})...),
)
