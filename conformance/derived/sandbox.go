package derived

import (
	"context"
	"slices"
	"strings"

	"ocid/conformance/target"
	"ocid/fixtures/witness"
	"ocid/spec"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

var _ = sandboxKit().describe()

func sandboxKit() kit {
	return kit{
		life:  book().Sandbox,
		drive: driveSandbox,
		calls: map[spec.Event]func(context.Context, *subject) (string, error){
			spec.RunPodSandbox:    func(ctx context.Context, s *subject) (string, error) { return run(ctx, s.t, s.run) },
			spec.RunOther:         func(ctx context.Context, s *subject) (string, error) { return run(ctx, s.t, s.runOther) },
			spec.StopPodSandbox:   stopSandbox,
			spec.RemovePodSandbox: removeSandbox,
			spec.PodSandboxStats: func(ctx context.Context, s *subject) (string, error) {
				_, err := s.t.Runtime.PodSandboxStats(ctx, &runtimeapi.PodSandboxStatsRequest{PodSandboxId: s.id})
				return "", err
			},
			spec.PodSandboxStatus: func(ctx context.Context, s *subject) (string, error) {
				_, err := s.t.Runtime.PodSandboxStatus(ctx, &runtimeapi.PodSandboxStatusRequest{PodSandboxId: s.id})
				return "", err
			},
			spec.UpdateSandbox: func(ctx context.Context, s *subject) (string, error) {
				_, err := s.t.Runtime.UpdatePodSandboxResources(ctx, &runtimeapi.UpdatePodSandboxResourcesRequest{
					PodSandboxId: s.id, Resources: &runtimeapi.LinuxContainerResources{CpuShares: 500},
				})
				return "", err
			},
			spec.PortForward: func(ctx context.Context, s *subject) (string, error) {
				_, err := s.t.Runtime.PortForward(ctx, &runtimeapi.PortForwardRequest{PodSandboxId: s.id})
				return "", err
			},
			spec.JoinSandbox: func(ctx context.Context, s *subject) (string, error) {
				req := proto.CloneOf(s.create)
				req.PodSandboxId = s.id
				_, err := s.t.Runtime.CreateContainer(ctx, req)
				return "", err
			},
		},
		silent: map[spec.Event]func(context.Context, *subject){
			spec.SandboxProcessDied: func(ctx context.Context, s *subject) { killAll(ctx, s.t, s.id) },
		},
		look:  lookAtSandbox,
		adopt: func(s *subject, id string) { s.id = id; removeLater(s.t, id) },
		alone: []spec.Event{spec.SandboxProcessDied},
		failures: map[spec.Event]failure{
			spec.RunPodSandbox: {
				work: witness.Fault{Program: witness.CNI, Op: "ADD"},
				half: witness.Fault{Program: witness.CNI, Op: "ADD", Action: witness.FailAfter},
				undo: witness.Fault{Program: witness.CNI, Op: "DEL"},
			},
			spec.UpdateSandbox:    {not: spec.Ready}, // nothing outside the daemon works
			spec.StopPodSandbox:   {work: witness.Fault{Program: witness.CNI, Op: "DEL"}},
			spec.RemovePodSandbox: {work: witness.Fault{Program: witness.CNI, Op: "DEL"}, not: spec.Stopped},
		},
		unreachable: map[spec.Event]spec.States{
			spec.RunOther:           spec.Absent,                // the event needs a holder of the name
			spec.SandboxProcessDied: spec.Absent | spec.Stopped, // no process is left there
		},
	}
}

func run(ctx context.Context, t *target.T, req *runtimeapi.RunPodSandboxRequest) (string, error) {
	resp, err := t.Runtime.RunPodSandbox(ctx, proto.CloneOf(req))
	return resp.GetPodSandboxId(), err
}

func stopSandbox(ctx context.Context, s *subject) (string, error) {
	_, err := s.t.Runtime.StopPodSandbox(ctx, &runtimeapi.StopPodSandboxRequest{PodSandboxId: s.id})
	return "", err
}

func removeSandbox(ctx context.Context, s *subject) (string, error) {
	_, err := s.t.Runtime.RemovePodSandbox(ctx, &runtimeapi.RemovePodSandboxRequest{PodSandboxId: s.id})
	return "", err
}

// lookAtSandbox tells the states apart as far as status and the network
// namespace do, which a sandbox that is Stopped does not have.
func lookAtSandbox(ctx context.Context, s *subject) (spec.States, proto.Message) {
	GinkgoHelper()
	resp, err := s.t.Runtime.PodSandboxStatus(ctx, &runtimeapi.PodSandboxStatusRequest{PodSandboxId: s.id})
	if status.Code(err) == codes.NotFound {
		return spec.Absent | spec.Creating, nil
	}
	Expect(err).NotTo(HaveOccurred(), "PodSandboxStatus")
	resp.Timestamp, resp.ContainersStatuses = 0, nil // of the answer, and of others
	if resp.GetStatus().GetState() == runtimeapi.PodSandboxState_SANDBOX_READY {
		return spec.Ready, resp
	}
	if slices.ContainsFunc(s.t.PinnedNetns(), func(n target.PinnedNetns) bool { return strings.Contains(n.Path, s.id) }) {
		return spec.NotReady | spec.Stopping | spec.Removing, resp
	}
	return spec.Stopped | spec.Stopping | spec.Removing, resp
}

// newSandboxSubject has the requests and no sandbox yet.
func newSandboxSubject(t *target.T, opts ...target.PodOption) *subject {
	GinkgoHelper()
	s := &subject{t: t, id: unknown, run: t.PodRequest(opts...)}
	s.runOther = proto.CloneOf(s.run)
	s.runOther.Config.Labels["derived"] = "other"
	s.create = (&target.Pod{T: t, ID: unknown, Config: s.run.Config}).ContainerRequest()
	return s
}

func driveSandbox(ctx context.Context, t *target.T, to spec.State, e spec.Event) *subject {
	GinkgoHelper()
	var opts []target.PodOption
	if e == spec.SandboxProcessDied || to == spec.NotReady {
		opts = append(opts, target.SharedPID()) // it has an infra process
	}
	s := newSandboxSubject(t, opts...)
	switch to {
	case spec.Absent:
		return s
	case spec.Creating:
		s.stallRun(ctx, e)
		return s
	}
	p, err := t.RunPod(ctx, proto.CloneOf(s.run))
	Expect(err).NotTo(HaveOccurred(), "RunPodSandbox")
	s.pod, s.id = p, p.ID
	switch to {
	case spec.Ready:
	case spec.Stopping:
		s.stallEnd(ctx, e, spec.StopPodSandbox, to, stopSandbox)
	case spec.Removing:
		s.stallEnd(ctx, e, spec.RemovePodSandbox, to, removeSandbox)
	case spec.NotReady:
		s.makeNotReady(ctx, e)
	case spec.Stopped:
		Expect(p.Stop(ctx)).To(Succeed(), "StopPodSandbox")
	default:
		Fail("how a sandbox becomes " + to.String() + " is not known")
	}
	return s
}

// stallRun begins a RunPodSandbox that stalls in CNI ADD, or behind the start of
// the infra process if that is to die.
func (s *subject) stallRun(ctx context.Context, e spec.Event) {
	GinkgoHelper()
	f := witness.Fault{Program: witness.CNI, Op: "ADD", Action: witness.Stall}
	if e == spec.SandboxProcessDied {
		f = witness.Fault{Program: witness.OCI, Op: "start", Action: witness.StallAfter}
	}
	op := &operation{event: spec.RunPodSandbox, to: leadsTo(book().Sandbox, spec.RunPodSandbox, spec.Creating), release: stall(s.t, f)}
	op.aside = begin(ctx, func(ctx context.Context) (string, error) { return run(ctx, s.t, s.run) })
	s.id, s.busy = stalled(ctx, s.t, f.Program, f.Op).Container, op
	removeLater(s.t, s.id)
	if e == spec.SandboxProcessDied {
		awaitDone(ctx, s.t, "start")
	}
}

// stallEnd begins to stop or remove the sandbox and stalls in CNI DEL, or before
// the infra process ends if that is to die by itself.
func (s *subject) stallEnd(ctx context.Context, e, by spec.Event, via spec.State, end func(context.Context, *subject) (string, error)) {
	GinkgoHelper()
	f := witness.Fault{Program: witness.CNI, Op: "DEL", Action: witness.Stall}
	if e == spec.SandboxProcessDied {
		f = witness.Fault{Program: witness.OCI, Op: "kill", Match: s.pod.Run(ctx).ID, Action: witness.Stall}
	}
	s.busy = &operation{event: by, to: leadsTo(book().Sandbox, by, via), release: stall(s.t, f)}
	s.busy.aside = begin(ctx, func(ctx context.Context) (string, error) { return end(ctx, s) })
	stalled(ctx, s.t, f.Program, f.Op)
}

// makeNotReady has the infra process die, or, if that is still to come, a stop
// fail before it.
func (s *subject) makeNotReady(ctx context.Context, e spec.Event) {
	GinkgoHelper()
	if e != spec.SandboxProcessDied {
		killAll(ctx, s.t, s.id)
	} else {
		c := s.pod.Run(ctx)
		release := stall(s.t, witness.Fault{Program: witness.OCI, Op: "kill", Match: c.ID, Action: witness.Fail})
		Expect(s.pod.Stop(ctx)).NotTo(Succeed(), "StopPodSandbox with a runtime that fails")
		release()
	}
	Eventually(ctx, func() runtimeapi.PodSandboxState { return s.pod.Status(ctx).GetState() }).
		WithTimeout(target.Current().HappensIn()).WithPolling(looksEach).Should(Equal(runtimeapi.PodSandboxState_SANDBOX_NOTREADY))
}
