package probe

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"

	"ocid/conformance/target"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"google.golang.org/grpc/codes"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// "PortForward prepares a streaming endpoint to forward ports from a PodSandbox,
// and returns the address." (cri-api v1)
var _ = Describe("PortForward", func() {
	ask := func(ctx context.Context, p *target.Pod) error {
		return answerOf(p.T.Runtime.PortForward(ctx, &runtimeapi.PortForwardRequest{PodSandboxId: p.ID}))
	}

	It("is refused by a sandbox that is not ready, also when the client comes", target.Covers("stream.forward.stopped"), streamLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureHostNamespaces) // for a server in the pod
		p := t.Pod(ctx)
		port := listenIn(pinnedNetns(t, p), "127.0.0.1", echo)
		f := forwarding(target.SPDY, forwardURL(ctx, p))
		Expect(p.Stop(ctx)).To(Succeed())
		err := ask(ctx, p)
		t.ExpectCode(err, codes.FailedPrecondition)
		t.ExpectRule(err, "stream.forward.stopped")
		_, err = heard(ctx, f, port, "hello")
		Expect(err).To(HaveOccurred(), "a sandbox that was stopped meanwhile")
	})

	It("is refused for an unknown sandbox", target.Covers("stream.forward.absent"), streamLimit, func(ctx SpecContext) {
		t := target.Current()
		err := ask(ctx, &target.Pod{T: t, ID: strings.Repeat("0b", 32)})
		t.ExpectCode(err, codes.NotFound)
		t.ExpectRule(err, "stream.forward.absent")
	})

	for _, via := range target.Transports() {
		It("connects inside the pod over "+string(via), target.Covers("stream.forward.ready", "stream.forward.pod", "stream.forward.protocols"), streamLimit, func(ctx SpecContext) {
			t := target.Current()
			t.Need(target.FeatureHostNamespaces) // for a server in the pod
			p := t.Pod(ctx)
			v4, v6 := listenIn(pinnedNetns(t, p), "127.0.0.1", echo), listenIn(pinnedNetns(t, p), "::1", echo)
			f := forwarding(via, forwardURL(ctx, p))
			Expect(heard(ctx, f, v4, "IPv4")).To(Equal("heard: IPv4"))
			Expect(heard(ctx, f, v6, "IPv6")).To(Equal("heard: IPv6"))
		})

		It("passes the end of each direction on over "+string(via), target.Covers("stream.forward.half"), streamLimit, func(ctx SpecContext) {
			t := target.Current()
			t.Need(target.FeatureHostNamespaces) // for a server in the pod
			p := t.Pod(ctx)
			got := make(chan string, 1)
			port := listenIn(pinnedNetns(t, p), "127.0.0.1", func(conn net.Conn) {
				_, _ = conn.Write([]byte("all I have to say"))
				_ = conn.(*net.TCPConn).CloseWrite()
				data, _ := io.ReadAll(conn)
				got <- string(data)
			})
			f := forwarding(via, forwardURL(ctx, p))
			listener := listenIn(pinnedNetns(t, p), "127.0.0.1", echo)
			Expect(heard(ctx, f, listener, "hello")).To(Equal("heard: hello"), "an answer to the client's end")
			c, err := f.Connect(port)
			Expect(err).NotTo(HaveOccurred())
			answer := beginAside(func() ([]byte, error) { return io.ReadAll(c) })
			said, err := answer.result(ctx)
			Expect(err).NotTo(HaveOccurred())
			Expect(string(said)).To(Equal("all I have to say"), "the pod's end is passed on")
			_, err = c.Write([]byte("and I have more"))
			Expect(err).NotTo(HaveOccurred())
			Expect(c.Close()).To(Succeed())
			Eventually(ctx, got).WithTimeout(happensIn()).Should(Receive(Equal("and I have more")), "the client's direction goes on")
		})
	}

	It("tells that nobody listens, and goes on with others", target.Covers("stream.forward.refused"), streamLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureHostNamespaces) // for a server in the pod
		p := t.Pod(ctx)
		port := listenIn(pinnedNetns(t, p), "127.0.0.1", echo)
		f := forwarding(target.SPDY, forwardURL(ctx, p))
		_, err := heard(ctx, f, 9, "hello")
		Expect(err).To(MatchError(ContainSubstring("connection refused")))
		Expect(heard(ctx, f, port, "hello")).To(Equal("heard: hello"))
	})

	It("connects to the host's port on the host network", target.Covers("stream.forward.host"), streamLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureHostNetwork)
		p := t.Pod(ctx, target.HostNetwork())
		f := forwarding(target.SPDY, forwardURL(ctx, p))
		Expect(heard(ctx, f, listenIn("", "127.0.0.1", echo), "hello")).To(Equal("heard: hello"))
	})

	It("connects to the address of a VM", target.Covers("stream.forward.vm"), restartLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureHandlers)
		Expect(t.Reconfigure(ctx, map[string]string{"NATIVE_VM": "true"})).To(Succeed())
		p := t.Pod(ctx, target.Handler("native"))
		port := listenIn(pinnedNetns(t, p), p.Status(ctx).GetNetwork().GetIp(), echo)
		f := forwarding(target.SPDY, forwardURL(ctx, p))
		Expect(heard(ctx, f, port, "hello")).To(Equal("heard: hello"))
	})

	It("forwards no port but those that the request names", target.Covers("stream.forward.protocols"), streamLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureHostNamespaces) // for a server in the pod
		p := t.Pod(ctx)
		named, other := listenIn(pinnedNetns(t, p), "127.0.0.1", echo), listenIn(pinnedNetns(t, p), "127.0.0.1", echo)
		f := forwarding(target.SPDY, forwardURL(ctx, p, int32(named)))
		Expect(heard(ctx, f, named, "hello")).To(Equal("heard: hello"))
		_, err := heard(ctx, f, other, "hello")
		Expect(err).To(HaveOccurred())
	})
})

// The URL of a stream.
var _ = Describe("A stream's URL", func() {
	hello := func(ctx context.Context, c *target.Container) (url string, fetch func() (string, error)) {
		GinkgoHelper()
		var out target.Output
		with := target.Client{Stdout: &out}
		url = execURL(ctx, c, with, "echo", "hello")
		return url, func() (string, error) { err := with.Stream(ctx, target.SPDY, url); return out.String(), err }
	}

	It("is good for one client", target.Covers("stream.url.once"), streamLimit, func(ctx SpecContext) {
		url, fetch := hello(ctx, target.Current().Running(ctx))
		Expect(fetch()).To(Equal("hello\n"))
		_, err := fetch()
		Expect(err).To(HaveOccurred(), "a second client")
		Expect(target.Get(ctx, url, nil, nil)).To(Equal(http.StatusNotFound))
	})

	It("expires", target.Covers("stream.url.expires"), restartLimit, func(ctx SpecContext) {
		t := target.Current()
		Expect(t.Reconfigure(ctx, map[string]string{target.VarStreamURL: "500ms"})).To(Succeed())
		c := t.Running(ctx)
		_, fetch := hello(ctx, c)
		Expect(fetch()).To(Equal("hello\n"), "a client in time")
		url, fetch := hello(ctx, c)
		<-timeOut(600)
		_, err := fetch()
		Expect(err).To(HaveOccurred(), "a client too late")
		Expect(target.Get(ctx, url, nil, nil)).To(Equal(http.StatusNotFound))
	})

	It("can't be guessed, nor used for another kind of stream", target.Covers("stream.url.secret"), streamLimit, func(ctx SpecContext) {
		c := target.Current().Running(ctx)
		url, fetch := hello(ctx, c)
		again, _ := hello(ctx, c)
		head, token := url[:strings.LastIndex(url, "/")], url[strings.LastIndex(url, "/")+1:]
		Expect(len(token)*5).To(BeNumerically(">=", 128), "bits in %s, at five a character", token)
		Expect(again).NotTo(Equal(url))
		Expect(target.Get(ctx, strings.Replace(url, "/exec/", "/attach/", 1), nil, nil)).To(Equal(http.StatusNotFound))
		Expect(target.Get(ctx, head+"/"+token[:len(token)-1], nil, nil)).To(Equal(http.StatusNotFound))
		Expect(fetch()).To(Equal("hello\n"), "what was tried has not used it up")
	})

	It("leads to the loopback interface", target.Covers("stream.url.loopback"), streamLimit, func(ctx SpecContext) {
		c := target.Current().Running(ctx)
		for _, url := range []string{execURL(ctx, c, target.Client{Stdout: io.Discard}, "true"), attachURL(ctx, c, target.Client{Stdout: io.Discard}), forwardURL(ctx, c.Pod)} {
			host, port := hostPort(url)
			Expect(net.ParseIP(host).IsLoopback()).To(BeTrue(), url)
			for _, ip := range otherAddresses() {
				conn, err := net.Dial("tcp", net.JoinHostPort(ip, port))
				if err == nil {
					_ = conn.Close()
				}
				Expect(err).To(HaveOccurred(), "nobody listens on %s", ip)
			}
		}
	})

	It("waits beside a thousand others", target.Covers("stream.url.many"), restartLimit, func(ctx SpecContext) {
		t := target.Current()
		Expect(t.Restart(ctx, sigTerm)).To(Succeed(), "so that no URL waits")
		p := t.Pod(ctx)
		req := &runtimeapi.PortForwardRequest{PodSandboxId: p.ID}
		for i := range 1000 {
			Expect(answerOf(t.Runtime.PortForward(ctx, req))).To(Succeed(), "call %d", i)
		}
		err := answerOf(t.Runtime.PortForward(ctx, req))
		t.ExpectCode(err, codes.ResourceExhausted)
		t.ExpectRule(err, "stream.url.many")
		Expect(t.Restart(ctx, sigTerm)).To(Succeed())
	})
})
