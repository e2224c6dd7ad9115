package probe

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	"ocid/conformance/target"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"google.golang.org/grpc/codes"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// "Exec prepares a streaming endpoint to execute a command in the container, and
// returns the address." (cri-api v1)
var _ = Describe("Exec", func() {
	ask := func(ctx context.Context, c *target.Container) error {
		return answerOf(c.T.Runtime.Exec(ctx, &runtimeapi.ExecRequest{ContainerId: c.ID, Cmd: []string{"true"}, Stdout: true}))
	}

	It("works in a container that runs or is being stopped", target.Covers("stream.exec.running"), streamLimit, func(ctx SpecContext) {
		c := target.Current().Running(ctx)
		works := func() {
			var out target.Output
			Expect(ended(ctx, execStream(ctx, c, target.SPDY, target.Client{Stdout: &out}, "echo", "hello"))).To(Succeed())
			Expect(out.String()).To(Equal("hello\n"))
		}
		works()
		stop, release := stopStalled(ctx, c)
		works()
		release()
		_, err := stop.result(ctx)
		Expect(err).NotTo(HaveOccurred())
	})

	It("is refused by a container that does not run", target.Covers("stream.exec.idle"), streamLimit, func(ctx SpecContext) {
		t := target.Current()
		c := t.Pod(ctx).Create(ctx)
		refused := func(state string) {
			GinkgoHelper()
			err := ask(ctx, c)
			Expect(err).To(HaveOccurred(), state)
			t.ExpectCode(err, codes.FailedPrecondition)
			t.ExpectRule(err, "stream.exec.idle")
		}
		refused("CREATED")
		Expect(c.Start(ctx)).To(Succeed())
		Expect(c.Stop(ctx, 0)).To(Succeed())
		refused("EXITED")
	})

	It("is refused for an unknown container", target.Covers("stream.exec.absent"), streamLimit, func(ctx SpecContext) {
		t := target.Current()
		err := ask(ctx, nobody(t))
		t.ExpectCode(err, codes.NotFound)
		t.ExpectRule(err, "stream.exec.absent")
	})
})

// The clients are kubectl's and crictl's: those of client-go.
var _ = Describe("A command with streams", func() {
	for _, via := range target.Transports() {
		It("is served over "+string(via), target.Covers("stream.protocols", "stream.exec.code", "stream.exec.output"), streamLimit, func(ctx SpecContext) {
			c := target.Current().Running(ctx)
			var out, errs target.Output
			err := ended(ctx, execStream(ctx, c, via, target.Client{Stdout: &out, Stderr: &errs}, "/bin/sh", "-c", "echo out; echo err >&2; exit 3"))
			Expect(out.String()).To(Equal("out\n"))
			Expect(errs.String()).To(Equal("err\n"))
			code, ok := target.ExitCode(err)
			Expect(ok).To(BeTrue(), "exit code in %v", err)
			Expect(code).To(Equal(3))
		})

		It("reads the client's input and its end over "+string(via), target.Covers("stream.exec.stdin"), streamLimit, func(ctx SpecContext) {
			c := target.Current().Running(ctx)
			var out target.Output
			r, w := inputPair()
			a := execStream(ctx, c, via, target.Client{Stdin: r, Stdout: &out}, "/bin/sh", "-c", "cat; echo end")
			_, err := w.Write([]byte("first\n"))
			Expect(err).NotTo(HaveOccurred())
			awaitOutput(ctx, &out, "first\n")
			Expect(out.String()).NotTo(ContainSubstring("end"), "the input has not ended")
			_, err = w.Write([]byte("second\n"))
			Expect(err).NotTo(HaveOccurred())
			Expect(w.Close()).To(Succeed())
			Expect(ended(ctx, a)).To(Succeed())
			Expect(out.String()).To(Equal("first\nsecond\nend\n"))
		})

		It("ends although the client's input does not, over "+string(via), target.Covers("stream.exec.stdin", "stream.exec.code"), streamLimit, func(ctx SpecContext) {
			c := target.Current().Running(ctx)
			var out target.Output
			err := ended(ctx, execStream(ctx, c, via, target.Client{Stdin: endless{}, Stdout: &out}, "/bin/sh", "-c", "head -c 5; exit 4"))
			code, _ := target.ExitCode(err)
			Expect(code).To(Equal(4), "%v", err)
			Expect(out.String()).To(Equal("yyyyy"))
		})

		It("has a terminal that follows the client's over "+string(via), target.Covers("stream.exec.tty"), streamLimit, func(ctx SpecContext) {
			c := target.Current().Running(ctx)
			var out target.Output
			r, w := inputPair()
			with := target.Client{Stdin: r, Stdout: &out, Terminal: newTerminal(101, 37)}
			const script = `exec 3<&0; test -t 0 && echo terminal; echo TERM=$TERM; while :; do stty size <&3; sleep 0.02; done & while read line; do echo got $line; done; kill $!; wait; echo end`
			a := execStream(ctx, c, via, with, "/bin/sh", "-c", script)
			awaitOutput(ctx, &out, "37 101\r")
			Expect(out.String()).To(MatchRegexp(`^terminal\r+\nTERM=xterm\r+\n`))
			with.Terminal.Resize(55, 22)
			awaitOutput(ctx, &out, "22 55\r")
			go func() { _, _ = w.Write([]byte("hello\n")) }()
			awaitOutput(ctx, &out, "got hello\r")
			Expect(w.Close()).To(Succeed())
			Expect(ended(ctx, a)).To(Succeed())
			Expect(out.String()).To(HaveSuffix("end\r\n"), "the end of the input is the terminal's")
		})
	}

	for _, protocol := range []string{"v4.channel.k8s.io", "channel.k8s.io"} {
		It("is served to a WebSocket client of "+protocol, target.Covers("stream.protocols"), streamLimit, func(ctx SpecContext) {
			c := target.Current().Running(ctx)
			var out target.Output
			with := target.Client{Stdout: &out}
			url := execURL(ctx, c, with, "echo", "hello")
			Expect(ended(ctx, beginCall(func() error { return with.Stream(ctx, target.WebSocket, url, protocol) }))).To(Succeed())
			Expect(out.String()).To(Equal("hello\n"))
		})
	}

	It("that can't be started is an error that says why", target.Covers("stream.exec.code"), streamLimit, func(ctx SpecContext) {
		c := target.Current().Running(ctx)
		var out, errs target.Output
		err := ended(ctx, execStream(ctx, c, target.SPDY, target.Client{Stdout: &out, Stderr: &errs}, "/no/such/command"))
		_, isCode := target.ExitCode(err)
		Expect(isCode).To(BeFalse(), "an exit code is a command's: %v", err)
		Expect(err).To(MatchError(ContainSubstring("/no/such/command")))
	})

	// The command ends while its last bytes wait in the pipe for a client that
	// reads nothing for longer than a pipe is kept open for.
	It("gives a slow client all of its output", target.Needs(target.FeatureHostProcesses), target.Covers("stream.exec.output"), streamLimit, func(ctx SpecContext) {
		c := target.Current().Running(ctx)
		c.T.Need(target.FeatureHostProcesses)
		stuck := newStuckWriter()
		a := execStream(ctx, c, target.SPDY, target.Client{Stdout: stuck}, "/bin/sh", "-c", "sleep 40071 & /bin/yes 0123456789abcde; exit 5")
		writer, written := awaitBlocked(ctx, c, "/bin/yes")
		Expect(written).To(BeNumerically(">", 64<<10), "more than a pipe")
		Expect(syscall.Kill(writer.PID, syscall.SIGKILL)).To(Succeed())
		<-timeOut(1500)
		a.expectWaiting("a stream whose client has not got all")
		stuck.release()
		code, _ := target.ExitCode(ended(ctx, a))
		Expect(code).To(Equal(5))
		Expect(stuck.n).To(BeNumerically(">=", written), "bytes")
	})

	It("is not held up by what it leaves behind", target.Covers("stream.exec.held"), streamLimit, func(ctx SpecContext) {
		c := target.Current().Running(ctx)
		var out target.Output
		begin := time.Now()
		err := ended(ctx, execStream(ctx, c, target.SPDY, target.Client{Stdout: &out}, "/bin/sh", "-c", "sleep 40072 & echo out; exit 6"))
		code, _ := target.ExitCode(err)
		Expect(code).To(Equal(6), "%v", err)
		Expect(out.String()).To(Equal("out\n"))
		Expect(time.Since(begin)).To(BeNumerically("<", 3500*time.Millisecond))
		Expect(running(c, "40072")).To(BeTrue(), "the process is left alone")
	})

	It("is killed when its client has gone", target.Covers("stream.exec.gone"), streamLimit, func(ctx SpecContext) {
		c := target.Current().Running(ctx)
		for _, via := range target.Transports() {
			var out target.Output
			mine, leave := context.WithCancel(ctx)
			with := target.Client{Stdout: &out}
			url := execURL(ctx, c, with, "/bin/sh", "-c", "trap '' HUP TERM; sleep 40073 & setsid sleep 40074 & echo ready; wait")
			a := beginCall(func() error { return with.Stream(mine, via, url) })
			awaitOutput(ctx, &out, "ready")
			Expect(running(c, "40073")).To(BeTrue())
			leave()
			_ = ended(ctx, a)
			Eventually(ctx, func() bool { return running(c, "40073") || running(c, "40074") }).
				WithTimeout(happensIn()).Should(BeFalse(), "processes of the command, over %s", via)
		}
		Expect(c.State(ctx)).To(Equal(runtimeapi.ContainerState_CONTAINER_RUNNING))
	})

	It("ends with the container", target.Covers("stream.exec.output"), streamLimit, func(ctx SpecContext) {
		c := target.Current().Running(ctx)
		var out target.Output
		a := execStream(ctx, c, target.WebSocket, target.Client{Stdout: &out}, "/bin/sh", "-c", "echo ready; sleep 40075")
		awaitOutput(ctx, &out, "ready")
		Expect(c.Stop(ctx, 0)).To(Succeed())
		Expect(ended(ctx, a)).NotTo(Succeed())
	})
})

// running says whether a process of the container has an argument with the text.
func running(c *target.Container, text string) bool {
	GinkgoHelper()
	if !c.T.Has(target.FeatureHostProcesses) {
		all, _, _, err := c.Exec(context.Background(), "/bin/sh", "-c", "cat /proc/[0-9]*/cmdline")
		Expect(err).NotTo(HaveOccurred())
		return strings.Contains(all, text)
	}
	return slices.ContainsFunc(c.Processes(), func(p target.Process) bool {
		return slices.ContainsFunc(p.Args, func(a string) bool { return strings.Contains(a, text) })
	})
}

// endless is an input that never ends.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return copy(p, strings.Repeat("y", len(p))), nil }

// "ExecSync …" (cri-api v1); a probe of kubelet's is one command of many.
var _ = Describe("ExecSync's bounds", func() {
	// kubelet takes no message of more than 16 MiB.
	It("cut the output to what kubelet takes", target.Covers("exec.limit"), streamLimit, func(ctx SpecContext) {
		c := target.Current().Running(ctx)
		const more, most = 17 << 20, 16<<20 - 4<<10
		for script, want := range map[string][2]int{
			fmt.Sprintf("head -c %d /dev/zero; exit 7", more):                              {most, 0},
			fmt.Sprintf("head -c %d /dev/zero >&2; echo abc; exit 7", more):                {4, most - 4},
			fmt.Sprintf("head -c %d /dev/zero; head -c %[1]d /dev/zero >&2; exit 7", more): {most / 2, most / 2},
		} {
			stdout, stderr, code, err := c.Exec(ctx, "/bin/sh", "-c", script)
			Expect(err).NotTo(HaveOccurred(), script)
			Expect(code).To(BeEquivalentTo(7), "the command is not held up: %s", script)
			Expect(len(stdout)).To(BeNumerically("~", want[0], 4<<10), "stdout of %s", script)
			Expect(len(stderr)).To(BeNumerically("~", want[1], 4<<10), "stderr of %s", script)
		}
	})

	It("kill what the command has started", target.Covers("exec.tree"), streamLimit, func(ctx SpecContext) {
		t := target.Current()
		c := t.Running(ctx)
		_, err := t.Runtime.ExecSync(ctx, &runtimeapi.ExecSyncRequest{
			ContainerId: c.ID, Cmd: []string{"/bin/sh", "-c", "trap '' TERM HUP; sleep 40081 & setsid sleep 40082 & (sleep 40083 &); sleep 40084"}, Timeout: 1,
		})
		t.ExpectCode(err, codes.DeadlineExceeded)
		Expect(running(c, "4008")).To(BeFalse(), "processes of the command: %v", c.Processes())
	})

	It("do not wait for what the command leaves behind", target.Covers("exec.held"), streamLimit, func(ctx SpecContext) {
		c := target.Current().Running(ctx)
		begin := time.Now()
		stdout, _, code, err := c.Exec(ctx, "/bin/sh", "-c", "(while echo again; do sleep 0.2; done) & sleep 40085 & echo out; exit 8")
		Expect(err).NotTo(HaveOccurred())
		Expect(code).To(BeEquivalentTo(8))
		Expect(stdout).To(ContainSubstring("out\n"))
		Expect(time.Since(begin)).To(BeNumerically("<", 4*time.Second))
		Expect(running(c, "40085")).To(BeTrue(), "the process is left alone")
	})

	It("tell a command that can't be started from one that fails", target.Covers("exec.missing"), streamLimit, func(ctx SpecContext) {
		c := target.Current().Running(ctx)
		for _, command := range []string{"/no/such/command", "/etc", "nosuchcommand"} {
			_, _, _, err := c.Exec(ctx, command)
			Expect(err).To(MatchError(ContainSubstring(command)), command)
		}
	})

	It("leave nothing behind", target.Covers("exec.nothing-left"), streamLimit, func(ctx SpecContext) {
		t := target.Current()
		c := t.Running(ctx)
		before := t.Now(ctx)
		for i := range 20 {
			_, _, code, err := c.Exec(ctx, "/bin/sh", "-c", fmt.Sprintf("true & exit %d", i))
			Expect(err).NotTo(HaveOccurred())
			Expect(code).To(BeEquivalentTo(i))
		}
		_, err := t.Runtime.ExecSync(ctx, &runtimeapi.ExecSyncRequest{ContainerId: c.ID, Cmd: []string{"sleep", "40086"}, Timeout: 1})
		t.ExpectCode(err, codes.DeadlineExceeded)
		t.ExpectNothingLeft(ctx, before)
	})

	It("end at the daemon's death, with the next daemon", target.Covers("exec.left"), restartLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureRestart)
		c := t.Running(ctx)
		begun(func() error {
			return answerOf(t.Runtime.ExecSync(ctx, &runtimeapi.ExecSyncRequest{ContainerId: c.ID, Cmd: []string{"/bin/sh", "-c", "sleep 40087 & setsid sleep 40088 & wait"}, Timeout: 60}))
		})
		r, _ := inputPair()
		var out target.Output
		execStream(ctx, c, target.SPDY, target.Client{Stdin: r, Stdout: &out, Terminal: newTerminal(80, 25)}, "/bin/sh", "-c", "trap '' HUP; echo ready; while :; do sleep 40089; done")
		awaitOutput(ctx, &out, "ready")
		Eventually(ctx, func() bool { return running(c, "40087") && running(c, "40088") && running(c, "40089") }).WithTimeout(happensIn()).Should(BeTrue())
		crash(ctx, t)
		Eventually(ctx, func() bool { return running(c, "4008") }).WithTimeout(happensIn()).Should(BeFalse(), "processes of the commands: %v", c.Processes())
		Expect(c.State(ctx)).To(Equal(runtimeapi.ContainerState_CONTAINER_RUNNING))
		Expect(c.Output(ctx, "echo", "alive")).To(Equal("alive"))
	})
})
