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

// A procStatus is /proc/PID/status of a process.
type procStatus string

// line is what it says under a name.
func (s procStatus) line(name string) string {
	GinkgoHelper()
	for line := range strings.Lines(string(s)) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	Fail("no " + name + " in /proc/PID/status")
	return ""
}

// caps is a set of capabilities: CapEff, CapBnd, …
func (s procStatus) caps(set string) uint64 {
	GinkgoHelper()
	bits, err := strconv.ParseUint(s.line(set), 16, 64)
	Expect(err).NotTo(HaveOccurred())
	return bits
}

// hostStatus is that of a process of the host.
func hostStatus(pid int) procStatus {
	GinkgoHelper()
	target.Current().Need(target.FeatureHostProcesses)
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	Expect(err).NotTo(HaveOccurred())
	return procStatus(text)
}

// firstOf is that of the container's first process, by the host, or where that
// has no such process, by the container's own kernel.
func firstOf(ctx context.Context, c *target.Container) procStatus {
	GinkgoHelper()
	if c.T.Has(target.FeatureHostProcesses) {
		return hostStatus(c.Init().PID)
	}
	return procStatus(c.Output(ctx, "cat", "/proc/1/status"))
}

// insideOf is that of a command that is run in the container.
func insideOf(ctx context.Context, c *target.Container) procStatus {
	GinkgoHelper()
	return procStatus(c.Output(ctx, "cat", "/proc/self/status"))
}

// ownCaps is a set of capabilities of the suite, which has the daemon's.
func ownCaps(set string) uint64 {
	GinkgoHelper()
	text, err := os.ReadFile("/proc/self/status")
	Expect(err).NotTo(HaveOccurred())
	return procStatus(text).caps(set)
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
