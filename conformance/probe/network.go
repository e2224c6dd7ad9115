package probe

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"ocid/conformance/target"
	"ocid/fixtures/images"

	"github.com/containernetworking/plugins/pkg/ns"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// freePort returns a TCP and UDP port that nothing on the host uses.
func freePort() int32 {
	GinkgoHelper()
	l, err := net.Listen("tcp", "0.0.0.0:0")
	Expect(err).NotTo(HaveOccurred())
	defer l.Close()
	return int32(l.Addr().(*net.TCPAddr).Port)
}

// page asks a web server for its first page. Each call makes a connection.
func page(ctx context.Context, address string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/", nil)
	if err != nil {
		return "", err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return strings.TrimSpace(string(body)), err
}

// expectPage waits until the web server at the address answers.
func expectPage(ctx context.Context, address string) {
	GinkgoHelper()
	Eventually(ctx, func() (string, error) { return page(ctx, address) }).WithTimeout(podMoment).Should(Equal(images.WebPage), "%s", address)
}

// webPod runs a web server on port 80 of a pod of its own.
func webPod(ctx context.Context, t *target.T, opts ...target.PodOption) *target.Pod {
	GinkgoHelper()
	ref, err := t.Image(ctx, images.Web)
	Expect(err).NotTo(HaveOccurred())
	pod := t.Pod(ctx, opts...)
	pod.Run(ctx, target.Image(ref), target.WithContainer(func(c *runtimeapi.ContainerConfig) { c.Command = nil }))
	return pod
}

func portMapping(m *runtimeapi.PortMapping) target.PodOption {
	return target.WithPod(func(c *runtimeapi.PodSandboxConfig) { c.PortMappings = append(c.PortMappings, m) })
}

// at is ADDRESS:PORT with the brackets that IPv6 needs.
func at(host string, port int32) string { return net.JoinHostPort(host, fmt.Sprint(port)) }

// "Port mappings for the sandbox": "Port number on the host. Default: 0 (not
// specified)" (cri-api v1, PortMapping.host_port)
var _ = Describe("A host port", target.Covers("sandbox.run.host-port"), func() {
	It("leads to the container port until the sandbox stops", podTime, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureHostPorts)
		port := freePort()
		pod := webPod(ctx, t, target.HostPort(port, 80))
		ip := pod.Status(ctx).GetNetwork().GetIp()
		expectPage(ctx, at(ip, 80))
		expectPage(ctx, at("127.0.0.1", port))
		if gateway := t.Var("GATEWAY"); gateway != "" {
			expectPage(ctx, at(gateway, port))
		}
		Expect(t.NATRules(ip)).NotTo(BeEmpty())
		Expect(pod.Stop(ctx)).To(Succeed())
		_, err := page(ctx, at("127.0.0.1", port))
		Expect(err).To(HaveOccurred(), "the sandbox is stopped")
		Expect(t.NATRules(ip)).To(BeEmpty())
		Expect(t.Leases(pod.ID)).To(BeEmpty())
	})
	It("leads to the container port over IPv6", podTime, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureHostPorts, target.FeatureIPv6)
		gateway := t.Var("GATEWAY6")
		if gateway == "" {
			t.Need("the pods' gateway")
		}
		port := freePort()
		pod := webPod(ctx, t, target.HostPort(port, 80))
		expectPage(ctx, at(pod.Status(ctx).GetNetwork().GetAdditionalIps()[0].GetIp(), 80))
		expectPage(ctx, at(gateway, port))
	})
	It("of protocol UDP leads to a UDP port", podTime, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureHostPorts, target.FeatureHostNamespaces)
		port := freePort()
		pod := t.Pod(ctx, portMapping(&runtimeapi.PortMapping{Protocol: runtimeapi.Protocol_UDP, HostPort: port, ContainerPort: 53}))
		echo := listenUDP(pinnedNetns(t, pod), 53)
		Expect(ask(ctx, "127.0.0.1", port)).To(Equal("heard: hello"))
		Expect(echo.Close()).To(Succeed())
		_, err := net.DialTimeout("tcp", at("127.0.0.1", port), time.Second)
		Expect(err).To(HaveOccurred(), "the TCP port")
	})
	It("of a host address leads from there only", podTime, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureHostPorts)
		port := freePort()
		webPod(ctx, t, portMapping(&runtimeapi.PortMapping{HostPort: port, ContainerPort: 80, HostIp: "127.0.0.2"}))
		expectPage(ctx, at("127.0.0.2", port))
		_, err := page(ctx, at("127.0.0.1", port))
		Expect(err).To(HaveOccurred(), "another address of the host")
	})
	It("0 leads to nothing", podTime, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureHostPorts)
		pod := webPod(ctx, t, target.HostPort(0, 80))
		ip := pod.Status(ctx).GetNetwork().GetIp()
		_, err := netip.ParseAddr(ip)
		Expect(err).NotTo(HaveOccurred())
		expectPage(ctx, at(ip, 80))
		Expect(t.NATRules(ip)).To(BeEmpty())
		if t.Has(target.FeatureWitness) {
			Expect(t.Witness.Network("ADD", pod.ID)[0].Network.RuntimeConfig).NotTo(HaveKey("portMappings"))
		}
	})
})

// pinnedNetns returns the path of a sandbox's network namespace.
func pinnedNetns(t *target.T, pod *target.Pod) string {
	GinkgoHelper()
	all := pins(t, pod.ID, "net")
	Expect(all).To(HaveLen(1), "network namespaces pinned for the sandbox")
	return all[0]
}

// listenUDP answers each packet to a UDP port inside a network namespace.
func listenUDP(netns string, port int) net.PacketConn {
	GinkgoHelper()
	var conn net.PacketConn
	Expect(ns.WithNetNSPath(netns, func(ns.NetNS) (err error) {
		conn, err = net.ListenPacket("udp4", fmt.Sprintf(":%d", port))
		return err
	})).To(Succeed())
	DeferCleanup(func() { _ = conn.Close() })
	go func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = conn.WriteTo(append([]byte("heard: "), buf[:n]...), from)
		}
	}()
	return conn
}

// ask sends a packet and returns the answer; UDP may lose one.
func ask(ctx context.Context, host string, port int32) string {
	GinkgoHelper()
	var answer string
	Eventually(ctx, func() error {
		conn, err := net.Dial("udp", at(host, port))
		if err != nil {
			return err
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(time.Second))
		if _, err := conn.Write([]byte("hello")); err != nil {
			return err
		}
		buf := make([]byte, 1500)
		n, err := conn.Read(buf)
		answer = string(buf[:n])
		return err
	}).WithTimeout(5 * time.Second).Should(Succeed())
	return answer
}
