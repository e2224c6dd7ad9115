package probe

import (
	"context"
	"strings"
	"time"

	"ocid/conformance/target"

	. "github.com/onsi/ginkgo/v2"
	"github.com/onsi/ginkgo/v2/types"
	. "github.com/onsi/gomega"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Bounds of one case of the request chapter, and of one step of it.
const (
	requestLimit = SpecTimeout(40 * time.Second)
	requestNode  = NodeTimeout(20 * time.Second)
)

// expectInvalid fails the case unless the call was refused by the rule. Which
// words a refusal has is nobody's business but that of a daemon that promises to
// name its rules: it names the field too.
func expectInvalid(t *target.T, err error, rule, field string) {
	GinkgoHelper()
	t.ExpectCode(err, codes.InvalidArgument)
	t.ExpectRule(err, rule)
	if t.Has(target.FeatureRuleInfo) {
		Expect(status.Convert(err).Message()).To(ContainSubstring(field), "field that is named")
	}
}

// expectUntouched fails the case unless no program was called since its
// beginning but by the number of calls that the case itself is the reason of.
func expectUntouched(t *target.T, calls int) {
	GinkgoHelper()
	if t.Has(target.FeatureWitness) {
		Expect(t.Witness.Calls()).To(HaveLen(calls), "a refused request makes the daemon call nobody")
	}
}

func witnessed(t *target.T) int {
	GinkgoHelper()
	if !t.Has(target.FeatureWitness) {
		return 0
	}
	return len(t.Witness.Calls())
}

// run is a row about RunPodSandbox: each of the changes makes a valid request one
// that the rule refuses for the field.
func run(rule, field, what string, changes ...target.PodOption) TableEntry {
	return Entry(what, target.Covers(rule), requestLimit, types.NewCodeLocation(1), rule, field, changes)
}

func runMeta(change func(*runtimeapi.PodSandboxMetadata)) target.PodOption {
	return target.WithPod(func(c *runtimeapi.PodSandboxConfig) { change(c.GetMetadata()) })
}

func podNames(set func(*runtimeapi.PodSandboxMetadata, string), values ...string) (all []target.PodOption) {
	for _, v := range values {
		all = append(all, runMeta(func(m *runtimeapi.PodSandboxMetadata) { set(m, v) }))
	}
	return all
}

func setPodName(m *runtimeapi.PodSandboxMetadata, v string)      { m.Name = v }
func setPodUID(m *runtimeapi.PodSandboxMetadata, v string)       { m.Uid = v }
func setPodNamespace(m *runtimeapi.PodSandboxMetadata, v string) { m.Namespace = v }

func podTexts(set func(*runtimeapi.PodSandboxConfig, string), values ...string) (all []target.PodOption) {
	for _, v := range values {
		all = append(all, target.WithPod(func(c *runtimeapi.PodSandboxConfig) { set(c, v) }))
	}
	return all
}

func setHostname(c *runtimeapi.PodSandboxConfig, v string)     { c.Hostname = v }
func setLogDirectory(c *runtimeapi.PodSandboxConfig, v string) { c.LogDirectory = v }

// podPorts maps a good port and then one that is changed.
func podPorts(changes ...func(*runtimeapi.PortMapping)) (all []target.PodOption) {
	for _, change := range changes {
		all = append(all, target.WithPod(func(c *runtimeapi.PodSandboxConfig) {
			bad := &runtimeapi.PortMapping{ContainerPort: 81}
			change(bad)
			c.PortMappings = []*runtimeapi.PortMapping{{ContainerPort: 80}, bad}
		}))
	}
	return all
}

func podSecurity(changes ...func(*runtimeapi.LinuxSandboxSecurityContext)) (all []target.PodOption) {
	for _, change := range changes {
		all = append(all, target.WithPod(func(c *runtimeapi.PodSandboxConfig) { change(c.GetLinux().GetSecurityContext()) }))
	}
	return all
}

// podGroups gives the sandbox a user and one of the groups.
func podGroups(ids ...int64) (all []target.PodOption) {
	for _, id := range ids {
		all = append(all, podSecurity(func(s *runtimeapi.LinuxSandboxSecurityContext) {
			s.RunAsUser, s.RunAsGroup = &runtimeapi.Int64Value{Value: 1000}, &runtimeapi.Int64Value{Value: id}
		})...)
	}
	return all
}

func podModes(set func(*runtimeapi.NamespaceOption, runtimeapi.NamespaceMode), modes ...runtimeapi.NamespaceMode) (all []target.PodOption) {
	for _, m := range modes {
		all = append(all, podSecurity(func(s *runtimeapi.LinuxSandboxSecurityContext) { set(s.GetNamespaceOptions(), m) })...)
	}
	return all
}

// pathsThatAreNoName are spellings that would lead out of a directory, or that
// no file name can have.
func pathsThatAreNoName() []string { return []string{"a/b", "../b", "/b", "..", ".", "a\x00b"} }

const (
	undefinedMode = runtimeapi.NamespaceMode(4)
	podContext    = "config.linux.security_context."
)

// "RunPodSandbox creates and starts a pod-level sandbox." (cri-api v1,
// RuntimeService) What the fields of its config mean stands in the comments of
// cri-api v1, PodSandboxConfig and the messages in it; a request that can't mean
// anything is refused before anything is done, so that the same pod can be run
// when it is corrected.
var _ = DescribeTable("RunPodSandbox refuses",
	func(ctx SpecContext, rule, field string, changes []target.PodOption) {
		t := target.Current()
		valid := t.PodRequest()
		before := t.Now(ctx)
		for _, change := range changes {
			req := proto.CloneOf(valid)
			change(req)
			_, err := t.RunPod(ctx, req)
			expectInvalid(t, err, rule, field)
		}
		expectUntouched(t, 0)
		t.ExpectNothingLeft(ctx, before)
		p, err := t.RunPod(ctx, valid)
		Expect(err).NotTo(HaveOccurred(), "the name of the refused pod is free")
		Expect(p.Status(ctx).GetState()).To(Equal(runtimeapi.PodSandboxState_SANDBOX_READY))
	},
	// "Configuration for creating a PodSandbox."
	run("request.run.config", "config", "no config", func(r *runtimeapi.RunPodSandboxRequest) { r.Config = nil }),
	// "Metadata of the sandbox. This information will uniquely identify the
	// sandbox, and the runtime should leverage this to ensure correct operation."
	run("request.run.metadata", "config.metadata", "no metadata",
		target.WithPod(func(c *runtimeapi.PodSandboxConfig) { c.Metadata = nil })),
	run("request.run.name", "config.metadata.name", "an empty name", podNames(setPodName, "")...),
	run("request.run.uid", "config.metadata.uid", "an empty UID", podNames(setPodUID, "")...),
	run("request.run.namespace", "config.metadata.namespace", "an empty namespace", podNames(setPodNamespace, "")...),
	// Kubernetes' names have at most 253 characters.
	run("request.run.name-length", "config.metadata.name", "a name of more than 253 bytes",
		podNames(setPodName, strings.Repeat("n", 254), strings.Repeat("n", 10_000), strings.Repeat("ä", 127))...),
	run("request.run.uid-length", "config.metadata.uid", "a UID of more than 253 bytes",
		podNames(setPodUID, strings.Repeat("u", 254), strings.Repeat("u", 10_000))...),
	run("request.run.namespace-length", "config.metadata.namespace", "a namespace of more than 253 bytes",
		podNames(setPodNamespace, strings.Repeat("s", 254), strings.Repeat("s", 10_000))...),
	// Own: names stand in the names of files and cgroups.
	run("request.run.name-path", "config.metadata.name", "a name that is a path", podNames(setPodName, pathsThatAreNoName()...)...),
	run("request.run.uid-path", "config.metadata.uid", "a UID that is a path", podNames(setPodUID, pathsThatAreNoName()...)...),
	run("request.run.namespace-path", "config.metadata.namespace", "a namespace that is a path", podNames(setPodNamespace, pathsThatAreNoName()...)...),
	// "Hostname of the sandbox. Hostname could only be empty when the pod network
	// namespace is NODE."
	run("request.run.hostname", "config.hostname", "a hostname that DNS does not allow",
		podTexts(setHostname, "-a", "a-", "a_b", "a..b", ".a", "a.", "a b", "a/b", "a\nb")...),
	// sethostname(2): HOST_NAME_MAX is 64 on Linux.
	run("request.run.hostname-length", "config.hostname", "a hostname of more than 64 bytes",
		podTexts(setHostname, strings.Repeat("h", 65), strings.Repeat("h", 10_000))...),
	// "Path to the directory on the host in which container log files are stored."
	run("request.run.log-directory", "config.log_directory", "a relative log directory", podTexts(setLogDirectory, "logs", "./logs", "../logs")...),
	run("request.run.log-directory-nul", "config.log_directory", "a log directory with a NUL byte", podTexts(setLogDirectory, "/tmp/a\x00b")...),
	// "Port number on the host.", "Port number within the container."
	run("request.run.host-port", "config.port_mappings[1].host_port", "a host port that does not exist",
		podPorts(func(p *runtimeapi.PortMapping) { p.HostPort = -1 }, func(p *runtimeapi.PortMapping) { p.HostPort = 65536 })...),
	run("request.run.host-port-leads", "config.port_mappings[1].host_port", "a host port that leads nowhere",
		podPorts(func(p *runtimeapi.PortMapping) { p.HostPort, p.ContainerPort = 18099, 0 })...),
	run("request.run.container-port", "config.port_mappings[1].container_port", "a container port that does not exist",
		podPorts(func(p *runtimeapi.PortMapping) { p.ContainerPort = -1 }, func(p *runtimeapi.PortMapping) { p.ContainerPort = 65536 })...),
	// "Host IP."
	run("request.run.host-ip", "config.port_mappings[1].host_ip", "a host IP that is no address", podPorts(
		func(p *runtimeapi.PortMapping) { p.HostIp = "localhost" },
		func(p *runtimeapi.PortMapping) { p.HostPort, p.HostIp = 18099, "127.0.0" },
		func(p *runtimeapi.PortMapping) { p.HostPort, p.HostIp = 18099, "127.0.0.1/8" })...),
	run("request.run.protocol", "config.port_mappings[1].protocol", "a protocol that is not defined",
		podPorts(func(p *runtimeapi.PortMapping) { p.Protocol = 3 }, func(p *runtimeapi.PortMapping) { p.Protocol = -1 })...),
	// "Note: There is currently no way to set CONTAINER scoped network in the
	// Kubernetes API. Namespaces currently set by the kubelet: POD, NODE"
	run("request.run.network-mode", podContext+"namespace_options.network", "a network mode that no pod has",
		podModes(func(n *runtimeapi.NamespaceOption, m runtimeapi.NamespaceMode) { n.Network = m },
			runtimeapi.NamespaceMode_CONTAINER, runtimeapi.NamespaceMode_TARGET, undefinedMode)...),
	// "Note: There is currently no way to set CONTAINER scoped IPC in the Kubernetes
	// API. Namespaces currently set by the kubelet: POD, NODE"
	run("request.run.ipc-mode", podContext+"namespace_options.ipc", "an IPC mode that no pod has",
		podModes(func(n *runtimeapi.NamespaceOption, m runtimeapi.NamespaceMode) { n.Ipc = m },
			runtimeapi.NamespaceMode_CONTAINER, runtimeapi.NamespaceMode_TARGET, undefinedMode)...),
	// "TARGET targets the namespace of another container. When this is specified, a
	// target_id must be specified": a sandbox has none to target.
	run("request.run.pid-mode", podContext+"namespace_options.pid", "a PID mode that no pod has",
		podModes(func(n *runtimeapi.NamespaceOption, m runtimeapi.NamespaceMode) { n.Pid = m }, runtimeapi.NamespaceMode_TARGET, undefinedMode)...),
	// "NamespaceMode for UserNamespace currently supports only POD and NODE, not
	// CONTAINER OR TARGET."
	run("request.run.userns-mode", podContext+"namespace_options.userns_options.mode", "a user namespace of a mode that no pod has",
		podModes(func(n *runtimeapi.NamespaceOption, m runtimeapi.NamespaceMode) {
			n.UsernsOptions = &runtimeapi.UserNamespace{Mode: m}
		}, runtimeapi.NamespaceMode_CONTAINER, runtimeapi.NamespaceMode_TARGET, undefinedMode)...),
	// "run_as_group should only be specified when run_as_user is specified;
	// otherwise, the runtime MUST error."
	run("request.run.group-needs-user", podContext+"run_as_group", "a group without a user", podSecurity(
		func(s *runtimeapi.LinuxSandboxSecurityContext) { s.RunAsGroup = &runtimeapi.Int64Value{Value: 1000} },
		func(s *runtimeapi.LinuxSandboxSecurityContext) { s.RunAsGroup = &runtimeapi.Int64Value{} })...),
	run("request.run.user", podContext+"run_as_user.value", "a user that does not exist", podSecurity(
		func(s *runtimeapi.LinuxSandboxSecurityContext) { s.RunAsUser = &runtimeapi.Int64Value{Value: -1} },
		func(s *runtimeapi.LinuxSandboxSecurityContext) {
			s.RunAsUser = &runtimeapi.Int64Value{Value: 1 << 31}
		},
		func(s *runtimeapi.LinuxSandboxSecurityContext) { s.RunAsUser = &runtimeapi.Int64Value{Value: 1 << 40} })...),
	run("request.run.group", podContext+"run_as_group.value", "a group that does not exist", podGroups(-1, 1<<31, 1<<40)...),
	// Own: a name is a path below /proc/sys; one that climbs names something else
	// than it says.
	run("request.run.sysctl-name", "config.linux.sysctls", "a sysctl that is a path to somewhere else", podSysctls(
		"net/../kernel/core_pattern", "net..core", "/net/core/somaxconn", "net.core.somaxconn.", "net/./core/somaxconn", "net//core", "..", "", "net/a\x00b")...),
	// "ProfileType": an enumeration.
	run("request.run.seccomp", podContext+"seccomp.profile_type", "a seccomp profile of a type that is not defined", podSecurity(
		func(s *runtimeapi.LinuxSandboxSecurityContext) {
			s.Seccomp = &runtimeapi.SecurityProfile{ProfileType: 3}
		},
		func(s *runtimeapi.LinuxSandboxSecurityContext) {
			s.Seccomp = &runtimeapi.SecurityProfile{ProfileType: -1}
		})...),
	run("request.run.apparmor", podContext+"apparmor.profile_type", "an AppArmor profile of a type that is not defined", podSecurity(
		func(s *runtimeapi.LinuxSandboxSecurityContext) {
			s.Apparmor = &runtimeapi.SecurityProfile{ProfileType: 3}
		},
		func(s *runtimeapi.LinuxSandboxSecurityContext) {
			s.Apparmor = &runtimeapi.SecurityProfile{ProfileType: -1}
		})...),
	run("request.run.cgroup-parent-nul", "config.linux.cgroup_parent", "a cgroup parent with a NUL byte",
		podTexts(func(c *runtimeapi.PodSandboxConfig, v string) { c.GetLinux().CgroupParent += v }, "/a\x00b")...),
)

// accepted is a row of what is unusual and nevertheless right: a daemon that
// refuses it breaks the rule named, too.
func accepted[O any](rule, what string, changes ...O) TableEntry {
	return Entry(what, target.Covers(rule), requestLimit, types.NewCodeLocation(1), changes)
}

var _ = DescribeTable("RunPodSandbox accepts",
	func(ctx SpecContext, changes []target.PodOption) {
		p := target.Current().Pod(ctx, changes...)
		Expect(p.Status(ctx).GetState()).To(Equal(runtimeapi.PodSandboxState_SANDBOX_READY))
	},
	accepted("request.run.name-length", "a name of 253 bytes", podNames(setPodName, strings.Repeat("n", 253))...),
	accepted("request.run.uid-length", "a UID of 253 bytes", podNames(setPodUID, strings.Repeat("u", 253))...),
	accepted("request.run.namespace-length", "a namespace of 253 bytes", podNames(setPodNamespace, strings.Repeat("s", 253))...),
	accepted("request.run.name-path", "a name with dots", podNames(setPodName, "..a..b")...),
	accepted("request.run.uid-path", "a UID with dots", podNames(setPodUID, "...")...),
	accepted("request.run.namespace-path", "a namespace with dots", podNames(setPodNamespace, ".hidden")...),
	accepted("request.run.hostname", "a hostname with dots, digits and capitals", podTexts(setHostname, "Web-0.1.example")...),
	accepted("request.run.hostname", "an empty hostname", podTexts(setHostname, "")...),
	accepted("request.run.log-directory", "no log directory", podTexts(setLogDirectory, "")...),
	accepted("request.run.host-port", "no host port", podPorts(func(p *runtimeapi.PortMapping) { p.HostPort = 0 })...),
	accepted("request.run.container-port", "the highest container port", podPorts(func(p *runtimeapi.PortMapping) { p.ContainerPort = 65535 })...),
	accepted("request.run.host-ip", "an IPv6 address of the host", podPorts(func(p *runtimeapi.PortMapping) { p.HostIp = "::1" })...),
	accepted("request.run.protocol", "UDP", podPorts(func(p *runtimeapi.PortMapping) { p.Protocol = runtimeapi.Protocol_UDP })...),
	accepted("request.run.protocol", "SCTP", podPorts(func(p *runtimeapi.PortMapping) { p.Protocol = runtimeapi.Protocol_SCTP })...),
	accepted("request.run.pid-mode", "a shared PID namespace", target.SharedPID()),
	accepted("request.run.group-needs-user", "a group with a user", podGroups(1000)...),
	accepted("request.run.group-needs-user", "group 0 with user 0", podSecurity(func(s *runtimeapi.LinuxSandboxSecurityContext) {
		s.RunAsUser, s.RunAsGroup = &runtimeapi.Int64Value{}, &runtimeapi.Int64Value{}
	})...),
	// Kubernetes: IDs are between 0 and 2147483647.
	accepted("request.run.user", "the highest user", target.SharedPID(), podSecurity(func(s *runtimeapi.LinuxSandboxSecurityContext) {
		s.RunAsUser = &runtimeapi.Int64Value{Value: 1<<31 - 1}
	})[0]),
	accepted("request.run.group", "the highest group", target.SharedPID(), podGroups(1<<31 - 1)[0]),
	accepted("request.run.sysctl-name", "a sysctl with dots", podSysctls("net.ipv4.ip_forward")...),
	accepted("request.run.sysctl-name", "a sysctl with slashes, after which a dot is a dot", podSysctls("net/ipv4/conf/lo/forwarding")...),
	accepted("request.run.cgroup-parent-nul", "no cgroup parent",
		target.WithPod(func(c *runtimeapi.PodSandboxConfig) { c.GetLinux().CgroupParent = "" })),
	accepted("request.run.config", "a config with nothing that is Linux's",
		target.WithPod(func(c *runtimeapi.PodSandboxConfig) { c.Linux = nil })),
)

var _ = Describe("RunPodSandbox accepts", func() {
	// sethostname(2): HOST_NAME_MAX is 64.
	It("a hostname of 64 bytes, which the pod then has", target.Covers("request.run.hostname-length"), requestLimit, func(ctx SpecContext) {
		name := strings.Repeat("h", 55) + ".example1"
		c := target.Current().Running(ctx, podTexts(setHostname, name)...)
		Expect(c.Output(ctx, "hostname")).To(Equal(name))
	})

	It("the highest port of the host", target.Covers("request.run.host-port"), requestLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureHostPorts)
		expectReady(ctx, t.Pod(ctx, target.HostPort(65535, 65535)))
	})

	It("the host's network", target.Covers("request.run.network-mode"), requestLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureHostNetwork)
		expectReady(ctx, t.Pod(ctx, target.HostNetwork()))
	})

	It("the host's IPC", target.Covers("request.run.ipc-mode"), requestLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureHostNamespaces)
		expectReady(ctx, t.Pod(ctx, target.HostIPC()))
	})

	It("the host's PIDs", target.Covers("request.run.pid-mode"), requestLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureHostNamespaces)
		expectReady(ctx, t.Pod(ctx, target.HostPID()))
	})
})

func expectReady(ctx context.Context, p *target.Pod) {
	GinkgoHelper()
	Expect(p.Status(ctx).GetState()).To(Equal(runtimeapi.PodSandboxState_SANDBOX_READY))
}
