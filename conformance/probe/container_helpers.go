package probe

import (
	"context"
	"os"
	"strings"
	"time"

	"ocid/conformance/target"
	"ocid/fixtures/witness"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"google.golang.org/protobuf/proto"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Bounds of the container chapter.
const (
	containerLimit = SpecTimeout(40 * time.Second)
	waitsLong      = 200 * time.Millisecond // a call that is open after this waits
	answersIn      = 15 * time.Second       // also where a machine boots
)

// happensIn is how long what happens by itself may take.
func happensIn() time.Duration { return target.Current().HappensIn() }

// stubborn ignores SIGTERM, says so each time, and lives until SIGKILL.
const stubborn = `trap 'echo asked' TERM; echo ready; while :; do sleep 2000 & wait $!; done`

// An aside is a call beside the case.
type aside[R any] struct {
	over  chan struct{}
	value R
	err   error
}

func beginAside[R any](call func() (R, error)) *aside[R] {
	a := &aside[R]{over: make(chan struct{})}
	go func() {
		defer GinkgoRecover()
		defer close(a.over)
		a.value, a.err = call()
	}()
	return a
}

// beginCall is beginAside for a call whose answer is empty.
func beginCall(call func() error) *aside[struct{}] {
	return beginAside(func() (struct{}, error) { return struct{}{}, call() })
}

// expectWaiting fails unless the call is still open after a while.
func (a *aside[R]) expectWaiting(what string) {
	GinkgoHelper()
	Consistently(a.over, waitsLong, waitsLong/10).ShouldNot(BeClosed(), what+" has to wait")
}

// result waits for the answer.
func (a *aside[R]) result(ctx context.Context) (R, error) {
	GinkgoHelper()
	Eventually(ctx, a.over).WithTimeout(answersIn).Should(BeClosed(), "the call does not return")
	return a.value, a.err
}

// stallRuntime makes the runtime's operation wait for a container whose ID, or
// an annotation of which, holds match. The function returned lets it go on; the
// end of the case does so too.
func stallRuntime(t *target.T, op, match string, action witness.Action) (release func()) {
	GinkgoHelper()
	id := t.Witness.Fault(witness.Fault{Program: witness.OCI, Op: op, Match: match, Action: action})
	release = func() { t.Witness.Release(id) }
	DeferCleanup(release)
	return release
}

// awaitRuntime waits for the beginning of a runtime's operation.
func awaitRuntime(ctx context.Context, t *target.T, op string, match func(witness.Call) bool) witness.Call {
	GinkgoHelper()
	return t.Witness.Wait(ctx, func(c witness.Call) bool {
		return c.Program == witness.OCI && c.Phase == witness.Begin && c.Op == op && match(c)
	})
}

func ofContainer(id string) func(witness.Call) bool {
	return func(c witness.Call) bool { return c.Container == id }
}

// A halfMade container's CreateContainer is stalled in the runtime.
type halfMade struct {
	*target.Container
	req     *runtimeapi.CreateContainerRequest
	create  witness.Call
	call    *aside[*target.Container]
	release func()
}

func makeHalf(ctx context.Context, p *target.Pod, opts ...target.ContainerOption) *halfMade {
	GinkgoHelper()
	h := &halfMade{req: p.ContainerRequest(opts...)}
	h.release = stallRuntime(p.T, "create", h.req.GetConfig().GetMetadata().GetName(), witness.Stall)
	h.call = beginAside(func() (*target.Container, error) { return p.CreateFrom(ctx, proto.CloneOf(h.req)) })
	h.create = awaitRuntime(ctx, p.T, "create", func(c witness.Call) bool { return c.Fault != "" })
	h.Container = &target.Container{T: p.T, Pod: p, ID: h.create.Container, Config: h.req.GetConfig()}
	return h
}

// startStalled returns a created container whose StartContainer is stalled in the
// runtime.
func startStalled(ctx context.Context, p *target.Pod, opts ...target.ContainerOption) (c *target.Container, call *aside[struct{}], release func()) {
	GinkgoHelper()
	c = p.Create(ctx, opts...)
	release = stallRuntime(p.T, "start", c.ID, witness.Stall)
	call = beginCall(func() error { return c.Start(ctx) })
	awaitRuntime(ctx, p.T, "start", ofContainer(c.ID))
	return c, call, release
}

// stopStalled makes a running container one whose StopContainer is stalled in the
// runtime.
func stopStalled(ctx context.Context, c *target.Container) (call *aside[struct{}], release func()) {
	GinkgoHelper()
	return endStalled(ctx, c, func() error { return c.Stop(ctx, 0) })
}

// removeStalled makes a running container one whose RemoveContainer is stalled in the
// runtime.
func removeStalled(ctx context.Context, c *target.Container) (call *aside[struct{}], release func()) {
	GinkgoHelper()
	return endStalled(ctx, c, func() error { return c.Remove(ctx) })
}

func endStalled(ctx context.Context, c *target.Container, end func() error) (call *aside[struct{}], release func()) {
	GinkgoHelper()
	release = stallRuntime(c.T, "kill", c.ID, witness.Stall)
	call = beginCall(end)
	awaitRuntime(ctx, c.T, "kill", ofContainer(c.ID))
	return call, release
}

// ranOut runs a script to its end.
func ranOut(ctx context.Context, p *target.Pod, script string) *target.Container {
	GinkgoHelper()
	c := p.Run(ctx, target.Shell(script))
	awaitState(ctx, c, runtimeapi.ContainerState_CONTAINER_EXITED)
	return c
}

func awaitState(ctx context.Context, c *target.Container, want runtimeapi.ContainerState) {
	GinkgoHelper()
	Eventually(ctx, func() runtimeapi.ContainerState { return c.State(ctx) }).
		WithTimeout(happensIn()).WithPolling(5*time.Millisecond).Should(Equal(want), "state of %s", c)
}

// nobody is a container that no daemon knows.
func nobody(t *target.T) *target.Container {
	return &target.Container{T: t, ID: strings.Repeat("0a", 32)}
}

// logOf returns what the container's log file holds; "" if there is none yet.
func logOf(c *target.Container) string {
	data, err := os.ReadFile(c.Pod.LogPath(c.Config.GetLogPath()))
	if err != nil {
		return ""
	}
	return string(data)
}

// awaitLog waits until the container has written the text.
func awaitLog(ctx context.Context, c *target.Container, text string) {
	GinkgoHelper()
	Eventually(ctx, func() string { return logOf(c) }).WithTimeout(happensIn()).WithPolling(5*time.Millisecond).
		Should(ContainSubstring(text), "log of %s", c)
}

// expectGone fails unless nothing on the host is named after the container.
func expectGone(ctx context.Context, c *target.Container) {
	GinkgoHelper()
	t := c.T
	Expect(c.Listed(ctx)).To(BeNil(), "ListContainers")
	Eventually(ctx, c.Processes).WithTimeout(happensIn()).Should(BeEmpty(), "processes")
	Expect(t.Files(c.ID)).To(BeEmpty(), "files")
	Expect(t.Cgroups(c.ID)).To(BeEmpty(), "cgroups")
	if t.Has(target.FeatureStorageRecords) {
		_, found := t.Storage().Record(c.ID)
		Expect(found).To(BeFalse(), "storage record")
	}
}
