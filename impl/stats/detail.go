package stats

import (
	"bytes"
	"errors"
	"slices"
	"strconv"
	"strings"
)

// detail reads what only metrics show.
func (g *group) detail() (d Detail, err error) {
	read := []func(*Detail) error{g.cpuTimes, g.cpuLimits, g.memoryEvents, g.tasks, g.io}
	for _, one := range read {
		err = errors.Join(err, one(&d))
	}
	return d, err
}

func (g *group) cpuTimes(d *Detail) error {
	t, err := g.cpuStat.table(g.buf)
	if err != nil {
		return err
	}
	d.Periods, d.Throttled = entry(t, "nr_periods", 1), entry(t, "nr_throttled", 1)
	if g.v2 {
		d.ThrottledTime = entry(t, "throttled_usec", 1000)
		d.UserCPU, d.SystemCPU = entry(t, "user_usec", 1000), entry(t, "system_usec", 1000)
		return nil
	}
	d.ThrottledTime = entry(t, "throttled_time", 1)
	var errs [2]error
	d.UserCPU, errs[0] = g.optional(g.cpuUser)
	d.SystemCPU, errs[1] = g.optional(g.cpuSystem)
	return errors.Join(errs[:]...)
}

// entry returns a value of a table in another unit, nil if it has none.
func entry(t map[string]uint64, key string, unit uint64) *uint64 {
	v, ok := t[key]
	if !ok {
		return nil
	}
	v *= unit
	return &v
}

func (g *group) cpuLimits(d *Detail) error {
	shares, err := g.optional(g.shares)
	if err != nil {
		return err
	}
	if d.Shares = shares; g.v2 {
		return g.cpuLimitsV2(d)
	}
	var errs [2]error
	d.Quota, errs[0] = g.optional(g.quota)
	d.Period, errs[1] = g.optional(g.period)
	d.Quota = limited(d.Quota)
	return errors.Join(errs[:]...)
}

// cpuLimitsV2 reads cpu.max and gives the weight back as shares, by the formula
// that the Kubernetes documents for cgroup v2 turn shares into a weight with.
func (g *group) cpuLimitsV2(d *Detail) error {
	if w := d.Shares; w != nil {
		shares := 2 + (max(*w, 1)-1)*262142/9999
		d.Shares = &shares
	}
	data, err := g.quota.read(g.buf)
	if fields := bytes.Fields(data); err == nil && len(fields) == 2 {
		quota, _ := number(fields[0])
		period, _ := number(fields[1])
		d.Quota, d.Period = limited(&quota), &period
	}
	return err
}

// limited returns nil for "no limit".
func limited(v *uint64) *uint64 {
	if v == nil || *v == Unlimited {
		return nil
	}
	return v
}

func (g *group) memoryEvents(d *Detail) error {
	t, err := g.memOOM.table(g.buf)
	if err != nil {
		return err
	}
	d.OOMKills, d.MemoryFailures = entry(t, "oom_kill", 1), entry(t, "max", 1)
	var errs [2]error
	d.MaxMemory, errs[0] = g.optional(g.memPeak)
	if !g.v2 {
		d.MemoryFailures, errs[1] = g.optional(g.memFailed)
	}
	return errors.Join(errs[:]...)
}

func (g *group) tasks(d *Detail) error {
	var errs [2]error
	d.Threads, errs[0] = g.optional(g.threads)
	d.ThreadsLimit, errs[1] = g.optional(g.threadsLimit)
	d.ThreadsLimit = limited(d.ThreadsLimit)
	data, err := g.procs.read(g.buf)
	for line := range strings.Lines(string(data)) {
		if pid, err := strconv.Atoi(strings.TrimSpace(line)); err == nil {
			d.PIDs = append(d.PIDs, pid)
		}
	}
	return errors.Join(errs[0], errs[1], err)
}

// io reads lines such as "8:0 Read 4096" (v1) and "8:0 rbytes=4096 rios=1" (v2).
func (g *group) io(d *Detail) error {
	devices := map[string]*DeviceIO{}
	field := func(device, key string) *uint64 {
		one := devices[device]
		if one == nil {
			one = &DeviceIO{Device: device}
			devices[device] = one
		}
		return map[string]*uint64{
			"bytes Read": &one.ReadBytes, "bytes Write": &one.WriteBytes, "requests Read": &one.ReadRequests, "requests Write": &one.WrittenRequests,
			"rbytes": &one.ReadBytes, "wbytes": &one.WriteBytes, "rios": &one.ReadRequests, "wios": &one.WrittenRequests,
		}[key]
	}
	for prefix, f := range map[string]*file{"bytes ": g.ioBytes, "requests ": g.ioRequests} {
		data, err := f.read(g.buf)
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(data)) {
			parseIO(strings.Fields(line), prefix, field)
		}
	}
	for _, one := range devices {
		d.Devices = append(d.Devices, *one)
	}
	slices.SortFunc(d.Devices, func(a, b DeviceIO) int { return strings.Compare(a.Device, b.Device) })
	return nil
}

func parseIO(fields []string, prefix string, field func(device, key string) *uint64) {
	if len(fields) < 2 || !strings.Contains(fields[0], ":") {
		return
	}
	pairs := fields[1:]
	if len(pairs) == 2 && !strings.Contains(pairs[0], "=") {
		pairs = []string{prefix + pairs[0] + "=" + pairs[1]}
	}
	for _, pair := range pairs {
		key, text, _ := strings.Cut(pair, "=")
		v, ok := number([]byte(text))
		if to := field(fields[0], key); ok && to != nil {
			*to = v
		}
	}
}
