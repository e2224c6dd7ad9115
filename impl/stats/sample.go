package stats

import "github.com/opencontainers/cgroups"

// Unlimited stands for "no limit".
const Unlimited = ^uint64(0)

// A Sample is one reading of a cgroup. At is when it was read, in ns since 1970,
// and never the same twice.
type Sample struct {
	At        int64
	CPU       *CPU
	Memory    *Memory
	Swap      *Swap
	Processes *uint64 // processes, or threads where only those can be counted
	Pressure  Pressure
}

// CPU is the use of processors.
type CPU struct {
	Usage          uint64  // ns since the cgroup was made
	UsagePerSecond *uint64 // ns per second, over the sample window; nil before there is one
}

// Memory is the use of memory, in bytes but for the faults. It holds what lies
// below the cgroup too.
type Memory struct {
	Usage       uint64
	WorkingSet  uint64 // usage without inactive pages of files
	Limit       uint64 // or Unlimited
	RSS         uint64 // anonymous memory
	Faults      uint64 // page faults, major ones among them
	MajorFaults uint64
	Cache       uint64 // pages of files
	Mapped      uint64 // pages of files that are mapped
}

// Swap is the use of swap, in bytes.
type Swap struct {
	Usage uint64
	Limit uint64 // of swap alone, or Unlimited
}

// Pressure is what waits for a resource, each nil where the kernel does not say
// it for a cgroup. Totals are in microseconds.
type Pressure struct{ CPU, Memory, IO *cgroups.PSIStats }

// Detail is what only metrics show. A nil is what the kernel does not say.
type Detail struct {
	At                    int64
	UserCPU, SystemCPU    *uint64 // ns
	Periods, Throttled    *uint64 // of the CPU quota
	ThrottledTime         *uint64 // ns
	Shares, Period        *uint64 // µs
	Quota                 *uint64 // µs in each period, nil: no limit
	MaxMemory             *uint64 // bytes
	MemoryFailures        *uint64 // times the limit was hit
	OOMKills              *uint64
	Threads, ThreadsLimit *uint64
	Devices               []DeviceIO
	PIDs                  []int
}

// DeviceIO is the traffic of one block device, named "major:minor".
type DeviceIO struct {
	Device                        string
	ReadBytes, WriteBytes         uint64
	ReadRequests, WrittenRequests uint64
}

// Interface is the traffic of a network interface.
type Interface struct {
	Name   string
	At     int64 // ns since 1970
	Rx, Tx Traffic
}

// Traffic is one direction of it.
type Traffic struct{ Bytes, Packets, Errors, Dropped uint64 }
