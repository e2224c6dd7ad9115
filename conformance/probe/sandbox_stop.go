package probe

import (
	"context"
	"os"

	"ocid/conformance/target"
	"ocid/fixtures/witness"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const notReady = runtimeapi.PodSandboxState_SANDBOX_NOTREADY

// "StopPodSandbox stops any running process that is part of the sandbox and
// reclaims network resources (e.g., IP addresses) allocated to the sandbox. If
// there are any running containers in the sandbox, they must be forcibly
// terminated. This call is idempotent, and must not return an error if all
// relevant resources have already been reclaimed." (cri-api v1)
var _ = Describe("StopPodSandbox", func() {
	It("makes a READY sandbox NOTREADY and frees its address", target.Covers("sandbox.stop.ready"), podTime, func(ctx SpecContext) {
		t := target.Current()
		pod := t.Pod(ctx)
		c := pod.Run(ctx)
		Expect(pod.Stop(ctx)).To(Succeed())
		Expect(pod.Status(ctx).GetState()).To(Equal(notReady))
		Expect(c.State(ctx)).To(Equal(runtimeapi.ContainerState_CONTAINER_EXITED))
		Expect(c.Processes()).To(BeEmpty())
		Expect(t.Leases(pod.ID)).To(BeEmpty())
	})
	It("stops what is left of a sandbox whose process has died", target.Covers("sandbox.stop.ready"), podTime, func(ctx SpecContext) {
		t := target.Current()
		pod := died(ctx, t)
		Expect(pod.Stop(ctx)).To(Succeed())
		Expect(t.Leases(pod.ID)).To(BeEmpty())
		Expect(pins(t, pod.ID, "")).To(BeEmpty())
	})
	It("succeeds again and again", target.Covers("sandbox.stop.again"), podTime, func(ctx SpecContext) {
		t := target.Current()
		pod := t.Pod(ctx)
		for range 3 {
			Expect(pod.Stop(ctx)).To(Succeed())
			Expect(pod.Status(ctx).GetState()).To(Equal(notReady))
		}
		if t.Has(target.FeatureWitness) {
			Expect(t.Witness.Network("DEL", pod.ID)).To(HaveLen(1), "CNI DEL calls")
		}
	})
	// "kubelet will call StopPodSandbox at least once before calling
	// RemovePodSandbox", and after it too.
	It("succeeds for a sandbox that nobody knows", target.Covers("sandbox.stop.absent"), podTime, func(ctx SpecContext) {
		t := target.Current()
		Expect((&target.Pod{T: t, ID: podAbsent}).Stop(ctx)).To(Succeed())
		pod := t.Pod(ctx)
		Expect(pod.Remove(ctx)).To(Succeed())
		Expect(pod.Stop(ctx)).To(Succeed())
	})
})

// The kubelet stops again and again, in parallel too: a second call must not
// answer before the first has done the work, nor do it twice.
var _ = Describe("StopPodSandbox while the sandbox is busy", target.Covers("sandbox.stop.join"), func() {
	It("waits for another stop", podTime, func(ctx SpecContext) {
		t := target.Current()
		b := stopping(ctx, t)
		calls := []*aside[string]{b.call}
		for range 4 {
			calls = append(calls, stopBeside(ctx, b.Pod))
		}
		for _, call := range calls[1:] {
			call.expectWaiting("the call")
		}
		b.release()
		for _, call := range calls {
			_, err := call.result(ctx)
			Expect(err).NotTo(HaveOccurred())
		}
		Expect(t.Witness.Network("DEL", b.ID)).To(HaveLen(1), "CNI DEL calls")
		Expect(b.Status(ctx).GetState()).To(Equal(notReady))
		Expect(t.Leases(b.ID)).To(BeEmpty())
	})
	It("waits for the creation, and then stops", podTime, func(ctx SpecContext) {
		t := target.Current()
		b := creating(ctx, t)
		stop := stopBeside(ctx, b.Pod)
		stop.expectWaiting("the stop")
		b.release()
		_, err := stop.result(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(b.Status(ctx).GetState()).To(Equal(notReady))
		Expect(t.Leases(b.ID)).To(BeEmpty())
		id, err := b.call.result(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(id).To(Equal(b.ID))
	})
	It("waits for the removal", podTime, func(ctx SpecContext) {
		t := target.Current()
		b := removing(ctx, t)
		stop := stopBeside(ctx, b.Pod)
		stop.expectWaiting("the stop")
		b.release()
		_, err := stop.result(ctx)
		Expect(err).NotTo(HaveOccurred())
		_, err = b.TryStatus(ctx)
		t.ExpectCode(err, codes.NotFound)
	})
})

// The two halves of an idempotent stop (design notes): what is closed already is
// no error; what can't be reclaimed is one, and can be tried again.
var _ = Describe("StopPodSandbox of a half-stopped sandbox", func() {
	pinned := func(t *target.T, id string) string {
		GinkgoHelper()
		all := pins(t, id, "net")
		Expect(all).To(HaveLen(1), "network namespaces pinned for the sandbox")
		return all[0]
	}
	It("does not mind that the network namespace is unmounted", target.Covers("sandbox.stop.netns-twice"), podTime, func(ctx SpecContext) {
		t := target.Current()
		pod := t.Pod(ctx)
		path := pinned(t, pod.ID)
		Expect(unix.Unmount(path, unix.MNT_DETACH)).To(Succeed())
		Expect(pod.Stop(ctx)).To(Succeed())
		Expect(path).NotTo(BeAnExistingFile())
		Expect(t.Leases(pod.ID)).To(BeEmpty())
		if t.Has(target.FeatureWitness) {
			del := t.Witness.Find(cniBegun("DEL", pod.ID))
			Expect(del).To(HaveLen(1), "CNI DEL is called all the same")
			Expect(del[0].Netns).To(BeNil(), "and is told that the namespace is gone")
		}
	})
	It("does not mind that the network namespace is deleted", target.Covers("sandbox.stop.netns-twice"), podTime, func(ctx SpecContext) {
		t := target.Current()
		pod := t.Pod(ctx)
		path := pinned(t, pod.ID)
		Expect(unix.Unmount(path, unix.MNT_DETACH)).To(Succeed())
		Expect(os.Remove(path)).To(Succeed())
		Expect(pod.Stop(ctx)).To(Succeed())
		Expect(pod.Stop(ctx)).To(Succeed())
		Expect(t.Leases(pod.ID)).To(BeEmpty())
	})
	It("keeps the namespace while CNI DEL fails, and tries again", target.Covers("sandbox.stop.del-fails"), podTime, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureWitness)
		pod := t.Pod(ctx)
		path := pinned(t, pod.ID)
		t.Witness.Fault(witness.Fault{Program: witness.CNI, Op: "DEL", Action: witness.Fail, Times: 1})
		Expect(pod.Stop(ctx)).To(MatchError(ContainSubstring("told to fail")))
		Expect(pinned(t, pod.ID)).To(Equal(path), "the namespace is kept")
		Expect(t.Leases(pod.ID)).NotTo(BeEmpty(), "the address is still held")
		Expect(pod.Status(ctx).GetState()).To(Equal(notReady))
		Expect(pod.Stop(ctx)).To(Succeed())
		del := t.Witness.Find(cniBegun("DEL", pod.ID))
		Expect(del).To(HaveLen(2), "CNI DEL calls")
		Expect(del[1].Netns).To(HaveValue(And(HaveField("NSFS", true), HaveField("Path", path))), "DEL has the namespace again")
		Expect(pins(t, pod.ID, "net")).To(BeEmpty())
		Expect(t.Leases(pod.ID)).To(BeEmpty())
	})
})

// "A sandbox whose infra process has exited is NOTREADY" (cri-api v1,
// PodSandboxState): kubelet then makes a new one.
var _ = Describe("The death of the infra process", target.Covers("sandbox.died.ready"), func() {
	It("makes the sandbox NOTREADY, for good", podTime, func(ctx SpecContext) {
		t := target.Current()
		pod := died(ctx, t)
		Expect(pod.Listed(ctx).GetState()).To(Equal(notReady))
		_, err := t.Runtime.RunPodSandbox(ctx, &runtimeapi.RunPodSandboxRequest{Config: pod.Config})
		Expect(err).To(HaveOccurred(), "it is not started again")
		_, err = pod.TryCreate(ctx)
		Expect(err).To(HaveOccurred(), "it takes no container")
	})
})

// An ending is one of the two calls that take a sandbox's things away.
type podEnding struct {
	call, rules string
	do          func(context.Context, *target.Pod) error
	beside      func(context.Context, *target.Pod) *aside[string]
}

func podEndings() []podEnding {
	return []podEnding{
		{"StopPodSandbox", "sandbox.stop.", func(ctx context.Context, p *target.Pod) error { return p.Stop(ctx) }, stopBeside},
		{"RemovePodSandbox", "sandbox.remove.", func(ctx context.Context, p *target.Pod) error { return p.Remove(ctx) }, removeBeside},
	}
}

func (e podEnding) covers(steps ...string) Labels {
	rules := make([]string, 0, len(steps))
	for _, s := range steps {
		rules = append(rules, e.rules+s)
	}
	return target.Covers(rules...)
}

// The order of both calls: containers, infra process, CNI DEL, network
// namespace; the IPC and UTS namespaces when no process is left. ("stops any
// running process …", then "reclaims network resources", cri-api v1)
var _ = Describe("The order of an ending", func() {
	for _, e := range podEndings() {
		killed := func(id string) func(witness.Call) bool {
			return func(c witness.Call) bool { return ociBegun("kill", id)(c) || ociBegun("delete", id)(c) }
		}
		It(e.call+": containers, infra process, network", e.covers("containers", "infra", "network", "netns"), podTime, func(ctx SpecContext) {
			t := target.Current()
			t.Need(target.FeatureWitness, target.FeatureHostNamespaces)
			pod := t.Pod(ctx, target.SharedPID())
			c := pod.Run(ctx)
			inode := t.NamespaceOf(c.Init().PID, "net")
			hold := midway(t, "DEL")
			call := e.beside(ctx, pod)
			del := t.Witness.Wait(ctx, cniBegun("DEL", pod.ID))
			Expect(c.Processes()).To(BeEmpty(), "containers at CNI DEL")
			Expect(pod.Processes()).To(BeEmpty(), "infra process at CNI DEL")
			Expect(position(t, "end of the container", killed(c.ID))).
				To(BeNumerically("<", position(t, "end of the infra container", killed(pod.ID))))
			Expect(del.Netns).To(HaveValue(And(HaveField("NSFS", true), HaveField("Mounted", true))), "the namespace at CNI DEL")
			Expect(inode).To(ContainSubstring("%d", del.Netns.Inode))
			Expect(pins(t, pod.ID, "net")).NotTo(BeEmpty(), "the namespace during CNI DEL")
			hold()
			_, err := call.result(ctx)
			Expect(err).NotTo(HaveOccurred())
			Expect(pins(t, pod.ID, "net")).To(BeEmpty())
			Expect(t.Witness.Network("DEL", pod.ID)).To(HaveLen(1), "CNI DEL calls")
			Expect(t.Leases(pod.ID)).To(BeEmpty())
		})
		It(e.call+": the namespaces outlive the infra process", e.covers("infra", "ipc", "uts"), podTime, func(ctx SpecContext) {
			t := target.Current()
			t.Need(target.FeatureWitness)
			pod := t.Pod(ctx, target.SharedPID())
			Expect(pins(t, pod.ID, "ipc")).To(HaveLen(1))
			Expect(shmOf(t, pod.ID)).To(HaveLen(1))
			Expect(pins(t, pod.ID, "uts")).To(HaveLen(1))
			fault := t.Witness.Fault(witness.Fault{Program: witness.OCI, Op: "kill", Match: pod.ID, Action: witness.Stall})
			call := e.beside(ctx, pod)
			t.Witness.Wait(ctx, ociBegun("kill", pod.ID))
			for _, kind := range []string{"ipc", "uts", "net"} {
				Expect(pins(t, pod.ID, kind)).To(HaveLen(1), "%s namespace while the infra process lives", kind)
			}
			Expect(shmOf(t, pod.ID)).To(HaveLen(1), "/dev/shm while the infra process lives")
			t.Witness.Release(fault)
			_, err := call.result(ctx)
			Expect(err).NotTo(HaveOccurred())
			Expect(pins(t, pod.ID, "")).To(BeEmpty(), "namespaces")
			Expect(shmOf(t, pod.ID)).To(BeEmpty(), "/dev/shm")
		})
	}
})
