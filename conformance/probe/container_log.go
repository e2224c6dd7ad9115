package probe

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"time"

	"ocid/conformance/target"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// A criLine is "TIME STREAM TAG TEXT": time as in RFC 3339 with nanoseconds, tag
// P for a part of a line and F for a whole one or its last part.
type criLine struct {
	at                time.Time
	stream, tag, text string
}

var criFormat = regexp.MustCompile(`^(\S+) (stdout|stderr) ([FP]) (.*)$`)

func criLines(log string) []criLine {
	GinkgoHelper()
	var lines []criLine
	for line := range strings.Lines(log) {
		Expect(line).To(HaveSuffix("\n"))
		m := criFormat.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		Expect(m).NotTo(BeNil(), "line %q", line)
		at, err := time.Parse(time.RFC3339Nano, m[1])
		Expect(err).NotTo(HaveOccurred(), "line %q", line)
		lines = append(lines, criLine{at, m[2], m[3], m[4]})
	}
	return lines
}

func textOf(lines []criLine, stream string) string {
	var b strings.Builder
	for _, l := range lines {
		if l.stream != stream {
			continue
		}
		b.WriteString(l.text)
		if l.tag == "F" {
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// "ContainerConfig.log_path: Path relative to PodSandboxConfig.LogDirectory for
// container to store the log (STDOUT and STDERR) on the host." (cri-api v1). The
// kubelet parses it line by line.
var _ = Describe("A container's log", func() {
	It("has both streams in CRI format", target.Covers("container.log"), containerLimit, func(ctx SpecContext) {
		begin := time.Now().Add(-time.Second)
		c := ranOut(ctx, target.Current().Pod(ctx), "echo one; echo two >&2; echo; echo three; printf tail")
		lines := criLines(logOf(c))
		Expect(textOf(lines, "stdout")).To(HavePrefix("one\n\nthree\ntail"))
		Expect(textOf(lines, "stderr")).To(Equal("two\n"))
		for _, l := range lines {
			Expect(l.at).To(And(BeTemporally(">", begin), BeTemporally("<=", time.Now())))
		}
	})

	It("has long lines in parts", target.Covers("container.log"), containerLimit, func(ctx SpecContext) {
		c := ranOut(ctx, target.Current().Pod(ctx), "printf '%050000d\\n' 7; echo after")
		lines := criLines(logOf(c))
		Expect(textOf(lines, "stdout")).To(Equal(fmt.Sprintf("%050000d\nafter\n", 7)))
		Expect(lines[0].tag).To(Equal("P"))
	})

	It("stands where log_path says, and stays", target.Covers("container.log"), containerLimit, func(ctx SpecContext) {
		p := target.Current().Pod(ctx)
		c := p.Run(ctx, target.Shell("echo hello"), target.WithContainer(func(c *runtimeapi.ContainerConfig) { c.LogPath = "dir/0.log" }))
		awaitState(ctx, c, stateExited)
		Expect(c.Status(ctx).GetLogPath()).To(Equal(p.LogPath("dir/0.log")))
		Expect(c.Remove(ctx)).To(Succeed())
		data, err := os.ReadFile(p.LogPath("dir/0.log"))
		Expect(err).NotTo(HaveOccurred())
		Expect(string(data)).To(HaveSuffix("stdout F hello\n"))
	})
})
