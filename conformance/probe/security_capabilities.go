package probe

import (
	"context"
	"fmt"

	"ocid/conformance/target"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// capSysResource and capWakeAlarm are further numbers of capabilities, capabilities(7).
const capSysResource, capWakeAlarm = 24, 35

// capSet gives a set as /proc/PID/status has it.
func capSet(numbers ...int) (set uint64) {
	for _, n := range numbers {
		set |= 1 << n
	}
	return set
}

// expectHeld fails unless root's processes in the container have just the
// capabilities, of which none is inheritable or ambient.
func expectHeld(ctx context.Context, c *target.Container, want uint64) {
	GinkgoHelper()
	first, inside := firstOf(ctx, c), insideOf(ctx, c)
	for _, set := range []string{"CapBnd", "CapPrm", "CapEff"} {
		Expect(first.caps(set)).To(Equal(want), set)
		Expect(inside.caps(set)).To(Equal(want), "%s of a command that is run in the container", set)
	}
	for _, set := range []string{"CapInh", "CapAmb"} {
		Expect(first.caps(set)).To(BeZero(), set)
		Expect(inside.caps(set)).To(BeZero(), "%s of a command that is run in the container", set)
	}
}

func asUser(uid int64) target.ContainerOption { return withUsers(uid)[0] }

func withAmbient(names ...string) target.ContainerOption {
	return confined(func(s *runtimeapi.LinuxContainerSecurityContext) {
		s.Capabilities = &runtimeapi.Capability{AddAmbientCapabilities: names}
	})
}

// "If "ALL" is in add_capabilities, all capabilities are added", "Capability
// contains the container capabilities to add or drop. Dropping a capability will
// drop it from all sets. If a capability is added to only the add_capabilities
// list then it gets added to permitted, inheritable, effective and bounding sets"
// (cri-api v1, Capability)
var _ = Describe("The capabilities of a container", func() {
	It("are the default ones, as far as the daemon has them", target.Covers("security.capabilities.default"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		Expect(t.Reconfigure(ctx, map[string]string{target.VarCapabilities: `["CAP_KILL", "CHOWN", "SYS_RESOURCE", "WAKE_ALARM"]`})).To(Succeed())
		ours := ownCaps("CapBnd")
		p := t.Pod(ctx)
		expectHeld(ctx, p.Run(ctx), capSet(capKill, capChown, capSysResource, capWakeAlarm)&ours)
		expectHeld(ctx, p.Run(ctx, withCapabilities(nil, nil)), capSet(capKill, capChown, capSysResource, capWakeAlarm)&ours)
	})

	It("are changed by the lists", target.Covers("security.capabilities.change"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		p := t.Pod(ctx)
		all := ownCaps("CapBnd")
		plain := firstOf(ctx, p.Run(ctx)).caps("CapBnd")
		for _, c := range []struct {
			add, drop []string
			want      uint64
		}{
			{add: []string{"NET_ADMIN"}, want: plain | capSet(capNetAdmin)},
			{add: []string{"CAP_NET_ADMIN", "sys_admin"}, want: plain | capSet(capNetAdmin, capSysAdmin)},
			{drop: []string{"CHOWN", "CAP_kill"}, want: plain &^ capSet(capChown, capKill)},
			{add: []string{"SYS_ADMIN", "NET_ADMIN"}, drop: []string{"NET_ADMIN", "KILL"}, want: plain&^capSet(capKill) | capSet(capSysAdmin)},
			{add: []string{"KILL"}, drop: []string{"ALL"}, want: capSet(capKill)},
			{drop: []string{"all"}, want: 0},
			{add: []string{"ALL"}, want: all},
			{add: []string{"ALL"}, drop: []string{"SYS_ADMIN"}, want: all &^ capSet(capSysAdmin)},
			{add: []string{"ALL"}, drop: []string{"ALL"}, want: 0},
			{add: []string{"ALL", "KILL"}, drop: []string{"ALL"}, want: capSet(capKill)},
		} {
			By(fmt.Sprintf("add %q, drop %q", c.add, c.drop))
			expectHeld(ctx, p.Run(ctx, withCapabilities(c.add, c.drop)), c.want)
		}
	})

	It("are known to Linux", target.Covers("security.capabilities.unknown"), containerLimit, func(ctx SpecContext) {
		var changes []target.ContainerOption
		for _, name := range []string{"NO_SUCH", "CAP_NO_SUCH", "", "CAP_", "CAP_ALL", "CHOWN,KILL", " KILL", "CAP_CAP_KILL", "41"} {
			changes = append(changes, withCapabilities([]string{"KILL", name}, nil), withCapabilities(nil, []string{"KILL", name}), withAmbient("KILL", name))
		}
		refusesRequest(ctx, "security.capabilities.unknown", podContext+"capabilities", changes)
	})

	// "add_ambient_capabilities: List of ambient capabilities to add."
	It("are ambient if the config says so", target.Covers("security.capabilities.ambient"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		want := capSet(capNetBindService, capNetAdmin)
		c := t.Pod(ctx).Run(ctx, asUser(1000), withAmbient("NET_BIND_SERVICE", "CAP_NET_ADMIN"))
		first, inside := firstOf(ctx, c), insideOf(ctx, c)
		for _, set := range []string{"CapAmb", "CapInh", "CapPrm", "CapEff"} {
			Expect(first.caps(set)).To(Equal(want), set)
			Expect(inside.caps(set)).To(Equal(want), "%s of a command that is run in the container", set)
		}
		c.Output(ctx, "sh", "-c", "ip addr add 127.0.0.9/32 dev lo")
		dropped := t.Pod(ctx).Run(ctx, asUser(1000), confined(func(s *runtimeapi.LinuxContainerSecurityContext) {
			s.Capabilities = &runtimeapi.Capability{AddAmbientCapabilities: []string{"KILL", "NET_ADMIN"}, DropCapabilities: []string{"KILL"}}
		}))
		Expect(firstOf(ctx, dropped).caps("CapEff")).To(Equal(capSet(capNetAdmin)), "one that is dropped, too")
		all := t.Pod(ctx).Run(ctx, asUser(1000), withAmbient("ALL"))
		Expect(firstOf(ctx, all).caps("CapEff")).To(Equal(ownCaps("CapBnd")), "ALL")
	})

	// CVE-2022-24769: with an inheritable set that is not empty, a process that is
	// not root gets what a file's inheritable set names.
	It("are not inheritable", target.Covers("security.capabilities.inheritable"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		p := t.Pod(ctx)
		for _, c := range []*target.Container{
			p.Run(ctx), p.Run(ctx, asUser(1000)), p.Run(ctx, withCapabilities([]string{"NET_ADMIN"}, nil)),
			p.Run(ctx, asUser(1000), withCapabilities([]string{"ALL"}, nil)),
		} {
			Expect(firstOf(ctx, c).caps("CapInh")).To(BeZero())
			Expect(insideOf(ctx, c).caps("CapInh")).To(BeZero(), "of a command that is run in the container")
		}
	})
})
