package probe

import (
	"context"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"ocid/conformance/target"
	"ocid/fixtures/witness"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// restartLimit bounds a case that ends and starts the daemon.
const restartLimit = SpecTimeout(40 * time.Second)

// Short names of states.
const (
	podReady    = runtimeapi.PodSandboxState_SANDBOX_READY
	podNotReady = runtimeapi.PodSandboxState_SANDBOX_NOTREADY
	isCreated   = runtimeapi.ContainerState_CONTAINER_CREATED
	isRunning   = runtimeapi.ContainerState_CONTAINER_RUNNING
	isExited    = runtimeapi.ContainerState_CONTAINER_EXITED
)

// ends are the ways a daemon's life ends: told to, and by kill -9.
var ends = []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL}

// endDaemon ends the daemon; the case starts it again.
func endDaemon(ctx context.Context, t *target.T, sig syscall.Signal) {
	GinkgoHelper()
	t.Need(target.FeatureRestart)
	_, err := t.SignalDaemon(ctx, sig)
	Expect(err).NotTo(HaveOccurred(), "end of the daemon")
}

func startDaemon(ctx context.Context, t *target.T) {
	GinkgoHelper()
	Expect(t.StartDaemon(ctx)).To(Succeed(), "start of the daemon")
}

// crash kills the daemon with SIGKILL and starts it again.
func crash(ctx context.Context, t *target.T) {
	GinkgoHelper()
	Expect(t.Restart(ctx, syscall.SIGKILL)).To(Succeed(), "restart of the daemon")
}

// stallNetworkOnce makes one CNI call for a pod wait. The function returned, or
// the end of the case, lets it go on.
func stallNetworkOnce(t *target.T, op, match string) (release func()) {
	GinkgoHelper()
	id := t.Witness.Fault(witness.Fault{Program: witness.CNI, Op: op, Match: match, Action: witness.Stall, Times: 1})
	release = func() { t.Witness.Release(id) }
	DeferCleanup(release)
	return release
}

// stallRuntimeOnce is stallNetworkOnce for a call of the runtime.
func stallRuntimeOnce(t *target.T, op, match string, action witness.Action) (release func()) {
	GinkgoHelper()
	id := t.Witness.Fault(witness.Fault{Program: witness.OCI, Op: op, Match: match, Action: action, Times: 1})
	release = func() { t.Witness.Release(id) }
	DeferCleanup(release)
	return release
}

// awaitStruck waits until a fault strikes a call of the operation.
func awaitStruck(ctx context.Context, t *target.T, program, op string) witness.Call {
	GinkgoHelper()
	return t.Witness.Wait(ctx, func(c witness.Call) bool {
		return c.Program == program && c.Phase == witness.Begin && c.Op == op && c.Fault != ""
	})
}

// begun is a call for whose answer nobody waits, or whose daemon dies.
func begun(call func() error) *aside[struct{}] { return beginCall(call) }

// expectNoTrace fails unless nothing on the host is named after the sandbox.
func expectNoTrace(ctx context.Context, p *target.Pod) {
	GinkgoHelper()
	t := p.T
	Eventually(ctx, p.Processes).WithTimeout(happensIn()).Should(BeEmpty(), "processes")
	Expect(t.Leases(p.ID)).To(BeEmpty(), "leases")
	Expect(netnsOf(p)).To(BeEmpty(), "network namespace")
	Expect(t.Mounts(p.ID)).To(BeEmpty(), "mounts")
}

// netnsOf returns the pinned network namespaces that are named after the
// sandbox.
func netnsOf(p *target.Pod) []string {
	GinkgoHelper()
	var some []string
	for _, n := range p.T.PinnedNetns() {
		if strings.Contains(n.Path, p.ID) {
			some = append(some, n.Path)
		}
	}
	return some
}

// vanished reports whether the process has ended and been waited for.
func vanished(t *target.T, p target.Process) bool {
	GinkgoHelper()
	all, err := t.Observer().Processes()
	Expect(err).NotTo(HaveOccurred())
	return !slices.ContainsFunc(all, func(x target.Process) bool { return x.PID == p.PID && x.Started == p.Started })
}

// killProcesses kills processes of the daemon's and waits until nothing is left
// of them: whoever inherits them may take a second to ask for their status.
func killProcesses(ctx context.Context, t *target.T, all ...target.Process) {
	GinkgoHelper()
	for _, p := range all {
		Expect(unix.Kill(p.PID, unix.SIGKILL)).To(Or(Succeed(), MatchError(unix.ESRCH)), "kill %s", p)
	}
	for _, p := range all {
		Eventually(ctx, func() bool { return vanished(t, p) }).WithTimeout(reapedIn).Should(BeTrue(), "end of %s", p)
	}
}

const reapedIn = 15 * time.Second

// withoutLog is a container option for probes that compare the files before
// and after: it keeps no log.
func withoutLog() target.ContainerOption {
	return target.WithContainer(func(c *runtimeapi.ContainerConfig) { c.LogPath = "" })
}

// monitorsOf returns the processes that look after a container or sandbox but
// are not in it.
func monitorsOf(t *target.T, id string) []target.Process {
	GinkgoHelper()
	inside := map[int]bool{}
	for _, p := range t.ProcessesOf(id) {
		inside[p.PID] = true
	}
	var some []target.Process
	for _, p := range t.Mentioning(id) {
		if !inside[p.PID] && p.State != 'Z' && !strings.HasPrefix(path.Base(p.Args[0]), "witness-") {
			some = append(some, p)
		}
	}
	return some
}

// expectUsable fails unless containers run in the sandbox.
func expectUsable(ctx context.Context, p *target.Pod) {
	GinkgoHelper()
	c := p.Run(ctx)
	Expect(c.Output(ctx, "echo", "works")).To(Equal("works"))
	Expect(c.Stop(ctx, 5)).To(Succeed(), "StopContainer")
	Expect(c.Status(ctx).GetExitCode()).To(BeZero())
}
