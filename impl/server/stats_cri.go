package server

import (
	"slices"

	"github.com/opencontainers/cgroups"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"ocid/impl/network"
	"ocid/impl/oci"
	"ocid/impl/stats"
	"ocid/impl/store/usage"
)

func value(v uint64) *runtimeapi.UInt64Value { return &runtimeapi.UInt64Value{Value: v} }

// beyond is what is left of a limit; nil without one.
func beyond(limit, used uint64) *runtimeapi.UInt64Value {
	if limit == stats.Unlimited {
		return nil
	}
	return value(limit - min(limit, used))
}

func criCPU(s stats.Sample) *runtimeapi.CpuUsage {
	if s.CPU == nil {
		return nil
	}
	u := &runtimeapi.CpuUsage{Timestamp: s.At, UsageCoreNanoSeconds: value(s.CPU.Usage), Psi: criPressure(s.Pressure.CPU)}
	if rate := s.CPU.UsagePerSecond; rate != nil {
		u.UsageNanoCores = value(*rate)
	}
	return u
}

func criMemory(s stats.Sample) *runtimeapi.MemoryUsage {
	m := s.Memory
	if m == nil {
		return nil
	}
	return &runtimeapi.MemoryUsage{
		Timestamp: s.At, WorkingSetBytes: value(m.WorkingSet), AvailableBytes: beyond(m.Limit, m.WorkingSet), UsageBytes: value(m.Usage),
		RssBytes: value(m.RSS), PageFaults: value(m.Faults - min(m.Faults, m.MajorFaults)), MajorPageFaults: value(m.MajorFaults),
		Psi: criPressure(s.Pressure.Memory),
	}
}

func criSwap(s stats.Sample) *runtimeapi.SwapUsage {
	if s.Swap == nil {
		return nil
	}
	return &runtimeapi.SwapUsage{
		Timestamp: s.At, SwapUsageBytes: value(s.Swap.Usage), SwapAvailableBytes: beyond(s.Swap.Limit, s.Swap.Usage),
	}
}

func criIO(s stats.Sample) *runtimeapi.IoUsage {
	if s.Pressure.IO == nil {
		return nil
	}
	return &runtimeapi.IoUsage{Timestamp: s.At, Psi: criPressure(s.Pressure.IO)}
}

// criPressure gives totals in ns, which the kernel counts in µs.
func criPressure(p *cgroups.PSIStats) *runtimeapi.PsiStats {
	if p == nil {
		return nil
	}
	data := func(d cgroups.PSIData) *runtimeapi.PsiData {
		return &runtimeapi.PsiData{Total: d.Total * 1000, Avg10: d.Avg10, Avg60: d.Avg60, Avg300: d.Avg300}
	}
	return &runtimeapi.PsiStats{Full: data(p.Full), Some: data(p.Some)}
}

func criNetwork(links []stats.Interface) *runtimeapi.NetworkUsage {
	if len(links) == 0 {
		return nil
	}
	u := &runtimeapi.NetworkUsage{Timestamp: links[0].At}
	first := max(0, slices.IndexFunc(links, func(l stats.Interface) bool { return l.Name == network.Interface }))
	for i, l := range links {
		one := &runtimeapi.NetworkInterfaceUsage{
			Name: l.Name, RxBytes: value(l.Rx.Bytes), RxErrors: value(l.Rx.Errors), TxBytes: value(l.Tx.Bytes), TxErrors: value(l.Tx.Errors),
		}
		if i == first {
			u.DefaultInterface = one
		} else {
			u.Interfaces = append(u.Interfaces, one)
		}
	}
	return u
}

func fsUsage(u usage.Usage, dir string) *runtimeapi.FilesystemUsage {
	return &runtimeapi.FilesystemUsage{
		Timestamp: u.At, FsId: &runtimeapi.FilesystemIdentifier{Mountpoint: dir}, UsedBytes: value(u.Bytes), InodesUsed: value(u.Inodes),
	}
}

// sumCPU is the CPU usage of a pod without a cgroup of its own; nil without
// running containers.
func sumCPU(all []*runtimeapi.ContainerStats) *runtimeapi.CpuUsage {
	var sum *runtimeapi.CpuUsage
	for _, c := range all {
		u := c.GetCpu()
		if u == nil {
			continue
		}
		if sum == nil {
			sum = &runtimeapi.CpuUsage{UsageCoreNanoSeconds: value(0), UsageNanoCores: value(0)}
		}
		sum.Timestamp = max(sum.Timestamp, u.Timestamp)
		sum.UsageCoreNanoSeconds.Value += u.GetUsageCoreNanoSeconds().GetValue()
		sum.UsageNanoCores.Value += u.GetUsageNanoCores().GetValue()
	}
	return sum
}

// sumMemory is the same for memory. A sum of limits is no limit.
func sumMemory(all []*runtimeapi.ContainerStats) *runtimeapi.MemoryUsage {
	var sum *runtimeapi.MemoryUsage
	for _, c := range all {
		u := c.GetMemory()
		if u == nil {
			continue
		}
		if sum == nil {
			sum = &runtimeapi.MemoryUsage{WorkingSetBytes: value(0), UsageBytes: value(0), RssBytes: value(0), PageFaults: value(0), MajorPageFaults: value(0)}
		}
		sum.Timestamp = max(sum.Timestamp, u.Timestamp)
		sum.WorkingSetBytes.Value += u.GetWorkingSetBytes().GetValue()
		sum.UsageBytes.Value += u.GetUsageBytes().GetValue()
		sum.RssBytes.Value += u.GetRssBytes().GetValue()
		sum.PageFaults.Value += u.GetPageFaults().GetValue()
		sum.MajorPageFaults.Value += u.GetMajorPageFaults().GetValue()
	}
	return sum
}

// podCgroup is the cgroup that a pod names as its own, "" if there is none.
func (s *Server) podCgroup(sb *Sandbox) string {
	dir, err := oci.PodCgroupDir(s.Config.CgroupDriver(), sb.Config.M.GetLinux().GetCgroupParent())
	if err != nil {
		s.Log.Warn("pod without a cgroup", "err", err)
	}
	return dir
}

// containerCgroup is the cgroup that the runtime has made for a container.
func (s *Server) containerCgroup(id string, c *Container) string {
	pod, _ := s.sandboxes.Get(c.PodID)
	path, err := oci.CgroupsPath(s.Config.CgroupDriver(), s.cgroupParent(&pod.Data), id)
	if err == nil {
		path, err = oci.CgroupDir(path)
	}
	if err != nil {
		s.Log.Warn("container without a cgroup", "id", id, "err", err)
		return ""
	}
	return path
}
