package probe

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"ocid/conformance/target"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const sigTerm = syscall.SIGTERM

// timeOut fires in that many milliseconds: for what has to be over by then.
func timeOut(ms int) <-chan time.Time { return time.After(time.Duration(ms) * time.Millisecond) }

func hostPort(address string) (host, port string) {
	GinkgoHelper()
	u, err := url.Parse(address)
	Expect(err).NotTo(HaveOccurred())
	return u.Hostname(), u.Port()
}

// otherAddresses are the host's that are not the loopback interface's.
func otherAddresses() (all []string) {
	GinkgoHelper()
	addrs, err := net.InterfaceAddrs()
	Expect(err).NotTo(HaveOccurred())
	for _, a := range addrs {
		if ip := a.(*net.IPNet).IP; !ip.IsLoopback() && !ip.IsLinkLocalUnicast() {
			all = append(all, ip.String())
		}
	}
	return all
}

// certificate writes a certificate for the loopback interface.
func certificate(dir string) (cert, key string) {
	GinkgoHelper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	Expect(err).NotTo(HaveOccurred())
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	Expect(err).NotTo(HaveOccurred())
	secret, err := x509.MarshalECPrivateKey(private)
	Expect(err).NotTo(HaveOccurred())
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "EC PRIVATE KEY", Bytes: secret}} {
		Expect(os.WriteFile(path, pem.EncodeToMemory(block), 0o600)).To(Succeed())
	}
	return cert, key
}

var _ = Describe("The server of streams", func() {
	It("speaks TLS and nothing else with a certificate", target.Covers("stream.url.tls"), restartLimit, func(ctx SpecContext) {
		t := target.Current()
		cert, key := certificate(GinkgoT().TempDir())
		Expect(t.Reconfigure(ctx, map[string]string{target.VarStreamCert: cert, target.VarStreamKey: key})).To(Succeed())
		c := t.Running(ctx)
		for _, via := range target.Transports() {
			var out target.Output
			with := target.Client{Stdout: &out}
			address := execURL(ctx, c, with, "echo", "hello")
			Expect(address).To(HavePrefix("https://"))
			Expect(with.Stream(ctx, via, address)).To(Succeed(), "over %s", via)
			Expect(out.String()).To(Equal("hello\n"))
		}
		address := execURL(ctx, c, target.Client{Stdout: &target.Output{}}, "true")
		_, err := target.Get(ctx, address, nil, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10})
		Expect(err).To(HaveOccurred(), "TLS 1.1")
		code, err := target.Get(ctx, "http"+address[len("https"):], nil, nil)
		Expect(err != nil || code == 400).To(BeTrue(), "no TLS: %d", code)
	})

	It("ends what is idle", target.Covers("stream.idle"), restartLimit, func(ctx SpecContext) {
		t := target.Current()
		Expect(t.Reconfigure(ctx, map[string]string{target.VarStreamIdle: "1s"})).To(Succeed())
		c := t.Running(ctx)
		for _, via := range target.Transports() {
			var out target.Output
			a := execStream(ctx, c, via, target.Client{Stdout: &out}, "/bin/sh", "-c", "for i in 1 2 3 4; do echo $i; sleep 0.5; done; sleep 40095")
			awaitOutput(ctx, &out, "4\n")
			_ = ended(ctx, a)
			Eventually(ctx, func() bool { return running(c, "40095") }).WithTimeout(happensIn()).Should(BeFalse(), "the command, over %s", via)
		}
	})

	It("lets streams go on as long as calls do, and then ends them", target.Covers("shutdown.streams"), restartLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureHostProcesses)
		c := t.Running(ctx)
		call := beginCall(func() error {
			return answerOf(t.Runtime.ExecSync(ctx, &runtimeapi.ExecSyncRequest{ContainerId: c.ID, Cmd: []string{"sleep", "1.5"}, Timeout: 10}))
		})
		Eventually(ctx, func() bool { return running(c, "1.5") }).WithTimeout(happensIn()).Should(BeTrue())
		var out target.Output
		a := execStream(ctx, c, target.SPDY, target.Client{Stdout: &out}, "/bin/sh", "-c", "trap '' HUP TERM; echo ready; sleep 40096")
		awaitOutput(ctx, &out, "ready")
		end := terminated(ctx, t, sigTerm)
		_ = awaitRefusal(ctx, t)
		a.expectWaiting("a stream beside a call")
		_, err := call.result(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(ended(ctx, a)).NotTo(Succeed())
		expectExit(ctx, end, atOnce)
		Expect(running(c, "40096")).To(BeFalse(), "the command")
		Expect(t.StartDaemon(ctx)).To(Succeed())
		Expect(c.State(ctx)).To(Equal(runtimeapi.ContainerState_CONTAINER_RUNNING))
	})
})

// "One of `stdin`, `stdout`, and `stderr` MUST be true.", "If `tty` is true,
// `stderr` MUST be false." (cri-api v1, ExecRequest and AttachRequest)
var _ = DescribeTable("A call for a stream",
	func(ctx SpecContext, rule, field string, calls []func(context.Context, *target.T) error) {
		t := target.Current()
		for _, c := range calls {
			expectInvalid(t, c(ctx, t), rule, field)
		}
		expectUntouched(t, 0)
	},
	call("request.exec.container", "container_id", "Exec without an ID", func(ctx context.Context, t *target.T) error {
		return answerOf(t.Runtime.Exec(ctx, &runtimeapi.ExecRequest{Cmd: []string{"true"}, Stdout: true}))
	}),
	call("request.exec.cmd", "cmd", "Exec without a command", func(ctx context.Context, t *target.T) error {
		return answerOf(t.Runtime.Exec(ctx, &runtimeapi.ExecRequest{ContainerId: nobody(t).ID, Stdout: true}))
	}),
	call("request.exec.streams", "stdin", "Exec without a stream", func(ctx context.Context, t *target.T) error {
		return answerOf(t.Runtime.Exec(ctx, &runtimeapi.ExecRequest{ContainerId: nobody(t).ID, Cmd: []string{"true"}}))
	}),
	call("request.exec.tty-stderr", "tty", "Exec with a terminal and stderr", func(ctx context.Context, t *target.T) error {
		return answerOf(t.Runtime.Exec(ctx, &runtimeapi.ExecRequest{ContainerId: nobody(t).ID, Cmd: []string{"true"}, Tty: true, Stdout: true, Stderr: true}))
	}),
	call("request.attach.container", "container_id", "Attach without an ID", func(ctx context.Context, t *target.T) error {
		return answerOf(t.Runtime.Attach(ctx, &runtimeapi.AttachRequest{Stdout: true}))
	}),
	call("request.attach.streams", "stdin", "Attach without a stream", func(ctx context.Context, t *target.T) error {
		return answerOf(t.Runtime.Attach(ctx, &runtimeapi.AttachRequest{ContainerId: nobody(t).ID}))
	}),
	call("request.attach.tty-stderr", "tty", "Attach with a terminal and stderr", func(ctx context.Context, t *target.T) error {
		return answerOf(t.Runtime.Attach(ctx, &runtimeapi.AttachRequest{ContainerId: nobody(t).ID, Tty: true, Stdout: true, Stderr: true}))
	}),
	call("request.forward.sandbox", "pod_sandbox_id", "PortForward without an ID", func(ctx context.Context, t *target.T) error {
		return answerOf(t.Runtime.PortForward(ctx, &runtimeapi.PortForwardRequest{}))
	}),
	call("request.forward.port", "port", "PortForward to no port",
		func(ctx context.Context, t *target.T) error {
			return answerOf(t.Runtime.PortForward(ctx, &runtimeapi.PortForwardRequest{PodSandboxId: nobody(t).ID, Port: []int32{80, 0}}))
		},
		func(ctx context.Context, t *target.T) error {
			return answerOf(t.Runtime.PortForward(ctx, &runtimeapi.PortForwardRequest{PodSandboxId: nobody(t).ID, Port: []int32{65536}}))
		}),
)
