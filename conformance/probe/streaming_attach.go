package probe

import (
	"context"
	"fmt"
	"io"
	"strings"
	"syscall"
	"time"

	"ocid/conformance/target"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"google.golang.org/grpc/codes"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// ticking writes a dot to both outputs now and then, so that a client knows when
// it is attached, until told to end: it then writes a lot at once and is gone.
const ticking = `trap 'i=0; while [ $i -lt 2000 ]; do echo tail-$i; i=$((i+1)); done; echo last; echo last-err >&2; exit 0' USR1
while :; do echo .; echo : >&2; sleep 0.02; done`

func attach(ctx context.Context, c *target.Container, tty bool) error {
	return answerOf(c.T.Runtime.Attach(ctx, &runtimeapi.AttachRequest{ContainerId: c.ID, Stdout: true, Tty: tty}))
}

// "Attach prepares a streaming endpoint to attach to a running container, and
// returns the address." (cri-api v1)
var _ = Describe("Attach", func() {
	It("shows a container's first output to a client that came before the start", target.Covers("stream.attach.live"), streamLimit, func(ctx SpecContext) {
		c := target.Current().Pod(ctx).Create(ctx, target.Shell("echo first; echo second"))
		var out target.Output
		a := attached(ctx, c, target.SPDY, target.Client{Stdout: &out})
		a.expectWaiting("a client of a container that has not started")
		Expect(c.Start(ctx)).To(Succeed())
		Expect(ended(ctx, a)).To(Succeed())
		Expect(out.String()).To(Equal("first\nsecond\n"))
	})

	It("is refused by a container that has ended", target.Covers("stream.attach.ended"), streamLimit, func(ctx SpecContext) {
		t := target.Current()
		err := attach(ctx, ranOut(ctx, t.Pod(ctx), "true"), false)
		t.ExpectCode(err, codes.FailedPrecondition)
		t.ExpectRule(err, "stream.attach.ended")
	})

	It("is refused for an unknown container", target.Covers("stream.attach.absent"), streamLimit, func(ctx SpecContext) {
		t := target.Current()
		err := attach(ctx, nobody(t), false)
		t.ExpectCode(err, codes.NotFound)
		t.ExpectRule(err, "stream.attach.absent")
	})

	// "tty: Whether the process being attached is running in a TTY. This must match
	// the TTY setting in the ContainerConfig." (cri-api v1)
	It("is refused with a tty that is not the container's", target.Covers("stream.attach.tty"), streamLimit, func(ctx SpecContext) {
		t := target.Current()
		p := t.Pod(ctx)
		plain, terminal := p.Run(ctx), p.Run(ctx, withTerminal())
		for _, err := range []error{attach(ctx, plain, true), attach(ctx, terminal, false)} {
			t.ExpectCode(err, codes.InvalidArgument)
			t.ExpectRule(err, "stream.attach.tty")
		}
		Expect(attach(ctx, plain, false)).To(Succeed())
		Expect(attach(ctx, terminal, true)).To(Succeed())
	})
})

var _ = Describe("An attached client", func() {
	for _, via := range target.Transports() {
		It("gets the output to the last byte over "+string(via), target.Covers("stream.attach.output", "stream.protocols"), streamLimit, func(ctx SpecContext) {
			c := target.Current().Pod(ctx).Run(ctx, target.Shell(ticking))
			var out, errs target.Output
			a := attached(ctx, c, via, target.Client{Stdout: &out, Stderr: &errs})
			awaitOutput(ctx, &out, ".\n")
			awaitOutput(ctx, &errs, ":\n")
			c.Signal(ctx, syscall.SIGUSR1)
			Expect(ended(ctx, a)).To(Succeed())
			Expect(out.String()).To(HaveSuffix("tail-1999\nlast\n"))
			Expect(strings.Count(out.String(), "tail-")).To(Equal(2000))
			Expect(strings.ReplaceAll(errs.String(), ":\n", "")).To(Equal("last-err\n"), "stderr apart")
		})
	}

	It("gets what waits for it when the container has ended", target.Covers("stream.attach.output"), streamLimit, func(ctx SpecContext) {
		const much = 5_500_000 // bytes: more than sockets keep, and not so much that the client is given up
		c := target.Current().Pod(ctx).Run(ctx, unlogged(), target.Shell(fmt.Sprintf(
			"trap 'yes 0123456789abcde | head -c %d; exit 0' USR1; while :; do echo .; sleep 0.02; done", much)))
		stuck := newStuckWriter()
		a := attached(ctx, c, target.SPDY, target.Client{Stdout: stuck})
		Eventually(ctx, stuck.first).WithTimeout(happensIn()).Should(BeClosed())
		c.Signal(ctx, syscall.SIGUSR1)
		awaitState(ctx, c, isExited)
		a.expectWaiting("a client that has not got all")
		stuck.release()
		Expect(ended(ctx, a)).To(Succeed())
		Expect(stuck.n).To(BeNumerically(">=", much), "bytes")
	})

	It("is one of several", target.Covers("stream.attach.several"), streamLimit, func(ctx SpecContext) {
		c := target.Current().Pod(ctx).Run(ctx, target.Shell(ticking))
		outs := make([]target.Output, 3)
		var all []*aside[struct{}]
		for i := range outs {
			all = append(all, attached(ctx, c, target.Transports()[i%2], target.Client{Stdout: &outs[i]}))
		}
		for i := range outs {
			awaitOutput(ctx, &outs[i], ".\n")
		}
		c.Signal(ctx, syscall.SIGUSR1)
		for i, a := range all {
			Expect(ended(ctx, a)).To(Succeed())
			Expect(outs[i].String()).To(HaveSuffix("tail-1999\nlast\n"), "client %d", i)
			Expect(strings.Count(outs[i].String(), "tail-")).To(Equal(2000), "client %d", i)
		}
	})

	It("leaves stdin open for the next one", target.Covers("stream.attach.stdin"), streamLimit, func(ctx SpecContext) {
		c := target.Current().Pod(ctx).Run(ctx, target.Shell("while read line; do echo got $line; done; echo end"), interactive(false))
		for i := range 2 {
			converse(ctx, c, target.Transports()[i], fmt.Sprint("line", i))
		}
		Expect(c.State(ctx)).To(Equal(runtimeapi.ContainerState_CONTAINER_RUNNING))
	})

	It("closes stdin_once by ending its input, and not by leaving if it only reads", target.Covers("stream.attach.stdin-once"), streamLimit, func(ctx SpecContext) {
		p := target.Current().Pod(ctx)
		c := p.Run(ctx, target.Shell("echo ready; while :; do echo .; sleep 0.02; done & while read line; do echo got $line; done; kill $!; wait; echo end"), interactive(true))
		for _, via := range target.Transports() { // these leave
			mine, leave := context.WithCancel(ctx)
			var out target.Output
			with := target.Client{Stdout: &out}
			url := attachURL(ctx, c, with)
			a := beginCall(func() error { return with.Stream(mine, via, url) })
			awaitOutput(ctx, &out, ".")
			leave()
			_ = ended(ctx, a)
		}
		var out target.Output
		r, w := inputPair()
		a := attached(ctx, c, target.SPDY, target.Client{Stdin: r, Stdout: &out})
		_, err := w.Write([]byte("hello\n"))
		Expect(err).NotTo(HaveOccurred())
		awaitOutput(ctx, &out, "got hello\n")
		Expect(out.String()).NotTo(ContainSubstring("end"))
		Expect(w.Close()).To(Succeed())
		Expect(ended(ctx, a)).To(Succeed())
		Expect(out.String()).To(HaveSuffix("end\n"))
		awaitState(ctx, c, isExited)
	})

	It("closes stdin_once by leaving", target.Covers("stream.attach.stdin-once"), streamLimit, func(ctx SpecContext) {
		c := target.Current().Pod(ctx).Run(ctx, target.Shell("while read line; do echo got $line; done; exit 3"), interactive(true))
		mine, leave := context.WithCancel(ctx)
		var out target.Output
		r, w := inputPair()
		with := target.Client{Stdin: r, Stdout: &out}
		url := attachURL(ctx, c, with)
		a := beginCall(func() error { return with.Stream(mine, target.SPDY, url) })
		_, err := w.Write([]byte("hello\n"))
		Expect(err).NotTo(HaveOccurred())
		awaitOutput(ctx, &out, "got hello\n")
		leave()
		_ = ended(ctx, a)
		awaitState(ctx, c, isExited)
		Expect(c.Status(ctx).GetExitCode()).To(BeEquivalentTo(3))
	})

	It("has the container's terminal", target.Covers("stream.attach.resize"), streamLimit, func(ctx SpecContext) {
		c := target.Current().Pod(ctx).Run(ctx, target.Shell("while :; do stty size; sleep 0.02; done"), withTerminal())
		for _, via := range target.Transports() {
			var out target.Output
			mine, leave := context.WithCancel(ctx)
			with := target.Client{Stdout: &out, Terminal: newTerminal(101, 37)}
			url := attachURL(ctx, c, with)
			a := beginCall(func() error { return with.Stream(mine, via, url) })
			awaitOutput(ctx, &out, "37 101\r\n")
			with.Terminal.Resize(55, 22)
			awaitOutput(ctx, &out, "22 55\r\n")
			leave()
			_ = ended(ctx, a)
		}
		Expect(c.Stop(ctx, 0)).To(Succeed())
	})

	It("that does not read holds up nobody and is given up", target.Covers("stream.attach.slow"), kernelLimit, func(ctx SpecContext) {
		const much = 60_000_000 // bytes: more than sockets and the daemon keep
		c := target.Current().Pod(ctx).Run(ctx, interactive(false), unlogged(), target.Shell(fmt.Sprintf(
			"while :; do echo .; sleep 0.02; done & read line; kill $!; yes 0123456789abcde | head -c %d; echo done > /dev/shm/done; sleep 40091", much)))
		before := heldSockets(c.T)
		stuck := newStuckWriter()
		a := attached(ctx, c, target.SPDY, target.Client{Stdout: stuck})
		Eventually(ctx, stuck.first).WithTimeout(happensIn()).Should(BeClosed())
		r, w := inputPair()
		typist := attached(ctx, c, target.SPDY, target.Client{Stdin: r})
		_, err := w.Write([]byte("go\n"))
		Expect(err).NotTo(HaveOccurred())
		Eventually(ctx, func() bool { return runs(c, "sleep", "40091") }).WithTimeout(2*time.Minute).Should(BeTrue(), "the container has to write on")
		typist.expectWaiting("a client that reads")
		Expect(c.Stop(ctx, 0)).To(Succeed())
		Expect(ended(ctx, typist)).To(Succeed())
		Eventually(ctx, func() int { return heldSockets(c.T) }).WithTimeout(2*happensIn()).Should(BeNumerically("<=", before), "sockets of a client that does not read")
		stuck.release()
		_ = ended(ctx, a) // client-go takes the end of the connection for an end without an error
		Expect(stuck.n).To(BeNumerically("<", much), "bytes")
	})

	It("can come after the daemon was restarted", target.Covers("stream.attach.restart"), restartLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureRestart)
		c := t.Pod(ctx).Run(ctx, target.Shell("while read line; do echo got $line; done; echo end"), interactive(false))
		converse(ctx, c, target.SPDY, "before")
		Expect(t.Restart(ctx, syscall.SIGTERM)).To(Succeed())
		converse(ctx, c, target.SPDY, "after")
		crash(ctx, t)
		converse(ctx, c, target.WebSocket, "crash")
		Expect(c.State(ctx)).To(Equal(runtimeapi.ContainerState_CONTAINER_RUNNING))
	})
})

// The daemon is between the client and the container; what it ends with is the
// stream, not the container.
var _ = Describe("An attached client whose daemon ends", func() {
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		for _, via := range []target.Transport{target.SPDY, target.WebSocket} {
			It(fmt.Sprintf("is told so, and the container goes on: %s, %s", signal, via), target.Covers("stream.attach.restart"), restartLimit, func(ctx SpecContext) {
				t := target.Current()
				t.Need(target.FeatureRestart)
				c := t.Pod(ctx).Run(ctx, target.Shell("while read line; do echo got $line; done; echo end"), interactive(false))
				var out target.Output
				r, w := inputPair()
				open := attached(ctx, c, via, target.Client{Stdin: r, Stdout: &out})
				_, err := io.WriteString(w, "before\n")
				Expect(err).NotTo(HaveOccurred())
				awaitOutput(ctx, &out, "got before\n")
				Expect(t.Restart(ctx, signal)).To(Succeed())
				Eventually(ctx, open.over).WithTimeout(happensIn()).Should(BeClosed(), "the stream of a daemon that is gone")
				Expect(c.State(ctx)).To(Equal(runtimeapi.ContainerState_CONTAINER_RUNNING))
				converse(ctx, c, via, "after")
				Expect(out.String()).To(Equal("got before\n"))
			})
		}
	}
})

// converse attaches to a container that answers each line, and leaves.
func converse(ctx context.Context, c *target.Container, via target.Transport, line string) {
	GinkgoHelper()
	mine, leave := context.WithCancel(ctx)
	defer leave()
	var out target.Output
	r, w := inputPair()
	with := target.Client{Stdin: r, Stdout: &out}
	url := attachURL(ctx, c, with)
	a := beginCall(func() error { return with.Stream(mine, via, url) })
	_, err := io.WriteString(w, line+"\n")
	Expect(err).NotTo(HaveOccurred())
	awaitOutput(ctx, &out, "got "+line+"\n")
	leave()
	_ = ended(ctx, a)
}
