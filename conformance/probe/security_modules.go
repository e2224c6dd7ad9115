package probe

import (
	"os"
	"path/filepath"

	"ocid/conformance/target"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func withApparmor(p *runtimeapi.SecurityProfile) target.ContainerOption {
	return confined(func(s *runtimeapi.LinuxContainerSecurityContext) { s.Apparmor = p })
}

func withOldApparmor(name string) target.ContainerOption {
	//lint:ignore SA1019 the deprecated field is part of the rule
	return confined(func(s *runtimeapi.LinuxContainerSecurityContext) { s.ApparmorProfile = name })
}

// "A pre-defined profile on the node should be used": "For AppArmor, the profile
// name" (cri-api v1, SecurityProfile). A container that comes without the
// confinement asked for must not run.
var _ = Describe("AppArmor", func() {
	It("is refused with a profile that is not loaded", target.Covers("security.apparmor.refused"), containerLimit, func(ctx SpecContext) {
		refusesRequest(ctx, "security.apparmor.refused", podContext+"apparmor", []target.ContainerOption{
			withApparmor(localhost("criconform-missing")), withApparmor(localhost("localhost/criconform-missing")),
			withApparmor(localhost("")), withApparmor(localhost("localhost/")),
		})
		refusesRequest(ctx, "security.apparmor.refused", podContext+"apparmor_profile", []target.ContainerOption{
			withOldApparmor("localhost/criconform-missing"), withOldApparmor("localhost/"), withOldApparmor("criconform-missing"),
		})
	})

	It("is taken without AppArmor if no profile of the node is asked for", target.Covers("security.apparmor.none"), containerLimit, func(ctx SpecContext) {
		p := target.Current().Pod(ctx)
		for _, option := range []target.ContainerOption{
			withApparmor(nil), withApparmor(runtimeDefault()), withApparmor(unconfined()), withOldApparmor("runtime/default"), withOldApparmor("unconfined"),
		} {
			p.Run(ctx, option).Output(ctx, "true")
		}
	})
})

// "SELinux context to be optionally applied." (cri-api v1,
// LinuxContainerSecurityContext.selinux_options)
var _ = Describe("SELinux options", func() {
	It("have no effect without SELinux", target.Covers("security.selinux.off"), containerLimit, func(ctx SpecContext) {
		options := &runtimeapi.SELinuxOption{User: "system_u", Role: "system_r", Type: "container_t", Level: "s0:c1,c2"}
		p := target.Current().Pod(ctx, target.SharedPID(), confinedPod(func(s *runtimeapi.LinuxSandboxSecurityContext) { s.SelinuxOptions = options }))
		dir := GinkgoT().TempDir()
		c := p.Run(ctx, confined(func(s *runtimeapi.LinuxContainerSecurityContext) { s.SelinuxOptions = options }),
			target.WithContainer(func(c *runtimeapi.ContainerConfig) {
				c.Mounts = []*runtimeapi.Mount{{HostPath: dir, ContainerPath: "/mnt", SelinuxRelabel: true}}
			}))
		c.Output(ctx, "touch", "/mnt/x")
		_, err := os.Stat(filepath.Join(dir, "x"))
		Expect(err).NotTo(HaveOccurred())
	})
})
