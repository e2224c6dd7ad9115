package target

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Resources sets the limits of a container.
func Resources(r *runtimeapi.LinuxContainerResources) ContainerOption {
	return WithContainer(func(c *runtimeapi.ContainerConfig) { c.GetLinux().Resources = r })
}

// Update calls UpdateContainerResources.
func (c *Container) Update(ctx context.Context, r *runtimeapi.LinuxContainerResources) error {
	_, err := c.T.Runtime.UpdateContainerResources(ctx, &runtimeapi.UpdateContainerResourcesRequest{ContainerId: c.ID, Linux: r})
	return err
}

// ReopenLog calls ReopenContainerLog.
func (c *Container) ReopenLog(ctx context.Context) error {
	_, err := c.T.Runtime.ReopenContainerLog(ctx, &runtimeapi.ReopenContainerLogRequest{ContainerId: c.ID})
	return err
}

// Update calls UpdatePodSandboxResources.
func (p *Pod) Update(ctx context.Context, overhead, resources *runtimeapi.LinuxContainerResources) error {
	_, err := p.T.Runtime.UpdatePodSandboxResources(ctx, &runtimeapi.UpdatePodSandboxResourcesRequest{
		PodSandboxId: p.ID, Overhead: overhead, Resources: resources,
	})
	return err
}

// CgroupV2 says whether the host has cgroup v2 and nothing else.
func CgroupV2() bool {
	_, err := os.Stat("/sys/fs/cgroup/cgroup.controllers")
	return err == nil
}

// Limit returns what a file of the container's cgroup holds, and whether the
// host has such a file.
func (c *Container) Limit(file string) (value string, found bool) {
	ginkgo.GinkgoHelper()
	c.T.Need(FeatureHostCgroups)
	for _, dir := range c.T.Cgroups(c.ID) {
		data, err := os.ReadFile(filepath.Join(dir, file))
		if err == nil {
			return strings.TrimSpace(string(data)), true
		}
	}
	return "", false
}

// A Limits is what the container's cgroup says, in the words of the CRI, of
// limits that the host has: -1 is none, as it is of memory for the largest
// number that the kernel has.
type Limits struct {
	Shares, Period, Quota, Memory, Swap int64
	CPUs, Mems                          string
}

// noMemoryLimit is what cgroup v1 says of a cgroup without one, or more.
const noMemoryLimit = 1 << 62

// Limits reads the limits from the host's cgroups. On cgroup v2 Shares is the
// weight that the shares of 2 to 262144 are mapped to.
func (c *Container) Limits() Limits {
	ginkgo.GinkgoHelper()
	number := func(files ...string) int64 {
		for _, f := range files {
			if v, ok := c.Limit(f); ok {
				n, err := strconv.ParseInt(v, 10, 64)
				if err != nil || n >= noMemoryLimit {
					return -1
				}
				return n
			}
		}
		return 0
	}
	l := Limits{Shares: number("cpu.shares", "cpu.weight"), Memory: number("memory.limit_in_bytes", "memory.max"), Swap: number("memory.memsw.limit_in_bytes")}
	if CgroupV2() {
		if swap := number("memory.swap.max"); swap >= 0 && l.Memory >= 0 {
			l.Swap = swap + l.Memory
		}
		text, _ := c.Limit("cpu.max")
		_, _ = fmt.Sscanf(strings.Replace(text, "max", "-1", 1), "%d %d", &l.Quota, &l.Period)
	} else {
		l.Quota, l.Period = number("cpu.cfs_quota_us"), number("cpu.cfs_period_us")
	}
	l.CPUs, _ = c.Limit("cpuset.cpus")
	l.Mems, _ = c.Limit("cpuset.mems")
	return l
}

// OCIConfig reads what the runtime is told about the container, from the
// directory that outlives a reboot; the feature storage-records is needed.
func (c *Container) OCIConfig(into any) {
	ginkgo.GinkgoHelper()
	c.T.Need(FeatureStorageRecords)
	var found []string
	for _, f := range c.T.Files(c.ID) {
		if filepath.Base(f) == "config.json" {
			found = append(found, f)
		}
	}
	gomega.Expect(found).NotTo(gomega.BeEmpty(), "config.json of %s", c)
	first, err := os.ReadFile(found[0])
	must(err)
	for _, f := range found[1:] {
		data, err := os.ReadFile(f)
		must(err)
		gomega.Expect(string(data)).To(gomega.Equal(string(first)), "copies of config.json")
	}
	gomega.Expect(json.Unmarshal(first, into)).To(gomega.Succeed(), "config.json of %s", c)
}

// OOMScore returns the oom_score_adj of a process.
func (p Process) OOMScore() int {
	ginkgo.GinkgoHelper()
	Current().Need(FeatureHostProcesses)
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/oom_score_adj", p.PID))
	must(err)
	n, err := strconv.Atoi(strings.TrimSpace(string(data)))
	must(err)
	return n
}
