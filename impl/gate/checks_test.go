package gate_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"ocid/impl/gate"
	"ocid/spec"
)

func row(field string, check spec.Check) spec.Requirement {
	return spec.Requirement{Rule: spec.Rule{ID: "test.rule"}, Field: field, Check: check, Code: spec.InvalidArgument}
}

func other(r spec.Requirement, names ...string) spec.Requirement { r.Other = names; return r }

func bounds(r spec.Requirement, lo, hi int64) spec.Requirement { r.Lo, r.Hi = lo, hi; return r }

func pod(c *runtimeapi.PodSandboxConfig) proto.Message {
	return &runtimeapi.RunPodSandboxRequest{Config: c}
}

func ctr(c *runtimeapi.ContainerConfig) proto.Message {
	return &runtimeapi.CreateContainerRequest{Config: c}
}

func named(name string) proto.Message {
	return pod(&runtimeapi.PodSandboxConfig{Metadata: &runtimeapi.PodSandboxMetadata{Name: name}})
}

func host(name string) proto.Message { return pod(&runtimeapi.PodSandboxConfig{Hostname: name}) }

func logs(dir string) proto.Message { return pod(&runtimeapi.PodSandboxConfig{LogDirectory: dir}) }

func logPath(p string) proto.Message { return ctr(&runtimeapi.ContainerConfig{LogPath: p}) }

func env(keys ...string) proto.Message {
	c := &runtimeapi.ContainerConfig{}
	for _, k := range keys {
		c.Envs = append(c.Envs, &runtimeapi.KeyValue{Key: k})
	}
	return ctr(c)
}

func mounts(m ...*runtimeapi.Mount) proto.Message { return ctr(&runtimeapi.ContainerConfig{Mounts: m}) }

func security(c *runtimeapi.LinuxContainerSecurityContext) proto.Message {
	return ctr(&runtimeapi.ContainerConfig{Linux: &runtimeapi.LinuxContainerConfig{SecurityContext: c}})
}

func sandboxMode(m runtimeapi.NamespaceMode) proto.Message {
	return pod(&runtimeapi.PodSandboxConfig{Linux: &runtimeapi.LinuxPodSandboxConfig{SecurityContext: &runtimeapi.LinuxSandboxSecurityContext{
		NamespaceOptions: &runtimeapi.NamespaceOption{Pid: m}}}})
}

func ports(numbers ...int32) proto.Message {
	c := &runtimeapi.PodSandboxConfig{}
	for _, n := range numbers {
		c.PortMappings = append(c.PortMappings, &runtimeapi.PortMapping{HostPort: n})
	}
	return pod(c)
}

func podCIDR(v string) proto.Message {
	return &runtimeapi.UpdateRuntimeConfigRequest{RuntimeConfig: &runtimeapi.RuntimeConfig{NetworkConfig: &runtimeapi.NetworkConfig{PodCidr: v}}}
}

func sysctls(names ...string) proto.Message {
	c := &runtimeapi.LinuxPodSandboxConfig{Sysctls: map[string]string{}}
	for _, n := range names {
		c.Sysctls[n] = "1"
	}
	return pod(&runtimeapi.PodSandboxConfig{Linux: c})
}

func hostIPs(addresses ...string) proto.Message {
	c := &runtimeapi.PodSandboxConfig{}
	for _, a := range addresses {
		c.PortMappings = append(c.PortMappings, &runtimeapi.PortMapping{HostIp: a})
	}
	return pod(c)
}

const security_ = "config.linux.security_context." //nolint:revive // reads as a prefix

var (
	group    = &runtimeapi.Int64Value{Value: 1}
	username = other(row(security_+"run_as_username", spec.Excludes), security_+"run_as_user")
	byUser   = other(row(security_+"run_as_group", spec.Needs), security_+"run_as_user", security_+"run_as_username")
	rro      = other(row("config.mounts[].recursive_read_only", spec.Needs), "config.mounts[].readonly")
	stdin    = other(row("stdin", spec.OneSet), "stdout", "stderr")
	selinux  = other(row("config.mounts[].selinux_relabel", spec.Excludes), "config.mounts[].readonly")
	port     = bounds(row("config.port_mappings[].host_port", spec.Between), 1, 65535)
	mode     = other(row(security_+"namespace_options.pid", spec.OneOf), "POD", "NODE")
	name     = row("config.metadata.name", spec.FileName)
)

// object is what the refusal names; "" means that the message is all right.
var checks = []struct {
	name   string
	rule   spec.Requirement
	m      proto.Message
	object string
	reason string
}{
	{"required: set", row("config.metadata.name", spec.Required), named("n"), "", ""},
	{"required: empty", row("config.metadata.name", spec.Required), named(""), "config.metadata.name", "is not set"},
	{"required: parent not set", row("config.metadata.name", spec.Required), pod(&runtimeapi.PodSandboxConfig{}), "config.metadata.name", "is not set"},
	{"required: nothing set", row("config.metadata.name", spec.Required), pod(nil), "config.metadata.name", "is not set"},
	{"required: empty message is set", row("config.metadata", spec.Required), pod(&runtimeapi.PodSandboxConfig{Metadata: &runtimeapi.PodSandboxMetadata{}}), "", ""},
	{"required: list", row("cmd", spec.Required), &runtimeapi.ExecSyncRequest{Cmd: []string{"true"}}, "", ""},
	{"required: empty list", row("cmd", spec.Required), &runtimeapi.ExecSyncRequest{Cmd: []string{}}, "cmd", "is not set"},
	{"required: each element", row("config.envs[].key", spec.Required), env("A", "", "B"), "config.envs[1].key", "is not set"},
	{"required: no elements", row("config.envs[].key", spec.Required), env(), "", ""},

	{"length: at most", bounds(name, 0, 3), named("abc"), "", ""},
	{"length: too long", bounds(row("config.metadata.name", spec.MaxLength), 0, 3), named("abcd"), "config.metadata.name", "has 4 bytes, more than 3"},
	{"length: the bound itself", bounds(row("config.metadata.name", spec.MaxLength), 0, 3), named("abc"), "", ""},
	{"length: bytes, not runes", bounds(row("config.metadata.name", spec.MaxLength), 0, 3), named("ää"), "config.metadata.name", "has 4 bytes"},

	{"file name", name, named("a.b-c..d"), "", ""},
	{"file name: not set", name, named(""), "", ""},
	{"file name: slash", name, named("a/b"), "config.metadata.name", "not a single path element"},
	{"file name: dot", name, named("."), "config.metadata.name", "not a single path element"},
	{"file name: dots", name, named(".."), "config.metadata.name", "not a single path element"},
	{"file name: nul", name, named("a\x00"), "config.metadata.name", "not a single path element"},

	{"absolute", row("config.log_directory", spec.Absolute), logs("/var/log"), "", ""},
	{"absolute: not set", row("config.log_directory", spec.Absolute), logs(""), "", ""},
	{"absolute: relative", row("config.log_directory", spec.Absolute), logs("var/log"), "config.log_directory", "not an absolute path"},
	{"absolute: list element", row("config.mounts[].container_path", spec.Absolute), mounts(&runtimeapi.Mount{ContainerPath: "/a"}, &runtimeapi.Mount{ContainerPath: "b"}), "config.mounts[1].container_path", "not an absolute path"},
	{"absolute: element without", row("config.mounts[].host_path", spec.Absolute), mounts(&runtimeapi.Mount{ContainerPath: "/a"}), "", ""},

	{"inside", row("config.log_path", spec.Inside), logPath("a/b..c/0.log"), "", ""},
	{"inside: climbs", row("config.log_path", spec.Inside), logPath("../a"), "config.log_path", "leaves its directory"},
	{"inside: climbs later", row("config.log_path", spec.Inside), logPath("a/.."), "config.log_path", "leaves its directory"},
	{"inside: absolute", row("config.log_path", spec.Inside), logPath("/a"), "config.log_path", "leaves its directory"},
	{"inside: nul", row("config.log_path", spec.Inside), logPath("a\x00"), "config.log_path", "leaves its directory"},

	{"between", port, ports(1, 65535), "", ""},
	{"between: not set", port, ports(0), "", ""},
	{"between: above", port, ports(80, 65536), "config.port_mappings[1].host_port", "is 65536, not between 1 and 65535"},
	{"between: below", port, ports(-1), "config.port_mappings[0].host_port", "is -1, not between"},
	{"between: int64 in an unset message", bounds(row(security_+"run_as_user.value", spec.Between), 1, 2), security(nil), "", ""},
	{"between: int64", bounds(row(security_+"run_as_user.value", spec.Between), 1, 2), security(&runtimeapi.LinuxContainerSecurityContext{RunAsUser: &runtimeapi.Int64Value{Value: 3}}), security_ + "run_as_user.value", "is 3"},

	{"defined", row("config.stop_signal", spec.Defined), ctr(&runtimeapi.ContainerConfig{StopSignal: 1}), "", ""},
	{"defined: not", row("config.stop_signal", spec.Defined), ctr(&runtimeapi.ContainerConfig{StopSignal: 9999}), "config.stop_signal", "is 9999, which is not a defined value"},
	{"one of", mode, sandboxMode(runtimeapi.NamespaceMode_NODE), "", ""},
	{"one of: another", mode, sandboxMode(runtimeapi.NamespaceMode_TARGET), security_ + "namespace_options.pid", "not one of POD, NODE"},
	{"one of: undefined", mode, sandboxMode(99), security_ + "namespace_options.pid", "is 99, not one of"},

	{"hostname", row("config.hostname", spec.Hostname), host("a-1.example"), "", ""},
	{"hostname: not set", row("config.hostname", spec.Hostname), host(""), "", ""},
	{"hostname: dash", row("config.hostname", spec.Hostname), host("-a"), "config.hostname", "not a DNS-1123 name"},
	{"hostname: dash at the end", row("config.hostname", spec.Hostname), host("a-"), "config.hostname", "not a DNS-1123 name"},
	{"hostname: empty label", row("config.hostname", spec.Hostname), host("a..b"), "config.hostname", "not a DNS-1123 name"},
	{"hostname: new line", row("config.hostname", spec.Hostname), host("a\n"), "config.hostname", "not a DNS-1123 name"},

	{"environment", row("config.envs[].key", spec.EnvName), env("A.b-c"), "", ""},
	{"environment: equals", row("config.envs[].key", spec.EnvName), env("A", "B=C"), "config.envs[1].key", "holds '=' or NUL"},
	{"environment: nul", row("config.envs[].key", spec.EnvName), env("A\x00"), "config.envs[0].key", "holds '=' or NUL"},
	{"cidrs", row("runtime_config.network_config.pod_cidr", spec.CIDRs), podCIDR("10.0.0.0/8,fd00::/8"), "", ""},
	{"cidrs: not set", row("runtime_config.network_config.pod_cidr", spec.CIDRs), podCIDR(""), "", ""},
	{"cidrs: an address", row("runtime_config.network_config.pod_cidr", spec.CIDRs), podCIDR("10.0.0.0/8,10.0.0.1"), "runtime_config.network_config.pod_cidr", "not a list of CIDRs"},
	{"address", row("config.port_mappings[].host_ip", spec.IPAddress), hostIPs("127.0.0.1", "::1", ""), "", ""},
	{"address: a name", row("config.port_mappings[].host_ip", spec.IPAddress), hostIPs("127.0.0.1", "localhost"), "config.port_mappings[1].host_ip", "not an IP address"},
	{"sysctls", row("config.linux.sysctls", spec.Sysctls), sysctls("net.ipv4.ip_forward", "net/ipv4/conf/eth0.1/mtu"), "", ""},
	{"sysctls: none", row("config.linux.sysctls", spec.Sysctls), sysctls(), "", ""},
	{"sysctls: climbs", row("config.linux.sysctls", spec.Sysctls), sysctls("net.core.somaxconn", "net/../kernel/core_pattern"), "config.linux.sysctls", `holds "net/../kernel/core_pattern", which`},
	{"nul", row("config.log_directory", spec.NoNUL), logs("/a"), "", ""},
	{"nul: one", row("config.log_directory", spec.NoNUL), logs("/a\x00"), "config.log_directory", "holds a NUL byte"},

	{"excludes: alone", username, security(&runtimeapi.LinuxContainerSecurityContext{RunAsUsername: "u"}), "", ""},
	{"excludes: only the other", username, security(&runtimeapi.LinuxContainerSecurityContext{RunAsUser: group}), "", ""},
	{"excludes: both", username, security(&runtimeapi.LinuxContainerSecurityContext{RunAsUsername: "u", RunAsUser: &runtimeapi.Int64Value{}}), security_ + "run_as_username", "is set together with " + security_ + "run_as_user"},
	{"excludes: in the same element", selinux, mounts(&runtimeapi.Mount{}, &runtimeapi.Mount{SelinuxRelabel: true, Readonly: true}), "config.mounts[1].selinux_relabel", "is set together with config.mounts[].readonly"},
	{"excludes: in another element", selinux, mounts(&runtimeapi.Mount{SelinuxRelabel: true}, &runtimeapi.Mount{Readonly: true}), "", ""},

	{"needs: the first", byUser, security(&runtimeapi.LinuxContainerSecurityContext{RunAsGroup: group, RunAsUser: &runtimeapi.Int64Value{}}), "", ""},
	{"needs: the second", byUser, security(&runtimeapi.LinuxContainerSecurityContext{RunAsGroup: group, RunAsUsername: "u"}), "", ""},
	{"needs: not set", byUser, security(nil), "", ""},
	{"needs: none", byUser, security(&runtimeapi.LinuxContainerSecurityContext{RunAsGroup: group}), security_ + "run_as_group", "is set without " + security_ + "run_as_user or " + security_ + "run_as_username"},
	{"one set: the field", stdin, &runtimeapi.ExecRequest{Stdin: true}, "", ""},
	{"one set: another", stdin, &runtimeapi.ExecRequest{Stderr: true}, "", ""},
	{"one set: none", stdin, &runtimeapi.ExecRequest{Tty: true}, "stdin", "is not set, nor is stdout or stderr"},
	{"between: in a list of numbers", bounds(row("port[]", spec.Between), 1, 2), &runtimeapi.PortForwardRequest{Port: []int32{1, 3}}, "port[1]", "is 3, not between 1 and 2"},

	{"needs: in the same element", rro, mounts(&runtimeapi.Mount{Readonly: true, RecursiveReadOnly: true}), "", ""},
	{"needs: in another element", rro, mounts(&runtimeapi.Mount{Readonly: true}, &runtimeapi.Mount{RecursiveReadOnly: true}), "config.mounts[1].recursive_read_only", "is set without config.mounts[].readonly"},
}

func TestChecks(t *testing.T) {
	seen := map[spec.Check]bool{}
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) {
			err := gate.Validate([]spec.Requirement{c.rule}, c.m)
			if c.object == "" {
				require.NoError(t, err)
				return
			}
			seen[c.rule.Check] = true
			r := refused(t, err, c.rule)
			require.Equal(t, c.object, r.Object)
			require.Contains(t, r.Reason, c.reason)
			require.Regexp(t, `^test\.rule: `, err.Error())
		})
	}
	for _, r := range spec.Default().Requests {
		require.True(t, seen[r.Check], "no message here is refused by %q", r.Check)
	}
}

func TestFirstRowThatRefusesSpeaks(t *testing.T) {
	first, second := row("config.hostname", spec.NoNUL), row("config.hostname", spec.Hostname)
	first.ID, second.ID = "first", "second"
	refused(t, gate.Validate([]spec.Requirement{first, second}, host("a\x00")), first)
	refused(t, gate.Validate([]spec.Requirement{first, second}, host("-a")), second)
	require.NoError(t, gate.Validate(nil, host("-a")))
}

// A value that came from outside is cut short in what is said about it.
func TestLongValuesAreCutShort(t *testing.T) {
	err := gate.Validate([]spec.Requirement{row("config.hostname", spec.Hostname)}, host(strings.Repeat("-", 5000)))
	require.Error(t, err)
	require.Less(t, len(err.Error()), 300)
}
