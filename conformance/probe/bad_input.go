package probe

import (
	"path/filepath"
	"strings"

	"ocid/conformance/target"

	. "github.com/onsi/ginkgo/v2"
	"github.com/onsi/ginkgo/v2/types"
	. "github.com/onsi/gomega"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// impossible is a row: a container that no runtime can make, for a field that
// the caller filled.
func impossible(what string, codes []codes.Code, changes ...target.ContainerOption) TableEntry {
	return Entry(what, requestLimit, types.NewCodeLocation(1), codes, changes)
}

func invalidCode() []codes.Code { return []codes.Code{codes.InvalidArgument} }

// anyCode is for what only the runtime, or the kernel, finds out.
func anyCode() []codes.Code { return []codes.Code{codes.InvalidArgument, codes.Internal} }

var _ = DescribeTable("CreateContainer refuses what the runtime can't make, and leaves nothing of it:", target.Covers("container.create.runtime"),
	func(ctx SpecContext, want []codes.Code, changes []target.ContainerOption) {
		t := target.Current()
		p := t.Pod(ctx)
		valid := p.ContainerRequest()
		before := t.Now(ctx)
		for _, change := range changes {
			req := proto.CloneOf(valid)
			change(req)
			_, err := p.CreateFrom(ctx, req)
			t.ExpectCode(err, want...)
			expectShort(err)
			t.ExpectNothingLeft(ctx, before)
		}
		_, err := p.CreateFrom(ctx, valid)
		Expect(err).NotTo(HaveOccurred(), "the name of the refused container is free")
	},
	impossible("a NUL byte in the command", invalidCode(), target.Command("/bin/sh\x00"), target.Command("/bin/sh", "-c", "a\x00b")),
	impossible("a NUL byte in the arguments", invalidCode(), target.WithContainer(func(c *runtimeapi.ContainerConfig) { c.Args = []string{"a\x00b"} })),
	impossible("a NUL byte in the working directory", invalidCode(), containerTexts(setWorkingDir, "/a\x00b")...),
	impossible("a NUL byte in the path of a mount in the container", invalidCode(), withMount(func(m *runtimeapi.Mount) { m.ContainerPath = "/a\x00b" })...),
	impossible("a mount at the root", invalidCode(), withMount(func(m *runtimeapi.Mount) { m.ContainerPath = "/" }, func(m *runtimeapi.Mount) { m.ContainerPath = "/a/.." })...),
	impossible("a mount of nothing", invalidCode(), withMount(func(m *runtimeapi.Mount) { m.HostPath = "" })...),
	impossible("a device that is not there", invalidCode(), withDevice(func(d *runtimeapi.Device) { d.HostPath = "/dev/no-such-device" }, func(d *runtimeapi.Device) { d.HostPath = "" })...),
	impossible("a device that is none", invalidCode(), withDevice(func(d *runtimeapi.Device) { d.HostPath = "/etc/passwd" })...),
	impossible("a device at no path", invalidCode(), withDevice(func(d *runtimeapi.Device) { d.ContainerPath = "" })...),
	impossible("device permissions that are none", invalidCode(), withDevice(func(d *runtimeapi.Device) { d.Permissions = "x" })...),
	impossible("a group that does not exist", invalidCode(), withSecurity(
		func(s *runtimeapi.LinuxContainerSecurityContext) { s.SupplementalGroups = []int64{-1} },
		func(s *runtimeapi.LinuxContainerSecurityContext) { s.SupplementalGroups = []int64{1 << 40} })...),
	impossible("a user name that the image does not have", invalidCode(),
		withSecurity(func(s *runtimeapi.LinuxContainerSecurityContext) { s.RunAsUsername = strings.Repeat("u", 10_000) })...),
	impossible("a capability that does not exist", invalidCode(), withSecurity(func(s *runtimeapi.LinuxContainerSecurityContext) {
		s.Capabilities = &runtimeapi.Capability{AddCapabilities: []string{"NO_SUCH"}}
	})...),
	impossible("a CPU quota of less than none", invalidCode(), withResources(func(r *runtimeapi.LinuxContainerResources, v int64) { r.CpuQuota = v }, -2)...),
	impossible("a CPU quota that the kernel does not take", anyCode(), withResources(func(r *runtimeapi.LinuxContainerResources, v int64) { r.CpuQuota = v }, 1)...),
	impossible("CPU shares that are less than none", invalidCode(), withResources(func(r *runtimeapi.LinuxContainerResources, v int64) { r.CpuShares = v }, -1)...),
	impossible("CPUs that are no list", anyCode(), target.WithContainer(func(c *runtimeapi.ContainerConfig) { c.GetLinux().GetResources().CpusetCpus = "zero" })),
	impossible("an image reference that is none", []codes.Code{codes.InvalidArgument, codes.NotFound},
		target.Image("UPPER CASE"), target.Image("../../etc/passwd"), target.Image(strings.Repeat("i", 10_000)), target.Image("a\x00b"), target.Image(":")),
	impossible("a log path whose name is too long for a file", invalidCode(), containerTexts(setLogPath, strings.Repeat("l", 300))...),
	impossible("a seccomp profile that is not there", []codes.Code{codes.InvalidArgument, codes.Unimplemented}, withSecurity(func(s *runtimeapi.LinuxContainerSecurityContext) {
		s.Seccomp = &runtimeapi.SecurityProfile{ProfileType: runtimeapi.SecurityProfile_Localhost, LocalhostRef: "../../no-such-profile"}
	})...),
)

// onHostKernel makes a case need pods on the host's kernel.
func onHostKernel(changes ...target.PodOption) []target.PodOption {
	for i, change := range changes {
		changes[i] = func(req *runtimeapi.RunPodSandboxRequest) {
			target.Current().Need(target.FeatureHostNamespaces)
			change(req)
		}
	}
	return changes
}

// impossiblePod is a row about RunPodSandbox.
func impossiblePod(what string, codes []codes.Code, changes ...target.PodOption) TableEntry {
	return Entry(what, requestLimit, types.NewCodeLocation(1), codes, changes)
}

var _ = DescribeTable("RunPodSandbox refuses what nobody can make, and leaves nothing of it:", target.Covers("sandbox.run.new"),
	func(ctx SpecContext, want []codes.Code, changes []target.PodOption) {
		t := target.Current()
		valid := t.PodRequest()
		before := t.Now(ctx)
		for _, change := range changes {
			req := proto.CloneOf(valid)
			change(req)
			_, err := t.RunPod(ctx, req)
			t.ExpectCode(err, want...)
			expectShort(err)
			t.ExpectNothingLeft(ctx, before)
		}
		p, err := t.RunPod(ctx, valid)
		Expect(err).NotTo(HaveOccurred(), "the name of the refused pod is free")
		expectReady(ctx, p)
	},
	impossiblePod("a sysctl that does not exist", invalidCode(), onHostKernel(podSysctls("no.such")...)...),
	impossiblePod("a sysctl that its namespace does not have", anyCode(), podSysctls("net.no.such")...),
	impossiblePod("a sysctl of the node", invalidCode(), onHostKernel(podSysctls("kernel.sysrq", "vm.swappiness")...)...),
	impossiblePod("a sysctl that is a path", invalidCode(), podSysctls("net/../kernel/core_pattern", "net....kernel.core_pattern", "/etc/passwd", "")...),
	impossiblePod("a sysctl of the host's network", invalidCode(), func(r *runtimeapi.RunPodSandboxRequest) {
		target.HostNetwork()(r)
		r.GetConfig().GetLinux().Sysctls = map[string]string{"net.ipv4.ip_forward": "1"}
	}),
	impossiblePod("a host IP that is none", invalidCode(), podPorts(func(p *runtimeapi.PortMapping) { p.HostPort, p.HostIp = 18099, "no address" })...),
	impossiblePod("a host port that leads nowhere", invalidCode(), podPorts(func(p *runtimeapi.PortMapping) { p.HostPort, p.ContainerPort = 18099, 0 })...),
	impossiblePod("a cgroup parent that climbs", invalidCode(), podTexts(func(c *runtimeapi.PodSandboxConfig, v string) { c.GetLinux().CgroupParent = v }, "/../..", "../x", "/a/../../b")...),
	impossiblePod("a user namespace of a mode that is not defined", invalidCode(), podSecurity(func(s *runtimeapi.LinuxSandboxSecurityContext) {
		s.GetNamespaceOptions().UsernsOptions = &runtimeapi.UserNamespace{Mode: undefinedMode}
	})...),
)

// podSysctl sets one sysctl of the sandbox.
func podSysctl(name, value string) target.PodOption {
	return target.WithPod(func(c *runtimeapi.PodSandboxConfig) {
		if c.Linux.Sysctls == nil {
			c.Linux.Sysctls = map[string]string{}
		}
		c.Linux.Sysctls[name] = value
	})
}

func podSysctls(names ...string) (all []target.PodOption) {
	for _, n := range names {
		all = append(all, target.WithPod(func(c *runtimeapi.PodSandboxConfig) { c.GetLinux().Sysctls = map[string]string{n: "1"} }))
	}
	return all
}

var _ = Describe("A path in a request", func() {
	It("does not lead a mount out of the container", target.Covers("container.mounts"), requestLimit, func(ctx SpecContext) {
		outside := GinkgoT().TempDir()
		c := target.Current().Pod(ctx).Run(ctx, target.WithContainer(func(c *runtimeapi.ContainerConfig) {
			c.Mounts = []*runtimeapi.Mount{{HostPath: "/usr", ContainerPath: "/../../../.." + outside + "/usr", Readonly: true}}
		}))
		Expect(filepath.Join(outside, "usr")).NotTo(BeADirectory(), "a place on the host")
		Expect(c.Output(ctx, "/bin/sh", "-c", "ls -d "+outside+"/usr/bin")).To(Equal(outside + "/usr/bin"))
	})
})
