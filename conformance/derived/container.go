package derived

import (
	"context"
	"maps"
	"slices"

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

var _ = containerKit().describe()

func containerKit() kit {
	return kit{
		life:  book().Container,
		drive: driveContainer,
		calls: with(containerCalls(), map[spec.Event]func(context.Context, *subject) (string, error){
			spec.CreateContainer: func(ctx context.Context, s *subject) (string, error) { return create(ctx, s.t, s.create) },
			spec.CreateOther:     func(ctx context.Context, s *subject) (string, error) { return create(ctx, s.t, s.createOther) },
			spec.StartContainer:  startContainer,
			spec.StopContainer:   stopContainer,
			spec.RemoveContainer: removeContainer,
			spec.SandboxStops:    func(ctx context.Context, s *subject) (string, error) { return "", s.pod.Stop(ctx) },
		}),
		silent: map[spec.Event]func(context.Context, *subject){
			spec.ContainerExited: func(ctx context.Context, s *subject) { killAll(ctx, s.t, s.id) },
		},
		look:  lookAtContainer,
		adopt: func(s *subject, id string) { s.id = id },
		alone: []spec.Event{spec.SandboxStops, spec.ContainerExited},
		failures: map[spec.Event]failure{
			spec.CreateContainer: {
				work: witness.Fault{Program: witness.OCI, Op: "create"},
				half: witness.Fault{Program: witness.OCI, Op: "create", Action: witness.FailAfter},
				undo: witness.Fault{Program: witness.OCI, Op: "delete"},
			},
			spec.StartContainer:  {work: witness.Fault{Program: witness.OCI, Op: "start"}},
			spec.StopContainer:   {work: witness.Fault{Program: witness.OCI, Op: "kill"}},
			spec.RemoveContainer: {work: witness.Fault{Program: witness.OCI, Op: "kill"}, not: spec.Exited},
			spec.UpdateContainer: {work: witness.Fault{Program: witness.OCI, Op: "update"}},
			spec.SandboxStops:    {work: witness.Fault{Program: witness.OCI, Op: "kill"}},
		},
		unreachable: map[spec.Event]spec.States{
			spec.CreateOther:     spec.Absent,               // the event needs a holder of the name
			spec.SandboxStops:    spec.Absent,               // the event happens to the containers that are there
			spec.ContainerExited: spec.Absent | spec.Exited, // no process is left there
		},
	}
}

// containerCalls are the calls about a container that is there, of which they take
// the ID alone.
func containerCalls() map[spec.Event]func(context.Context, *subject) (string, error) {
	return map[spec.Event]func(context.Context, *subject) (string, error){
		spec.ContainerStats: func(ctx context.Context, s *subject) (string, error) {
			_, err := s.t.Runtime.ContainerStats(ctx, &runtimeapi.ContainerStatsRequest{ContainerId: s.id})
			return "", err
		},
		spec.ContainerStatus: func(ctx context.Context, s *subject) (string, error) {
			_, err := s.t.Runtime.ContainerStatus(ctx, &runtimeapi.ContainerStatusRequest{ContainerId: s.id})
			return "", err
		},
		spec.ExecSync: func(ctx context.Context, s *subject) (string, error) {
			_, err := s.t.Runtime.ExecSync(ctx, &runtimeapi.ExecSyncRequest{ContainerId: s.id, Cmd: []string{"true"}, Timeout: 5})
			return "", err
		},
		spec.UpdateContainer: func(ctx context.Context, s *subject) (string, error) {
			_, err := s.t.Runtime.UpdateContainerResources(ctx, &runtimeapi.UpdateContainerResourcesRequest{
				ContainerId: s.id, Linux: &runtimeapi.LinuxContainerResources{CpuShares: 500},
			})
			return "", err
		},
		spec.ReopenLog: func(ctx context.Context, s *subject) (string, error) {
			_, err := s.t.Runtime.ReopenContainerLog(ctx, &runtimeapi.ReopenContainerLogRequest{ContainerId: s.id})
			return "", err
		},
		spec.Exec: func(ctx context.Context, s *subject) (string, error) {
			_, err := s.t.Runtime.Exec(ctx, &runtimeapi.ExecRequest{ContainerId: s.id, Cmd: []string{"true"}, Stdout: true})
			return "", err
		},
		spec.Attach: func(ctx context.Context, s *subject) (string, error) {
			_, err := s.t.Runtime.Attach(ctx, &runtimeapi.AttachRequest{ContainerId: s.id, Stdout: true})
			return "", err
		},
	}
}

// with joins two tables of calls.
func with(a, b map[spec.Event]func(context.Context, *subject) (string, error)) map[spec.Event]func(context.Context, *subject) (string, error) {
	maps.Copy(a, b)
	return a
}

func create(ctx context.Context, t *target.T, req *runtimeapi.CreateContainerRequest) (string, error) {
	resp, err := t.Runtime.CreateContainer(ctx, proto.CloneOf(req))
	return resp.GetContainerId(), err
}

func startContainer(ctx context.Context, s *subject) (string, error) {
	_, err := s.t.Runtime.StartContainer(ctx, &runtimeapi.StartContainerRequest{ContainerId: s.id})
	return "", err
}

func stopContainer(ctx context.Context, s *subject) (string, error) {
	_, err := s.t.Runtime.StopContainer(ctx, &runtimeapi.StopContainerRequest{ContainerId: s.id})
	return "", err
}

func removeContainer(ctx context.Context, s *subject) (string, error) {
	_, err := s.t.Runtime.RemoveContainer(ctx, &runtimeapi.RemoveContainerRequest{ContainerId: s.id})
	return "", err
}

// lookAtContainer tells the states apart as far as the status does.
func lookAtContainer(ctx context.Context, s *subject) (spec.States, proto.Message) {
	GinkgoHelper()
	resp, err := s.t.Runtime.ContainerStatus(ctx, &runtimeapi.ContainerStatusRequest{ContainerId: s.id})
	if status.Code(err) == codes.NotFound {
		return spec.Absent | spec.Creating, nil
	}
	Expect(err).NotTo(HaveOccurred(), "ContainerStatus")
	switch resp.GetStatus().GetState() {
	case runtimeapi.ContainerState_CONTAINER_CREATED:
		return spec.Created | spec.Starting, resp
	case runtimeapi.ContainerState_CONTAINER_RUNNING:
		return spec.Running | spec.Stopping, resp
	}
	return spec.Exited | spec.Removing, resp
}

func newContainerSubject(ctx context.Context, t *target.T) *subject {
	GinkgoHelper()
	p := t.Pod(ctx)
	s := &subject{t: t, id: unknown, pod: p, create: p.ContainerRequest()}
	s.createOther = proto.CloneOf(s.create)
	s.createOther.Config.Labels = map[string]string{"derived": "other"}
	return s
}

func driveContainer(ctx context.Context, t *target.T, to spec.State, e spec.Event) *subject {
	GinkgoHelper()
	s := newContainerSubject(ctx, t)
	switch to {
	case spec.Absent:
		return s
	case spec.Creating:
		s.stallCreate(ctx, e)
		return s
	}
	id, err := create(ctx, t, s.create)
	Expect(err).NotTo(HaveOccurred(), "CreateContainer")
	s.id = id
	switch to {
	case spec.Created:
		return s
	case spec.Starting:
		s.stallStart(ctx, e)
		return s
	}
	_, err = startContainer(ctx, s)
	Expect(err).NotTo(HaveOccurred(), "StartContainer")
	switch to {
	case spec.Running:
	case spec.Stopping:
		s.stallKill(ctx, spec.StopContainer, to, stopContainer)
	case spec.Removing:
		s.stallKill(ctx, spec.RemoveContainer, to, removeContainer)
	case spec.Exited:
		_, err := stopContainer(ctx, s)
		Expect(err).NotTo(HaveOccurred(), "StopContainer")
	default:
		Fail("how a container becomes " + to.String() + " is not known")
	}
	return s
}

// stallCreate begins a CreateContainer that stalls in the runtime, or behind it
// if the process is to die.
func (s *subject) stallCreate(ctx context.Context, e spec.Event) {
	GinkgoHelper()
	if e == spec.ContainerExited {
		needOwnProcess(s.t)
	}
	s.stallIn(ctx, "create", e == spec.ContainerExited, &operation{event: spec.CreateContainer, to: leadsTo(book().Container, spec.CreateContainer, spec.Creating)},
		func(ctx context.Context) (string, error) { return create(ctx, s.t, s.create) })
	if e == spec.ContainerExited {
		awaitDone(ctx, s.t, "create")
	}
}

func (s *subject) stallStart(ctx context.Context, e spec.Event) {
	GinkgoHelper()
	s.stallIn(ctx, "start", e == spec.ContainerExited, &operation{event: spec.StartContainer, to: leadsTo(book().Container, spec.StartContainer, spec.Starting)},
		func(ctx context.Context) (string, error) { return startContainer(ctx, s) })
	if e == spec.ContainerExited {
		awaitDone(ctx, s.t, "start")
	}
}

func (s *subject) stallKill(ctx context.Context, by spec.Event, via spec.State, end func(context.Context, *subject) (string, error)) {
	GinkgoHelper()
	s.stallIn(ctx, "kill", false, &operation{event: by, to: leadsTo(book().Container, by, via)},
		func(ctx context.Context) (string, error) { return end(ctx, s) })
}

// stallIn begins a call that stalls in an operation of the runtime, before its
// effect or after it.
func (s *subject) stallIn(ctx context.Context, op string, after bool, o *operation, call func(context.Context) (string, error)) {
	GinkgoHelper()
	action := witness.Stall
	if after {
		action = witness.StallAfter
	}
	o.release = stall(s.t, witness.Fault{Program: witness.OCI, Op: op, Action: action})
	o.aside = begin(ctx, call)
	s.id, s.busy = stalled(ctx, s.t, witness.OCI, op).Container, o
}

// awaitDone waits until the runtime has done an operation that stalls after it.
func awaitDone(ctx context.Context, t *target.T, op string) {
	GinkgoHelper()
	t.Witness.Wait(ctx, func(c witness.Call) bool { return c.Program == witness.OCI && c.Op == op && c.Phase == witness.Done })
}

// awaitStarted waits until the object's process runs its own program and no
// longer the runtime's.
func awaitStarted(ctx context.Context, t *target.T, id string) {
	GinkgoHelper()
	Eventually(ctx, func() bool {
		all := t.ProcessesOf(id)
		return len(all) > 0 && !slices.ContainsFunc(all, func(p target.Process) bool { return slices.Contains(p.Args, "init") })
	}).WithTimeout(target.Current().HappensIn()).WithPolling(looksEach).Should(BeTrue(), "started process of %s", id)
}
