package probe

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"ocid/conformance/target"
	"ocid/fixtures/witness"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Helpers of the chapters about sandboxes.

const (
	podTime   = SpecTimeout(40 * time.Second) // for one case
	podMoment = 8 * time.Second               // in which what has to happen by itself happens
	podAbsent = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
)

// runBeside sends RunPodSandbox; what it makes goes at the end of the case.
func runBeside(ctx context.Context, t *target.T, req *runtimeapi.RunPodSandboxRequest) *aside[string] {
	return beginAside(func() (string, error) {
		resp, err := t.Runtime.RunPodSandbox(ctx, req)
		return resp.GetPodSandboxId(), err
	})
}

func stopBeside(ctx context.Context, p *target.Pod) *aside[string] {
	return beginAside(func() (string, error) { return p.ID, p.Stop(ctx) })
}

func removeBeside(ctx context.Context, p *target.Pod) *aside[string] {
	return beginAside(func() (string, error) { return p.ID, p.Remove(ctx) })
}

// ownPod is the handle of a sandbox that the case learnt of by other ways than
// an answer. It goes at the end of the case.
func ownPod(t *target.T, id string, config *runtimeapi.PodSandboxConfig) *target.Pod {
	p := &target.Pod{T: t, ID: id, Config: config}
	t.Cleanup("sandbox "+id, func(ctx context.Context) error {
		if err := p.Stop(ctx); err != nil {
			return err
		}
		return p.Remove(ctx)
	})
	return p
}

// cniBegun accepts the beginning of a call of the CNI plugin; id "" is any
// sandbox's.
func cniBegun(op, id string) func(witness.Call) bool {
	return func(c witness.Call) bool {
		return c.Program == witness.CNI && c.Phase == witness.Begin && c.Op == op && (id == "" || c.Container == id)
	}
}

// ociBegun accepts the beginning of a call of the runtime.
func ociBegun(op, id string) func(witness.Call) bool {
	return func(c witness.Call) bool {
		return c.Program == witness.OCI && c.Phase == witness.Begin && c.Op == op && (id == "" || c.Container == id)
	}
}

// position is the place of the first call that match accepts among all that
// were seen; none fails the case.
func position(t *target.T, what string, match func(witness.Call) bool) int {
	GinkgoHelper()
	for i, c := range t.Witness.Calls() {
		if match(c) {
			return i
		}
	}
	Fail("no call was seen: " + what)
	return -1
}

// midway holds all CNI calls of an operation until release is called.
func midway(t *target.T, op string) (release func()) {
	GinkgoHelper()
	fault := t.Witness.Fault(witness.Fault{Program: witness.CNI, Op: op, Action: witness.Stall})
	return func() {
		GinkgoHelper()
		t.Witness.Release(fault)
	}
}

// A busyPod is a sandbox in the middle of an operation.
type busyPod struct {
	*target.Pod
	req     *runtimeapi.RunPodSandboxRequest
	call    *aside[string]
	release func()
}

// creating returns a sandbox that is being created: its CNI ADD does not end.
func creating(ctx context.Context, t *target.T, opts ...target.PodOption) *busyPod {
	GinkgoHelper()
	t.Need(target.FeatureWitness)
	b := &busyPod{req: t.PodRequest(opts...), release: midway(t, "ADD")}
	b.call = runBeside(ctx, t, b.req)
	id := t.Witness.Wait(ctx, cniBegun("ADD", "")).Container
	b.Pod = ownPod(t, id, b.req.GetConfig())
	return b
}

// stopping returns a sandbox that is being stopped: its CNI DEL does not end.
func stopping(ctx context.Context, t *target.T, opts ...target.PodOption) *busyPod {
	GinkgoHelper()
	return ending(ctx, t, stopBeside, opts...)
}

// removing returns a sandbox that is being removed: its CNI DEL does not end.
func removing(ctx context.Context, t *target.T, opts ...target.PodOption) *busyPod {
	GinkgoHelper()
	return ending(ctx, t, removeBeside, opts...)
}

func ending(ctx context.Context, t *target.T, end func(context.Context, *target.Pod) *aside[string], opts ...target.PodOption) *busyPod {
	GinkgoHelper()
	t.Need(target.FeatureWitness)
	b := &busyPod{req: t.PodRequest(opts...)}
	pod, err := t.RunPod(ctx, b.req)
	Expect(err).NotTo(HaveOccurred(), "RunPodSandbox")
	b.Pod, b.release = pod, midway(t, "DEL")
	b.call = end(ctx, pod)
	t.Witness.Wait(ctx, cniBegun("DEL", pod.ID))
	return b
}

// died returns a sandbox whose process was killed from outside.
func died(ctx context.Context, t *target.T) *target.Pod {
	GinkgoHelper()
	t.Need(target.FeatureHostNamespaces)
	pod := t.Pod(ctx, target.SharedPID())
	Expect(pod.Status(ctx).GetState()).To(Equal(runtimeapi.PodSandboxState_SANDBOX_READY))
	all := pod.Processes()
	Expect(all).NotTo(BeEmpty(), "the sandbox has no process")
	for _, p := range all {
		Expect(unix.Kill(p.PID, unix.SIGKILL)).To(Succeed())
	}
	Eventually(ctx, func() runtimeapi.PodSandboxState { return pod.Status(ctx).GetState() }).WithTimeout(podMoment).
		Should(Equal(runtimeapi.PodSandboxState_SANDBOX_NOTREADY), "its process is dead")
	return pod
}

// pins returns the mounted namespaces of a kind ("net", "uts", "ipc"; "" is any)
// below the daemon's directories whose mount point names the sandbox.
func pins(t *target.T, id, kind string) []string {
	GinkgoHelper()
	var all []string
	for _, m := range t.Mounts(id) {
		if m.FSType == "nsfs" && (kind == "" || strings.HasPrefix(m.Root, kind+":")) {
			all = append(all, m.Mountpoint)
		}
	}
	return all
}

// shmOf returns the sandbox's own /dev/shm as mounted on the host.
func shmOf(t *target.T, id string) []string {
	GinkgoHelper()
	var all []string
	for _, m := range t.Mounts(id) {
		if m.FSType == "tmpfs" {
			all = append(all, m.Mountpoint)
		}
	}
	return all
}

// allPins counts what is pinned and mounted for any sandbox.
func allPins(t *target.T) int { return len(pins(t, "", "")) + len(shmOf(t, "")) }

// holdRecords takes the lock of the container records, so that the daemon can
// neither write nor delete one, and returns what gives it back. The sandbox says
// where the records are.
func holdRecords(t *target.T, pod *target.Pod) (release func(), waited func() bool) {
	GinkgoHelper()
	record, ok := t.Storage().Record(pod.ID)
	Expect(ok).To(BeTrue(), "%s has no storage record", pod)
	f, err := os.OpenFile(filepath.Join(filepath.Dir(record.Dir), "containers.lock"), os.O_RDWR, 0)
	Expect(err).NotTo(HaveOccurred())
	lock := unix.Flock_t{Type: unix.F_WRLCK}
	Expect(unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLKW, &lock)).To(Succeed())
	var stat unix.Stat_t
	Expect(unix.Fstat(int(f.Fd()), &stat)).To(Succeed())
	name := fmt.Sprintf("%02x:%02x:%d", unix.Major(stat.Dev), unix.Minor(stat.Dev), stat.Ino)
	release = func() { _ = f.Close() }
	DeferCleanup(release)
	return release, func() bool { return lockAwaited(name) }
}

// lockAwaited reports whether a process waits for a lock of the file
// ("MAJOR:MINOR:INODE"); see proc_locks(5).
func lockAwaited(name string) bool {
	f, err := os.Open("/proc/locks")
	if err != nil {
		return false
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if strings.Contains(lines.Text(), "-> ") && strings.Contains(lines.Text(), " "+name+" ") {
			return true
		}
	}
	return false
}

// expectTaken fails the case unless the error says that the name is held.
func expectTaken(t *target.T, err error, rule string) {
	GinkgoHelper()
	t.ExpectCode(err, codes.AlreadyExists)
	t.ExpectRule(err, rule)
}
