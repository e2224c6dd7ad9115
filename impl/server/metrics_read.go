package server

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/opencontainers/cgroups"
	"golang.org/x/sys/unix"

	"ocid/impl/stats"
)

func one(v uint64) []point { return []point{{value: v}} }

func known(v *uint64) []point {
	if v == nil {
		return nil
	}
	return one(*v)
}

// seconds of so many ns.
func seconds(ns uint64) uint64 { return ns / uint64(time.Second) }

// orZero is how metrics say "no limit".
func orZero(limit uint64) uint64 {
	if limit == stats.Unlimited {
		return 0
	}
	return limit
}

func memory(of func(*stats.Memory) uint64) func(*measured) []point {
	return func(m *measured) []point {
		if m.sample.Memory == nil {
			return nil
		}
		return one(of(m.sample.Memory))
	}
}

func swap(m *measured, of func(*stats.Swap) uint64) []point {
	if m.sample.Swap == nil {
		return nil
	}
	return one(of(m.sample.Swap))
}

func swapLimit(m *measured) []point {
	return swap(m, func(s *stats.Swap) uint64 {
		if s.Limit == stats.Unlimited || m.sample.Memory.Limit == stats.Unlimited {
			return 0
		}
		return s.Limit + m.sample.Memory.Limit
	})
}

// faults are counted for the cgroup and all below it: there is one number for
// both scopes.
func faults(m *measured) (points []point) {
	if m.sample.Memory == nil {
		return nil
	}
	for _, scope := range []string{"container", "hierarchy"} {
		points = append(points,
			point{m.sample.Memory.Faults, []string{"pgfault", scope}},
			point{m.sample.Memory.MajorFaults, []string{"pgmajfault", scope}})
	}
	return points
}

// waiting and stalled give what the kernel counts in µs.
func waiting(of func(*stats.Sample) *cgroups.PSIStats) func(*measured) []point {
	return func(m *measured) []point {
		if p := of(m.sample); p != nil {
			return one(p.Some.Total / uint64(time.Second/time.Microsecond))
		}
		return nil
	}
}

func stalled(of func(*stats.Sample) *cgroups.PSIStats) func(*measured) []point {
	return func(m *measured) []point {
		if p := of(m.sample); p != nil {
			return one(p.Full.Total / uint64(time.Second/time.Microsecond))
		}
		return nil
	}
}

// detail gives a number of the detail in a unit.
func detail(of func(*stats.Detail) *uint64, unit time.Duration) func(*measured) []point {
	return func(m *measured) []point {
		v := of(m.detail)
		if v == nil {
			return nil
		}
		return one(*v / uint64(unit))
	}
}

func threadsLimit(m *measured) []point {
	if m.detail.Threads == nil {
		return nil
	}
	if m.detail.ThreadsLimit == nil {
		return one(0)
	}
	return one(*m.detail.ThreadsLimit)
}

func onDisk(of func(*measured) uint64) func(*measured) []point {
	return func(m *measured) []point {
		if m.disk == nil {
			return nil
		}
		return []point{{of(m), []string{m.fs.device}}}
	}
}

func perDevice(of func(*stats.DeviceIO) uint64) func(*measured) []point {
	return func(m *measured) (points []point) {
		for i := range m.detail.Devices {
			d := &m.detail.Devices[i]
			points = append(points, point{of(d), []string{deviceName(d.Device)}})
		}
		return points
	}
}

func blkio(m *measured) (points []point) {
	for _, d := range m.detail.Devices {
		major, minor := split(d.Device)
		name := deviceName(d.Device)
		points = append(points,
			point{d.ReadBytes, []string{name, major, minor, "Read"}},
			point{d.WriteBytes, []string{name, major, minor, "Write"}})
	}
	return points
}

// ulimits has the limit that programs meet, as cAdvisor has it.
func ulimits(m *measured) []point {
	var limit unix.Rlimit
	if m.root == 0 || unix.Prlimit(m.root, unix.RLIMIT_NOFILE, nil, &limit) != nil {
		return nil
	}
	return []point{{limit.Cur, []string{"max_open_files"}}}
}

// openFiles are those of all processes of a container.
type openFiles struct{ all, sockets uint64 }

func (m *measured) openFiles(of func(openFiles) uint64) []point {
	if m.files == nil {
		m.files = &openFiles{}
		for _, pid := range m.detail.PIDs {
			m.files.count(pid)
		}
	}
	return one(of(*m.files))
}

// count adds the files of a process; of one that ended there are none.
func (f *openFiles) count(pid int) {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		f.all++
		if to, err := os.Readlink(filepath.Join(dir, e.Name())); err == nil && strings.HasPrefix(to, "socket:") {
			f.sockets++
		}
	}
}
