package probe

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"ocid/conformance/target"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// statusLine returns what /proc/PID/status says of a process under the name.
func statusLine(pid int, name string) string {
	GinkgoHelper()
	target.Current().Need(target.FeatureHostProcesses)
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	Expect(err).NotTo(HaveOccurred())
	return statusIn(string(data), name)
}

// statusInside is statusLine of a command that is run in the container.
func statusInside(ctx context.Context, c *target.Container, name string) string {
	GinkgoHelper()
	return statusIn(c.Output(ctx, "cat", "/proc/self/status"), name)
}

// firstStatus is statusLine of the container's first process, by the host, or
// where that has no such process, by the container's own kernel.
func firstStatus(ctx context.Context, c *target.Container, name string) string {
	GinkgoHelper()
	if c.T.Has(target.FeatureHostProcesses) {
		return statusLine(c.Init().PID, name)
	}
	return statusIn(c.Output(ctx, "cat", "/proc/1/status"), name)
}

// firstCaps is a set of capabilities of the container's first process: CapEff,
// CapBnd, …
func firstCaps(ctx context.Context, c *target.Container, set string) uint64 {
	GinkgoHelper()
	return caps(firstStatus(ctx, c, set))
}

// insideCaps is firstCaps of a command that is run in the container.
func insideCaps(ctx context.Context, c *target.Container, set string) uint64 {
	GinkgoHelper()
	return caps(statusInside(ctx, c, set))
}

// ownCaps is a set of capabilities of the suite, which has the daemon's.
func ownCaps(set string) uint64 {
	GinkgoHelper()
	text, err := os.ReadFile("/proc/self/status")
	Expect(err).NotTo(HaveOccurred())
	return caps(statusIn(string(text), set))
}

func caps(digits string) uint64 {
	GinkgoHelper()
	set, err := strconv.ParseUint(digits, 16, 64)
	Expect(err).NotTo(HaveOccurred())
	return set
}

func statusIn(text, name string) string {
	GinkgoHelper()
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	Fail("no " + name + " in /proc/PID/status")
	return ""
}

// confined changes the security context of a container.
func confined(change func(*runtimeapi.LinuxContainerSecurityContext)) target.ContainerOption {
	return withSecurity(change)[0]
}

// confinedPod changes the security context of a pod.
func confinedPod(change func(*runtimeapi.LinuxSandboxSecurityContext)) target.PodOption {
	return podSecurity(change)[0]
}

// withoutContext takes the security context away, and with it the namespaces
// that the suite asks for.
func withoutContext() target.ContainerOption {
	return target.WithContainer(func(c *runtimeapi.ContainerConfig) { c.GetLinux().SecurityContext = nil })
}

// securityFile writes a file of the case and returns its path.
func securityFile(name, text string) string {
	GinkgoHelper()
	path := filepath.Join(GinkgoT().TempDir(), name)
	Expect(os.WriteFile(path, []byte(text), 0o644)).To(Succeed())
	return path
}

// failing runs a command that has to fail and returns what it wrote to its
// stderr.
func failing(ctx context.Context, c *target.Container, cmd ...string) string {
	GinkgoHelper()
	_, stderr, code, err := c.Exec(ctx, cmd...)
	Expect(err).NotTo(HaveOccurred(), "ExecSync %q", cmd)
	Expect(code).NotTo(BeZero(), "exit code of %q", cmd)
	return stderr
}
