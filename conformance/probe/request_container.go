package probe

import (
	"os"
	"strings"

	"ocid/conformance/target"

	. "github.com/onsi/ginkgo/v2"
	"github.com/onsi/ginkgo/v2/types"
	. "github.com/onsi/gomega"
	"google.golang.org/protobuf/proto"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// create is a row about CreateContainer, as run is one about RunPodSandbox.
func create(rule, field, what string, changes ...target.ContainerOption) TableEntry {
	return Entry(what, target.Covers(rule), requestLimit, types.NewCodeLocation(1), rule, field, changes)
}

func containerTexts(set func(*runtimeapi.ContainerConfig, string), values ...string) (all []target.ContainerOption) {
	for _, v := range values {
		all = append(all, target.WithContainer(func(c *runtimeapi.ContainerConfig) { set(c, v) }))
	}
	return all
}

func setContainerName(c *runtimeapi.ContainerConfig, v string) { c.GetMetadata().Name = v }
func setWorkingDir(c *runtimeapi.ContainerConfig, v string)    { c.WorkingDir = v }
func setLogPath(c *runtimeapi.ContainerConfig, v string)       { c.LogPath = v }

// setEnv, withMount and withDevice put something good before what is changed.
func setEnv(c *runtimeapi.ContainerConfig, key string) {
	c.Envs = []*runtimeapi.KeyValue{{Key: "GOOD", Value: []byte("yes")}, {Key: key, Value: []byte("value")}}
}

func setEnvValue(c *runtimeapi.ContainerConfig, value string) {
	setEnv(c, "OTHER")
	c.Envs[1].Value = []byte(value)
}

func withMount(changes ...func(*runtimeapi.Mount)) (all []target.ContainerOption) {
	for _, change := range changes {
		all = append(all, target.WithContainer(func(c *runtimeapi.ContainerConfig) {
			second := &runtimeapi.Mount{HostPath: "/usr", ContainerPath: "/second", Readonly: true}
			change(second)
			c.Mounts = []*runtimeapi.Mount{{HostPath: "/usr", ContainerPath: "/first", Readonly: true}, second}
		}))
	}
	return all
}

func withDevice(changes ...func(*runtimeapi.Device)) (all []target.ContainerOption) {
	for _, change := range changes {
		all = append(all, target.WithContainer(func(c *runtimeapi.ContainerConfig) {
			second := &runtimeapi.Device{HostPath: "/dev/null", ContainerPath: "/dev/second", Permissions: "r"}
			change(second)
			c.Devices = []*runtimeapi.Device{{HostPath: "/dev/null", ContainerPath: "/dev/first", Permissions: "r"}, second}
		}))
	}
	return all
}

func withSecurity(changes ...func(*runtimeapi.LinuxContainerSecurityContext)) (all []target.ContainerOption) {
	for _, change := range changes {
		all = append(all, target.WithContainer(func(c *runtimeapi.ContainerConfig) { change(c.GetLinux().GetSecurityContext()) }))
	}
	return all
}

func withUsers(ids ...int64) (all []target.ContainerOption) {
	for _, id := range ids {
		all = append(all, withSecurity(func(s *runtimeapi.LinuxContainerSecurityContext) { s.RunAsUser = &runtimeapi.Int64Value{Value: id} })...)
	}
	return all
}

func withGroups(ids ...int64) (all []target.ContainerOption) {
	for _, id := range ids {
		all = append(all, withSecurity(func(s *runtimeapi.LinuxContainerSecurityContext) {
			s.RunAsUser, s.RunAsGroup = &runtimeapi.Int64Value{Value: 1000}, &runtimeapi.Int64Value{Value: id}
		})...)
	}
	return all
}

func withResources(set func(*runtimeapi.LinuxContainerResources, int64), values ...int64) (all []target.ContainerOption) {
	for _, v := range values {
		all = append(all, target.WithContainer(func(c *runtimeapi.ContainerConfig) { set(c.GetLinux().GetResources(), v) }))
	}
	return all
}

func setCPUPeriod(r *runtimeapi.LinuxContainerResources, v int64) { r.CpuPeriod = v }
func setMemory(r *runtimeapi.LinuxContainerResources, v int64)    { r.MemoryLimitInBytes = v }
func setOOMScore(r *runtimeapi.LinuxContainerResources, v int64)  { r.OomScoreAdj = v }

// refusesRequest expects a refusal of every change of a good request. A refused
// container leaves nothing, and its name can be used.
func refusesRequest(ctx SpecContext, rule, field string, changes []target.ContainerOption) {
	t := target.Current()
	p := t.Pod(ctx)
	valid := p.ContainerRequest()
	before, calls, written := t.Now(ctx), witnessed(t), t.StorageWritten()
	for _, change := range changes {
		req := proto.CloneOf(valid)
		change(req)
		_, err := p.CreateFrom(ctx, req)
		expectInvalid(t, err, rule, field)
	}
	expectUntouched(t, calls)
	Expect(t.StorageWritten()).To(Equal(written), "nothing is made for a refused request")
	t.ExpectNothingLeft(ctx, before)
	c, err := p.CreateFrom(ctx, valid)
	Expect(err).NotTo(HaveOccurred(), "the name of the refused container is free")
	Expect(c.State(ctx)).To(Equal(runtimeapi.ContainerState_CONTAINER_CREATED))
}

// "CreateContainer creates a new container in specified PodSandbox" (cri-api v1,
// RuntimeService) What the fields mean stands in cri-api v1, ContainerConfig.
var _ = DescribeTable("CreateContainer refuses", refusesRequest,
	// "ID of the PodSandbox in which the container should be created."
	create("request.create.sandbox", "pod_sandbox_id", "an empty sandbox ID", func(r *runtimeapi.CreateContainerRequest) { r.PodSandboxId = "" }),
	// "Config of the container."
	create("request.create.config", "config", "no config", func(r *runtimeapi.CreateContainerRequest) { r.Config = nil }),
	// "Metadata of the container. This information will uniquely identify the
	// container, and the runtime should leverage this to ensure correct operation."
	create("request.create.metadata", "config.metadata", "no metadata",
		target.WithContainer(func(c *runtimeapi.ContainerConfig) { c.Metadata = nil })),
	create("request.create.name", "config.metadata.name", "an empty name", containerTexts(setContainerName, "")...),
	create("request.create.name-length", "config.metadata.name", "a name of more than 253 bytes",
		containerTexts(setContainerName, strings.Repeat("n", 254), strings.Repeat("n", 10_000))...),
	create("request.create.name-path", "config.metadata.name", "a name that is a path",
		containerTexts(setContainerName, pathsThatAreNoName()...)...),
	// "Image to use."
	create("request.create.image", "config.image.image", "no image",
		target.WithContainer(func(c *runtimeapi.ContainerConfig) { c.GetImage().Image = "" }),
		target.WithContainer(func(c *runtimeapi.ContainerConfig) { c.Image = nil })),
	// "Current working directory of the command."
	create("request.create.working-dir", "config.working_dir", "a relative working directory", containerTexts(setWorkingDir, "work", "./work", "../work")...),
	// "List of environment variable to set in the container."
	create("request.create.env-key", "config.envs[1].key", "an environment variable without a name", containerTexts(setEnv, "")...),
	create("request.create.env-name", "config.envs[1].key", "an environment variable whose name execve(2) can't pass on",
		containerTexts(setEnv, "A=B", "=A", "A\x00B")...),
	create("request.create.env-value-nul", "config.envs[1].value", "an environment variable whose value execve(2) can't pass on",
		containerTexts(setEnvValue, "a\x00b", "\x00")...),
	// "Path relative to PodSandboxConfig.LogDirectory for container to store the log
	// (STDOUT and STDERR) on the host."
	create("request.create.log-path", "config.log_path", "a log path that leaves the log directory",
		containerTexts(setLogPath, "../a.log", "/a.log", "a/../../b.log", "..", "a/..", "a\x00b")...),
	create("request.create.log-path-length", "config.log_path", "a log path of more than 4095 bytes",
		containerTexts(setLogPath, strings.Repeat("d/", 2048), strings.Repeat("l", 10_000))...),
	// "Path of the mount within the container."
	create("request.create.mount-target", "config.mounts[1].container_path", "a mount without a path in the container",
		withMount(func(m *runtimeapi.Mount) { m.ContainerPath = "" })...),
	create("request.create.mount-absolute", "config.mounts[1].container_path", "a mount at a relative path",
		withMount(func(m *runtimeapi.Mount) { m.ContainerPath = "second" }, func(m *runtimeapi.Mount) { m.ContainerPath = "../second" })...),
	// "Path of the mount on the host."
	create("request.create.mount-source", "config.mounts[1].host_path", "a mount of a relative path",
		withMount(func(m *runtimeapi.Mount) { m.HostPath = "usr" }, func(m *runtimeapi.Mount) { m.HostPath = "../usr" })...),
	create("request.create.mount-nul", "config.mounts[1].host_path", "a mount of a path with a NUL byte",
		withMount(func(m *runtimeapi.Mount) { m.HostPath = "/usr\x00/lib" })...),
	// "Requested propagation mode."
	create("request.create.mount-propagation", "config.mounts[1].propagation", "a propagation that is not defined",
		withMount(func(m *runtimeapi.Mount) { m.Propagation = 3 }, func(m *runtimeapi.Mount) { m.Propagation = -1 })...),
	// "If recursive_read_only is set to true, readonly MUST be explicitly set to
	// true, and propagation MUST be PRIVATE. If not, runtime MUST return error."
	create("request.create.mount-rro-readonly", "config.mounts[1].recursive_read_only", "a recursive read-only mount that is not read-only",
		withMount(func(m *runtimeapi.Mount) { m.RecursiveReadOnly, m.Readonly = true, false })...),
	// "Path of the device within the container.", "Path of the device on the host."
	create("request.create.device-target", "config.devices[1].container_path", "a device at a relative path",
		withDevice(func(d *runtimeapi.Device) { d.ContainerPath = "dev/second" })...),
	create("request.create.device-source", "config.devices[1].host_path", "a device of a relative path",
		withDevice(func(d *runtimeapi.Device) { d.HostPath = "dev/null" })...),
	// "Only one of run_as_user and run_as_username can be specified at a time."
	create("request.create.user-or-username", podContext+"run_as_username", "a user by number and by name", withSecurity(
		func(s *runtimeapi.LinuxContainerSecurityContext) {
			s.RunAsUser, s.RunAsUsername = &runtimeapi.Int64Value{Value: 1000}, "root"
		},
		func(s *runtimeapi.LinuxContainerSecurityContext) {
			s.RunAsUser, s.RunAsUsername = &runtimeapi.Int64Value{}, "root"
		})...),
	// "run_as_group should only be specified when run_as_user or run_as_username is
	// specified; otherwise, the runtime MUST error."
	create("request.create.group-needs-user", podContext+"run_as_group", "a group without a user", withSecurity(
		func(s *runtimeapi.LinuxContainerSecurityContext) { s.RunAsGroup = &runtimeapi.Int64Value{Value: 1000} },
		func(s *runtimeapi.LinuxContainerSecurityContext) { s.RunAsGroup = &runtimeapi.Int64Value{} })...),
	create("request.create.user", podContext+"run_as_user.value", "a user that does not exist", withUsers(-1, 1<<31, 1<<40)...),
	create("request.create.group", podContext+"run_as_group.value", "a group that does not exist", withGroups(-1, 1<<31, 1<<40)...),
	create("request.create.pid-mode", podContext+"namespace_options.pid", "a PID mode that is not defined", withSecurity(
		func(s *runtimeapi.LinuxContainerSecurityContext) { s.GetNamespaceOptions().Pid = undefinedMode },
		func(s *runtimeapi.LinuxContainerSecurityContext) { s.GetNamespaceOptions().Pid = -1 })...),
	// "stop_signal to stop the container": an enumeration.
	create("request.create.stop-signal", "config.stop_signal", "a stop signal that is not defined",
		target.WithContainer(func(c *runtimeapi.ContainerConfig) { c.StopSignal = 1000 }),
		target.WithContainer(func(c *runtimeapi.ContainerConfig) { c.StopSignal = -1 })),
	// "ProfileType": an enumeration.
	create("request.create.seccomp", podContext+"seccomp.profile_type", "a seccomp profile of a type that is not defined", withSecurity(
		func(s *runtimeapi.LinuxContainerSecurityContext) {
			s.Seccomp = &runtimeapi.SecurityProfile{ProfileType: 3}
		},
		func(s *runtimeapi.LinuxContainerSecurityContext) {
			s.Seccomp = &runtimeapi.SecurityProfile{ProfileType: -1}
		})...),
	create("request.create.apparmor", podContext+"apparmor.profile_type", "an AppArmor profile of a type that is not defined", withSecurity(
		func(s *runtimeapi.LinuxContainerSecurityContext) {
			s.Apparmor = &runtimeapi.SecurityProfile{ProfileType: 3}
		},
		func(s *runtimeapi.LinuxContainerSecurityContext) {
			s.Apparmor = &runtimeapi.SecurityProfile{ProfileType: -1}
		})...),
	// "Valid values are "Merge" and "Strict"."
	create("request.create.groups-policy", podContext+"supplemental_groups_policy", "a policy of groups that is not defined", withSecurity(
		func(s *runtimeapi.LinuxContainerSecurityContext) { s.SupplementalGroupsPolicy = 2 },
		func(s *runtimeapi.LinuxContainerSecurityContext) { s.SupplementalGroupsPolicy = -1 })...),
	// "CPU CFS (Completely Fair Scheduler) period. Default: 0 (not specified)." The
	// kernel takes 1 ms to 1 s.
	create("request.create.cpu-period", "config.linux.resources.cpu_period", "a CPU period that the kernel does not take",
		withResources(setCPUPeriod, 999, -1, 1_000_001)...),
	// "Memory limit in bytes. Default: 0 (not specified)."
	create("request.create.memory", "config.linux.resources.memory_limit_in_bytes", "a memory limit that is no size",
		withResources(setMemory, -2, 1<<62+1)...),
	// "OOMScoreAdj adjusts the oom-killer score." proc(5): -1000 to 1000.
	create("request.create.oom-score", "config.linux.resources.oom_score_adj", "an OOM score that the kernel does not take",
		withResources(setOOMScore, -1001, 1001)...),
)

var _ = DescribeTable("CreateContainer accepts",
	func(ctx SpecContext, changes []target.ContainerOption) {
		c := target.Current().Pod(ctx).Run(ctx, changes...)
		Expect(c.State(ctx)).To(Equal(runtimeapi.ContainerState_CONTAINER_RUNNING))
	},
	accepted("request.create.name-length", "a name of 253 bytes", target.ContainerName(strings.Repeat("n", 253))),
	accepted("request.create.name-path", "a name with dots", target.ContainerName("..a..b")),
	accepted("request.create.working-dir", "the root as working directory", containerTexts(setWorkingDir, "/")...),
	accepted("request.create.working-dir", "no working directory", containerTexts(setWorkingDir, "")...),
	accepted("request.create.log-path", "no log path", containerTexts(setLogPath, "")...),
	accepted("request.create.user-or-username", "a user by name alone",
		withSecurity(func(s *runtimeapi.LinuxContainerSecurityContext) { s.RunAsUsername = "root" })...),
	accepted("request.create.group-needs-user", "a group with a user name", withSecurity(func(s *runtimeapi.LinuxContainerSecurityContext) {
		s.RunAsUsername, s.RunAsGroup = "root", &runtimeapi.Int64Value{Value: 1000}
	})...),
	accepted("request.create.stop-signal", "the last signal", target.WithContainer(func(c *runtimeapi.ContainerConfig) { c.StopSignal = runtimeapi.Signal_SIGNAL_SIGRTMAX })),
	accepted("request.create.cpu-period", "the shortest CPU period", withResources(setCPUPeriod, 1000)...),
	accepted("request.create.cpu-period", "the longest CPU period", withResources(setCPUPeriod, 1_000_000)...),
	accepted("request.create.memory", "a memory limit beyond all memory", withResources(setMemory, 1<<62)...),
	accepted("request.create.oom-score", "the highest OOM score", withResources(setOOMScore, 1000)...),
	accepted("request.create.oom-score", "the lowest OOM score", withResources(setOOMScore, -1000)...),
	accepted("request.create.config", "a config with nothing that is Linux's",
		target.WithContainer(func(c *runtimeapi.ContainerConfig) { c.Linux = nil })),
)

var _ = Describe("CreateContainer accepts", func() {
	It("every environment variable that execve(2) can pass on", target.Covers("request.create.env-name", "request.create.env-key"), requestLimit,
		func(ctx SpecContext) {
			c := target.Current().Pod(ctx).Run(ctx, target.Env("a.b-c", "dots"), target.Env("1", "digit"), target.Env("with space", "x=y"), target.Env("EMPTY", ""))
			Expect(strings.Split(c.Output(ctx, "env"), "\n")).To(ContainElements("a.b-c=dots", "1=digit", "with space=x=y", "EMPTY="))
		})

	It("a log path with directories", target.Covers("request.create.log-path"), requestLimit, func(ctx SpecContext) {
		c := target.Current().Pod(ctx).Run(ctx, containerTexts(setLogPath, "..a/b..c/0.log")...)
		info, err := os.Stat(c.Pod.LogPath("..a/b..c/0.log"))
		Expect(err).NotTo(HaveOccurred())
		Expect(info.Mode().IsRegular()).To(BeTrue(), "a file")
	})

	It("a long log path", target.Covers("request.create.log-path-length"), requestLimit, func(ctx SpecContext) {
		long := strings.Repeat(strings.Repeat("d", 99)+"/", 9) + "0.log"
		c := target.Current().Pod(ctx).Run(ctx, containerTexts(setLogPath, long)...)
		Expect(c.Pod.LogPath(long)).To(BeARegularFile())
	})

	// Kubernetes: IDs are between 0 and 2147483647.
	It("the highest user", target.Covers("request.create.user"), requestLimit, func(ctx SpecContext) {
		c := target.Current().Pod(ctx).Run(ctx, withUsers(1<<31-1)...)
		Expect(c.Output(ctx, "id", "-u")).To(Equal("2147483647"))
	})

	It("the highest group", target.Covers("request.create.group"), requestLimit, func(ctx SpecContext) {
		c := target.Current().Pod(ctx).Run(ctx, withGroups(1<<31-1)...)
		Expect(c.Output(ctx, "id", "-g")).To(Equal("2147483647"))
	})

	It("a device at another path", target.Covers("request.create.device-target", "request.create.device-source"), requestLimit, func(ctx SpecContext) {
		c := target.Current().Pod(ctx).Run(ctx, withDevice(func(*runtimeapi.Device) {})...)
		Expect(c.Output(ctx, "/bin/sh", "-c", "test -c /dev/first && test -c /dev/second && echo both")).To(Equal("both"))
	})
})
