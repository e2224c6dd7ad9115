package probe

import (
	"context"
	"net/netip"
	"strings"

	"ocid/conformance/target"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// "PodSandboxStatus returns the status of the PodSandbox. If the PodSandbox is
// not present, returns an error." (cri-api v1) The kubelet takes NotFound as
// removed meanwhile; any other error fails the whole status read of the pod.
var _ = Describe("PodSandboxStatus", func() {
	It("answers for a sandbox that is READY, NOTREADY and stopped", target.Needs(target.FeatureHostNamespaces), target.Covers("sandbox.status.present"), podTime, func(ctx SpecContext) {
		t := target.Current()
		pod, dead := t.Pod(ctx), died(ctx, t)
		status := pod.Status(ctx)
		Expect(status.GetState()).To(Equal(runtimeapi.PodSandboxState_SANDBOX_READY))
		Expect(status.GetMetadata()).To(HaveField("Uid", pod.Config.GetMetadata().GetUid()))
		Expect(status.GetCreatedAt()).To(BeNumerically(">", 0), "created_at: the kubelet's client takes no other")
		Expect(pod.Stop(ctx)).To(Succeed())
		Expect(pod.Status(ctx).GetState()).To(Equal(notReady))
		Expect(dead.Status(ctx).GetState()).To(Equal(notReady))
	})
	It("answers while the sandbox is being stopped or removed", target.Covers("sandbox.status.present"), podTime, func(ctx SpecContext) {
		t := target.Current()
		for _, busy := range []func(context.Context, *target.T, ...target.PodOption) *busyPod{stopping, removing} {
			b := busy(ctx, t)
			status := b.Status(ctx)
			Expect(status.GetId()).To(Equal(b.ID))
			Expect(status.GetState()).To(Equal(notReady))
			b.release()
			_, err := b.call.result(ctx)
			Expect(err).NotTo(HaveOccurred())
		}
	})
	It("knows no sandbox that is not there, or not yet", target.Covers("sandbox.status.absent"), podTime, func(ctx SpecContext) {
		t := target.Current()
		_, err := (&target.Pod{T: t, ID: podAbsent}).TryStatus(ctx)
		t.ExpectCode(err, codes.NotFound)
		t.ExpectRule(err, "sandbox.status.absent")
		b := creating(ctx, t)
		_, err = b.TryStatus(ctx)
		t.ExpectCode(err, codes.NotFound)
		t.ExpectRule(err, "sandbox.status.absent")
		b.release()
		_, err = b.call.result(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(b.Status(ctx).GetId()).To(Equal(b.ID))
	})

	// The kubelet kills a sandbox whose network mode is not the pod's
	// (kuberuntime/util.PodSandboxChanged).
	It("has the namespace options of the config", target.Covers("sandbox.status.namespaces"), podTime, func(ctx SpecContext) {
		t := target.Current()
		kinds := [][]target.PodOption{{}, {target.SharedPID()}}
		if t.Has(target.FeatureHostNetwork) {
			kinds = append(kinds, []target.PodOption{target.HostNetwork()}, []target.PodOption{target.HostNetwork(), target.HostPID(), target.HostIPC()})
		}
		for _, opts := range kinds {
			pod := t.Pod(ctx, opts...)
			got, want := pod.Status(ctx).GetLinux().GetNamespaces().GetOptions(), pod.Config.GetLinux().GetSecurityContext().GetNamespaceOptions()
			Expect(proto.Equal(got, want)).To(BeTrue(), "got %v, want %v", got, want)
		}
	})
	// "runtime_handler: Runtime handler used for this sandbox" (cri-api v1): that
	// of the request, also if it is "".
	It("has the runtime handler of the request, as List has", target.Covers("sandbox.status.handler"), podTime, func(ctx SpecContext) {
		t := target.Current()
		for _, handler := range append([]string{""}, t.Handlers()...) {
			pod := t.Pod(ctx, target.Handler(handler))
			Expect(pod.Status(ctx).GetRuntimeHandler()).To(Equal(handler))
			Expect(pod.Listed(ctx).GetRuntimeHandler()).To(Equal(handler))
		}
	})
})

// "IP address of the PodSandbox" and "list of additional ips (not inclusive of
// PodSandboxNetworkStatus.Ip)" (cri-api v1). The kubelet kills and makes anew a
// READY sandbox on the pod network whose address is empty.
var _ = Describe("The addresses of a sandbox", target.Covers("sandbox.status.ip"), func() {
	It("are those that CNI gave", podTime, func(ctx SpecContext) {
		t := target.Current()
		c := t.Running(ctx)
		status := c.Pod.Status(ctx)
		_, err := netip.ParseAddr(status.GetNetwork().GetIp())
		Expect(err).NotTo(HaveOccurred())
		all := []string{status.GetNetwork().GetIp()}
		for _, ip := range status.GetNetwork().GetAdditionalIps() {
			all = append(all, ip.GetIp())
		}
		for _, ip := range all {
			Expect(c.Output(ctx, "ip", "addr", "show", "dev", "eth0")).To(ContainSubstring(" " + ip + "/"))
		}
		if t.Has(target.FeatureWitness) {
			var given []string
			for _, prefix := range t.Witness.Network("ADD", c.Pod.ID)[0].Network.PrevIPs {
				given = append(given, strings.Split(prefix, "/")[0])
			}
			Expect(all).To(ConsistOf(given))
		}
		other := t.Pod(ctx)
		Expect(other.Status(ctx).GetNetwork().GetIp()).NotTo(BeElementOf(all), "of another sandbox")
	})
	It("are an IPv4 and an IPv6 one", podTime, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureIPv6)
		network := t.Pod(ctx).Status(ctx).GetNetwork()
		first, err := netip.ParseAddr(network.GetIp())
		Expect(err).NotTo(HaveOccurred())
		Expect(first.Is4()).To(BeTrue(), "%s", first)
		Expect(network.GetAdditionalIps()).To(HaveLen(1))
		second, err := netip.ParseAddr(network.GetAdditionalIps()[0].GetIp())
		Expect(err).NotTo(HaveOccurred())
		Expect(second.Is6()).To(BeTrue(), "%s", second)
	})
	It("are none on the host network", podTime, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureHostNetwork)
		status := t.Pod(ctx, target.HostNetwork()).Status(ctx)
		Expect(status.GetState()).To(Equal(runtimeapi.PodSandboxState_SANDBOX_READY))
		Expect(status.GetNetwork().GetIp()).To(BeEmpty())
		Expect(status.GetNetwork().GetAdditionalIps()).To(BeEmpty())
	})
})

// "CreateContainer creates a new container in specified PodSandbox" (cri-api v1),
// and a sandbox that was stopped is not used again.
var _ = Describe("CreateContainer and the state of the sandbox", func() {
	refused := func(ctx context.Context, p *target.Pod, code codes.Code, rule string) {
		GinkgoHelper()
		_, err := p.TryCreate(ctx)
		p.T.ExpectCode(err, code)
		p.T.ExpectRule(err, rule)
	}
	It("is allowed in one that is READY", target.Covers("sandbox.join.ready"), podTime, func(ctx SpecContext) {
		t := target.Current()
		c := t.Pod(ctx).Create(ctx)
		Expect(c.State(ctx)).To(Equal(runtimeapi.ContainerState_CONTAINER_CREATED))
	})
	It("is refused with NotFound in one that is not there, or not yet", target.Covers("sandbox.join.absent"), podTime, func(ctx SpecContext) {
		t := target.Current()
		refused(ctx, &target.Pod{T: t, ID: podAbsent, Config: t.PodConfig("")}, codes.NotFound, "sandbox.join.absent")
		b := creating(ctx, t)
		refused(ctx, b.Pod, codes.NotFound, "sandbox.join.absent")
		b.release()
		_, err := b.call.result(ctx)
		Expect(err).NotTo(HaveOccurred())
	})
	It("is refused in one that is no longer READY", target.Covers("sandbox.join.stopped"), podTime, func(ctx SpecContext) {
		t := target.Current()
		stopped := t.Pod(ctx)
		Expect(stopped.Stop(ctx)).To(Succeed())
		refused(ctx, stopped, codes.FailedPrecondition, "sandbox.join.stopped")
		refused(ctx, died(ctx, t), codes.FailedPrecondition, "sandbox.join.stopped")
	})
	It("is refused in one that is being stopped or removed", target.Covers("sandbox.join.stopped"), podTime, func(ctx SpecContext) {
		t := target.Current()
		for _, busy := range []func(context.Context, *target.T, ...target.PodOption) *busyPod{stopping, removing} {
			b := busy(ctx, t)
			refused(ctx, b.Pod, codes.FailedPrecondition, "sandbox.join.stopped")
			b.release()
			_, err := b.call.result(ctx)
			Expect(err).NotTo(HaveOccurred())
		}
	})
})
