package main

// faultsStats break the promises about statistics and metrics.
var faultsStats = []fault{
	{rule: "stats.cpu", op: "in ms", file: "impl/server/stats_cri.go",
		old: `UsageCoreNanoSeconds: value(s.CPU.Usage)`, with: `UsageCoreNanoSeconds: value(s.CPU.Usage / 1000)`},
	{rule: "stats.cpu", op: "never read again", file: "impl/stats/subject.go",
		old: `age >= 0 && age < maxAge && s`, with: `age >= -maxAge && s`},
	{rule: "stats.cpu.rate", op: "nothing", file: "impl/server/stats_cri.go",
		old: `	if rate := s.CPU.UsagePerSecond; rate != nil {`, with: `	if rate := s.CPU.UsagePerSecond; rate != nil && false {`},
	{rule: "stats.cpu.rate", op: "the total", file: "impl/server/stats_cri.go",
		old: `u.UsageNanoCores = value(*rate)`, with: `u.UsageNanoCores = value(s.CPU.Usage)`},
	{rule: "stats.cpu.rate", op: "since the beginning", file: "impl/stats/subject.go",
		old: `		w.begin, w.next = w.next, now
`, with: ``},
	{rule: "stats.cpu.rate", op: "no first reading", file: "impl/stats/stats.go",
		old: `	s.tick(name, next)
`, with: ``},
	{rule: "stats.memory", op: "working set with cache", file: "impl/stats/cgroup.go",
		old: `m.WorkingSet = less(usage, inactive)`, with: `_, m.WorkingSet = inactive, usage`},
	{rule: "stats.memory", op: "usage without cache", file: "impl/server/stats_cri.go",
		old: `UsageBytes: value(m.Usage),
		RssBytes`, with: `UsageBytes: value(m.WorkingSet),
		RssBytes`},
	{rule: "stats.memory", op: "rss is all", file: "impl/server/stats_cri.go",
		old: `RssBytes: value(m.RSS), PageFaults`, with: `RssBytes: value(m.Usage), PageFaults`},
	{rule: "stats.memory.faults", op: "none", file: "impl/server/stats_cri.go",
		old: `PageFaults: value(m.Faults - min(m.Faults, m.MajorFaults)), Major`, with: `Major`},
	{rule: "stats.memory.faults", op: "swapped", file: "impl/server/stats_cri.go",
		old: `MajorPageFaults: value(m.MajorFaults),`, with: `MajorPageFaults: value(m.Faults),`},
	{rule: "stats.memory.available", op: "the limit", file: "impl/server/stats_cri.go",
		old: `AvailableBytes: beyond(m.Limit, m.WorkingSet)`, with: `AvailableBytes: beyond(m.Limit, 0)`},
	{rule: "stats.memory.available", op: "without a limit", file: "impl/server/stats_cri.go",
		old: `	if limit == stats.Unlimited {
		return nil
	}
	return value(limit`, with: `	return value(limit`},
	{rule: "stats.swap", op: "none", file: "impl/server/stats_cri.go",
		old: `	if s.Swap == nil {
		return nil`, with: `	if s.Swap != nil {
		return nil`},
	{rule: "stats.swap", op: "limit with memory", file: "impl/stats/cgroup.go",
		old: `s.Limit = less(limit, m.Limit)`, with: `s.Limit = limit`},
	{rule: "stats.pressure", op: "in µs", file: "impl/server/stats_cri.go",
		old: `Total: d.Total * 1000`, with: `Total: d.Total`},
	{rule: "stats.pressure", op: "none of memory", file: "impl/server/stats_cri.go",
		old: `		Psi: criPressure(s.Pressure.Memory),
`, with: ``},
	{rule: "stats.pressure", op: "swapped", file: "impl/server/stats_cri.go",
		old: `Full: data(p.Full), Some: data(p.Some)`, with: `Full: data(p.Some), Some: data(p.Full)`},
	{rule: "stats.pressure", op: "none of IO", file: "impl/server/stats_cri.go",
		old: `	if s.Pressure.IO == nil {`, with: `	if s.Pressure.IO != nil {`},
	{rule: "stats.timestamp", op: "none", file: "impl/stats/subject.go",
		old: `	s.clock = max(time.Now().UnixNano(), s.clock+1)`, with: `	s.clock++`},
	{rule: "stats.timestamp", op: "in s", file: "impl/server/stats_cri.go",
		old: `		Timestamp: s.At, WorkingSetBytes`, with: `		Timestamp: s.At / 1e9, WorkingSetBytes`},
	{rule: "stats.layer", op: "only once", file: "impl/store/usage/usage.go",
		old: `	one.usage = u
	return u, nil`, with: `	return u, nil`},
	{rule: "stats.layer", op: "sizes", file: "impl/store/usage/walk.go",
		old: `Bytes: uint64(st.Blocks) * blockSize`, with: `Bytes: uint64(st.Size)`},
	{rule: "stats.layer", op: "each name", file: "impl/store/usage/walk.go",
		old: `			if linked[st.Ino] {
				return nil
			}
`, with: ``},
	{rule: "stats.layer", op: "no directory", file: "impl/store/usage/usage.go",
		old: `return one.usage, m.directory(), one.usage.At != 0`, with: `return one.usage, "", one.usage.At != 0`},
	{rule: "stats.list", op: "all states", file: "impl/server/stats.go",
		old: `		case !runs(e),
			id != ""`, with: `		case id != ""`},
	{rule: "stats.list", op: "any ID", file: "impl/server/stats.go",
		old: `			id != "" && e.ID != id,
			pod != ""`, with: `			id == "none",
			pod != ""`},
	{rule: "stats.list", op: "any sandbox", file: "impl/server/stats.go",
		old: `			pod != "" && e.Data.PodID != pod,
`, with: `			pod == "none",
`},
	{rule: "stats.list", op: "any labels", file: "impl/server/stats.go",
		old: `			!hasLabels(e.Data.Config.M.GetLabels(), f.GetLabelSelector()):
			continue
		}
		found =`, with: `			false:
			continue
		}
		found =`},
	{rule: "stats.pod", op: "the sum", file: "impl/server/stats.go",
		old: `	sample, err := s.Stats.Sample(e.ID)
	if err == nil {`, with: `	sample, err := s.Stats.Sample(e.ID)
	if err != nil {`},
	{rule: "stats.pod", op: "without containers", file: "impl/server/stats.go",
		old: `Containers: s.runningStats(ctx, containers)}`, with: `Containers: s.runningStats(ctx, nil)}`},
	{rule: "stats.pod", op: "all containers", file: "impl/server/stats.go",
		old: `by[e.Data.PodID] = append(by[e.Data.PodID], e)`, with: `for _, p := range s.sandboxes.List() {
				by[p.ID] = append(by[p.ID], e)
			}`},
	{rule: "stats.pod.processes", op: "without infra", file: "impl/server/stats.go",
		old: `e.Data.Infra.Alive() {`, with: `!e.Data.Infra.Alive() {`},
	{rule: "stats.pod.processes", op: "containers", file: "impl/server/stats.go",
		old: `n += *sample.Processes`, with: `n++`},
	{rule: "stats.pod.processes", op: "of the node", file: "impl/server/stats.go",
		old: `by[e.Data.PodID] = append(by[e.Data.PodID], e)`, with: `for _, p := range s.sandboxes.List() {
				by[p.ID] = append(by[p.ID], e)
			}`},
	{rule: "stats.pod.network", op: "the host's", file: "impl/server/stats.go",
		old: `from.NetNS = s.netnsPath(id)`, with: `from.NetNS = "/proc/self/ns/net"`},
	{rule: "stats.pod.network", op: "loopback too", file: "impl/stats/network.go",
		old: `a.Flags&net.FlagLoopback != 0 ||`, with: `a.Flags&net.FlagLoopback != 0 && false ||`},
	{rule: "stats.pod.network", op: "directions swapped", file: "impl/server/stats_cri.go",
		old: `RxBytes: value(l.Rx.Bytes)`, with: `RxBytes: value(l.Tx.Bytes)`},
	{rule: "stats.pod.network", op: "default among the others", file: "impl/server/stats_cri.go",
		old: `			u.DefaultInterface = one
		} else {`, with: `			u.DefaultInterface = one
		}
		if true {`},
	{rule: "stats.pod.network", op: "read once", file: "impl/stats/subject.go",
		old: `time.Since(time.Unix(0, s.links[0].At)) < maxAge`, with: `maxAge > 0`},
	{rule: "stats.pod.host-network", op: "the host's", file: "impl/server/stats.go",
		old: `		from.NetNS = s.netnsPath(id)
	}`, with: `		from.NetNS = s.netnsPath(id)
	} else {
		from.NetNS = "/proc/self/ns/net"
	}`},
	{rule: "stats.pod.list", op: "all states", file: "impl/server/stats.go",
		old: `		case e.State != spec.Ready,
			id`, with: `		case id`},
	{rule: "stats.pod.list", op: "any ID", file: "impl/server/stats.go",
		old: `			id != "" && e.ID != id,
			!hasLabels`, with: `			id == "none",
			!hasLabels`},
	{rule: "stats.pod.list", op: "any labels", file: "impl/server/stats.go",
		old: `			!hasLabels(e.Data.Config.M.GetLabels(), f.GetLabelSelector()):
			continue
		}
		all = append(all, s.podStats`, with: `			false:
			continue
		}
		all = append(all, s.podStats`},
	{rule: "stats.restart", op: "no sandboxes", file: "impl/server/recover.go",
		old: `			s.samplePod(e.ID)
`, with: ``},
	{rule: "stats.restart", op: "no containers", file: "impl/server/container_life.go",
		old: `	s.sampleContainer(id)
	s.watch`, with: `	if e.State == spec.Creating {
		s.sampleContainer(id)
	}
	s.watch`},
	{rule: "stats.open", op: "opened each time", file: "impl/stats/subject.go",
		old: `	s.last = next
	return next, nil`, with: `	s.last = next
	s.group.close()
	return next, nil`},
	{rule: "stats.open", op: "never closed", file: "impl/stats/file.go",
		old: `		_ = unix.Close(f.fd)
`, with: `		_ = unix.Close(-1)
`},
	{rule: "stats.open", op: "a sandbox's stay", file: "impl/server/sandbox_stop.go",
		old: `	s.Stats.Forget(pod) // the`, with: `	// the`},
	{rule: "list.stream.stats", op: "no filter", file: "impl/server/stream_list.go",
		old: `s.listContainerStats(stream.Context(), req.GetFilter())`, with: `s.listContainerStats(stream.Context(), nil)`},
	{rule: "list.stream.pod-stats", op: "no filter", file: "impl/server/stream_list.go",
		old: `s.listPodSandboxStats(stream.Context(), req.GetFilter())`, with: `s.listPodSandboxStats(stream.Context(), nil)`},
	{rule: "list.stream.metrics", op: "the first", file: "impl/server/stream_list.go",
		old: `s.listPodSandboxMetrics(stream.Context())`, with: `s.listPodSandboxMetrics(stream.Context())[:1]`},
	{rule: "metrics.descriptors", op: "twice", file: "impl/server/metrics.go",
		old: `slices.Concat(usageMetrics(), containerMetrics(), networkMetrics())`, with: `slices.Concat(usageMetrics(), usageMetrics(), containerMetrics(), networkMetrics())`},
	{rule: "metrics.descriptors", op: "keys not sorted", file: "impl/server/metrics.go",
		old: `	slices.Sort(keys)
`, with: ``},
	{rule: "metrics.descriptors", op: "no help", file: "impl/server/metrics.go",
		old: `Help: m.help, `, with: ``},
	{rule: "metrics.names", op: "none of the network", file: "impl/server/metrics.go",
		old: `slices.Concat(usageMetrics(), containerMetrics(), networkMetrics())`, with: `slices.Concat(usageMetrics(), containerMetrics())`},
	{rule: "metrics.names", op: "one is missing", file: "impl/server/metrics_table.go",
		old: `{"container_oom_events_total"`, with: `{"container_oom_events"`},
	{rule: "metrics.labels", op: "values not sorted", file: "impl/server/metrics.go",
		old: `			for _, key := range row.labelKeys() {`, with: `			for _, key := range append(slices.Clone(row.labels), objectLabels[:]...) {`},
	{rule: "metrics.labels", op: "one too few", file: "impl/server/metrics.go",
		old: `row.labelKeys() {`, with: `row.labelKeys()[1:] {`},
	{rule: "metrics.labels", op: "image ID", file: "impl/server/metrics.go",
		old: `"image": imageName(c),`, with: `"image": e.Data.ImageID,`},
	{rule: "metrics.labels", op: "traffic without a name", file: "impl/server/metrics.go",
		old: `m.labels["container"], m.labels["name"] = "POD", e.ID`, with: `m.labels["container"] = ""`},
	{rule: "metrics.values", op: "ns", file: "impl/server/metrics_read.go",
		old: `return ns / uint64(time.Second)`, with: `return ns`},
	{rule: "metrics.values", op: "no time", file: "impl/server/metrics.go",
		old: `Timestamp: m.at, `, with: ``},
	{rule: "metrics.values", op: "all gauges", file: "impl/server/metrics.go",
		old: `MetricType: row.kind`, with: `MetricType: gauge`},
	{rule: "metrics.values", op: "no limit", file: "impl/server/metrics_read.go",
		old: `	return limit
}`, with: `	return 0
}`},
	{rule: "metrics.running", op: "stopped sandboxes", file: "impl/server/metrics.go",
		old: `		if e.State != spec.Ready {
			continue`, with: `		if e.State == spec.Creating {
			continue`},
	{rule: "metrics.running", op: "no containers", file: "impl/server/metrics.go",
		old: `if pod == nil || !runs(e) {`, with: `if pod == nil || runs(e) {`},
	{rule: "image.fs.blocks", op: "sizes", file: "impl/store/usage/walk.go",
		old: `Bytes: uint64(st.Blocks) * blockSize`, with: `Bytes: uint64(st.Size)`},
	{rule: "image.fs.blocks", op: "each name", file: "impl/store/usage/walk.go",
		old: `			if linked[st.Ino] {
				return nil
			}
`, with: ``},
	{rule: "image.fs.walk", op: "each time", file: "impl/store/usage/usage.go",
		old: `err == nil && k.Usage != nil {`, with: `err == nil && k.Usage != nil && false {`},
	{rule: "image.fs.walk", op: "not kept", file: "impl/store/usage/usage.go",
		old: `	if err != nil || l.Metadata != "" {`, with: `	if true {`},
}
