package probe

import (
	"context"
	"os"
	"strings"

	"ocid/conformance/target"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func withMasked(paths ...string) target.ContainerOption {
	return confined(func(s *runtimeapi.LinuxContainerSecurityContext) { s.MaskedPaths = paths })
}

func withReadonly(paths ...string) target.ContainerOption {
	return confined(func(s *runtimeapi.LinuxContainerSecurityContext) { s.ReadonlyPaths = paths })
}

// "no_new_privs defines if the flag for no_new_privs should be set on the
// container." (cri-api v1, LinuxContainerSecurityContext)
var _ = Describe("The flag no_new_privs", func() {
	It("is set if the config says so", target.Covers("security.no-new-privs"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		p := t.Pod(ctx)
		for _, set := range []bool{false, true} {
			want := map[bool]string{false: "0", true: "1"}[set]
			flag := confined(func(s *runtimeapi.LinuxContainerSecurityContext) { s.NoNewPrivs = set })
			for _, c := range []*target.Container{p.Run(ctx, flag), p.Run(ctx, flag, asUser(1000))} {
				Expect(firstOf(ctx, c).line("NoNewPrivs")).To(Equal(want))
				Expect(insideOf(ctx, c).line("NoNewPrivs")).To(Equal(want), "a command that is run in the container")
			}
		}
	})

	// A filter needs either the flag or CAP_SYS_ADMIN: who has neither in the
	// container has the filter set by the runtime.
	It("is not set by a filter", target.Covers("security.no-new-privs"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureSeccomp)
		c := t.Pod(ctx).Run(ctx, asUser(1000), withSeccomp(runtimeDefault()))
		Expect(insideOf(ctx, c).line("NoNewPrivs")).To(Equal("0"))
		Expect(insideOf(ctx, c).line("Seccomp")).To(Equal(filtered))
	})
})

// mountsAt returns the options of each mount at the path in the container.
func mountsAt(ctx context.Context, c *target.Container, path string) (options []string) {
	GinkgoHelper()
	for line := range strings.Lines(c.Output(ctx, "cat", "/proc/self/mountinfo")) {
		if f := strings.Fields(line); f[4] == path {
			options = append(options, f[5])
		}
	}
	return options
}

// "masked_paths is a slice of paths that should be masked by the container
// runtime, this can be passed directly to the OCI spec." (cri-api v1,
// LinuxContainerSecurityContext)
var _ = Describe("The masked paths of a container", func() {
	It("show nothing", target.Covers("security.masked-paths"), containerLimit, func(ctx SpecContext) {
		c := target.Current().Pod(ctx).Run(ctx, withMasked("/etc/passwd", "/var", "/missing"))
		Expect(c.Output(ctx, "cat", "/etc/passwd")).To(BeEmpty(), "a file")
		Expect(c.Output(ctx, "ls", "/var")).To(BeEmpty(), "a directory")
		Expect(c.Output(ctx, "ls", "/")).NotTo(ContainSubstring("missing"))
		Expect(c.Output(ctx, "cat", "/proc/interrupts")).NotTo(BeEmpty(), "a default that the config does not list")
	})

	It("are those of Kubernetes without a security context", target.Covers("security.masked-paths"), containerLimit, func(ctx SpecContext) {
		c := target.Current().Pod(ctx, target.SharedPID()).Run(ctx, withoutContext())
		for _, path := range []string{"/proc/interrupts", "/proc/timer_list", "/proc/keys", "/sys/firmware"} {
			Expect(c.Output(ctx, "sh", "-c", `[ ! -e $0 ] || if [ -d $0 ]; then ls $0; else cat $0; fi`, path)).To(BeEmpty(), path)
		}
	})

	It("are none if the list is empty", target.Covers("security.masked-paths"), containerLimit, func(ctx SpecContext) {
		c := target.Current().Pod(ctx).Run(ctx, withMasked())
		Expect(c.Output(ctx, "cat", "/proc/interrupts")).NotTo(BeEmpty())
		Expect(mountsAt(ctx, c, "/proc/keys")).To(BeEmpty())
		Expect(mountsAt(ctx, c, "/sys/firmware")).To(BeEmpty())
	})
})

// "readonly_paths is a slice of paths that should be set as readonly by the
// container runtime, this can be passed directly to the OCI spec." (cri-api v1,
// LinuxContainerSecurityContext)
var _ = Describe("The read-only paths of a container", func() {
	It("cannot be written", target.Covers("security.readonly-paths"), containerLimit, func(ctx SpecContext) {
		c := target.Current().Pod(ctx).Run(ctx, withReadonly("/etc/passwd", "/var", "/missing"))
		for _, script := range []string{"echo x >>/etc/passwd", "echo x >/var/x", "mkdir /var/www/x"} {
			Expect(failing(ctx, c, "sh", "-c", script)).To(ContainSubstring("Read-only file system"), script)
		}
		Expect(c.Output(ctx, "cat", "/etc/passwd")).To(ContainSubstring("root"))
		c.Output(ctx, "sh", "-c", "echo x >/etc/x")
		Expect(mountsAt(ctx, c, "/proc/sys")).To(BeEmpty(), "a default that the config does not list")
	})

	It("are those of Kubernetes without a security context", target.Covers("security.readonly-paths"), containerLimit, func(ctx SpecContext) {
		c := target.Current().Pod(ctx, target.SharedPID()).Run(ctx, withoutContext())
		for _, path := range []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"} {
			if _, err := os.Stat(path); err == nil { // else this kernel does not have it
				Expect(mountsAt(ctx, c, path)).To(ContainElement(HavePrefix("ro")), path)
			}
		}
	})

	It("are none if the list is empty", target.Covers("security.readonly-paths"), containerLimit, func(ctx SpecContext) {
		c := target.Current().Pod(ctx).Run(ctx, withReadonly())
		for _, path := range []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"} {
			Expect(mountsAt(ctx, c, path)).To(BeEmpty(), path)
		}
	})
})

// "If set, the root filesystem of the container is read-only." (cri-api v1,
// LinuxContainerSecurityContext.readonly_rootfs)
var _ = Describe("The root filesystem of a container", func() {
	It("is read-only exactly if the config says so", target.Covers("security.readonly-rootfs"), containerLimit, func(ctx SpecContext) {
		p := target.Current().Pod(ctx)
		dir := GinkgoT().TempDir()
		for _, readonly := range []bool{true, false} {
			c := p.Run(ctx, target.Mount(dir, "/mnt", false), confined(func(s *runtimeapi.LinuxContainerSecurityContext) { s.ReadonlyRootfs = readonly }))
			c.Output(ctx, "sh", "-c", "echo x >/mnt/x && echo x >/dev/shm/x")
			if readonly {
				Expect(failing(ctx, c, "sh", "-c", "echo x >/x")).To(ContainSubstring("Read-only file system"))
				continue
			}
			c.Output(ctx, "sh", "-c", "echo x >/x")
		}
	})
})
