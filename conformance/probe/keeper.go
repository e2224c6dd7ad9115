package probe

import (
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"ocid/conformance/target"
	"ocid/fixtures/witness"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"google.golang.org/grpc/codes"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// keeperLimit is the time limit of a case with a sandbox of its own kernel.
const keeperLimit = SpecTimeout(time.Minute)

// keepers are the processes that stand for a container.
func keepers(c *target.Container) []target.Process {
	GinkgoHelper()
	return slices.DeleteFunc(c.T.Mentioning(c.ID), func(p target.Process) bool { return filepath.Base(p.Args[0]) != "ocid-keeper" })
}

// asking are the runtime's commands for a container that are under way.
func asking(c *target.Container) []target.Process {
	GinkgoHelper()
	return slices.DeleteFunc(c.T.Mentioning(c.ID), func(p target.Process) bool {
		return !slices.Contains([]string{"wait", "state"}, p.Args[max(0, len(p.Args)-2)])
	})
}

// kept skips the case on daemons whose containers are processes of the host's.
func kept() *target.T {
	t := target.Current()
	t.Need(target.FeatureKeepers)
	return t
}

// "All runsc containers of a pod share one pid … With conmon its second
// container reports exit -1 within 200 ms: its pid is not conmon's child; it
// needs runsc wait" (notes on VM runtimes, measured)
var _ = Describe("The keeper of a container", func() {
	It("ends as the container does", target.Covers("keeper.exit-status"), keeperLimit, func(ctx SpecContext) {
		pod := kept().Pod(ctx)
		bystander := pod.Run(ctx)
		for _, c := range []struct {
			script string
			code   int32
		}{{"exit 7", 7}, {"sleep 0.3; exit 0", 0}, {"kill -KILL $$", 137}, {"sleep 0.2; exit 255", 255}} {
			Expect(ranOut(ctx, pod, c.script).Status(ctx).GetExitCode()).To(Equal(c.code), c.script)
		}
		Expect(bystander.State(ctx)).To(Equal(isRunning))
		Expect(bystander.Stop(ctx, 20)).To(Succeed())
		Expect(bystander.Status(ctx).GetExitCode()).To(BeZero())
	})

	It("has its streams", target.Covers("keeper.streams"), keeperLimit, func(ctx SpecContext) {
		pod := kept().Pod(ctx)
		one := ranOut(ctx, pod, "echo to stdout; echo to stderr >&2")
		other := ranOut(ctx, pod, "echo of the other")
		Expect(logOf(one)).To(And(MatchRegexp(`(?m) stdout F to stdout$`), MatchRegexp(`(?m) stderr F to stderr$`), Not(ContainSubstring("other"))))
		Expect(logOf(other)).To(MatchRegexp(`(?m) stdout F of the other$`))
		c := pod.Run(ctx, target.Shell("while read line; do echo got $line; done; echo end"), interactive(true))
		converse(ctx, c, target.SPDY, "hello")
	})

	It("lives on without a daemon", target.Covers("keeper.restart"), restartLimit, func(ctx SpecContext) {
		t := kept()
		t.Need(target.FeatureRestart)
		c := t.Pod(ctx).Run(ctx, target.Shell("sleep 0.7; exit 9"))
		Expect(t.KillDaemon(ctx)).To(Succeed())
		Eventually(ctx, func() []target.Process { return keepers(c) }).WithTimeout(happensIn()).Should(BeEmpty(), "after the container's end")
		startDaemon(ctx, t)
		Expect(c.Status(ctx)).To(And(HaveField("State", isExited), HaveField("ExitCode", int32(9))))
	})

	It("goes with a container that was never started", target.Covers("keeper.unstarted"), keeperLimit, func(ctx SpecContext) {
		c := kept().Pod(ctx).Create(ctx)
		Expect(c.Pod.Run(ctx).Output(ctx, "echo", "alive")).To(Equal("alive"))
		Eventually(ctx, func() []target.Process { return keepers(c) }).WithTimeout(happensIn()).Should(HaveLen(1), "a keeper at rest")
		Eventually(ctx, func() []target.Process { return asking(c) }).WithTimeout(happensIn()).Should(BeEmpty(), "what a keeper asks of its runtime")
		Expect(c.Remove(ctx)).To(Succeed())
		Expect(keepers(c)).To(BeEmpty())
	})

	It("takes its container with it", target.Covers("keeper.dies"), keeperLimit, func(ctx SpecContext) {
		c := kept().Running(ctx)
		other := c.Pod.Run(ctx)
		all := keepers(c)
		Expect(all).NotTo(BeEmpty())
		for _, p := range all {
			Expect(syscall.Kill(p.PID, syscall.SIGKILL)).To(Succeed())
		}
		awaitState(ctx, c, isExited)
		Eventually(ctx, func() []target.Process { return c.T.Mentioning(c.ID) }).WithTimeout(2*happensIn()).Should(BeEmpty(), "what runs for the container")
		Expect(other.Output(ctx, "echo", "alive")).To(Equal("alive"))
		Expect(c.Remove(ctx)).To(Succeed())
	})

	It("tells of a death that the runtime does not know yet", target.Covers("keeper.lag"), keeperLimit, func(ctx SpecContext) {
		t := kept()
		for _, opts := range [][]target.PodOption{nil, {target.SharedPID()}} {
			pod := t.Pod(ctx, opts...)
			c := pod.Run(ctx)
			release := stallRuntimeOnce(t, "kill", c.ID, witness.Stall)
			stop := begun(func() error { return pod.Stop(ctx) })
			awaitStruck(ctx, t, witness.OCI, "kill")
			for _, p := range pod.Processes() {
				Expect(syscall.Kill(p.PID, syscall.SIGKILL)).To(Or(Succeed(), MatchError(syscall.ESRCH)))
			}
			release()
			Expect(stop.result(ctx)).Error().NotTo(HaveOccurred(), "a stop that was on its way")
			Expect(c.State(ctx)).To(Equal(isExited))
			Expect(pod.Remove(ctx)).To(Succeed())
		}
	})

	It("is in the container's cgroup", target.Covers("keeper.cgroup"), keeperLimit, func(ctx SpecContext) {
		c := kept().Running(ctx)
		Expect(keepers(c)).To(HaveEach(WithTransform(func(p target.Process) bool { return p.InCgroup(c.ID) }, BeTrue())))
	})
})

// "timeout: Timeout in seconds to stop the command. Default: 0 (run forever)."
// (cri-api v1, ExecSyncRequest)
var _ = Describe("A command that is no process of the host's", func() {
	It("ends with what it has started", target.Covers("keeper.commands"), keeperLimit, func(ctx SpecContext) {
		t := kept()
		c := t.Running(ctx)
		_, err := t.Runtime.ExecSync(ctx, &runtimeapi.ExecSyncRequest{
			ContainerId: c.ID, Cmd: []string{"/bin/sh", "-c", "trap '' TERM HUP; sleep 40101 & setsid sleep 40102 & sleep 40103"}, Timeout: 1,
		})
		t.ExpectCode(err, codes.DeadlineExceeded)
		Expect(strings.ReplaceAll(c.Output(ctx, "/bin/sh", "-c", "cat /proc/[0-9]*/cmdline"), "\x00", " ")).NotTo(ContainSubstring("sleep 4010"))
	})
})
