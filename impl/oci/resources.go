package oci

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"google.golang.org/protobuf/proto"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const resourcesField = "config.linux.resources."

// Limits are those of the limits asked for that will hold on this host: what it
// can't do, and kubelet sends regardless (swap limits, huge pages), is left
// out, and the OOM score is no lower than the daemon may give. field is where
// the request has them, with a dot at its end. Contradictory values, values
// that mean nothing and unified keys without cgroup v2 give a FieldError.
func Limits(asked *runtimeapi.LinuxContainerResources, host Host, field string) (*runtimeapi.LinuxContainerResources, error) {
	if asked == nil {
		asked = &runtimeapi.LinuxContainerResources{}
	}
	if err := checkResources(asked, host, field); err != nil {
		return nil, err
	}
	r := proto.CloneOf(asked)
	if !host.SwapLimit {
		r.MemorySwapLimitInBytes = 0
	}
	if !host.Hugetlb {
		r.HugepageLimits = nil
	}
	r.OomScoreAdj = int64(*oomScoreAdj(int(asked.GetOomScoreAdj()), host))
	return r, nil
}

// UpdateLimits are limits after an update, which names those that change.
func UpdateLimits(old, update *runtimeapi.LinuxContainerResources) *runtimeapi.LinuxContainerResources {
	r, other := proto.CloneOf(old), proto.CloneOf(update)
	if r == nil {
		r = &runtimeapi.LinuxContainerResources{}
	}
	if other == nil {
		return r
	}
	other.HugepageLimits = nil
	proto.Merge(r, other)
	for _, h := range update.GetHugepageLimits() {
		same := func(x *runtimeapi.HugepageLimit) bool { return x.GetPageSize() == h.GetPageSize() }
		r.HugepageLimits = append(slices.DeleteFunc(r.HugepageLimits, same), h)
	}
	return r
}

// ApplyLimits changes a container's configuration to have other limits.
func ApplyLimits(spec *specs.Spec, limits *runtimeapi.LinuxContainerResources, host Host) error {
	r, err := Resources(limits, host)
	if err != nil {
		return err
	}
	if old := spec.Linux.Resources; old != nil {
		r.Devices, r.Pids = old.Devices, old.Pids
	}
	spec.Linux.Resources = r
	spec.Process.OOMScoreAdj = oomScoreAdj(int(limits.GetOomScoreAdj()), host)
	return nil
}

// Resources gives the limits of a container without the device cgroup. 0 and ""
// mean not specified, as in
// cri-api v1 LinuxContainerResources. The swap limit is of memory plus swap;
// where it is absent a memory limit limits both, so that nothing swaps. What
// the host cannot do (swap limits, huge pages) is left out, as kubelet sends it
// regardless. nil gives an empty value. What Limits refuses gives a FieldError.
func Resources(r *runtimeapi.LinuxContainerResources, host Host) (*specs.LinuxResources, error) {
	out := &specs.LinuxResources{}
	if r == nil {
		return out, nil
	}
	if err := checkResources(r, host, resourcesField); err != nil {
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
	if len(r.GetUnified()) > 0 {
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
func checkResources(r *runtimeapi.LinuxContainerResources, host Host, field string) error {
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
			return invalid(field+f.name, "%d is less than %d", f.value, f.min)
		}
	}
	if swap > 0 && (memory > swap || memory == -1) {
		return invalid(field+"memory_swap_limit_in_bytes", "%d is less than the memory limit, %d", swap, memory)
	}
	for i, h := range r.GetHugepageLimits() {
		if h.GetPageSize() == "" {
			return invalid(fmt.Sprintf("%shugepage_limits[%d].page_size", field, i), "is empty")
		}
	}
	if a := r.GetOomScoreAdj(); a < -1000 || a > 1000 {
		return invalid(field+"oom_score_adj", "%d is not between -1000 and 1000", a)
	}
	for name, list := range map[string]string{"cpuset_cpus": r.GetCpusetCpus(), "cpuset_mems": r.GetCpusetMems()} {
		if list != "" && !isList(list) {
			return invalid(field+name, "%.80q is no list of numbers and ranges", list)
		}
	}
	return checkUnified(r.GetUnified(), host, field+"unified")
}

// isList says whether a text is one of cpuset(7)'s lists: "0-3,7".
func isList(text string) bool {
	for part := range strings.SplitSeq(text, ",") {
		first, last, ranged := strings.Cut(part, "-")
		lo, err := strconv.ParseUint(first, 10, 16)
		if err != nil {
			return false
		}
		if hi, err := strconv.ParseUint(last, 10, 16); ranged && (err != nil || hi < lo) {
			return false
		}
	}
	return true
}

func checkUnified(keys map[string]string, host Host, field string) error {
	if len(keys) > 0 && !host.CgroupV2 {
		return invalid(field, "is set, and cgroup v2 is not in use here")
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if controller, file, ok := strings.Cut(key, "."); !ok || controller == "" || file == "" || strings.ContainsAny(key, "/\x00") {
			return invalid(field, "%.80q is no file of a controller", key)
		}
	}
	return nil
}

// oomScoreAdj never asks for less than the daemon may give. It is set for every
// process, as otherwise the daemon's own would be inherited.
func oomScoreAdj(asked int, host Host) *int {
	adj := max(asked, host.MinOOMScoreAdj)
	return &adj
}
