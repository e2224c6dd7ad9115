package stats

import (
	"bytes"
	"errors"
)

// A group is the files of one cgroup. What a hierarchy does not have is a file
// that is missing.
type group struct {
	buf   []byte
	files []*file
	v2    bool

	cpuUsage, cpuUser, cpuSystem, cpuStat *file // v2 has all in cpuStat
	shares, quota, period                 *file // v2 has quota and period in quota

	memUsage, memLimit, memStat *file
	swapUsage, swapLimit        *file // v1: of memory and swap together
	memPeak, memFailed, memOOM  *file // v2 has the last two in memOOM

	procs, threads, threadsLimit *file

	ioBytes, ioRequests *file // v2 has both in ioBytes

	cpuPressure, memPressure, ioPressure *file
}

func (l layout) open(cgroup string) *group {
	g := &group{v2: l.unified, buf: make([]byte, 0, 2*page)}
	in := func(controller, name string) *file {
		f := at(l.dir(controller, cgroup), name)
		g.files = append(g.files, f)
		return f
	}
	g.cpuPressure, g.memPressure, g.ioPressure = in("", "cpu.pressure"), in("", "memory.pressure"), in("", "io.pressure")
	g.cpuStat = in("cpu", "cpu.stat")
	g.memStat = in("memory", "memory.stat")
	g.threads, g.threadsLimit = in("pids", "pids.current"), in("pids", "pids.max")
	g.procs = in("memory", "cgroup.procs")
	if l.unified {
		g.cpuUsage, g.cpuUser, g.cpuSystem, g.period = at("", ""), at("", ""), at("", ""), at("", "")
		g.shares, g.quota = in("", "cpu.weight"), in("", "cpu.max")
		g.memUsage, g.memLimit, g.memPeak = in("", "memory.current"), in("", "memory.max"), in("", "memory.peak")
		g.swapUsage, g.swapLimit = in("", "memory.swap.current"), in("", "memory.swap.max")
		g.memOOM, g.memFailed = in("", "memory.events"), at("", "")
		g.ioBytes, g.ioRequests = in("", "io.stat"), at("", "")
		return g
	}
	g.cpuUsage, g.cpuUser, g.cpuSystem = in("cpuacct", "cpuacct.usage"), in("cpuacct", "cpuacct.usage_user"), in("cpuacct", "cpuacct.usage_sys")
	g.shares, g.quota, g.period = in("cpu", "cpu.shares"), in("cpu", "cpu.cfs_quota_us"), in("cpu", "cpu.cfs_period_us")
	g.memUsage, g.memLimit, g.memPeak = in("memory", "memory.usage_in_bytes"), in("memory", "memory.limit_in_bytes"), in("memory", "memory.max_usage_in_bytes")
	g.swapUsage, g.swapLimit = in("memory", "memory.memsw.usage_in_bytes"), in("memory", "memory.memsw.limit_in_bytes")
	g.memFailed, g.memOOM = in("memory", "memory.failcnt"), in("memory", "memory.oom_control")
	g.ioBytes, g.ioRequests = in("blkio", "blkio.throttle.io_service_bytes_recursive"), in("blkio", "blkio.throttle.io_serviced_recursive")
	return g
}

func (g *group) close() {
	for _, f := range g.files {
		f.close()
	}
}

// usage returns the CPU time used, in ns.
func (g *group) usage() (uint64, error) {
	if !g.v2 {
		v, ok, err := g.cpuUsage.number(g.buf)
		if err == nil && !ok {
			err = ErrGone
		}
		return v, err
	}
	t, err := g.cpuStat.table(g.buf)
	if err == nil && t == nil {
		err = ErrGone
	}
	return t["usage_usec"] * 1000, err
}

// memory returns nil where there is no memory controller.
func (g *group) memory() (*Memory, *Swap, error) {
	usage, ok, err := g.memUsage.number(g.buf)
	limit, limited, limitErr := g.memLimit.number(g.buf)
	t, statErr := g.memStat.table(g.buf)
	if err := errors.Join(err, limitErr, statErr); err != nil || !ok || t == nil {
		return nil, nil, err
	}
	m := &Memory{Usage: usage, Limit: Unlimited}
	if limited {
		m.Limit = limit
	}
	inactive := uint64(0)
	if g.v2 {
		inactive, m.RSS, m.Cache, m.Mapped = t["inactive_file"], t["anon"], t["file"], t["file_mapped"]
		m.Faults, m.MajorFaults = t["pgfault"], t["pgmajfault"]
	} else {
		// The totals hold what lies below the cgroup too, as the usage does.
		inactive, m.RSS, m.Cache, m.Mapped = t["total_inactive_file"], t["total_rss"], t["total_cache"], t["total_mapped_file"]
		m.Faults, m.MajorFaults = t["total_pgfault"], t["total_pgmajfault"]
	}
	m.WorkingSet = less(usage, inactive)
	swap, err := g.swap(m, t)
	return m, swap, err
}

// swap returns nil where swap is not accounted for.
func (g *group) swap(m *Memory, stat map[string]uint64) (*Swap, error) {
	usage, ok, err := g.swapUsage.number(g.buf)
	limit, limited, limitErr := g.swapLimit.number(g.buf)
	if err := errors.Join(err, limitErr); err != nil || !ok || !limited {
		return nil, err
	}
	if g.v2 {
		return &Swap{Usage: usage, Limit: limit}, nil
	}
	s := &Swap{Usage: stat["total_swap"], Limit: Unlimited}
	if limit != Unlimited {
		s.Limit = less(limit, m.Limit)
	}
	return s, nil
}

// processes counts the processes in the cgroup; where all are in cgroups below
// it, the threads.
func (g *group) processes() (*uint64, error) {
	data, err := g.procs.read(g.buf)
	if err != nil {
		return nil, err
	}
	if n := uint64(bytes.Count(data, []byte("\n"))); n > 0 {
		return &n, nil
	}
	return g.optional(g.threads)
}

// optional reads a number that may not be there.
func (g *group) optional(f *file) (*uint64, error) {
	v, ok, err := f.number(g.buf)
	if err != nil || !ok {
		return nil, err
	}
	return &v, nil
}

func (g *group) pressure() (p Pressure, err error) {
	var errs [3]error
	p.CPU, errs[0] = g.cpuPressure.pressure(g.buf)
	p.Memory, errs[1] = g.memPressure.pressure(g.buf)
	p.IO, errs[2] = g.ioPressure.pressure(g.buf)
	return p, errors.Join(errs[:]...)
}

// less is a-b, and 0 where the two were read at different times.
func less(a, b uint64) uint64 {
	if b > a {
		return 0
	}
	return a - b
}
