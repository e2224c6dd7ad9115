package probe

import (
	"context"
	"strings"
	"syscall"
	"time"

	"ocid/conformance/target"
	"ocid/fixtures/witness"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const eventsLimit = SpecTimeout(40 * time.Second)

// The kinds of events, as probes write them.
const (
	created = "CREATED"
	started = "STARTED"
	stopped = "STOPPED"
	deleted = "DELETED"
)

// inShort is an event in short: the object as the probe calls it, and the kind.
func inShort(e *runtimeapi.ContainerEventResponse, names map[string]string) string {
	name := names[e.GetContainerId()]
	if name == "" {
		name = e.GetContainerId()
	}
	return name + " " + strings.TrimSuffix(strings.TrimPrefix(e.GetContainerEventType().String(), "CONTAINER_"), "_EVENT")
}

// expectTold waits for events of the objects named and fails the case unless
// they are exactly those, in order.
func expectTold(ctx context.Context, events *target.Events, names map[string]string, want ...string) []*runtimeapi.ContainerEventResponse {
	GinkgoHelper()
	short := func() (all []string) {
		for _, e := range events.All() {
			all = append(all, inShort(e, names))
		}
		return all
	}
	Eventually(ctx, func() int { return len(short()) }).WithTimeout(happensIn()).WithPolling(2*time.Millisecond).
		Should(BeNumerically(">=", len(want)), "events; there are %v", short)
	Consistently(ctx, short).WithTimeout(20*time.Millisecond).Should(Equal(want), "events")
	return events.All()
}

// life is the events of something that came and went.
func life(name string, kinds ...string) (all []string) {
	for _, k := range kinds {
		all = append(all, name+" "+k)
	}
	return all
}

// "CONTAINER_CREATED_EVENT: Container created. CONTAINER_STARTED_EVENT: Container
// started. CONTAINER_STOPPED_EVENT: Container stopped. CONTAINER_DELETED_EVENT:
// Container deleted." (cri-api v1, ContainerEventType)
var _ = Describe("GetContainerEvents", target.Covers("events.containers", "events.sandboxes"), func() {
	It("tells the life of a pod and of its container, each step once and with the status of its time", target.Covers("events.status"), eventsLimit, func(ctx SpecContext) {
		t := target.Current()
		events := t.Events(ctx)
		before := time.Now()
		p := t.Pod(ctx)
		c := p.Run(ctx)
		Expect(c.Stop(ctx, 10)).To(Succeed())
		Expect(c.Stop(ctx, 10)).To(Succeed(), "StopContainer again")
		Expect(c.Remove(ctx)).To(Succeed())
		Expect(p.Stop(ctx)).To(Succeed())
		Expect(p.Stop(ctx)).To(Succeed(), "StopPodSandbox again")
		Expect(p.Remove(ctx)).To(Succeed())
		all := expectTold(ctx, events, map[string]string{p.ID: "pod", c.ID: "c"}, "pod CREATED", "pod STARTED",
			"c CREATED", "c STARTED", "c STOPPED", "c DELETED", "pod STOPPED", "pod DELETED")
		last := before.UnixNano()
		for i, e := range all {
			Expect(e.GetCreatedAt()).To(BeNumerically(">=", last), "created_at of event %d", i)
			last = e.GetCreatedAt()
			sandbox := e.GetPodSandboxStatus()
			Expect(sandbox.GetId()).To(Equal(p.ID), "pod_sandbox_status.id of event %d", i)
			Expect(sandbox.GetMetadata().GetUid()).To(Equal(p.Config.GetMetadata().GetUid()), "UID of event %d", i)
			want := podReady
			if i >= 6 {
				want = notReady
			}
			Expect(sandbox.GetState()).To(Equal(want), "the sandbox's state in event %d", i)
		}
		Expect(last).To(BeNumerically("<=", time.Now().UnixNano()))
		Expect(all[1].GetPodSandboxStatus().GetNetwork().GetIp()).NotTo(BeEmpty(), "the pod's address")
		states := []runtimeapi.ContainerState{runtimeapi.ContainerState_CONTAINER_CREATED, runtimeapi.ContainerState_CONTAINER_RUNNING, runtimeapi.ContainerState_CONTAINER_EXITED}
		for i, state := range states {
			Expect(all[2+i].GetContainersStatuses()).To(HaveLen(1), "containers_statuses of event %d", 2+i)
			Expect(all[2+i].GetContainersStatuses()[0].GetId()).To(Equal(c.ID))
			Expect(all[2+i].GetContainersStatuses()[0].GetState()).To(Equal(state), "the container's state in event %d", 2+i)
		}
		end := all[4].GetContainersStatuses()[0]
		Expect(end.GetFinishedAt()).To(And(BeNumerically(">=", end.GetStartedAt()), BeNumerically("<=", all[4].GetCreatedAt())), "finished_at")
		Expect(end.GetReason()).To(Equal("Completed"))
		Expect(all[5].GetContainersStatuses()).To(BeEmpty(), "of a container that is gone")
	})

	It("tells the end of a container that nobody has asked for", target.Needs(target.FeatureHostNamespaces), eventsLimit, func(ctx SpecContext) {
		t := target.Current()
		p := t.Pod(ctx)
		events := t.Events(ctx)
		exits := p.Run(ctx, target.Shell("exit 7"))
		names := map[string]string{exits.ID: "exits"}
		expectTold(ctx, events, names, "exits CREATED", "exits STARTED", "exits STOPPED")
		killed := p.Run(ctx)
		names[killed.ID] = "killed"
		killProcesses(ctx, t, killed.Init())
		all := expectTold(ctx, events, names, "exits CREATED", "exits STARTED", "exits STOPPED", "killed CREATED", "killed STARTED", "killed STOPPED")
		codes := map[string]int32{}
		for _, s := range all[5].GetContainersStatuses() {
			codes[names[s.GetId()]] = s.GetExitCode()
		}
		Expect(codes).To(Equal(map[string]int32{"exits": 7, "killed": 137}), "exit codes in the last event")
	})

	It("tells a start that fails as an end, and nothing of what has never been made", eventsLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureWitness)
		p := t.Pod(ctx)
		events := t.Events(ctx)
		c := p.Create(ctx)
		t.Witness.Fault(witness.Fault{Program: witness.OCI, Op: "start", Action: witness.Fail, Times: 1})
		Expect(c.Start(ctx)).NotTo(Succeed())
		t.Witness.Fault(witness.Fault{Program: witness.OCI, Op: "create", Action: witness.Fail, Times: 1})
		_, err := p.TryCreate(ctx)
		Expect(err).To(HaveOccurred())
		t.Witness.Fault(witness.Fault{Program: witness.CNI, Op: "ADD", Action: witness.Fail, Times: 1})
		_, err = t.TryPod(ctx)
		Expect(err).To(HaveOccurred())
		all := expectTold(ctx, events, map[string]string{c.ID: "c"}, life("c", created, stopped)...)
		Expect(all[1].GetContainersStatuses()).To(ContainElement(HaveField("Reason", "StartError")))
	})

	It("tells the containers' ends before the sandbox's, when it is stopped and when it is removed", eventsLimit, func(ctx SpecContext) {
		t := target.Current()
		p, q := t.Pod(ctx), t.Pod(ctx)
		a, b, never := p.Run(ctx), q.Run(ctx), q.Create(ctx)
		events := t.Events(ctx)
		names := map[string]string{p.ID: "p", q.ID: "q", a.ID: "a", b.ID: "b", never.ID: "never"}
		Expect(p.Stop(ctx)).To(Succeed())
		expectTold(ctx, events, names, "a STOPPED", "p STOPPED")
		Expect(p.Remove(ctx)).To(Succeed())
		expectTold(ctx, events, names, "a STOPPED", "p STOPPED", "a DELETED", "p DELETED")

		removed := t.Events(ctx)
		Expect(q.Remove(ctx)).To(Succeed())
		Eventually(ctx, func() int { return len(removed.All()) }).WithTimeout(happensIn()).Should(BeNumerically(">=", 6))
		got := map[string][]string{}
		var order []string
		for _, e := range removed.All() {
			name, kind, _ := strings.Cut(inShort(e, names), " ")
			got[name] = append(got[name], kind)
			order = append(order, name)
		}
		ends := []string{stopped, deleted}
		Expect(got).To(Equal(map[string][]string{"b": ends, "never": ends, "q": ends}))
		Expect(order[4:]).To(Equal([]string{"q", "q"}), "the sandbox comes last")
	})

	It("goes on after a restart, with what happens from then on", target.Needs(target.FeatureHostNamespaces), target.Covers("events.subscribe"), restartLimit, func(ctx SpecContext) {
		t := target.Current()
		p := t.Pod(ctx)
		a, b := p.Run(ctx), p.Run(ctx)
		endDaemon(ctx, t, syscall.SIGKILL)
		killProcesses(ctx, t, b.Init())
		startDaemon(ctx, t)
		events := t.Events(ctx)
		Expect(b.State(ctx)).To(Equal(runtimeapi.ContainerState_CONTAINER_EXITED))
		Expect(a.Stop(ctx, 10)).To(Succeed())
		expectTold(ctx, events, map[string]string{a.ID: "a", b.ID: "b"}, "a STOPPED")
	})
})

// largePod is a pod whose events fill what a connection takes without a reader.
func largePod(ctx context.Context, t *target.T) *target.Pod {
	GinkgoHelper()
	opts := []target.PodOption{target.Annotations(map[string]string{"large": strings.Repeat("x", 1<<20)})}
	if t.Has(target.FeatureHostNetwork) {
		opts = append(opts, target.HostNetwork()) // which is quick
	}
	return t.Pod(ctx, opts...)
}

var _ = Describe("A subscriber of events", func() {
	It("gets what happens after it has come, as others do", target.Covers("events.subscribe"), eventsLimit, func(ctx SpecContext) {
		t := target.Current()
		first := t.Events(ctx)
		p := t.Pod(ctx)
		second := t.Events(ctx)
		c := p.Create(ctx)
		names := map[string]string{p.ID: "p", c.ID: "c"}
		expectTold(ctx, second, names, "c CREATED")
		expectTold(ctx, first, names, "p CREATED", "p STARTED", "c CREATED")
	})

	// A status that is looked up when the event is sent would be another.
	It("that reads late reads what was", target.Covers("events.status", "events.slow"), eventsLimit, func(ctx SpecContext) {
		t := target.Current()
		slow, other := t.EventStream(ctx), t.Events(ctx)
		large := largePod(ctx, t)
		p := t.Pod(ctx)
		c := p.Run(ctx)
		Expect(c.Stop(ctx, 0)).To(Succeed())
		Expect(c.Remove(ctx)).To(Succeed())
		names := map[string]string{large.ID: "large", p.ID: "p", c.ID: "c"}
		want := append(life("large", created, started), "p CREATED", "p STARTED", "c CREATED", "c STARTED", "c STOPPED", "c DELETED")
		expectTold(ctx, other, names, want...)
		all := expectTold(ctx, target.Follow(slow), names, want...)
		for i, state := range []string{"CONTAINER_CREATED", "CONTAINER_RUNNING", "CONTAINER_EXITED"} {
			Expect(all[4+i].GetContainersStatuses()).To(HaveLen(1))
			Expect(all[4+i].GetContainersStatuses()[0].GetState().String()).To(Equal(state), "event %d", 4+i)
		}
	})

	// CRI has no event that says that some are missing: the stream's end does, and
	// kubelet subscribes and lists anew then.
	It("that does not read is told what it has missed, and holds up nobody", target.Covers("events.missed", "events.slow"), eventsLimit, func(ctx SpecContext) {
		t := target.Current()
		slow, other := t.EventStream(ctx), t.Events(ctx)
		var want []string
		names := map[string]string{}
		for _, name := range []string{"1", "2", "3", "4"} {
			p := largePod(ctx, t)
			Expect(p.Remove(ctx)).To(Succeed())
			names[p.ID] = name
			want = append(want, life(name, created, started, stopped, deleted)...)
		}
		expectTold(ctx, other, names, want...)
		late := target.Follow(slow)
		Eventually(ctx, late.Done()).WithTimeout(happensIn()).Should(BeClosed(), "the end of the stream")
		t.ExpectCode(late.Err(), codes.DataLoss)
		t.ExpectRule(late.Err(), "events.missed")
		Expect(len(late.All())).To(BeNumerically("<", 4), "events before the gap")
		Expect(status.Convert(late.Err()).Message()).To(MatchRegexp("missed [1-9][0-9]* events"))

		anew := t.Events(ctx)
		p := t.Pod(ctx)
		expectTold(ctx, anew, map[string]string{p.ID: "p"}, life("p", created, started)...)
	})

	It("does not hold up the daemon's end", target.Covers("events.shutdown"), restartLimit, func(ctx SpecContext) {
		t := target.Current()
		events := t.Events(ctx)
		end := terminated(ctx, t, syscall.SIGTERM)
		expectExit(ctx, end, atOnce)
		Eventually(ctx, events.Done()).WithTimeout(happensIn()).Should(BeClosed(), "the end of the stream")
		t.ExpectCode(events.Err(), codes.Unavailable)
		t.ExpectRule(events.Err(), "events.shutdown")
	})
})

// "Container statuses. Timestamp in nanoseconds at which container and pod
// statuses were recorded" (cri-api v1, PodSandboxStatusResponse)
var _ = Describe("PodSandboxStatus", target.Covers("sandbox.status.containers"), func() {
	It("has the status of each container, and its time", eventsLimit, func(ctx SpecContext) {
		t := target.Current()
		p, other := t.Pod(ctx), t.Pod(ctx)
		other.Create(ctx)
		ask := func() *runtimeapi.PodSandboxStatusResponse {
			GinkgoHelper()
			from := time.Now().UnixNano()
			resp, err := t.Runtime.PodSandboxStatus(ctx, &runtimeapi.PodSandboxStatusRequest{PodSandboxId: p.ID})
			Expect(err).NotTo(HaveOccurred())
			Expect(resp.GetTimestamp()).To(And(BeNumerically(">=", from), BeNumerically("<=", time.Now().UnixNano())), "timestamp")
			return resp
		}
		Expect(ask().GetContainersStatuses()).To(BeEmpty())
		running, exited, made := p.Run(ctx), p.Run(ctx), p.Create(ctx)
		Expect(exited.Stop(ctx, 0)).To(Succeed())
		got := map[string]string{}
		for _, s := range ask().GetContainersStatuses() {
			got[s.GetId()] = s.GetState().String()
			Expect(s.GetImageId()).NotTo(BeEmpty())
		}
		Expect(got).To(Equal(map[string]string{running.ID: "CONTAINER_RUNNING", exited.ID: "CONTAINER_EXITED", made.ID: "CONTAINER_CREATED"}))
		Expect(made.Remove(ctx)).To(Succeed())
		Expect(ask().GetContainersStatuses()).To(HaveLen(2))
	})
})
