package target

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// TryStats calls ContainerStats.
func (c *Container) TryStats(ctx context.Context) (*runtimeapi.ContainerStats, error) {
	resp, err := c.T.Runtime.ContainerStats(ctx, &runtimeapi.ContainerStatsRequest{ContainerId: c.ID})
	return resp.GetStats(), err
}

// Stats calls ContainerStats; an error fails the case.
func (c *Container) Stats(ctx context.Context) *runtimeapi.ContainerStats {
	ginkgo.GinkgoHelper()
	st, err := c.TryStats(ctx)
	gomega.Expect(err).NotTo(gomega.HaveOccurred(), "ContainerStats")
	gomega.Expect(st.GetAttributes().GetId()).To(gomega.Equal(c.ID), "ContainerStats is of another container")
	return st
}

// TryStats calls PodSandboxStats.
func (p *Pod) TryStats(ctx context.Context) (*runtimeapi.PodSandboxStats, error) {
	resp, err := p.T.Runtime.PodSandboxStats(ctx, &runtimeapi.PodSandboxStatsRequest{PodSandboxId: p.ID})
	return resp.GetStats(), err
}

// Stats calls PodSandboxStats; an error fails the case.
func (p *Pod) Stats(ctx context.Context) *runtimeapi.LinuxPodSandboxStats {
	ginkgo.GinkgoHelper()
	st, err := p.TryStats(ctx)
	gomega.Expect(err).NotTo(gomega.HaveOccurred(), "PodSandboxStats")
	gomega.Expect(st.GetAttributes().GetId()).To(gomega.Equal(p.ID), "PodSandboxStats is of another sandbox")
	gomega.Expect(st.GetLinux()).NotTo(gomega.BeNil(), "linux part")
	return st.GetLinux()
}

// CgroupFile returns the contents of a file of the cgroup whose path ends as
// given, from whichever hierarchy has it; "" if none has.
func (t *T) CgroupFile(cgroup, name string) string {
	ginkgo.GinkgoHelper()
	t.Need(FeatureHostCgroups)
	for _, dir := range t.Cgroups(cgroup) {
		if !strings.HasSuffix(dir, cgroup) && !strings.HasSuffix(dir, cgroup+".scope") {
			continue
		}
		if data, err := os.ReadFile(filepath.Join(dir, name)); err == nil {
			return string(data)
		}
	}
	return ""
}

// CgroupNumber returns the number in a file of a cgroup, and whether there is
// one.
func (t *T) CgroupNumber(cgroup, name string) (uint64, bool) {
	ginkgo.GinkgoHelper()
	v, err := strconv.ParseUint(strings.TrimSpace(t.CgroupFile(cgroup, name)), 10, 64)
	return v, err == nil
}

// CgroupEntry returns the number after a key in a file of a cgroup, and whether
// there is one.
func (t *T) CgroupEntry(cgroup, name, key string) (uint64, bool) {
	ginkgo.GinkgoHelper()
	for line := range strings.Lines(t.CgroupFile(cgroup, name)) {
		if fields := strings.Fields(line); len(fields) == 2 && fields[0] == key {
			v, err := strconv.ParseUint(fields[1], 10, 64)
			return v, err == nil
		}
	}
	return 0, false
}

// OpenFiles returns what the daemon's file descriptors lead to, by their
// numbers; the feature restart is needed.
func (t *T) OpenFiles() map[string]string {
	ginkgo.GinkgoHelper()
	t.Need(FeatureRestart)
	dir := fmt.Sprintf("/proc/%d/fd", t.daemon.cmd.Process.Pid)
	entries, err := os.ReadDir(dir)
	must(err)
	all := map[string]string{}
	for _, e := range entries {
		if to, err := os.Readlink(filepath.Join(dir, e.Name())); err == nil {
			all[e.Name()] = to
		}
	}
	return all
}
