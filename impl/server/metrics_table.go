package server

import (
	"time"

	"github.com/opencontainers/cgroups"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"ocid/impl/stats"
)

const (
	counter = runtimeapi.MetricType_COUNTER
	gauge   = runtimeapi.MetricType_GAUGE
)

// usageMetrics are those of every cgroup. The CRI's values are whole numbers, so
// that seconds are whole seconds.
func usageMetrics() []metric {
	return []metric{
		{"container_cpu_usage_seconds_total", "CPU time used, in seconds.", counter, []string{"cpu"}, func(m *measured) []point {
			if m.sample.CPU == nil {
				return nil
			}
			return []point{{seconds(m.sample.CPU.Usage), []string{"total"}}}
		}},
		{"container_memory_usage_bytes", "Memory in use, in bytes.", gauge, nil, memory(func(m *stats.Memory) uint64 { return m.Usage })},
		{"container_memory_working_set_bytes", "Memory in use without inactive pages of files, in bytes.", gauge, nil, memory(func(m *stats.Memory) uint64 { return m.WorkingSet })},
		{"container_memory_rss", "Anonymous memory, in bytes.", gauge, nil, memory(func(m *stats.Memory) uint64 { return m.RSS })},
		{"container_memory_cache", "Pages of files, in bytes.", gauge, nil, memory(func(m *stats.Memory) uint64 { return m.Cache })},
		{"container_memory_mapped_file", "Mapped pages of files, in bytes.", gauge, nil, memory(func(m *stats.Memory) uint64 { return m.Mapped })},
		{"container_memory_swap", "Swap in use, in bytes.", gauge, nil, func(m *measured) []point { return swap(m, func(s *stats.Swap) uint64 { return s.Usage }) }},
		{"container_memory_failures_total", "Page faults.", counter, []string{"failure_type", "scope"}, faults},
		{"container_pressure_cpu_waiting_seconds_total", "Time that some tasks waited for a CPU, in seconds.", counter, nil, waiting(cpuPressure)},
		{"container_pressure_cpu_stalled_seconds_total", "Time that all tasks waited for a CPU, in seconds.", counter, nil, stalled(cpuPressure)},
		{"container_pressure_memory_waiting_seconds_total", "Time that some tasks waited for memory, in seconds.", counter, nil, waiting(memoryPressure)},
		{"container_pressure_memory_stalled_seconds_total", "Time that all tasks waited for memory, in seconds.", counter, nil, stalled(memoryPressure)},
		{"container_pressure_io_waiting_seconds_total", "Time that some tasks waited for IO, in seconds.", counter, nil, waiting(ioPressure)},
		{"container_pressure_io_stalled_seconds_total", "Time that all tasks waited for IO, in seconds.", counter, nil, stalled(ioPressure)},
		{"container_last_seen", "When the numbers were read, in seconds since 1970.", gauge, nil, func(m *measured) []point { return one(seconds(uint64(m.at))) }},
	}
}

// containerMetrics are those of containers alone.
func containerMetrics() []metric {
	return []metric{
		{"container_cpu_user_seconds_total", "CPU time used in programs, in seconds.", counter, nil, detail(func(d *stats.Detail) *uint64 { return d.UserCPU }, time.Second)},
		{"container_cpu_system_seconds_total", "CPU time used in the kernel, in seconds.", counter, nil, detail(func(d *stats.Detail) *uint64 { return d.SystemCPU }, time.Second)},
		{"container_cpu_cfs_periods_total", "Periods of the CPU quota that have passed.", counter, nil, detail(func(d *stats.Detail) *uint64 { return d.Periods }, 1)},
		{"container_cpu_cfs_throttled_periods_total", "Periods in which the CPU quota was used up.", counter, nil, detail(func(d *stats.Detail) *uint64 { return d.Throttled }, 1)},
		{"container_cpu_cfs_throttled_seconds_total", "Time without CPU because the quota was used up, in seconds.", counter, nil, detail(func(d *stats.Detail) *uint64 { return d.ThrottledTime }, time.Second)},
		{"container_spec_cpu_period", "Period of the CPU quota, in microseconds.", gauge, nil, detail(func(d *stats.Detail) *uint64 { return d.Period }, 1)},
		{"container_spec_cpu_quota", "CPU quota in each period, in microseconds.", gauge, nil, detail(func(d *stats.Detail) *uint64 { return d.Quota }, 1)},
		{"container_spec_cpu_shares", "CPU shares.", gauge, nil, detail(func(d *stats.Detail) *uint64 { return d.Shares }, 1)},
		{"container_memory_max_usage_bytes", "Most memory that was ever in use, in bytes.", gauge, nil, detail(func(d *stats.Detail) *uint64 { return d.MaxMemory }, 1)},
		{"container_memory_failcnt", "How often the memory limit was hit.", counter, nil, detail(func(d *stats.Detail) *uint64 { return d.MemoryFailures }, 1)},
		{"container_oom_events_total", "Processes killed for want of memory.", counter, nil, detail(func(d *stats.Detail) *uint64 { return d.OOMKills }, 1)},
		{"container_spec_memory_limit_bytes", "Memory limit in bytes, 0 without one.", gauge, nil, memory(func(m *stats.Memory) uint64 { return orZero(m.Limit) })},
		{"container_spec_memory_swap_limit_bytes", "Limit of memory and swap in bytes, 0 without one.", gauge, nil, swapLimit},
		{"container_spec_memory_reservation_limit_bytes", "Memory reservation in bytes. CRI containers have none.", gauge, nil, func(*measured) []point { return one(0) }},
		{"container_threads", "Threads.", gauge, nil, detail(func(d *stats.Detail) *uint64 { return d.Threads }, 1)},
		{"container_threads_max", "Limit of threads, 0 without one.", gauge, nil, threadsLimit},
		{"container_processes", "Processes.", gauge, nil, func(m *measured) []point { return known(m.sample.Processes) }},
		{"container_start_time_seconds", "When the container started, in seconds since 1970.", gauge, nil, func(m *measured) []point { return one(seconds(uint64(m.started))) }},
		{"container_ulimits_soft", "Soft limit of the first process.", gauge, []string{"ulimit"}, ulimits},
		{"container_fs_usage_bytes", "Bytes that the writable layer takes.", gauge, []string{"device"}, onDisk(func(m *measured) uint64 { return m.disk.Bytes })},
		{"container_fs_limit_bytes", "Size of the filesystem of the writable layer, in bytes.", gauge, []string{"device"}, onDisk(func(m *measured) uint64 { return m.fs.bytes })},
		{"container_fs_inodes_total", "Inodes of the filesystem of the writable layer.", gauge, []string{"device"}, onDisk(func(m *measured) uint64 { return m.fs.inodes })},
		{"container_fs_inodes_free", "Free inodes of the filesystem of the writable layer.", gauge, []string{"device"}, onDisk(func(m *measured) uint64 { return m.fs.freeNodes })},
		{"container_fs_reads_bytes_total", "Bytes read from a device.", counter, []string{"device"}, perDevice(func(d *stats.DeviceIO) uint64 { return d.ReadBytes })},
		{"container_fs_writes_bytes_total", "Bytes written to a device.", counter, []string{"device"}, perDevice(func(d *stats.DeviceIO) uint64 { return d.WriteBytes })},
		{"container_fs_reads_total", "Reads from a device.", counter, []string{"device"}, perDevice(func(d *stats.DeviceIO) uint64 { return d.ReadRequests })},
		{"container_fs_writes_total", "Writes to a device.", counter, []string{"device"}, perDevice(func(d *stats.DeviceIO) uint64 { return d.WrittenRequests })},
		{"container_blkio_device_usage_total", "Bytes read from and written to a device.", counter, []string{"device", "major", "minor", "operation"}, blkio},
		{"container_file_descriptors", "Open files of all processes.", gauge, nil, func(m *measured) []point { return m.openFiles(func(f openFiles) uint64 { return f.all }) }},
		{"container_sockets", "Open sockets of all processes.", gauge, nil, func(m *measured) []point { return m.openFiles(func(f openFiles) uint64 { return f.sockets }) }},
	}
}

// networkMetrics are those of a pod's interfaces.
func networkMetrics() []metric {
	var all []metric
	for _, way := range []struct {
		name, verb string
		of         func(stats.Interface) stats.Traffic
	}{
		{"receive", "received", func(i stats.Interface) stats.Traffic { return i.Rx }},
		{"transmit", "sent", func(i stats.Interface) stats.Traffic { return i.Tx }},
	} {
		for _, what := range []struct {
			name, help string
			of         func(stats.Traffic) uint64
		}{
			{"bytes", "Bytes " + way.verb, func(t stats.Traffic) uint64 { return t.Bytes }},
			{"packets", "Packets " + way.verb, func(t stats.Traffic) uint64 { return t.Packets }},
			{"packets_dropped", "Packets dropped that were to be " + way.verb, func(t stats.Traffic) uint64 { return t.Dropped }},
			{"errors", "Errors of packets " + way.verb, func(t stats.Traffic) uint64 { return t.Errors }},
		} {
			all = append(all, metric{
				"container_network_" + way.name + "_" + what.name + "_total", what.help + ".", counter, []string{"interface"},
				func(m *measured) (points []point) {
					for _, l := range m.links {
						points = append(points, point{what.of(way.of(l)), []string{l.Name}})
					}
					return points
				},
			})
		}
	}
	return all
}

func cpuPressure(s *stats.Sample) *cgroups.PSIStats    { return s.Pressure.CPU }
func memoryPressure(s *stats.Sample) *cgroups.PSIStats { return s.Pressure.Memory }
func ioPressure(s *stats.Sample) *cgroups.PSIStats     { return s.Pressure.IO }
