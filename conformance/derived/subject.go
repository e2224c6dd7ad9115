package derived

import (
	"context"
	"errors"
	"strings"
	"syscall"

	"ocid/conformance/target"
	"ocid/fixtures/witness"
	"ocid/spec"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// A subject is the object that an event happens to.
type subject struct {
	t    *target.T
	id   string
	busy *operation // in flight; nil in a stable state

	pod *target.Pod // the sandbox, or the one that the container is in

	// What makes the object, the same name in a different request, and a
	// container for the sandbox.
	run, runOther       *runtimeapi.RunPodSandboxRequest
	create, createOther *runtimeapi.CreateContainerRequest
}

// unknown is an ID that no object has.
var unknown = strings.Repeat("0a", 32)

// stall makes the next call of an operation wait until the release, or the end
// of the case.
func stall(t *target.T, f witness.Fault) (release func()) {
	GinkgoHelper()
	id := t.Witness.Fault(f)
	release = func() { t.Witness.Release(id) }
	DeferCleanup(release)
	return release
}

// stalled waits until the call that a fault strikes has begun.
func stalled(ctx context.Context, t *target.T, program, op string) witness.Call {
	GinkgoHelper()
	return t.Witness.Wait(ctx, func(c witness.Call) bool {
		return c.Program == program && c.Op == op && c.Phase == witness.Begin && c.Fault != ""
	})
}

// leadsTo is the state that an operation leads to from the state that holds
// while it runs.
func leadsTo(l spec.Lifecycle, e spec.Event, via spec.State) spec.State {
	for _, r := range l.Rows {
		if r.On == e && r.Act == spec.Do && r.Via == via {
			return r.To
		}
	}
	return 0
}

// killAll ends the object's processes on the host, as an accident would: those
// that stand for it where it runs on a kernel of its own.
func killAll(ctx context.Context, t *target.T, id string) {
	GinkgoHelper()
	if !t.Has(target.FeatureOwnKernel) {
		t.Need(target.FeatureHostNamespaces)
	}
	all := t.ProcessesOf(id)
	Expect(all).NotTo(BeEmpty(), "processes on the host")
	for _, p := range all {
		if err := syscall.Kill(p.PID, syscall.SIGKILL); !errors.Is(err, syscall.ESRCH) {
			Expect(err).NotTo(HaveOccurred(), "kill %s", p)
		}
	}
	Eventually(ctx, func() []target.Process { return t.ProcessesOf(id) }).
		WithTimeout(target.Current().HappensIn()).WithPolling(looksEach).Should(BeEmpty(), "killed processes")
}

// needOwnProcess skips the case where nothing stands for an object on the host
// yet while the runtime is at work on it.
func needOwnProcess(t *target.T) {
	GinkgoHelper()
	if t.Has(target.FeatureKeepers) {
		t.Need(target.FeatureHostNamespaces)
	}
}

// removeLater has a sandbox removed at the end of the case that was not made by
// the target's own means.
func removeLater(t *target.T, id string) {
	t.Cleanup("sandbox "+id, func(ctx context.Context) error {
		_, stop := t.Runtime.StopPodSandbox(ctx, &runtimeapi.StopPodSandboxRequest{PodSandboxId: id})
		_, remove := t.Runtime.RemovePodSandbox(ctx, &runtimeapi.RemovePodSandboxRequest{PodSandboxId: id})
		return errors.Join(stop, remove)
	})
}
