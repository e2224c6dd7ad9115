package probe

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"ocid/conformance/target"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// freeAddress is a loopback address that nobody listens on.
func freeAddress() string {
	GinkgoHelper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	Expect(err).NotTo(HaveOccurred())
	defer l.Close()
	return l.Addr().String()
}

// samples reads a metrics endpoint: the value, or the count of a histogram, by
// name and labels, as in `name{a="1",b="2"}`.
func samples(ctx context.Context, address string) map[string]float64 {
	GinkgoHelper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/metrics", nil)
	Expect(err).NotTo(HaveOccurred())
	res, err := http.DefaultClient.Do(req)
	Expect(err).NotTo(HaveOccurred())
	defer res.Body.Close()
	Expect(res.StatusCode).To(Equal(http.StatusOK))
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(res.Body)
	Expect(err).NotTo(HaveOccurred())
	out := map[string]float64{}
	for name, family := range families {
		for _, m := range family.GetMetric() {
			out[name+labels(m)] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return out
}

func labels(m *dto.Metric) string {
	var pairs []string
	for _, l := range m.GetLabel() {
		pairs = append(pairs, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
	}
	if len(pairs) == 0 {
		return ""
	}
	return "{" + strings.Join(pairs, ",") + "}"
}

// What operators of today's daemons have: a Prometheus endpoint; here it also
// says which rules refuse and which steps take time.
var _ = Describe("The metrics endpoint", func() {
	It("counts calls, refusals, steps and objects", target.Covers("operation.metrics"), restartLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureOperations)
		address := freeAddress()
		Expect(t.Reconfigure(ctx, map[string]string{"METRICS": address})).To(Succeed())
		t.Pod(ctx)
		_, err := t.Runtime.ContainerStatus(ctx, &runtimeapi.ContainerStatusRequest{ContainerId: "nobody"})
		Expect(err).To(HaveOccurred())
		const call = `{grpc_code=%q,grpc_method=%q,grpc_service="runtime.v1.RuntimeService",grpc_type="unary"}`
		Expect(samples(ctx, address)).To(And(
			HaveKeyWithValue("grpc_server_handled_total"+fmt.Sprintf(call, "OK", "RunPodSandbox"), 1.0),
			HaveKeyWithValue("grpc_server_handled_total"+fmt.Sprintf(call, "NotFound", "ContainerStatus"), 1.0),
			HaveKeyWithValue(`ocid_refusals_total{call="ContainerStatus",rule="container.status.absent"}`, 1.0),
			HaveKeyWithValue(`ocid_step_duration_seconds{outcome="ok",plan="RunPodSandbox",step="netns"}`, 1.0),
			HaveKeyWithValue(`ocid_sandboxes{state="Ready"}`, 1.0),
			HaveKeyWithValue("ocid_image_pulls", 0.0), HaveKey("ocid_image_pull_bytes_total"),
			HaveKey("process_resident_memory_bytes"),
		))
	})
})

// checked runs `ocid check` with a configuration file.
func checked(ctx context.Context, t *target.T, file string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, t.Var(target.VarDaemon), append([]string{"check", "--config", file, "--config-dir="}, args...)...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

var _ = Describe("ocid check", func() {
	It("says what would be used, beside a daemon, and changes nothing", target.Covers("operation.check"), restartLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureOperations)
		before := t.Now(ctx)
		out, err := checked(ctx, t, filepath.Join(t.Work(), "ocid.toml"),
			"--listen", t.Var("LISTEN"), "--root", t.Var("ROOT"), "--runroot", t.Var("RUNROOT"), "--image", t.Ref("busybox").Tagged)
		Expect(err).NotTo(HaveOccurred(), out)
		Expect(out).To(And(
			ContainSubstring("a daemon listens on "+t.Var("LISTEN")),
			MatchRegexp(`(?m)^ok +runtime +handler "`+t.Var("MAIN")+`": .*witness-`+t.Var("MAIN")),
			MatchRegexp(`(?m)^ok +network +network "`+t.Var("NETWORK")),
			MatchRegexp(`(?m)^ok +storage +driver overlay`),
			MatchRegexp(`(?m)^ok +images +.*from `+t.Var("REGISTRY")+`.*\(insecure\), no credentials`),
		))
		t.ExpectNothingLeft(ctx, before)
	})

	It("fails if pods could not run, and says why", target.Covers("operation.check"), restartLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureOperations)
		dir := GinkgoT().TempDir()
		file := filepath.Join(dir, "ocid.toml")
		text := fmt.Sprintf("root = %q\nrunroot = %q\n[runtime.handlers.runc]\npath = '/nowhere/runc'\n[network]\nconf_dir = %q\ndefault_network = false\n",
			filepath.Join(dir, "root"), filepath.Join(dir, "run"), filepath.Join(dir, "cni"))
		Expect(os.WriteFile(file, []byte(text), 0o600)).To(Succeed())
		out, err := checked(ctx, t, file)
		Expect(err).To(HaveOccurred(), out)
		Expect(out).To(And(MatchRegexp(`(?m)^fail +runtime +.*/nowhere/runc`), MatchRegexp(`(?m)^fail +network +.*no network configuration`)))
		Expect(filepath.Join(dir, "root")).NotTo(BeADirectory())
	})
})

// notified is a service manager's end of NOTIFY_SOCKET.
type notified struct {
	path string
	conn *net.UnixConn
}

func listenNotify(t *target.T) *notified {
	GinkgoHelper()
	m := &notified{path: filepath.Join(GinkgoT().TempDir(), "n")}
	var err error
	m.conn, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: m.path, Net: "unixgram"})
	Expect(err).NotTo(HaveOccurred())
	t.Cleanup("close the notify socket", func(context.Context) error { return m.conn.Close() })
	return m
}

// next is the next message within a time, "" if there is none.
func (m *notified) next(within time.Duration) string {
	GinkgoHelper()
	Expect(m.conn.SetReadDeadline(time.Now().Add(within))).To(Succeed())
	buf := make([]byte, 4096)
	n, _ := m.conn.Read(buf)
	return string(buf[:n])
}

// "READY=1 … RELOADING=1 … STOPPING=1 … WATCHDOG=1" (sd_notify(3))
var _ = Describe("The service manager", func() {
	It("is told when the daemon serves, reloads and ends", target.Covers("operation.notify"), restartLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureOperations)
		m := listenNotify(t)
		Expect(t.Reconfigure(ctx, map[string]string{"NOTIFY_SOCKET": m.path})).To(Succeed())
		Expect(m.next(happensIn())).To(Equal("READY=1"))
		Expect(t.TellDaemon(syscall.SIGHUP)).To(Succeed())
		Expect(m.next(happensIn())).To(MatchRegexp(`^RELOADING=1\nMONOTONIC_USEC=\d+`))
		Expect(m.next(happensIn())).To(Equal("READY=1"))
		Expect(t.StopDaemon(ctx)).To(Succeed())
		Expect(m.next(happensIn())).To(Equal("STOPPING=1"))
		startDaemon(ctx, t)
	})

	It("gets signs of life as often as it asks for", target.Covers("operation.watchdog"), restartLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureOperations)
		m := listenNotify(t)
		Expect(t.Reconfigure(ctx, map[string]string{"NOTIFY_SOCKET": m.path, "WATCHDOG_USEC": "2000000"})).To(Succeed())
		Expect(m.next(happensIn())).To(Equal("READY=1"))
		for range 2 {
			Expect(m.next(1500 * time.Millisecond)).To(Equal("WATCHDOG=1"))
		}
	})

	It("gets no sign of life from a daemon that does not answer its calls", target.Covers("operation.watchdog"), restartLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureOperations)
		m := listenNotify(t)
		Expect(t.Reconfigure(ctx, map[string]string{"NOTIFY_SOCKET": m.path, "WATCHDOG_USEC": "500000"})).To(Succeed())
		Expect(m.next(happensIn())).To(Equal("READY=1"))
		Expect(m.next(happensIn())).To(Equal("WATCHDOG=1"))
		// The socket's file leads elsewhere: nobody answers there.
		aside := t.Var("LISTEN") + ".aside"
		Expect(os.Rename(t.Var("LISTEN"), aside)).To(Succeed())
		back := func() error { return os.Rename(aside, t.Var("LISTEN")) }
		m.next(300 * time.Millisecond) // one may have been on its way
		quiet := m.next(time.Second)
		Expect(back()).To(Succeed())
		Expect(quiet).To(BeEmpty())
		Expect(m.next(happensIn())).To(Equal("WATCHDOG=1"))
	})
})

// "live reload (SIGHUP and conf-dir watching) of what can be reloaded" (design
// notes)
var _ = Describe("A daemon whose configuration changes", func() {
	dropIn := func(t *target.T, text string) {
		GinkgoHelper()
		file := filepath.Join(t.Work(), "conf.d", "20-probe.toml")
		t.Cleanup("remove the drop-in file", func(context.Context) error { return os.RemoveAll(file) })
		Expect(os.WriteFile(file, []byte(text), 0o600)).To(Succeed())
	}
	debugs := func(ctx context.Context, t *target.T) bool {
		GinkgoHelper()
		before := len(t.LogTail())
		_, err := t.Runtime.Version(ctx, &runtimeapi.VersionRequest{})
		Expect(err).NotTo(HaveOccurred())
		return strings.Contains(t.LogTail()[before:], "level=DEBUG")
	}

	It("takes what it can without a restart", target.Covers("operation.reload"), restartLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureOperations)
		Expect(t.Reconfigure(ctx, map[string]string{"LOG_LEVEL": "info"})).To(Succeed())
		Expect(debugs(ctx, t)).To(BeFalse())
		dropIn(t, "log_level = 'debug'\n")
		Eventually(ctx, func() bool { return debugs(ctx, t) }).WithTimeout(happensIn()).Should(BeTrue(), "debug messages after a file has come")
	})

	It("stays as it is if the configuration is bad", target.Covers("operation.reload-bad"), restartLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureOperations)
		Expect(t.Reconfigure(ctx, map[string]string{"LOG_LEVEL": "info"})).To(Succeed())
		dropIn(t, "log_level = 'debug'\nnonsense = 1\n")
		Expect(t.TellDaemon(syscall.SIGHUP)).To(Succeed())
		Eventually(ctx, t.LogTail).WithTimeout(happensIn()).Should(MatchRegexp(`level=ERROR.*20-probe.toml:2.*nonsense`))
		Expect(debugs(ctx, t)).To(BeFalse())
	})
})
