package probe

import (
	"os"
	"strings"

	"ocid/conformance/target"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// dns gives the pod a DNS config; nil is none.
func dns(config *runtimeapi.DNSConfig) target.PodOption {
	return target.WithPod(func(c *runtimeapi.PodSandboxConfig) { c.DnsConfig = config })
}

// resolvConf is how the container sees the file, line by line.
func resolvConf(ctx SpecContext, c *target.Container) []string {
	GinkgoHelper()
	return strings.Split(c.Output(ctx, "cat", "/etc/resolv.conf"), "\n")
}

// "DNSConfig specifies the DNS servers and search domains of a sandbox." (cri-api v1)
var _ = Describe("A pod's resolv.conf", func() {
	It("holds what its DNS config says", target.Covers("security.dns.config"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		full := t.Running(ctx, dns(&runtimeapi.DNSConfig{
			Servers: []string{"192.0.2.53", "2001:db8::53"}, Searches: []string{"a.test", "b.test"}, Options: []string{"ndots:3", "edns0"},
		}))
		Expect(resolvConf(ctx, full)).To(ConsistOf("search a.test b.test", "nameserver 192.0.2.53", "nameserver 2001:db8::53", "options ndots:3 edns0"))
		for want, config := range map[string]*runtimeapi.DNSConfig{
			"nameserver 192.0.2.1": {Servers: []string{"192.0.2.1"}},
			"search only.test":     {Searches: []string{"only.test"}},
			"options rotate":       {Options: []string{"rotate"}},
		} {
			Expect(resolvConf(ctx, t.Running(ctx, dns(config)))).To(ConsistOf(want), "nothing else, not the node's either")
		}
	})
	It("holds it on the host's network", target.Covers("security.dns.config"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureHostNetwork)
		c := t.Running(ctx, target.HostNetwork(), dns(&runtimeapi.DNSConfig{Servers: []string{"192.0.2.53"}}))
		Expect(resolvConf(ctx, c)).To(ConsistOf("nameserver 192.0.2.53"))
	})
	// The peers do so, and critest counts on it.
	It("is the node's without a DNS config", target.Covers("security.dns.host"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		host, err := os.ReadFile("/etc/resolv.conf")
		Expect(err).NotTo(HaveOccurred())
		Expect(strings.TrimSpace(string(host))).NotTo(BeEmpty(), "this node's file")
		for _, config := range []*runtimeapi.DNSConfig{nil, {}} {
			Expect(t.Running(ctx, dns(config)).Output(ctx, "cat", "/etc/resolv.conf")).To(Equal(strings.TrimSpace(string(host))))
		}
	})
	It("has no lines that nobody asked for", target.Covers("security.dns.refused"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		before := t.Now(ctx)
		for _, bad := range []string{"", " ", "192.0.2.1\nnameserver 192.0.2.2", "a b", "a\tb", "a\x00b", "a\u0085b", "a\n"} {
			for field, config := range map[string]*runtimeapi.DNSConfig{
				"config.dns_config.servers[1]":  {Servers: []string{"192.0.2.1", bad}},
				"config.dns_config.searches[0]": {Servers: []string{"192.0.2.1"}, Searches: []string{bad}},
				"config.dns_config.options[2]":  {Options: []string{"a", "b", bad}},
			} {
				req := t.PodRequest(dns(config))
				_, err := t.RunPod(ctx, req)
				expectInvalid(t, err, "security.dns.refused", field)
				Expect(os.Remove(req.GetConfig().GetLogDirectory())).To(Succeed(), "it is empty")
			}
		}
		t.ExpectNothingLeft(ctx, before)
	})
})

// What the peers do.
var _ = Describe("HOSTNAME", func() {
	// A shell sets the variable by itself: it is not asked.
	It("is the pod's name", target.Covers("security.hostname.environment"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		p := t.Pod(ctx)
		Expect(p.Run(ctx).Output(ctx, "cat", "/proc/1/environ")).To(ContainSubstring("HOSTNAME=" + p.Config.GetHostname() + "\x00"))
		Expect(p.Run(ctx, target.Env("HOSTNAME", "mine")).Output(ctx, "cat", "/proc/1/environ")).To(ContainSubstring("HOSTNAME=mine\x00"))
	})
	It("is the node's name on its network", target.Covers("security.hostname.environment"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureHostNetwork)
		host, err := os.Hostname()
		Expect(err).NotTo(HaveOccurred())
		Expect(t.Running(ctx, target.HostNetwork()).Output(ctx, "cat", "/proc/1/environ")).To(ContainSubstring("HOSTNAME=" + host + "\x00"))
	})
})
