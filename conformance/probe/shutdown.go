package probe

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"ocid/conformance/target"
	"ocid/fixtures/registry"
	"ocid/fixtures/witness"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// atOnce is well below the shutdown_timeout of the profiles, 5 s: a shutdown
// that has nothing to wait for does not wait.
const atOnce = 3 * time.Second

// terminated tells the daemon to end; its exit code is the value.
func terminated(ctx context.Context, t *target.T, sig syscall.Signal) *aside[int] {
	GinkgoHelper()
	t.Need(target.FeatureRestart)
	return beginAside(func() (int, error) { return t.SignalDaemon(ctx, sig) })
}

// expectExit fails unless the daemon exits with 0.
func expectExit(ctx context.Context, end *aside[int], within time.Duration) {
	GinkgoHelper()
	Eventually(ctx, end.over).WithTimeout(within).Should(BeClosed(), "the daemon does not exit")
	Expect(end.err).NotTo(HaveOccurred())
	Expect(end.value).To(BeZero(), "exit code")
}

// awaitRefusal waits until the daemon refuses calls because it ends.
func awaitRefusal(ctx context.Context, t *target.T) error {
	GinkgoHelper()
	var err error
	Eventually(ctx, func() error {
		_, err = t.Runtime.Version(ctx, &runtimeapi.VersionRequest{})
		return err
	}).WithTimeout(atOnce).WithPolling(5*time.Millisecond).Should(HaveOccurred(), "a call after the signal has to be refused")
	return err
}

// "graceful shutdown" (design notes): the daemon is a service that is told to
// end by SIGTERM, or by Ctrl-C; exit code 0 says that all went well.
var _ = Describe("A daemon that is told to end", func() {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		It("exits with 0 on "+unix.SignalName(sig), target.Covers("shutdown.exit", "shutdown.socket"), restartLimit, func(ctx SpecContext) {
			t := target.Current()
			c := t.Running(ctx)
			Expect(t.Var("LISTEN")).To(BeAnExistingFile(), "socket")
			expectExit(ctx, terminated(ctx, t, sig), atOnce)
			Expect(t.Var("LISTEN")).NotTo(BeAnExistingFile(), "socket of a daemon that has ended")
			startDaemon(ctx, t)
			Expect(c.State(ctx)).To(Equal(isRunning))
		})
	}

	It("lets its containers and their logs live on", target.Covers("shutdown.containers"), restartLimit, func(ctx SpecContext) {
		t := target.Current()
		c := t.Pod(ctx).Run(ctx, target.Shell(`trap 'exit 0' TERM; i=0; while :; do i=$((i+1)); echo line $i; sleep 0.02; done`))
		awaitLog(ctx, c, "line 3")
		born := c.Birth(ctx)
		for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
			expectExit(ctx, terminated(ctx, t, sig), atOnce)
			before := countLines(c)
			Eventually(ctx, func() int { return countLines(c) }).WithTimeout(happensIn()).
				Should(BeNumerically(">=", before+20), "lines of the log while no daemon runs")
			startDaemon(ctx, t)
			Expect(c.Birth(ctx)).To(Equal(born), "the container's process")
		}
		Expect(c.State(ctx)).To(Equal(isRunning))
		before := countLines(c)
		Eventually(ctx, func() int { return countLines(c) }).WithTimeout(happensIn()).Should(BeNumerically(">", before), "lines after the restart")
		Expect(c.Stop(ctx, 5)).To(Succeed())
		expectEveryLine(c)
	})

	It("ends in a process group of its own: Ctrl-C is not for containers", target.Covers("shutdown.containers", "shutdown.exit"), restartLimit, func(ctx SpecContext) {
		t := target.Current()
		p := t.Pod(ctx, target.SharedPID())
		c := p.Run(ctx)
		group := processGroup(daemonOf(t))
		for _, x := range t.Mentioning("") {
			Expect(processGroup(x.PID)).NotTo(Equal(group), "process group of %s", x)
		}
		expectExit(ctx, terminated(ctx, t, syscall.SIGINT), atOnce)
		Expect(c.Processes()).NotTo(BeEmpty(), "the container's process")
		Expect(p.Processes()).NotTo(BeEmpty(), "the infra process")
	})
})

// countLines counts the whole lines of the container's log.
func countLines(c *target.Container) int { return strings.Count(logOf(c), "\n") }

// numberedLine is the log format of cri-api's kubelet: time, stream, tags, text.
var numberedLine = regexp.MustCompile(`^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+(?:Z|[+-]\d\d:\d\d)) (stdout|stderr) F line (\d+)$`)

// expectEveryLine fails unless the log has the lines 1, 2, 3, … in CRI format.
func expectEveryLine(c *target.Container) {
	GinkgoHelper()
	n := 0
	for line := range strings.Lines(logOf(c)) {
		n++
		m := numberedLine.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		Expect(m).NotTo(BeNil(), "line %d of the log: %q", n, line)
		_, err := time.Parse(time.RFC3339Nano, m[1])
		Expect(err).NotTo(HaveOccurred(), "time of line %d", n)
		Expect(m[3]).To(Equal(strconv.Itoa(n)), "lines of the log are lost")
	}
}

// daemonOf returns the process that listens on the daemon's socket, which is the
// suite's child.
func daemonOf(t *target.T) int {
	GinkgoHelper()
	all, err := t.Observer().Processes()
	Expect(err).NotTo(HaveOccurred())
	for _, p := range all {
		if p.PPID == os.Getpid() && strings.Contains(strings.Join(p.Args, " "), t.Var("LISTEN")) {
			return p.PID
		}
	}
	Fail("the daemon's process is not to be found")
	return 0
}

func processGroup(pid int) int {
	group, err := unix.Getpgid(pid)
	if err != nil {
		return -pid // gone
	}
	return group
}

// Storage, by the founding rules: "shut down gracefully": mounts of containers
// that run on are left alone, all else is unmounted.
// A sandbox with a process of its own has a filesystem in use too.
var _ = Describe("The storage of a daemon that ends", func() {
	It("is shut down if no container filesystem is in use", target.Covers("shutdown.storage"), restartLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureHostNamespaces)
		p := t.Pod(ctx)
		over := ranOut(ctx, p, "exit 0")
		Eventually(ctx, func() []target.LayerMount { return inUse(t) }).WithTimeout(happensIn()).Should(BeEmpty(), "layers in use")
		Expect(storageMounts(t)).NotTo(BeEmpty(), "the driver's own mount, while the daemon runs")
		expectExit(ctx, terminated(ctx, t, syscall.SIGTERM), atOnce)
		Expect(storageMounts(t)).To(BeEmpty(), "mounts of the storage")
		startDaemon(ctx, t)
		Expect(over.State(ctx)).To(Equal(isExited))
		expectUsable(ctx, p)
	})

	It("keeps what a container uses, and nothing else", target.Covers("shutdown.storage"), restartLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureHostNamespaces)
		p := t.Pod(ctx)
		c := p.Run(ctx)
		ranOut(ctx, p, "exit 0")
		layer := recordOf(t, c).Layer
		expectExit(ctx, terminated(ctx, t, syscall.SIGTERM), atOnce)
		Expect(inUse(t)).To(ConsistOf(HaveField("ID", layer)), "layers in use")
		Expect(t.Mounts(layer)).To(HaveLen(1), "the mount of the container's layer")
		Expect(filepath.Join(t.Mounts(layer)[0].Mountpoint, "bin/busybox")).To(BeAnExistingFile())
		startDaemon(ctx, t)
		Expect(c.Output(ctx, "/bin/sh", "-c", "echo kept > /f; cat /f")).To(Equal("kept"))
		Expect(c.Remove(ctx)).To(Succeed())
		Expect(t.Mounts(layer)).To(BeEmpty(), "mounts after the container's end")
		expectExit(ctx, terminated(ctx, t, syscall.SIGTERM), atOnce)
		Expect(storageMounts(t)).To(BeEmpty(), "mounts of the storage, now that nothing is in use")
	})

	It("is shut down after the last container that ends has been freed", target.Covers("shutdown.storage", "shutdown.watchers"), restartLimit, func(ctx SpecContext) {
		t := target.Current()
		c := t.Pod(ctx).Run(ctx, target.Shell(`trap 'exit 0' TERM; echo ready; sleep 2000 & wait $!`))
		awaitLog(ctx, c, "ready")
		release := stallRuntimeOnce(t, "delete", c.ID, witness.Stall)
		Expect(unix.Kill(c.Init().PID, unix.SIGTERM)).To(Succeed())
		awaitStruck(ctx, t, witness.OCI, "delete")
		end := terminated(ctx, t, syscall.SIGTERM)
		awaitRefusal(ctx, t)
		end.expectWaiting("the daemon's end")
		release()
		expectExit(ctx, end, atOnce)
		Expect(inUse(t)).To(BeEmpty(), "layers in use")
		Expect(storageMounts(t)).To(BeEmpty(), "mounts of the storage")
	})
})

func recordOf(t *target.T, c *target.Container) target.StorageContainer {
	GinkgoHelper()
	record, found := t.Storage().Record(c.ID)
	Expect(found).To(BeTrue(), "storage record of %s", c)
	return record
}

// inUse returns the layers that containers/storage holds mounted.
func inUse(t *target.T) []target.LayerMount {
	GinkgoHelper()
	return t.Storage().Mounted
}

// storageMounts returns the mount points below the storage's directory.
func storageMounts(t *target.T) []string {
	GinkgoHelper()
	var points []string
	for _, m := range t.Mounts(t.Var("ROOT") + "/") {
		points = append(points, m.Mountpoint)
	}
	return points
}

// "graceful shutdown" (design notes): calls that run are finished, calls that
// come are refused with Unavailable, which clients take for "try again".
var _ = Describe("A call during the shutdown", func() {
	It("is refused if it comes after the signal, and finished if it came before", target.Covers("shutdown.refuse", "shutdown.drain", "shutdown.socket"), restartLimit, func(ctx SpecContext) {
		t := target.Current()
		other := t.Pod(ctx)
		req := t.PodRequest()
		release := stallNetworkOnce(t, "ADD", req.GetConfig().GetMetadata().GetName())
		call := beginAside(func() (*target.Pod, error) { return t.RunPod(ctx, req) })
		awaitStruck(ctx, t, witness.CNI, "ADD")
		end := terminated(ctx, t, syscall.SIGTERM)
		err := awaitRefusal(ctx, t)
		t.ExpectCode(err, codes.Unavailable)
		t.ExpectRule(err, "shutdown.refuse")
		_, err = other.TryStatus(ctx)
		t.ExpectCode(err, codes.Unavailable)
		t.ExpectCode(other.Stop(ctx), codes.Unavailable)
		end.expectWaiting("the daemon's end")
		call.expectWaiting("RunPodSandbox")
		release()
		p, err := call.result(ctx)
		Expect(err).NotTo(HaveOccurred(), "RunPodSandbox")
		expectExit(ctx, end, atOnce)
		startDaemon(ctx, t)
		Expect(p.Status(ctx).GetState()).To(Equal(podReady))
		Expect(other.Status(ctx).GetState()).To(Equal(podReady), "the sandbox whose stop was refused")
		expectUsable(ctx, p)
	})

	It("is finished if it waits for a container's end", target.Covers("shutdown.drain", "shutdown.watchers"), restartLimit, func(ctx SpecContext) {
		t := target.Current()
		c := t.Pod(ctx).Run(ctx, target.Shell(`trap 'echo asked; while [ ! -e /go ]; do sleep 0.01; done; exit 3' TERM; echo ready; while :; do sleep 0.01; done`))
		awaitLog(ctx, c, "ready")
		root := t.Mounts(recordOf(t, c).Layer)[0].Mountpoint
		call := beginCall(func() error { return c.Stop(ctx, 300) })
		awaitLog(ctx, c, "asked")
		end := terminated(ctx, t, syscall.SIGTERM)
		awaitRefusal(ctx, t)
		call.expectWaiting("StopContainer")
		Expect(os.WriteFile(filepath.Join(root, "go"), nil, 0o600)).To(Succeed())
		_, err := call.result(ctx)
		Expect(err).NotTo(HaveOccurred(), "StopContainer")
		expectExit(ctx, end, atOnce)
		startDaemon(ctx, t)
		Expect(c.Status(ctx)).To(And(HaveField("State", isExited), HaveField("ExitCode", int32(3))))
	})

	It("does not hold the daemon up for longer than shutdown_timeout", target.Covers("shutdown.drain"), restartLimit, func(ctx SpecContext) {
		t := target.Current()
		Expect(t.Reconfigure(ctx, map[string]string{"SHUTDOWN_TIMEOUT": "300ms"})).To(Succeed())
		req := t.PodRequest()
		before := t.Now(ctx)
		stallNetworkOnce(t, "ADD", req.GetConfig().GetMetadata().GetName())
		call := beginAside(func() (*target.Pod, error) { return t.RunPod(ctx, req) })
		awaitStruck(ctx, t, witness.CNI, "ADD")
		expectExit(ctx, terminated(ctx, t, syscall.SIGTERM), atOnce)
		_, err := call.result(ctx)
		t.ExpectCode(err, codes.Unavailable)
		startDaemon(ctx, t)
		t.ExpectNothingLeft(ctx, before)
	})

	It("does not hold the daemon up if it is a pull of a registry that hangs", target.Covers("shutdown.drain"), restartLimit, func(ctx SpecContext) {
		t := target.Current()
		Expect(t.Reconfigure(ctx, map[string]string{"SHUTDOWN_TIMEOUT": "300ms"})).To(Succeed())
		before := t.Now(ctx)
		ref := t.Ref("id-1")
		t.Registry.Set(registry.Hang)
		seen := fmt.Sprint(t.Registry.Counts())
		call := beginAside(func() (string, error) { return pullRef(ctx, t, ref.Tagged) })
		Eventually(ctx, func() string { return fmt.Sprint(t.Registry.Counts()) }).WithTimeout(happensIn()).ShouldNot(Equal(seen), "blobs asked for")
		expectExit(ctx, terminated(ctx, t, syscall.SIGTERM), atOnce)
		_, err := call.result(ctx)
		t.ExpectCode(err, codes.Unavailable)
		startDaemon(ctx, t)
		t.ExpectNothingLeft(ctx, before)
	})
})
