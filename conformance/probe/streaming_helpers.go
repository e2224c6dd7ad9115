package probe

import (
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"time"

	"ocid/conformance/target"

	"github.com/containernetworking/plugins/pkg/ns"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// streamLimit bounds one case of the streaming chapter.
const streamLimit = SpecTimeout(40 * time.Second)

// execURL asks for a stream as the client will have it.
func execURL(ctx context.Context, c *target.Container, with target.Client, cmd ...string) string {
	GinkgoHelper()
	resp, err := c.T.Runtime.Exec(ctx, &runtimeapi.ExecRequest{
		ContainerId: c.ID, Cmd: cmd, Stdin: with.Stdin != nil, Stdout: with.Stdout != nil, Stderr: with.Stderr != nil, Tty: with.Terminal != nil,
	})
	Expect(err).NotTo(HaveOccurred(), "Exec")
	Expect(resp.GetUrl()).NotTo(BeEmpty(), "URL")
	return resp.GetUrl()
}

func attachURL(ctx context.Context, c *target.Container, with target.Client) string {
	GinkgoHelper()
	resp, err := c.T.Runtime.Attach(ctx, &runtimeapi.AttachRequest{
		ContainerId: c.ID, Stdin: with.Stdin != nil, Stdout: with.Stdout != nil, Stderr: with.Stderr != nil, Tty: with.Terminal != nil,
	})
	Expect(err).NotTo(HaveOccurred(), "Attach")
	Expect(resp.GetUrl()).NotTo(BeEmpty(), "URL")
	return resp.GetUrl()
}

func forwardURL(ctx context.Context, p *target.Pod, ports ...int32) string {
	GinkgoHelper()
	resp, err := p.T.Runtime.PortForward(ctx, &runtimeapi.PortForwardRequest{PodSandboxId: p.ID, Port: ports})
	Expect(err).NotTo(HaveOccurred(), "PortForward")
	Expect(resp.GetUrl()).NotTo(BeEmpty(), "URL")
	return resp.GetUrl()
}

// execStream begins to run a command; its end is the client's.
func execStream(ctx context.Context, c *target.Container, via target.Transport, with target.Client, cmd ...string) *aside[struct{}] {
	GinkgoHelper()
	url := execURL(ctx, c, with, cmd...)
	return beginCall(func() error { return with.Stream(ctx, via, url) })
}

// attached begins to attach and waits until what the container writes arrives:
// a container made for it writes "." all the time.
func attached(ctx context.Context, c *target.Container, via target.Transport, with target.Client) *aside[struct{}] {
	GinkgoHelper()
	url := attachURL(ctx, c, with)
	return beginCall(func() error { return with.Stream(ctx, via, url) })
}

// ended waits for the end of a stream and returns what it ended with.
func ended(ctx context.Context, a *aside[struct{}]) error {
	GinkgoHelper()
	_, err := a.result(ctx)
	return err
}

func awaitOutput(ctx context.Context, o *target.Output, text string) {
	GinkgoHelper()
	Eventually(ctx, o.String).WithTimeout(happensIn()).WithPolling(5*time.Millisecond).Should(ContainSubstring(text), "output of the stream")
}

// interactive makes containers with stdin, which is closed after one client if
// once is true.
func interactive(once bool) target.ContainerOption {
	return target.WithContainer(func(c *runtimeapi.ContainerConfig) { c.Stdin, c.StdinOnce = true, once })
}

func withTerminal() target.ContainerOption {
	return target.WithContainer(func(c *runtimeapi.ContainerConfig) { c.Tty, c.Stdin = true, true })
}

// unlogged makes containers that keep no log.
func unlogged() target.ContainerOption {
	return target.WithContainer(func(c *runtimeapi.ContainerConfig) { c.LogPath = "" })
}

// newTerminal is a client's terminal of a size; its end is the end of the case.
func newTerminal(width, height uint16) target.Terminal {
	t := make(target.Terminal, 4)
	t.Resize(width, height)
	DeferCleanup(func() { close(t) })
	return t
}

// inputPair is what a client types; its end is the end of the case.
func inputPair() (*io.PipeReader, *io.PipeWriter) {
	r, w := io.Pipe()
	DeferCleanup(func() { _ = w.Close() })
	return r, w
}

// listenIn listens on an address of a network namespace, "" for the host's, and
// has serve answer each connection.
func listenIn(netns, address string, serve func(net.Conn)) int {
	GinkgoHelper()
	var l net.Listener
	open := func() (err error) {
		l, err = net.Listen("tcp", net.JoinHostPort(address, "0"))
		return err
	}
	if netns == "" {
		Expect(open()).To(Succeed())
	} else {
		Expect(ns.WithNetNSPath(netns, func(ns.NetNS) error { return open() })).To(Succeed())
	}
	DeferCleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() { defer conn.Close(); serve(conn) }()
		}
	}()
	_, port, err := net.SplitHostPort(l.Addr().String())
	Expect(err).NotTo(HaveOccurred())
	n, err := strconv.Atoi(port)
	Expect(err).NotTo(HaveOccurred())
	return n
}

// echo answers "heard: " and all that it has heard, when that has ended.
func echo(conn net.Conn) {
	data, err := io.ReadAll(conn)
	if err == nil {
		_, _ = conn.Write(append([]byte("heard: "), data...))
	}
}

// forwarding comes to a URL of PortForward, until the end of the case.
func forwarding(via target.Transport, url string) *target.Forwarding {
	GinkgoHelper()
	f, err := target.Forward(via, url)
	Expect(err).NotTo(HaveOccurred(), "the URL of PortForward")
	DeferCleanup(func() { _ = f.Close() })
	return f
}

// heard sends a text through a forwarded connection, ends it, and returns the
// answer.
func heard(ctx context.Context, f *target.Forwarding, port int, text string) (string, error) {
	GinkgoHelper()
	c, err := f.Connect(port)
	if err != nil {
		return "", err
	}
	answer := beginAside(func() (string, error) {
		if _, err := c.Write([]byte(text)); err != nil {
			return "", err
		}
		if err := c.Close(); err != nil {
			return "", err
		}
		data, err := io.ReadAll(c)
		return string(data), err
	})
	got, err := answer.result(ctx)
	said, failed := c.Failure(ctx)
	if said != "" {
		failed = errors.New(said)
	}
	return got, errors.Join(err, failed)
}
