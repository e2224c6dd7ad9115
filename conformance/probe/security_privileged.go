package probe

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"ocid/conformance/target"

	"github.com/moby/sys/mountinfo"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// mountsOf returns the kernel's mounts in a container at a path and below it, as
// "/path ro" or "/path rw". The tmpfs that holds the mount points of cgroups v1 is
// none of them, and some versions of runc leave it writable.
func mountsOf(c *target.Container, path string) (some []string) {
	GinkgoHelper()
	f, err := os.Open("/proc/" + itoa(c.Init().PID) + "/mountinfo")
	Expect(err).NotTo(HaveOccurred())
	defer f.Close()
	all, err := mountinfo.GetMountsFromReader(f, func(m *mountinfo.Info) (skip, stop bool) {
		return m.FSType == "tmpfs" || m.Mountpoint != path && !strings.HasPrefix(m.Mountpoint, path+"/"), false
	})
	Expect(err).NotTo(HaveOccurred())
	for _, m := range all {
		access, _, _ := strings.Cut(m.Options, ",")
		some = append(some, m.Mountpoint+" "+access)
	}
	return some
}

// elevated returns a running privileged container.
func elevated(ctx SpecContext, t *target.T, opts ...target.ContainerOption) *target.Container {
	GinkgoHelper()
	t.Need(target.FeaturePrivileged, target.FeatureHostNamespaces)
	return t.Pod(ctx, target.Privileged()).Run(ctx, append(opts, target.PrivilegedContainer())...)
}

// "privileged: If set, run container in privileged mode. Privileged mode is
// incompatible with the following options. If privileged is set, the following
// features MAY have no effect: 1. capabilities 2. selinux_options 4. seccomp
// 5. apparmor" "Privileged mode implies the following specific options are
// applied: 1. All capabilities are added. 2. Sensitive paths, such as kernel
// module paths within sysfs, are not masked. 3. Any sysfs and procfs mounts are
// mounted RW. 4. AppArmor confinement is not applied. 5. Seccomp restrictions
// are not applied. 6. The device cgroup does not restrict access to any devices.
// 7. All devices from the host's /dev are available within the container.
// 8. SELinux restrictions are not applied (e.g. label=disabled)." (cri-api v1)
var _ = Describe("A privileged container", func() {
	It("sees and writes the paths that others don't", target.Covers("security.privileged.paths"), containerLimit, func(ctx SpecContext) {
		hidden := confined(func(sc *runtimeapi.LinuxContainerSecurityContext) {
			sc.MaskedPaths, sc.ReadonlyPaths = []string{"/proc/uptime", "/sys/kernel"}, []string{"/proc/sys"}
		})
		c := elevated(ctx, target.Current(), hidden)
		Expect(mountsOf(c, "/proc")).To(Equal([]string{"/proc rw"}), "nothing is mounted over parts of /proc")
		Expect(c.Output(ctx, "cat", "/proc/uptime")).NotTo(BeEmpty())
		Expect(c.Output(ctx, "ls", "/sys/kernel")).NotTo(BeEmpty())
	})

	It("writes the kernel's files, others do not", target.Covers("security.privileged.kernel-files"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		c := elevated(ctx, t)
		for _, path := range []string{"/proc", "/sys", "/sys/fs/cgroup"} {
			Expect(mountsOf(c, path)).NotTo(BeEmpty(), path)
			Expect(mountsOf(c, path)).To(HaveEach(HaveSuffix(" rw")), path)
		}
		plain := c.Pod.Run(ctx)
		Expect(mountsOf(plain, "/sys")).NotTo(BeEmpty())
		Expect(mountsOf(plain, "/sys")).To(HaveEach(HaveSuffix(" ro")), "/sys of another container of the pod")
		Expect(mountsOf(plain, "/sys/fs/cgroup")).NotTo(BeEmpty())
	})

	It("has no profiles, and those of its config are not looked at", target.Covers("security.privileged.profiles"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		for _, profile := range []*runtimeapi.SecurityProfile{localhost("/no/such/profile"), runtimeDefault()} {
			c := elevated(ctx, t, confined(func(sc *runtimeapi.LinuxContainerSecurityContext) {
				sc.Seccomp, sc.Apparmor = profile, profile
				sc.SelinuxOptions = &runtimeapi.SELinuxOption{Type: "no_such_t", Level: "s0"}
			}))
			Expect(hostStatus(c.Init().PID).line("Seccomp")).To(Equal("0"))
			Expect(c.Output(ctx, "grep", "Seccomp:", "/proc/self/status")).To(HaveSuffix("0"), "a command in it")
		}
	})

	It("has the devices of the node", target.Covers("security.privileged.devices"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeaturePrivileged, target.FeatureHostNamespaces)
		p := t.Pod(ctx, target.Privileged())
		// Younger than the daemon and than the pod.
		young := filepath.Join("/dev", "criconform-"+t.Var("ID"), "young")
		Expect(os.MkdirAll(filepath.Dir(young), 0o755)).To(Succeed())
		DeferCleanup(os.RemoveAll, filepath.Dir(young))
		Expect(unix.Mknod(young, unix.S_IFCHR|0o640, int(unix.Mkdev(1, 7)))).To(Succeed())
		Expect(os.Chown(young, 12, 34)).To(Succeed())
		c := p.Run(ctx, target.PrivilegedContainer())
		Expect(c.Output(ctx, "stat", "-c", "%F %t:%T %a %u:%g", young)).To(Equal("character special file 1:7 640 12:34"))
		inside := deviceNodes("/proc/" + itoa(c.Init().PID) + "/root/dev")
		for path := range deviceNodes("/dev") {
			if !strings.HasPrefix(path, "criconform-") || strings.HasSuffix(young, path) {
				Expect(inside).To(HaveKey(path))
			}
		}
		Expect(deviceNodes("/proc/"+itoa(p.Run(ctx).Init().PID)+"/root/dev")).To(HaveLen(len(standardNodes())), "another container of the pod")
	})

	It("opens any device, others do not", target.Covers("security.privileged.device-access"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		c := elevated(ctx, t)
		makes := confined(func(sc *runtimeapi.LinuxContainerSecurityContext) {
			sc.Capabilities = &runtimeapi.Capability{AddCapabilities: []string{"MKNOD"}}
		})
		plain := c.Pod.Run(ctx, makes)
		major, minor := openable()
		for _, x := range []*target.Container{c, plain} {
			x.Output(ctx, "mknod", "/dev/probe", "c", major, minor)
			x.Output(ctx, "mknod", "/dev/second-full", "c", "1", "7")
			x.Output(ctx, "/bin/sh", "-c", ": < /dev/second-full")
		}
		c.Output(ctx, "/bin/sh", "-c", ": < /dev/probe")
		fails(ctx, plain, "/bin/sh", "-c", ": < /dev/probe")
	})

	// Own, after an option of containerd.
	It("has its own devices alone where the handler is configured so", target.Covers("security.privileged.without-devices"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeaturePrivileged, target.FeatureHostNamespaces)
		Expect(t.Reconfigure(ctx, map[string]string{target.VarPlainDevices: "true"})).To(Succeed())
		major, minor := openable()
		c := elevated(ctx, t, device("/dev/full", "/dev/asked", "r"))
		nodes := deviceNodes("/proc/" + itoa(c.Init().PID) + "/root/dev")
		Expect(nodes).To(HaveLen(len(standardNodes()) + 1))
		Expect(nodes).To(HaveKey("asked"))
		c.Output(ctx, "mknod", "/dev/probe", "c", major, minor)
		fails(ctx, c, "/bin/sh", "-c", ": < /dev/probe")
		Expect(elevated(ctx, t).Output(ctx, "cat", "/proc/self/status")).To(ContainSubstring("NoNewPrivs"))
	})
})

// standardNodes are those that the OCI runtime specification asks for in each
// container.
func standardNodes() []string {
	return []string{"null", "zero", "full", "random", "urandom", "tty"}
}

// deviceNodes are the devices below a directory by their paths; those of
// file systems of their own, which each container has, are left out.
func deviceNodes(root string) map[string]bool {
	GinkgoHelper()
	all := map[string]bool{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return ignoreVanished(err)
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if d.IsDir() && slices.Contains([]string{"pts", "shm", "mqueue"}, rel) {
			return fs.SkipDir
		}
		if d.Type()&fs.ModeDevice != 0 && rel != "console" && rel != "ptmx" {
			all[rel] = true
		}
		return nil
	})
	Expect(err).NotTo(HaveOccurred())
	return all
}
