package probe

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"ocid/conformance/target"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"google.golang.org/protobuf/proto"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// What /proc/PID/status says under Seccomp, proc(5).
const (
	noFilter = "0"
	filtered = "2"
)

// What the C library says of EPERM, ENOENT and ENOSPC.
const (
	notPermitted = "Operation not permitted"
	notThere     = "No such file or directory"
	noSpace      = "No space left on device"
)

func runtimeDefault() *runtimeapi.SecurityProfile {
	return &runtimeapi.SecurityProfile{ProfileType: runtimeapi.SecurityProfile_RuntimeDefault}
}

func unconfined() *runtimeapi.SecurityProfile {
	return &runtimeapi.SecurityProfile{ProfileType: runtimeapi.SecurityProfile_Unconfined}
}

func localhost(ref string) *runtimeapi.SecurityProfile {
	return &runtimeapi.SecurityProfile{ProfileType: runtimeapi.SecurityProfile_Localhost, LocalhostRef: ref}
}

func withSeccomp(p *runtimeapi.SecurityProfile) target.ContainerOption {
	return confined(func(s *runtimeapi.LinuxContainerSecurityContext) { s.Seccomp = p })
}

func withOldSeccomp(path string) target.ContainerOption {
	//lint:ignore SA1019 the deprecated field is what the rule is about
	return confined(func(s *runtimeapi.LinuxContainerSecurityContext) { s.SeccompProfilePath = path })
}

func withCapabilities(add, drop []string) target.ContainerOption {
	return confined(func(s *runtimeapi.LinuxContainerSecurityContext) {
		s.Capabilities = &runtimeapi.Capability{AddCapabilities: add, DropCapabilities: drop}
	})
}

// denyMkdir is a profile that lets through all but making directories, for which
// there is no space, and modes that give something to the group.
const denyMkdir = `{
	"defaultAction": "SCMP_ACT_ALLOW",
	"archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"]}],
	"syscalls": [
		{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errno": "ENOSPC"},
		{"names": ["chmod"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28,
		 "args": [{"index": 1, "value": 56, "valueTwo": 56, "op": "SCMP_CMP_MASKED_EQ"}]},
		{"names": ["rmdir"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28, "excludes": {"caps": ["CAP_KILL"]}},
		{"name": "symlink", "action": "SCMP_ACT_ERRNO", "errnoRet": 28, "includes": {"caps": ["CAP_KILL"]}}
	]
}`

// expectDenyMkdir fails unless the filter is the one of denyMkdir.
func expectDenyMkdir(ctx context.Context, c *target.Container) {
	GinkgoHelper()
	Expect(failing(ctx, c, "mkdir", "/tmp/d")).To(ContainSubstring(noSpace))
	c.Output(ctx, "touch", "/tmp/f")
	c.Output(ctx, "chmod", "717", "/tmp/f")
	c.Output(ctx, "chmod", "747", "/tmp/f")
	Expect(failing(ctx, c, "chmod", "770", "/tmp/f")).To(ContainSubstring(noSpace))
}

// "A profile pre-defined on the node should be used", "The container runtime
// default profile should be used", "Disable the confinement" (cri-api v1,
// SecurityProfile)
var _ = Describe("The seccomp filter of a container", func() {
	// What the default filter lets through depends on the capabilities: chroot(2)
	// looks for the directory before it asks whether the caller may. Nobody may
	// swapon(2), which says to one who may that the file is none.
	It("is the default one", target.Covers("security.seccomp.default"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureHostNamespaces)
		p := t.Pod(ctx)
		able := p.Run(ctx, withSeccomp(runtimeDefault()), withCapabilities([]string{"SYS_CHROOT", "SYS_ADMIN"}, nil))
		Expect(hostStatus(able.Init().PID).line("Seccomp")).To(Equal(filtered))
		Expect(insideOf(ctx, able).line("Seccomp")).To(Equal(filtered), "a command that is run in the container")
		Expect(failing(ctx, able, "chroot", "/missing", "true")).To(ContainSubstring(notThere), "a call that a capability is for")
		Expect(failing(ctx, able, "swapon", "/etc/passwd")).To(ContainSubstring(notPermitted), "a call that nobody may make")
		unable := p.Run(ctx, withSeccomp(runtimeDefault()), withCapabilities(nil, []string{"SYS_CHROOT"}))
		Expect(hostStatus(unable.Init().PID).line("Seccomp")).To(Equal(filtered))
		Expect(failing(ctx, unable, "chroot", "/missing", "true")).To(ContainSubstring(notPermitted), "a call whose capability is missing")
	})

	It("is the one in a file of the node", target.Covers("security.seccomp.localhost"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureSeccomp)
		p := t.Pod(ctx)
		path := securityFile("profile.json", denyMkdir)
		c := p.Run(ctx, withSeccomp(localhost(path)))
		Expect(insideOf(ctx, c).line("Seccomp")).To(Equal(filtered))
		expectDenyMkdir(ctx, c)
		Expect(failing(ctx, c, "rmdir", "/tmp/f")).NotTo(ContainSubstring(noSpace), "excluded by a capability")
		Expect(failing(ctx, c, "ln", "-s", "x", "/tmp/y")).To(ContainSubstring(noSpace), "included by a capability")
		weak := p.Run(ctx, withSeccomp(localhost(path)), withCapabilities(nil, []string{"KILL"}))
		Expect(failing(ctx, weak, "rmdir", "/tmp/x")).To(ContainSubstring(noSpace))
		weak.Output(ctx, "ln", "-s", "x", "/tmp/y")
	})

	It("is the one that the file holds when the container is created", target.Covers("security.seccomp.localhost"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureSeccomp)
		p := t.Pod(ctx)
		path := securityFile("profile.json", `{"defaultAction": "SCMP_ACT_ALLOW"}`)
		first := p.Create(ctx, withSeccomp(localhost(path)))
		Expect(os.WriteFile(path, []byte(denyMkdir), 0o644)).To(Succeed())
		second := p.Create(ctx, withSeccomp(localhost(path)))
		Expect(os.Remove(path)).To(Succeed())
		Expect(first.Start(ctx)).To(Succeed())
		Expect(second.Start(ctx)).To(Succeed())
		first.Output(ctx, "mkdir", "/tmp/d")
		expectDenyMkdir(ctx, second)
	})

	// "Default: "", which is identical with unconfined." (cri-api v1,
	// LinuxContainerSecurityContext.seccomp_profile_path)
	It("is none unless one is asked for", target.Covers("security.seccomp.none"), containerLimit, func(ctx SpecContext) {
		p := target.Current().Pod(ctx, confinedPod(func(s *runtimeapi.LinuxSandboxSecurityContext) { s.Seccomp = runtimeDefault() }))
		for _, option := range []target.ContainerOption{withSeccomp(nil), withSeccomp(unconfined()), withOldSeccomp("unconfined")} {
			c := p.Run(ctx, option)
			Expect(insideOf(ctx, c).line("Seccomp")).To(Equal(noFilter))
			Expect(firstOf(ctx, c).line("Seccomp")).To(Equal(noFilter))
		}
	})

	// "Deprecated in favor of SecurityProfile" (cri-api v1,
	// LinuxContainerSecurityContext.seccomp_profile_path)
	It("is that of the deprecated field where the new one is not set", target.Covers("security.seccomp.old"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureSeccomp)
		p := t.Pod(ctx)
		path := securityFile("profile.json", denyMkdir)
		for _, old := range []string{"runtime/default", "docker/default"} {
			c := p.Run(ctx, withOldSeccomp(old), withCapabilities([]string{"SYS_ADMIN"}, nil))
			Expect(insideOf(ctx, c).line("Seccomp")).To(Equal(filtered), old)
			Expect(failing(ctx, c, "swapon", "/etc/passwd")).To(ContainSubstring(notPermitted), old)
		}
		expectDenyMkdir(ctx, p.Run(ctx, withOldSeccomp("localhost/"+path)))
		both := p.Run(ctx, withOldSeccomp("localhost/"+path), withSeccomp(unconfined()))
		Expect(insideOf(ctx, both).line("Seccomp")).To(Equal(noFilter), "Unconfined and a path")
		both = p.Run(ctx, withOldSeccomp("unconfined"), withSeccomp(localhost(path)))
		expectDenyMkdir(ctx, both)
	})
})

// noProfiles returns references to what is no profile.
func noProfiles() []string {
	GinkgoHelper()
	dir := GinkgoT().TempDir()
	fifo := filepath.Join(dir, "fifo")
	Expect(syscall.Mkfifo(fifo, 0o644)).To(Succeed())
	whole := filepath.Join(dir, "whole")
	Expect(os.WriteFile(whole, []byte(denyMkdir), 0o644)).To(Succeed())
	refs := []string{"", "profile.json", strings.Repeat("../", 40) + whole[1:], filepath.Join(dir, "missing"), dir, fifo, "/dev/null", "/dev/zero", "/a\x00b"}
	for i, text := range []string{
		"", "{", "[]", "null", "{}", denyMkdir[:len(denyMkdir)-3], denyMkdir + "}",
		`{"defaultAction": "SCMP_ACT_NOTHING"}`,
		`{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrno": "ENOTHING"}`,
		`{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"], "archMap": [{"architecture": "SCMP_ARCH_X86_64"}]}`,
		`{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_Z80"]}`,
		`{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [null]}`,
		`{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"action": "SCMP_ACT_ERRNO"}]}`,
		`{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir"]}]}`,
		`{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_DENY"}]}`,
		`{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir"], "name": "rmdir", "action": "SCMP_ACT_ERRNO"}]}`,
		`{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO", "errno": "ENOTHING"}]}`,
		`{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 0, "op": "IS"}]}]}`,
		`{"defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_NONE"]}`,
		`{"defaultAction": "SCMP_ACT_NOTIFY", "listenerPath": "/run/listener"}`,
		`{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}]}`,
		`{"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/run/listener", "syscalls": [{"names": ["mkdir", "write"], "action": "SCMP_ACT_NOTIFY"}]}`,
	} {
		path := filepath.Join(dir, fmt.Sprint(i))
		Expect(os.WriteFile(path, []byte(text), 0o644)).To(Succeed())
		refs = append(refs, path)
	}
	return refs
}

// "For seccomp, it must be an absolute path to the seccomp profile." (cri-api v1,
// SecurityProfile.localhost_ref) A filter that is understood in part lets through
// what it was made to stop.
var _ = Describe("A seccomp profile that is none", func() {
	It("makes CreateContainer refuse", target.Covers("security.seccomp.refused"), containerLimit, func(ctx SpecContext) {
		var changes, old []target.ContainerOption
		for _, ref := range noProfiles() {
			changes = append(changes, withSeccomp(localhost(ref)))
			old = append(old, withOldSeccomp("localhost/"+ref))
		}
		refusesRequest(ctx, "security.seccomp.refused", podContext+"seccomp.localhost_ref", changes)
		old = append(old, withOldSeccomp("/profile.json"), withOldSeccomp("default"))
		refusesRequest(ctx, "security.seccomp.refused", podContext+"seccomp_profile_path", old)
	})

	It("makes RunPodSandbox refuse", target.Covers("security.seccomp.refused-sandbox"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		valid := t.PodRequest()
		before, calls := t.Now(ctx), witnessed(t)
		refuses := func(field string, changes ...target.PodOption) {
			GinkgoHelper()
			req := proto.CloneOf(valid)
			for _, change := range changes {
				change(req)
			}
			_, err := t.RunPod(ctx, req)
			expectInvalid(t, err, "security.seccomp.refused-sandbox", podContext+field)
		}
		for _, ref := range noProfiles() {
			refuses("seccomp.localhost_ref", podSeccomp(localhost(ref)))
			refuses("seccomp.localhost_ref", podSeccomp(localhost(ref)), target.SharedPID())
			refuses("seccomp_profile_path", podOldSeccomp("localhost/"+ref))
		}
		expectUntouched(t, calls)
		t.ExpectNothingLeft(ctx, before)
	})
})

func podSeccomp(p *runtimeapi.SecurityProfile) target.PodOption {
	return confinedPod(func(s *runtimeapi.LinuxSandboxSecurityContext) { s.Seccomp = p })
}

func podOldSeccomp(path string) target.PodOption {
	//lint:ignore SA1019 the deprecated field is what the rule is about
	return confinedPod(func(s *runtimeapi.LinuxSandboxSecurityContext) { s.SeccompProfilePath = path })
}

// "Seccomp profile for the sandbox." (cri-api v1, LinuxSandboxSecurityContext.seccomp)
var _ = Describe("The seccomp filter of the infra process", func() {
	It("is the pod's", target.Covers("security.seccomp.infra"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureHostNamespaces)
		path := securityFile("profile.json", denyMkdir)
		for _, c := range []struct {
			option target.PodOption
			want   string
		}{
			{podSeccomp(runtimeDefault()), filtered}, {podSeccomp(localhost(path)), filtered}, {podOldSeccomp("runtime/default"), filtered},
			{podSeccomp(nil), noFilter}, {podSeccomp(unconfined()), noFilter},
		} {
			p := t.Pod(ctx, target.SharedPID(), c.option)
			Expect(p.Processes()).To(HaveLen(1))
			Expect(hostStatus(p.Processes()[0].PID).line("Seccomp")).To(Equal(c.want))
		}
	})

	It("is none in a privileged pod", target.Covers("security.seccomp.infra"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureHostNamespaces, target.FeaturePrivileged)
		p := t.Pod(ctx, target.SharedPID(), target.Privileged(), podSeccomp(runtimeDefault()))
		Expect(p.Processes()).To(HaveLen(1))
		Expect(hostStatus(p.Processes()[0].PID).line("Seccomp")).To(Equal(noFilter))
	})
})
