package probe

import (
	"os"
	"strings"

	"ocid/conformance/target"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"google.golang.org/grpc/codes"
)

// "Sysctls holds linux sysctls config for the sandbox."
// (cri-api v1, LinuxPodSandboxConfig.sysctls)
var _ = Describe("A sysctl of the sandbox", target.Covers("sandbox.run.sysctls"), func() {
	It("holds in its network and IPC namespaces, and not on the node", podTime, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureHostNamespaces)
		const port, segment = "/proc/sys/net/ipv4/ip_unprivileged_port_start", "/proc/sys/kernel/shmmni"
		onNode := hostFile(port) + hostFile(segment)
		c := t.Pod(ctx, podSysctl("net.ipv4.ip_unprivileged_port_start", "81"), podSysctl("kernel.shmmni", "77")).Run(ctx)
		Expect(c.Output(ctx, "cat", port)).To(Equal("81"))
		Expect(c.Output(ctx, "cat", segment)).To(Equal("77"))
		Expect(hostFile(port) + hostFile(segment)).To(Equal(onNode))
	})
	It("is refused if it is the node's", podTime, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureHostNamespaces)
		_, err := t.TryPod(ctx, podSysctl("kernel.sysrq", "0"))
		t.ExpectCode(err, codes.InvalidArgument)
		t.ExpectRule(err, "sandbox.run.sysctls")
	})
	It("is refused if it is of a namespace of the node that the sandbox joins", podTime, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureHostNetwork)
		_, err := t.TryPod(ctx, target.HostNetwork(), podSysctl("net.ipv4.ip_unprivileged_port_start", "81"))
		t.ExpectCode(err, codes.InvalidArgument)
		t.ExpectRule(err, "sandbox.run.sysctls")
	})
})

// hostFile is what a file of the node holds.
func hostFile(path string) string {
	GinkgoHelper()
	text, err := os.ReadFile(path)
	Expect(err).NotTo(HaveOccurred())
	return strings.TrimSpace(string(text))
}
