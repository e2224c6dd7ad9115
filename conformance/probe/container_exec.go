package probe

import (
	"strings"
	"time"

	"ocid/conformance/target"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"google.golang.org/grpc/codes"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// "ExecSync runs a command in a container synchronously." (cri-api v1)
var _ = Describe("ExecSync", func() {
	It("works in a running container", target.Covers("container.exec.running"), containerLimit, func(ctx SpecContext) {
		Expect(target.Current().Running(ctx).Output(ctx, "echo", "hello")).To(Equal("hello"))
	})

	It("works in a container that is being stopped", target.Covers("container.exec.running"), containerLimit, func(ctx SpecContext) {
		c := target.Current().Running(ctx)
		stop, release := stopStalled(ctx, c)
		Expect(c.Output(ctx, "echo", "hello")).To(Equal("hello"))
		release()
		_, err := stop.result(ctx)
		Expect(err).NotTo(HaveOccurred())
	})

	It("is refused by a container that does not run", target.Covers("container.exec.idle"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		c := t.Pod(ctx).Create(ctx)
		refused := func(state string) {
			GinkgoHelper()
			_, _, _, err := c.Exec(ctx, "true")
			Expect(err).To(HaveOccurred(), state)
			t.ExpectCode(err, codes.FailedPrecondition)
			t.ExpectRule(err, "container.exec.idle")
		}
		refused("CREATED")
		Expect(c.Start(ctx)).To(Succeed())
		Expect(c.Stop(ctx, 0)).To(Succeed())
		refused("EXITED")
	})

	It("is refused by a container that is being started", target.Covers("container.exec.idle"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		c, start, release := startStalled(ctx, t.Pod(ctx))
		_, _, _, err := c.Exec(ctx, "true")
		t.ExpectCode(err, codes.FailedPrecondition)
		release()
		_, err = start.result(ctx)
		Expect(err).NotTo(HaveOccurred())
	})

	It("is refused by a container that is being removed", target.Covers("container.exec.idle"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		c := t.Running(ctx)
		remove, release := removeStalled(ctx, c)
		_, _, _, err := c.Exec(ctx, "true")
		t.ExpectCode(err, codes.FailedPrecondition)
		release()
		_, err = remove.result(ctx)
		Expect(err).NotTo(HaveOccurred())
	})

	It("is refused for an unknown container", target.Covers("container.exec.absent"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		_, _, _, err := nobody(t).Exec(ctx, "true")
		t.ExpectCode(err, codes.NotFound)
		t.ExpectRule(err, "container.exec.absent")
	})

	It("is refused for a half-made container", target.Covers("container.exec.absent"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		h := makeHalf(ctx, t.Pod(ctx))
		_, _, _, err := h.Exec(ctx, "true")
		t.ExpectCode(err, codes.NotFound)
		h.release()
		_, err = h.call.result(ctx)
		Expect(err).NotTo(HaveOccurred())
	})
})

// "ExecSyncResponse: stdout: captured command stdout output. stderr: captured
// command stderr output. exit_code: exit code the command finished with.
// Default: 0 (success)." (cri-api v1)
var _ = Describe("ExecSync's answer", func() {
	It("has stdout, stderr and the exit code", target.Covers("exec.sync"), containerLimit, func(ctx SpecContext) {
		c := target.Current().Running(ctx)
		for script, code := range map[string]int32{"true": 0, "exit 1": 1, "exit 127": 127, "kill -9 $$": 137} {
			stdout, stderr, got, err := c.Exec(ctx, "/bin/sh", "-c", "echo out; echo err >&2; "+script)
			Expect(err).NotTo(HaveOccurred(), script)
			Expect(got).To(Equal(code), "exit code of %q", script)
			Expect(stdout).To(Equal("out\n"), "stdout of %q", script)
			Expect(stderr).To(Equal("err\n"), "stderr of %q", script)
		}
	})

	It("is that of the container's environment, directory and user", target.Covers("exec.sync"), containerLimit, func(ctx SpecContext) {
		c := target.Current().Pod(ctx).Run(ctx, target.Env("GREETING", "hello"), target.WithContainer(func(c *runtimeapi.ContainerConfig) {
			c.WorkingDir = "/etc"
			c.GetLinux().GetSecurityContext().RunAsUser = &runtimeapi.Int64Value{Value: 1234}
		}))
		Expect(c.Output(ctx, "/bin/sh", "-c", "echo $GREETING $PWD $(id -u)")).To(Equal("hello /etc 1234"))
	})

	It("has large output whole", target.Covers("exec.sync"), containerLimit, func(ctx SpecContext) {
		stdout, _, code, err := target.Current().Running(ctx).Exec(ctx, "/bin/sh", "-c", "yes 0123456789 | head -n 100000")
		Expect(err).NotTo(HaveOccurred())
		Expect(code).To(BeZero())
		Expect(strings.Count(stdout, "0123456789\n")).To(Equal(100000), "lines")
	})
})

// "ExecSyncRequest.timeout: Timeout in seconds to stop the command. Default: 0
// (run forever)." The kubelet reads DeadlineExceeded as a probe that timed out.
var _ = Describe("ExecSync's timeout", func() {
	It("ends the command", target.Covers("exec.timeout"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		c := t.Running(ctx)
		begin := time.Now()
		_, err := t.Runtime.ExecSync(ctx, &runtimeapi.ExecSyncRequest{
			ContainerId: c.ID, Cmd: []string{"/bin/sh", "-c", "sleep 40077 & sleep 40078"}, Timeout: 1,
		})
		t.ExpectCode(err, codes.DeadlineExceeded)
		t.ExpectRule(err, "exec.timeout")
		Expect(time.Since(begin)).To(And(BeNumerically(">=", time.Second), BeNumerically("<", 4*time.Second)))
		Expect(c.Processes()).NotTo(ContainElement(HaveField("Args", ContainElement(HavePrefix("4007")))), "processes of the command")
		Expect(c.State(ctx)).To(Equal(runtimeapi.ContainerState_CONTAINER_RUNNING))
		Expect(c.Output(ctx, "echo", "alive")).To(Equal("alive"))
	})

	It("does not concern a command that ends sooner, nor one without", target.Covers("exec.timeout"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		c := t.Running(ctx)
		for _, timeout := range []int64{0, 10} {
			res, err := t.Runtime.ExecSync(ctx, &runtimeapi.ExecSyncRequest{ContainerId: c.ID, Cmd: []string{"sleep", "0.2"}, Timeout: timeout})
			Expect(err).NotTo(HaveOccurred(), "timeout %d", timeout)
			Expect(res.GetExitCode()).To(BeZero())
		}
	})
})
