package probe

import (
	"context"
	"encoding/binary"
	"hash/crc32"
	"net"
	"time"

	"ocid/conformance/target"

	"github.com/containernetworking/plugins/pkg/ns"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"google.golang.org/grpc/codes"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Two sandboxes can't both be behind one port of the host.
var _ = Describe("A host port of two pods", target.Covers("sandbox.run.host-port-taken"), func() {
	It("is the first one's until that is stopped", podTime, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureHostPorts)
		port := freePort()
		on := func(ip string, p runtimeapi.Protocol) target.PodOption {
			return portMapping(&runtimeapi.PortMapping{HostPort: port, ContainerPort: 80, HostIp: ip, Protocol: p})
		}
		first := t.Pod(ctx, on("127.0.0.2", runtimeapi.Protocol_TCP))
		var all []*runtimeapi.RunPodSandboxRequest
		for _, ip := range []string{"", "0.0.0.0", "127.0.0.2"} {
			all = append(all, t.PodRequest(target.HostPort(0, 79), on(ip, runtimeapi.Protocol_TCP)))
		}
		before := t.Now(ctx)
		for _, req := range all {
			_, err := t.RunPod(ctx, req)
			t.ExpectCode(err, codes.FailedPrecondition)
			t.ExpectRule(err, "sandbox.run.host-port-taken")
			Expect(err).To(MatchError(And(ContainSubstring("config.port_mappings[1].host_port"), ContainSubstring(first.ID))))
		}
		t.ExpectNothingLeft(ctx, before)
		t.Pod(ctx, target.HostPort(0, 80), on("127.0.0.3", runtimeapi.Protocol_TCP), on("", runtimeapi.Protocol_UDP))
		t.Pod(ctx, target.HostPort(0, 80))
		Expect(first.Stop(ctx)).To(Succeed())
		t.Pod(ctx, on("127.0.0.2", runtimeapi.Protocol_TCP))
	})
	It("is one's alone if both come at a time", podTime, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureHostPorts)
		port := freePort()
		run := func() (*target.Pod, error) { return t.TryPod(ctx, target.HostPort(port, 80)) }
		a, b := beginAside(run), beginAside(run)
		_, errA := a.result(ctx)
		_, errB := b.result(ctx)
		Expect([]error{errA, errB}).To(ConsistOf(BeNil(), HaveOccurred()))
	})
	It("does not matter on the host's network", podTime, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureHostPorts, target.FeatureHostNetwork)
		port := freePort()
		t.Pod(ctx, target.HostNetwork(), target.HostPort(port, port))
		t.Pod(ctx, target.HostPort(port, 80))
		t.Pod(ctx, target.HostNetwork(), target.HostPort(port, port))
	})
})

const protocolSCTP = "132" // as IP headers have it

// Many kernels have no SCTP of their own, and lead its packets all the same: the
// probe makes and reads them itself.
var _ = Describe("A host port of protocol SCTP", func() {
	It("leads to an SCTP port", target.Covers("sandbox.run.host-port"), podTime, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureHostPorts, target.FeatureHostNamespaces)
		port := freePort()
		pod := t.Pod(ctx, portMapping(&runtimeapi.PortMapping{Protocol: runtimeapi.Protocol_SCTP, HostPort: port, ContainerPort: 77}))
		var inside net.PacketConn
		Expect(ns.WithNetNSPath(pinnedNetns(t, pod), func(ns.NetNS) (err error) {
			inside, err = net.ListenPacket("ip4:"+protocolSCTP, "0.0.0.0")
			return err
		})).To(Succeed())
		DeferCleanup(inside.Close)
		Eventually(ctx, func() (uint16, error) { return arrives(ctx, inside, uint16(port)) }).WithTimeout(podMoment).Should(BeEquivalentTo(77))
	})
})

// arrives sends the first packet of an SCTP association to a port of the host and
// returns the port at which it comes out.
func arrives(ctx context.Context, out net.PacketConn, port uint16) (uint16, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "ip4:"+protocolSCTP, "127.0.0.1")
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	if _, err := conn.Write(sctpInit(port)); err != nil {
		return 0, err
	}
	buf := make([]byte, 1500)
	if err := out.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
		return 0, err
	}
	if _, _, err := out.ReadFrom(buf); err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint16(buf[2:]), nil
}

// sctpInit is an INIT (RFC 9260, sections 3.1 and 3.3.2).
func sctpInit(port uint16) []byte {
	p := make([]byte, 32)
	binary.BigEndian.PutUint16(p[0:], 40_000) // from
	binary.BigEndian.PutUint16(p[2:], port)   // to
	p[12] = 1                                 // INIT
	binary.BigEndian.PutUint16(p[14:], 20)    // its length
	binary.BigEndian.PutUint32(p[16:], 1)     // tag
	binary.BigEndian.PutUint32(p[20:], 1<<16) // window
	binary.BigEndian.PutUint16(p[24:], 1)     // streams out
	binary.BigEndian.PutUint16(p[26:], 1)     // and in
	binary.LittleEndian.PutUint32(p[8:], crc32.Checksum(p, crc32.MakeTable(crc32.Castagnoli)))
	return p
}
