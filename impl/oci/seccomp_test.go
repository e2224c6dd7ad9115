package oci_test

import (
	"slices"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"ocid/impl/oci"
)

func TestSeccompWish(t *testing.T) {
	const prefix = "config.linux.security_context."
	for _, c := range []struct {
		name    string
		profile *runtimeapi.SecurityProfile
		old     string
		want    oci.SeccompWish
		refused string
	}{
		{name: "none"},
		{name: "default", profile: &runtimeapi.SecurityProfile{ProfileType: runtimeDefault}, want: oci.SeccompWish{Default: true}},
		{name: "unconfined", profile: &runtimeapi.SecurityProfile{ProfileType: unconfined}},
		{name: "file", profile: &runtimeapi.SecurityProfile{ProfileType: localhost, LocalhostRef: "/p"},
			want: oci.SeccompWish{Path: "/p", Field: prefix + "seccomp.localhost_ref"}},
		{name: "relative", profile: &runtimeapi.SecurityProfile{ProfileType: localhost, LocalhostRef: "p"}, refused: "seccomp.localhost_ref"},
		{name: "no file", profile: &runtimeapi.SecurityProfile{ProfileType: localhost}, refused: "seccomp.localhost_ref"},
		{name: "old default", old: "runtime/default", want: oci.SeccompWish{Default: true}},
		{name: "older default", old: "docker/default", want: oci.SeccompWish{Default: true}},
		{name: "old unconfined", old: "unconfined"},
		{name: "old file", old: "localhost//p", want: oci.SeccompWish{Path: "/p", Field: prefix + "seccomp_profile_path"}},
		{name: "old relative", old: "localhost/p", refused: "seccomp_profile_path"},
		{name: "old nonsense", old: "p", refused: "seccomp_profile_path"},
		{name: "new beats old", profile: &runtimeapi.SecurityProfile{ProfileType: unconfined}, old: "localhost//p"},
	} {
		t.Run(c.name, func(t *testing.T) {
			//lint:ignore SA1019 the deprecated field is under test
			sc := &runtimeapi.LinuxContainerSecurityContext{Seccomp: c.profile, SeccompProfilePath: c.old}
			got, err := oci.SeccompOf(sc)
			if c.refused != "" {
				requireField(t, err, prefix+c.refused, false)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
}

// filtered is the container with the filter of a file that holds the text.
func filtered(t *testing.T, text string, add ...string) *specs.LinuxSeccomp {
	t.Helper()
	p, err := oci.SeccompWish{Path: "/p"}.Profile([]byte(text), nil)
	require.NoError(t, err)
	in := plain()
	in.Seccomp = p
	security(in).Capabilities = &runtimeapi.Capability{AddCapabilities: add}
	return build(t, in).Linux.Seccomp
}

func TestSeccompFilter(t *testing.T) {
	one, seven := uint(1), uint(13)
	require.Equal(t, &specs.LinuxSeccomp{
		DefaultAction: specs.ActErrno, DefaultErrnoRet: &one, Architectures: []specs.Arch{specs.ArchX86_64},
		Flags: []specs.LinuxSeccompFlag{specs.LinuxSeccompFlagLog},
		Syscalls: []specs.LinuxSyscall{
			{Names: []string{"chmod"}, Action: specs.ActErrno, ErrnoRet: &seven},
			{Names: []string{"read", "write"}, Action: specs.ActAllow, Args: []specs.LinuxSeccompArg{{Index: 1, Value: 2, ValueTwo: 3, Op: specs.OpMaskedEqual}}},
		},
	}, filtered(t, `{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrno": "EPERM", "architectures": ["SCMP_ARCH_X86_64"], "flags": ["SECCOMP_FILTER_FLAG_LOG"], "syscalls": [
		{"name": "chmod", "action": "SCMP_ACT_ERRNO", "errno": "EACCES"},
		{"names": ["read", "write"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 1, "value": 2, "valueTwo": 3, "op": "SCMP_CMP_MASKED_EQ"}]}]}`))
}

func TestSeccompConditions(t *testing.T) {
	const text = `{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
		{"names": ["a"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN"]}},
		{"names": ["b"], "action": "SCMP_ACT_ALLOW", "excludes": {"caps": ["CAP_SYS_ADMIN"]}},
		{"names": ["c"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["riscv64", "s390x"]}},
		{"names": ["d"], "action": "SCMP_ACT_ALLOW", "excludes": {"arches": ["amd64", "arm64"]}},
		{"names": ["e"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["amd64", "arm64"]}}]}`
	names := func(f *specs.LinuxSeccomp) (all []string) {
		for _, c := range f.Syscalls {
			all = append(all, c.Names...)
		}
		return all
	}
	require.Equal(t, []string{"b", "e"}, names(filtered(t, text)))
	require.Equal(t, []string{"a", "e"}, names(filtered(t, text, "SYS_ADMIN")))
}

func TestSeccompDefault(t *testing.T) {
	p, err := oci.SeccompWish{Default: true}.Profile(nil, nil)
	require.NoError(t, err)
	allows := func(name string, add ...string) bool {
		in := plain()
		in.Seccomp = p
		security(in).Capabilities = &runtimeapi.Capability{AddCapabilities: add}
		f := build(t, in).Linux.Seccomp
		require.NotEmpty(t, f.Architectures)
		return slices.ContainsFunc(f.Syscalls, func(c specs.LinuxSyscall) bool {
			return c.Action == specs.ActAllow && len(c.Args) == 0 && slices.Contains(c.Names, name)
		})
	}
	require.True(t, allows("read"))
	require.False(t, allows("sethostname"))
	require.True(t, allows("sethostname", "SYS_ADMIN"))
	in := plain()
	require.Nil(t, build(t, in).Linux.Seccomp, "nothing asked")
}

func TestSeccompNonsense(t *testing.T) {
	for _, text := range []string{
		``, `{}`, `[]`, `{"defaultAction": "ALLOW"}`,
		`{"defaultAction": "SCMP_ACT_ALLOW", "defaultErrno": "ENOTHING"}`,
		`{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86"], "archMap": [{"architecture": "SCMP_ARCH_X86"}]}`,
		`{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_Z80"]}`,
		`{"defaultAction": "SCMP_ACT_ALLOW", "archMap": [{"architecture": "SCMP_ARCH_X86", "subArchitectures": ["SCMP_ARCH_Z80"]}]}`,
		`{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [null]}`,
		`{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"action": "SCMP_ACT_ERRNO"}]}`,
		`{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"name": "a", "names": ["b"], "action": "SCMP_ACT_ERRNO"}]}`,
		`{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"name": "a", "action": "NO"}]}`,
		`{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"name": "a", "action": "SCMP_ACT_ERRNO", "errno": "E"}]}`,
		`{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"name": "a", "action": "SCMP_ACT_ERRNO", "args": [{"op": "="}]}]}`,
		`{"defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_NONE"]}`,
		`{"defaultAction": "SCMP_ACT_NOTIFY", "listenerPath": "/run/listener"}`,
		`{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}]}`,
		`{"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/run/listener", "syscalls": [{"names": ["mkdir", "write"], "action": "SCMP_ACT_NOTIFY"}]}`,
	} {
		_, err := oci.SeccompWish{Path: "/p", Field: "f"}.Profile([]byte(text), nil)
		requireField(t, err, "f", false)
	}
}

func TestSeccompFlags(t *testing.T) {
	has := func(told []string, flags string) error {
		_, err := oci.SeccompWish{Path: "/p", Field: "f"}.Profile([]byte(`{"defaultAction": "SCMP_ACT_ALLOW", "flags": [`+flags+`]}`), told)
		return err
	}
	require.NoError(t, has(nil, `"SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"`))
	requireField(t, has(nil, `"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"`), "f", false)
	require.NoError(t, has([]string{"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"}, `"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"`))
	requireField(t, has([]string{}, `"SECCOMP_FILTER_FLAG_LOG"`), "f", false)
}
