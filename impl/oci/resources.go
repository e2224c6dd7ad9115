package oci

import (
	"fmt"
	"maps"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const resourcesField = "config.linux.resources."

// Resources gives the limits of a container without the device cgroup; it also
// serves an update of a running container. 0 and "" mean not specified, as in
// cri-api v1 LinuxContainerResources. The swap limit is of memory plus swap;
// where it is absent a memory limit limits both, so that nothing swaps. What
// the host cannot do (swap limits, huge pages, unified keys on cgroup v1) is
// left out, as kubelet sends it regardless. nil gives an empty value. Negative
// and contradictory values give a FieldError.
func Resources(r *runtimeapi.LinuxContainerResources, host Host) (*specs.LinuxResources, error) {
	out := &specs.LinuxResources{}
	if r == nil {
		return out, nil
	}
	if err := checkResources(r); err != nil {
		return nil, err
	}
	cpu := specs.LinuxCPU{
		Period: given(uint64(r.GetCpuPeriod())),
		Quota:  given(r.GetCpuQuota()),
		Shares: given(uint64(r.GetCpuShares())),
		Cpus:   r.GetCpusetCpus(),
		Mems:   r.GetCpusetMems(),
	}
	if cpu != (specs.LinuxCPU{}) {
		out.CPU = &cpu
	}
	memory := specs.LinuxMemory{Limit: given(r.GetMemoryLimitInBytes())}
	if host.SwapLimit {
		memory.Swap = given(r.GetMemorySwapLimitInBytes())
		if memory.Swap == nil {
			memory.Swap = given(r.GetMemoryLimitInBytes())
		}
	}
	if memory != (specs.LinuxMemory{}) {
		out.Memory = &memory
	}
	if host.Hugetlb {
		for _, h := range r.GetHugepageLimits() {
			out.HugepageLimits = append(out.HugepageLimits, specs.LinuxHugepageLimit{Pagesize: h.GetPageSize(), Limit: h.GetLimit()})
		}
	}
	if host.CgroupV2 && len(r.GetUnified()) > 0 {
		out.Unified = maps.Clone(r.GetUnified())
	}
	return out, nil
}

// given points at a value that is not zero.
func given[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

// checkResources refuses values that mean nothing. -1 is "no limit" for a
// quota, a memory limit and a swap limit.
func checkResources(r *runtimeapi.LinuxContainerResources) error {
	memory, swap := r.GetMemoryLimitInBytes(), r.GetMemorySwapLimitInBytes()
	for _, f := range []struct {
		name       string
		value, min int64
	}{
		{"cpu_period", r.GetCpuPeriod(), 0},
		{"cpu_quota", r.GetCpuQuota(), -1},
		{"cpu_shares", r.GetCpuShares(), 0},
		{"memory_limit_in_bytes", memory, -1},
		{"memory_swap_limit_in_bytes", swap, -1},
	} {
		if f.value < f.min {
			return invalid(resourcesField+f.name, "%d is less than %d", f.value, f.min)
		}
	}
	if swap > 0 && memory > swap {
		return invalid(resourcesField+"memory_swap_limit_in_bytes", "%d is less than the memory limit, %d", swap, memory)
	}
	for i, h := range r.GetHugepageLimits() {
		if h.GetPageSize() == "" {
			return invalid(fmt.Sprintf("%shugepage_limits[%d].page_size", resourcesField, i), "is empty")
		}
	}
	if a := r.GetOomScoreAdj(); a < -1000 || a > 1000 {
		return invalid(resourcesField+"oom_score_adj", "%d is not between -1000 and 1000", a)
	}
	return nil
}

// oomScoreAdj never asks for less than the daemon may give. It is set for every
// process, as otherwise the daemon's own would be inherited.
func oomScoreAdj(asked int, host Host) *int {
	adj := max(asked, host.MinOOMScoreAdj)
	return &adj
}
