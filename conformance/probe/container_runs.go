package probe

import (
	"context"
	"os"
	"path/filepath"

	"ocid/conformance/target"
	"ocid/fixtures/images"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// The founding rules: the containers of a pod share its network namespace.
var _ = Describe("A container's network namespace", func() {
	It("is its pod's", target.Covers("container.namespaces.network"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureHostNamespaces)
		p, q := t.Pod(ctx), t.Pod(ctx)
		a, b, c := p.Run(ctx), p.Run(ctx), q.Run(ctx)
		ns := func(c *target.Container) string { return t.NamespaceOf(c.Init().PID, "net") }
		Expect(ns(a)).To(Equal(ns(b)), "two containers of one pod")
		Expect(ns(a)).NotTo(Equal(ns(c)), "containers of two pods")
		Expect(ns(a)).NotTo(Equal(t.HostNamespace("net")))
		Expect(a.Output(ctx, "ip", "-o", "-4", "addr", "show", "scope", "global")).To(ContainSubstring(" "+p.Status(ctx).GetNetwork().GetIp()+"/"), "the pod's address")
	})

	It("is the host's in a pod on the host's network", target.Covers("container.namespaces.network"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureHostNetwork, target.FeatureHostNamespaces)
		c := t.Running(ctx, target.HostNetwork())
		Expect(t.NamespaceOf(c.Init().PID, "net")).To(Equal(t.HostNamespace("net")))
	})
})

// "NamespaceMode: POD: A POD namespace is common to all containers in a pod. For
// example, a container with a PID namespace of POD expects to view all of the
// processes in all of the containers in the pod. CONTAINER: A CONTAINER
// namespace is restricted to a single container. NODE: A NODE namespace is the
// namespace of the Kubernetes node." (cri-api v1)
var _ = Describe("A container's PID namespace", func() {
	both := func(ctx context.Context, opts ...target.PodOption) (a, b, host string) {
		GinkgoHelper()
		t := target.Current()
		p := t.Pod(ctx, opts...)
		x, y := p.Run(ctx), p.Run(ctx)
		if t.Has(target.FeatureHostNamespaces) {
			host = t.HostNamespace("pid")
		}
		return x.Namespace(ctx, "pid"), y.Namespace(ctx, "pid"), host
	}
	covers := target.Covers("container.namespaces.pid")
	It("is its own (CONTAINER)", covers, containerLimit, func(ctx SpecContext) {
		a, b, host := both(ctx)
		Expect(a).NotTo(Equal(b), "two containers of one pod")
		Expect([]string{a, b}).NotTo(ContainElement(host))
	})
	It("is its pod's (POD)", covers, containerLimit, func(ctx SpecContext) {
		a, b, host := both(ctx, target.SharedPID())
		Expect(a).To(Equal(b), "two containers of one pod")
		Expect(a).NotTo(Equal(host))
	})
	It("is the host's (NODE)", covers, containerLimit, func(ctx SpecContext) {
		target.Current().Need(target.FeatureHostNamespaces)
		a, b, host := both(ctx, target.HostPID())
		Expect([]string{a, b}).To(HaveEach(host))
	})
	It("shows a container of its own its process as number 1", covers, containerLimit, func(ctx SpecContext) {
		c := target.Current().Pod(ctx).Run(ctx, target.Shell("echo number $$; sleep 2000"))
		awaitLog(ctx, c, "number 1\n")
		Expect(c.Stop(ctx, 0)).To(Succeed())
	})
})

// "ContainerConfig: command: Command to execute (i.e., entrypoint for docker);
// args: Args for the Command (i.e., command for docker); working_dir: Current
// working directory of the command; envs: List of environment variable to set in
// the container." (cri-api v1). Where the config is silent, the image speaks.
var _ = Describe("A container's process", func() {
	says := func(ctx context.Context, image string, change func(*runtimeapi.ContainerConfig)) string {
		GinkgoHelper()
		t := target.Current()
		ref, err := t.Image(ctx, image)
		Expect(err).NotTo(HaveOccurred())
		c := t.Pod(ctx).Run(ctx, target.Image(ref), target.WithContainer(func(c *runtimeapi.ContainerConfig) {
			c.Command = nil
			change(c)
		}))
		awaitState(ctx, c, stateExited)
		return textOf(criLines(logOf(c)), "stdout")
	}
	covers := target.Covers("container.process")

	It("is the image's", covers, containerLimit, func(ctx SpecContext) {
		Expect(says(ctx, images.Defaults, func(*runtimeapi.ContainerConfig) {})).To(Equal("entry cmd FROM_IMAGE=yes in /work/dir\n"))
	})
	It("has the config's arguments for the image's entrypoint", covers, containerLimit, func(ctx SpecContext) {
		out := says(ctx, images.Defaults, func(c *runtimeapi.ContainerConfig) { c.Args = []string{"x", "y z"} })
		Expect(out).To(Equal("entry x y z FROM_IMAGE=yes in /work/dir\n"))
	})
	It("has the config's command, without the image's arguments", covers, containerLimit, func(ctx SpecContext) {
		out := says(ctx, images.Defaults, func(c *runtimeapi.ContainerConfig) { c.Command = []string{"echo", "only"} })
		Expect(out).To(Equal("only\n"))
	})
	It("has the config's command and arguments", covers, containerLimit, func(ctx SpecContext) {
		out := says(ctx, images.Defaults, func(c *runtimeapi.ContainerConfig) { c.Command, c.Args = []string{"echo", "a"}, []string{"b"} })
		Expect(out).To(Equal("a b\n"))
	})
	It("has the config's environment on top of the image's", covers, containerLimit, func(ctx SpecContext) {
		out := says(ctx, images.Defaults, func(c *runtimeapi.ContainerConfig) {
			c.Command = []string{"/bin/sh", "-c", "echo $FROM_IMAGE $OVERRIDE $NEW"}
			c.Envs = []*runtimeapi.KeyValue{{Key: "OVERRIDE", Value: []byte("config")}, {Key: "NEW", Value: []byte("a=b c")}}
		})
		Expect(out).To(Equal("yes config a=b c\n"))
	})
	It("has the config's directory", covers, containerLimit, func(ctx SpecContext) {
		out := says(ctx, images.Defaults, func(c *runtimeapi.ContainerConfig) { c.Command, c.WorkingDir = []string{"pwd"}, "/etc" })
		Expect(out).To(Equal("/etc\n"))
	})

	id := []string{"/bin/sh", "-c", "echo $(id -u) $(id -g) $(id -G)"}
	for _, user := range []struct{ name, image, want string }{
		{"a number", images.UserID, "1002 0 0\n"},
		{"a name", images.UserName, "33 33 33\n"},
		{"a number and a group", images.UserIDGroup, "1003 1004 1004\n"},
	} {
		It("has the image's user: "+user.name, covers, containerLimit, func(ctx SpecContext) {
			Expect(says(ctx, user.image, func(c *runtimeapi.ContainerConfig) { c.Command = id })).To(Equal(user.want))
		})
	}
	It("has the config's user, group and further groups", covers, containerLimit, func(ctx SpecContext) {
		out := says(ctx, images.UserName, func(c *runtimeapi.ContainerConfig) {
			c.Command = id
			security := c.GetLinux().GetSecurityContext()
			security.RunAsUser, security.RunAsGroup = &runtimeapi.Int64Value{Value: 1234}, &runtimeapi.Int64Value{Value: 2345}
			security.SupplementalGroups = []int64{3456}
		})
		Expect(out).To(Equal("1234 2345 2345 3456\n"))
	})
	It("has the config's user by name", covers, containerLimit, func(ctx SpecContext) {
		out := says(ctx, images.UserID, func(c *runtimeapi.ContainerConfig) {
			c.Command = id
			c.GetLinux().GetSecurityContext().RunAsUsername = "www-data"
		})
		Expect(out).To(HavePrefix("33 33 "))
	})
})

// "Mount: container_path: Path of the mount within the container. host_path: Path
// of the mount on the host. If the hostpath is a symbolic link, runtimes should
// follow the symlink and mount the real destination to container. readonly: If
// set, the mount is read-only." (cri-api v1)
var _ = Describe("A container's mounts", func() {
	covers := target.Covers("container.mounts")
	write := func(ctx context.Context, readonly bool) (code int32, dir string) {
		GinkgoHelper()
		dir = GinkgoT().TempDir()
		Expect(os.WriteFile(filepath.Join(dir, "from-host"), []byte("hello\n"), 0o644)).To(Succeed())
		c := target.Current().Pod(ctx).Run(ctx, target.Mount(dir, "/deep/mounted", readonly))
		Expect(c.Output(ctx, "cat", "/deep/mounted/from-host")).To(Equal("hello"))
		Expect(c.Status(ctx).GetMounts()).To(HaveLen(1))
		_, _, code, err := c.Exec(ctx, "touch", "/deep/mounted/from-container")
		Expect(err).NotTo(HaveOccurred())
		return code, dir
	}

	It("lead to the host", covers, containerLimit, func(ctx SpecContext) {
		code, dir := write(ctx, false)
		Expect(code).To(BeZero(), "exit code of a write")
		Expect(filepath.Join(dir, "from-container")).To(BeAnExistingFile())
	})
	It("are read-only where asked for", covers, containerLimit, func(ctx SpecContext) {
		code, dir := write(ctx, true)
		Expect(code).NotTo(BeZero(), "exit code of a write")
		Expect(filepath.Join(dir, "from-container")).NotTo(BeAnExistingFile())
	})
	It("may be files, and links lead to what they point to", covers, containerLimit, func(ctx SpecContext) {
		dir := GinkgoT().TempDir()
		Expect(os.WriteFile(filepath.Join(dir, "file"), []byte("hello\n"), 0o644)).To(Succeed())
		Expect(os.Symlink("file", filepath.Join(dir, "link"))).To(Succeed())
		c := target.Current().Pod(ctx).Run(ctx, target.Mount(filepath.Join(dir, "link"), "/etc/file", true))
		Expect(c.Output(ctx, "cat", "/etc/file")).To(Equal("hello"))
	})
})
