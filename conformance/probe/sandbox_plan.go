package probe

import (
	"context"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"ocid/conformance/target"
	"ocid/fixtures/witness"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// "Network namespace first" (design notes): the namespace is pinned, CNI ADD has
// succeeded, and only then does the runtime create the sandbox in it.
var _ = Describe("The network of a new sandbox", func() {
	It("is complete before the runtime creates anything in it",
		target.Covers("sandbox.run.netns", "sandbox.run.network", "sandbox.run.infra-create"), podTime, func(ctx SpecContext) {
			t := target.Current()
			t.Need(target.FeatureWitness)
			pod := t.Pod(ctx, target.SharedPID())
			add := t.Witness.Find(cniBegun("ADD", pod.ID))
			Expect(add).To(HaveLen(1), "CNI ADD calls")
			Expect(add[0].Netns).To(HaveValue(And(HaveField("NSFS", true), HaveField("Mounted", true))), "pinned before ADD")
			create := t.Witness.Create(pod.ID)
			done := position(t, "end of CNI ADD", func(c witness.Call) bool {
				return c.Program == witness.CNI && c.Phase == witness.End && c.Op == "ADD"
			})
			Expect(done).To(BeNumerically("<", position(t, "create of the infra container", ociBegun("create", pod.ID))))
			Expect(create.Netns).To(HaveValue(And(HaveField("NSFS", true), HaveField("Mounted", true), HaveField("Inode", add[0].Netns.Inode))))
			Expect(create.Netns.Addrs()).To(ConsistOf(add[0].Network.PrevIPs), "addresses at create are those of CNI")
			eth0 := slices.IndexFunc(create.Netns.Links, func(l witness.Link) bool { return l.Name == "eth0" })
			Expect(eth0).NotTo(Equal(-1), "eth0 is there at create")
			Expect(create.Netns.Links[eth0].Up).To(BeTrue(), "eth0 is up")
			lo := slices.IndexFunc(create.Netns.Links, func(l witness.Link) bool { return l.Name == "lo" })
			Expect(create.Netns.Links[lo].Up).To(BeTrue(), "lo is up")
			Expect(create.Netns.Path).To(Equal(create.Spec.Namespaces["network"]))
		})
	It("is the network of its containers, and not the host's", target.Covers("sandbox.run.netns"), podTime, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureHostNamespaces)
		first := t.Running(ctx)
		second := first.Pod.Run(ctx)
		ns := t.NamespaceOf(first.Init().PID, "net")
		Expect(ns).NotTo(Equal(t.HostNamespace("net")))
		Expect(t.NamespaceOf(second.Init().PID, "net")).To(Equal(ns))
		pinned := slices.ContainsFunc(t.PinnedNetns(), func(n target.PinnedNetns) bool {
			return n.NSFS && ns == "net:["+strconv.FormatUint(n.Inode, 10)+"]"
		})
		Expect(pinned).To(BeTrue(), "the namespace is pinned")
	})
	It("is not made for a sandbox on the host network",
		target.Covers("sandbox.run.netns", "sandbox.run.network", "sandbox.run.uts"), podTime, func(ctx SpecContext) {
			t := target.Current()
			t.Need(target.FeatureHostNetwork, target.FeatureHostNamespaces)
			before := len(t.PinnedNetns())
			c := t.Running(ctx, target.HostNetwork())
			Expect(t.PinnedNetns()).To(HaveLen(before))
			Expect(pins(t, c.Pod.ID, "uts")).To(BeEmpty(), "UTS namespace pinned")
			for _, kind := range []string{"net", "uts"} {
				Expect(t.NamespaceOf(c.Init().PID, kind)).To(Equal(t.HostNamespace(kind)))
			}
			if t.Has(target.FeatureWitness) {
				Expect(t.Witness.Network("ADD", "")).To(BeEmpty(), "CNI ADD calls")
			}
		})
})

// "Hostname of the pod sandbox." (cri-api v1, PodSandboxConfig.hostname)
var _ = Describe("The UTS namespace of a sandbox", target.Covers("sandbox.run.uts"), func() {
	It("has the hostname and is shared by the containers", podTime, func(ctx SpecContext) {
		t := target.Current()
		first := t.Running(ctx, target.WithPod(func(c *runtimeapi.PodSandboxConfig) { c.Hostname = "a-pod" }))
		second := first.Pod.Run(ctx)
		Expect(first.Output(ctx, "hostname")).To(Equal("a-pod"))
		ns := first.Namespace(ctx, "uts")
		Expect(second.Namespace(ctx, "uts")).To(Equal(ns))
		if t.Has(target.FeatureHostNamespaces) {
			Expect(ns).NotTo(Equal(t.HostNamespace("uts")))
		}
	})
})

// "IPC namespace for this container/sandbox." (cri-api v1, NamespaceOption.ipc)
var _ = Describe("The IPC namespace of a sandbox", target.Covers("sandbox.run.ipc"), func() {
	It("and its /dev/shm are shared by the containers only", podTime, func(ctx SpecContext) {
		t := target.Current()
		first := t.Running(ctx)
		second := first.Pod.Run(ctx)
		ns := first.Namespace(ctx, "ipc")
		Expect(second.Namespace(ctx, "ipc")).To(Equal(ns))
		if t.Has(target.FeatureHostNamespaces) {
			Expect(ns).NotTo(Equal(t.HostNamespace("ipc")))
		}
		name := "/dev/shm/" + first.Pod.Config.GetMetadata().GetUid()
		first.Output(ctx, "touch", name)
		second.Output(ctx, "stat", name)
		Expect(name).NotTo(BeAnExistingFile(), "on the host")
	})
	It("is not made for a sandbox in the host's", podTime, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureHostNamespaces)
		c := t.Running(ctx, target.HostIPC())
		Expect(t.NamespaceOf(c.Init().PID, "ipc")).To(Equal(t.HostNamespace("ipc")))
		Expect(pins(t, c.Pod.ID, "ipc")).To(BeEmpty(), "IPC namespace pinned")
		Expect(shmOf(t, c.Pod.ID)).To(BeEmpty(), "/dev/shm mounted")
	})
})

// "DNS config for the sandbox." and "Hostname of the pod sandbox." (cri-api v1)
var _ = Describe("The files of a sandbox", target.Covers("sandbox.run.files"), func() {
	It("are what its containers find in /etc", podTime, func(ctx SpecContext) {
		t := target.Current()
		c := t.Running(ctx, target.WithPod(func(c *runtimeapi.PodSandboxConfig) {
			c.Hostname = "a-pod"
			c.DnsConfig = &runtimeapi.DNSConfig{Servers: []string{"192.0.2.53"}, Searches: []string{"a.test", "b.test"}, Options: []string{"ndots:3"}}
		}))
		resolv := strings.Split(c.Output(ctx, "cat", "/etc/resolv.conf"), "\n")
		Expect(resolv).To(ConsistOf("search a.test b.test", "nameserver 192.0.2.53", "options ndots:3"))
		Expect(c.Output(ctx, "cat", "/etc/hostname")).To(Equal("a-pod"))
	})
})

// "The infra process runs": the sandbox's own process holds what its containers
// share.
var _ = Describe("The infra process", target.Covers("sandbox.run.infra-start"), func() {
	It("runs when RunPodSandbox returns", podTime, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureHostNamespaces, target.FeatureWitness)
		pod := t.Pod(ctx, target.SharedPID())
		all := pod.Processes()
		Expect(all).To(HaveLen(1))
		args := t.Witness.Create(pod.ID).Spec.Args
		Eventually(ctx, func() []string { return pod.Processes()[0].Args }).WithTimeout(2*time.Second).
			Should(Equal(args), "it is the program of its config.json, not the runtime")
		for _, kind := range []string{"net", "uts", "ipc", "pid"} {
			Expect(t.NamespaceOf(all[0].PID, kind)).NotTo(Equal(t.HostNamespace(kind)))
		}
	})
})

// "The infrastructure container's storage record has the sandbox's ID and exists
// before anything else" (design notes: storage)
var _ = Describe("The storage record of a sandbox", func() {
	It("has the sandbox's ID", target.Covers("sandbox.run.record"), podTime, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureStorageRecords, target.FeatureWitness)
		b := creating(ctx, t)
		_, ok := t.Storage().Record(b.ID)
		Expect(ok).To(BeTrue(), "no record while the sandbox is being created")
		b.release()
		_, err := b.call.result(ctx)
		Expect(err).NotTo(HaveOccurred())
		_, ok = t.Storage().Record(b.ID)
		Expect(ok).To(BeTrue(), "no record of a sandbox that is READY")
	})
	It("is there before anything else of it",
		target.Covers("sandbox.run.record", "sandbox.run.files", "sandbox.run.netns", "sandbox.run.uts", "sandbox.run.ipc"), podTime, func(ctx SpecContext) {
			t := target.Current()
			t.Need(target.FeatureStorageRecords, target.FeatureWitness)
			release, waited := holdRecords(t, t.Pod(ctx))
			netns, mounts, files := len(t.PinnedNetns()), allPins(t), t.Files("")
			req := t.PodRequest()
			call := runBeside(ctx, t, req)
			Eventually(ctx, waited).WithTimeout(podMoment).Should(BeTrue(), "the daemon does not come to write the record")
			call.expectWaiting("the call")
			Expect(t.PinnedNetns()).To(HaveLen(netns), "a network namespace came before the record")
			Expect(allPins(t)).To(Equal(mounts), "something was mounted before the record")
			Expect(hostFiles(t.Files(""))).To(Equal(hostFiles(files)), "files came before the record")
			Expect(t.Witness.Find(cniBegun("ADD", ""))).To(HaveLen(1), "CNI ADD calls")
			release()
			id, err := call.result(ctx)
			Expect(err).NotTo(HaveOccurred())
			ownPod(t, id, req.GetConfig())
		})
})

// hostFiles picks the files that every pod has of its own.
func hostFiles(all []string) (some []string) {
	for _, f := range all {
		if base := filepath.Base(f); base == "resolv.conf" || base == "hostname" {
			some = append(some, f)
		}
	}
	return some
}

// "RunPodSandbox that fails leaves nothing": kubelet tries again with the same
// name, and nobody comes back for what a failed call has left.
var _ = Describe("RunPodSandbox that fails", func() {
	fails := func(ctx context.Context, f witness.Fault) {
		GinkgoHelper()
		t := target.Current()
		t.Need(target.FeatureWitness)
		warm := t.Pod(ctx, target.SharedPID()) // what is made once and kept is there
		Expect(warm.Remove(ctx)).To(Succeed())
		req := t.PodRequest(target.SharedPID(), target.HostPort(freePort(), 80))
		before := t.Now(ctx)
		fault := t.Witness.Fault(f)
		pod, err := t.RunPod(ctx, req)
		Expect(err).To(MatchError(ContainSubstring("told to fail")), "%v", pod)
		t.Witness.Release(fault)
		t.ExpectNothingLeft(ctx, before)
		_, err = t.RunPod(ctx, req)
		Expect(err).NotTo(HaveOccurred(), "the name can be used again")
	}
	steps := []string{
		"sandbox.run.record", "sandbox.run.netns", "sandbox.run.network", "sandbox.run.uts", "sandbox.run.ipc", "sandbox.run.infra-create",
	}
	It("in CNI ADD leaves nothing", target.Covers(steps[:3]...), podTime, func(ctx SpecContext) {
		fails(ctx, witness.Fault{Program: witness.CNI, Op: "ADD", Action: witness.FailAfter})
	})
	It("in the runtime's create leaves nothing", target.Covers(steps...), podTime, func(ctx SpecContext) {
		fails(ctx, witness.Fault{Program: witness.OCI, Op: "create", Action: witness.FailAfter})
	})
	It("in the runtime's start leaves nothing", target.Covers(steps...), podTime, func(ctx SpecContext) {
		fails(ctx, witness.Fault{Program: witness.OCI, Op: "start", Action: witness.Fail})
	})
})
