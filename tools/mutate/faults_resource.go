package main

// faultsResource break the promises about limits of containers and pods, and logs.
var faultsResource = []fault{
	{rule: "container.limits.set", op: "no memory", file: "impl/oci/resources.go",
		old: `specs.LinuxMemory{Limit: given(r.GetMemoryLimitInBytes())}`, with: `specs.LinuxMemory{}`},
	{rule: "container.limits.set", op: "no quota", file: "impl/oci/resources.go",
		old: `		Quota:  given(r.GetCpuQuota()),
`, with: ``},
	{rule: "container.limits.set", op: "no CPUs", file: "impl/oci/resources.go",
		old: `		Cpus:   r.GetCpusetCpus(),
`, with: ``},
	{rule: "container.limits.set", op: "no shares", file: "impl/oci/resources.go",
		old: `		Shares: given(uint64(r.GetCpuShares())),
`, with: ``},
	{rule: "container.limits.set", op: "no swap", file: "impl/oci/resources.go",
		old: `memory.Swap = given(r.GetMemorySwapLimitInBytes())`, with: `memory.Swap = nil`},
	{rule: "container.limits.swap", op: "any", file: "impl/oci/resources.go",
		old: `			memory.Swap = given(r.GetMemoryLimitInBytes())
`, with: ``},
	{rule: "container.limits.contradiction", op: "swap below memory", file: "impl/oci/resources.go",
		old: `if swap > 0 && (memory > swap || memory == -1) {`, with: `if false {`},
	{rule: "container.limits.contradiction", op: "any list of CPUs", file: "impl/oci/resources.go",
		old: `if list != "" && !isList(list) {`, with: `if list != "" && !isList(list) && name == "" {`},
	{rule: "container.limits.unified", op: "left out", file: "impl/oci/resources.go",
		old: `	if len(keys) > 0 && !host.CgroupV2 {`, with: `	if len(keys) > 0 && !host.CgroupV2 {
		clear(keys)
		return nil
	}
	if false {`},
	{rule: "container.limits.oom-score", op: "not clamped", file: "impl/oci/resources.go",
		old: `adj := max(asked, host.MinOOMScoreAdj)`, with: `adj := asked`},
	{rule: "container.limits.oom-score", op: "not set", file: "impl/oci/resources.go",
		old: `adj := max(asked, host.MinOOMScoreAdj)`, with: `adj := max(0, host.MinOOMScoreAdj)`},
	{rule: "container.limits.pids", op: "none", file: "impl/oci/container.go",
		old: `if in.Host.PidsLimit > 0 {`, with: `if false {`},
	{rule: "container.status.resources", op: "none", file: "impl/server/container_status.go",
		old: `Resources:  &runtimeapi.ContainerResources{Linux: d.Limits.M},`, with: `Resources: nil,`},
	{rule: "container.status.resources", op: "as asked for", file: "impl/server/container_status.go",
		old: `Resources:  &runtimeapi.ContainerResources{Linux: d.Limits.M},`, with: `Resources: &runtimeapi.ContainerResources{Linux: c.GetLinux().GetResources()},`},
	{rule: "container.status.oom-killed", op: "never", file: "impl/server/container_life.go",
		old: `case exit.OOM && exit.Code != 0:`, with: `case false:`},
	{rule: "container.status.oom-killed", op: "of one that ended well", file: "impl/server/container_life.go",
		old: `case exit.OOM && exit.Code != 0:`, with: `case exit.OOM:`},
	{rule: "container.status.oom-killed", op: "any kill", file: "impl/server/container_life.go",
		old: `case exit.OOM && exit.Code != 0:`, with: `case exit.Code == 137:`},

	{rule: "container.update.everywhere", op: "not in the cgroup", file: "impl/runtime/update.go",
		old: `	_, err = r.run(ctx, id, "update", "--resources", asked, id)
`, with: `	err = nil
`},
	{rule: "container.update.everywhere", op: "not in the status", file: "impl/server/resources.go",
		old: `func(c *Container) { c.Limits.M = limits })`, with: `func(c *Container) { _ = limits })`},
	{rule: "container.update.everywhere", op: "not in the configuration", file: "impl/server/resources.go",
		old: `	if err == nil {
		err = s.Store.WriteConfig(id, data)
	}
	var update`, with: `	_ = data
	var update`},
	{rule: "container.update.everywhere", op: "what is not named is unlimited", file: "impl/server/resources.go",
		old: `oci.UpdateLimits(e.Data.Limits.M, asked)`, with: `oci.UpdateLimits(nil, asked)`},
	{rule: "container.update.all-or-none", op: "the cgroup stays half changed", file: "impl/runtime/update.go",
		old: `errors.Join(restoreScores(u.scores), restoreLimits(u.before))`, with: `restoreScores(u.scores)`},
	{rule: "container.update.all-or-none", op: "half done after a crash", file: "impl/server/resources.go",
		old: `	if err != nil || !open {
		return err
	}
	return s.applyLimits(ctx, id, c, c.Limits.M)`, with: `	_ = open
	return err`},
	{rule: "container.update.all-or-none", op: "a crash is not noticed", file: "impl/server/recover.go",
		old: `	if err := s.settleLimits(ctx, id, &e.Data); err != nil {`, with: `	if err := error(nil); err != nil {`},
	{rule: "container.update.all-or-none", op: "the configuration stays changed", file: "impl/server/resources.go",
		old: `updateError(errors.Join(err, s.Store.WriteConfig(id, before)))`, with: `updateError(err)`},
	{rule: "container.update.all-or-none", op: "the status changes", file: "impl/server/resources.go",
		old: `	var update *runtime.Update
`, with: `	var update *runtime.Update
	_ = s.containers.Change(id, func(c *Container) { c.Limits.M = limits })
`},
	{rule: "container.update.all-or-none", op: "is no error", file: "impl/server/resources.go",
		old: `updateError(errors.Join(err, s.Store.WriteConfig(id, before)))`, with: `s.Store.WriteConfig(id, before)`},
	{rule: "container.update.kept", op: "forgotten", file: "impl/server/record.go",
		old: "`json:\"limits\"`", with: "`json:\"-\"`"},
	{rule: "container.update.memory-use", op: "not looked at", file: "impl/server/resources.go",
		old: `	if memory < use {`, with: `	if memory < 0*use {`},
	{rule: "container.update.memory-use", op: "with what can be dropped", file: "impl/server/resources.go",
		old: `	if memory < use {`, with: `	if memory < 2*use {`},
	{rule: "container.limits.hugepages", op: "whatever the kernel has", file: "impl/oci/resources.go",
		old: `	if !host.Hugetlb {`, with: `	if false {`},
	{rule: "container.update.oom-score", op: "of nobody", file: "impl/runtime/update.go",
		old: `	if err == nil && l.OOMScoreAdj != nil {`, with: `	if err != nil && l.OOMScoreAdj != nil {`},
	{rule: "container.update.oom-score", op: "of one", file: "impl/runtime/update.go",
		old: `	for _, pid := range all {`, with: `	for _, pid := range all[:min(1, len(all))] {`},
	{rule: "container.update.oom-score", op: "not of later commands", file: "impl/runtime/execwatch.go",
		old: `		if w.score != nil {`, with: `		if w.score != nil && w.score == nil {`},
	{rule: "container.update.in-turn", op: "shared", file: "impl/ledger/step.go",
		old: `!p.given && p.stay != Apart {`, with: `!p.given {`},
	{rule: "container.update.in-turn", op: "outside the ledger", file: "impl/server/resources.go",
		old: `	err := s.containers.Step(ctx, id, spec.UpdateContainer, ledger.Apart, func(ctx context.Context, id string) error {
		return s.updateContainer(ctx, id, req.GetLinux())
	})
	if err != nil {`, with: `	err := s.containers.Step(ctx, id, spec.UpdateContainer, ledger.Apart, nil)
	if err == nil {
		err = s.updateContainer(ctx, id, req.GetLinux())
	}
	if err != nil {`},
	{rule: "sandbox.update.kept", op: "only in memory", file: "impl/server/record.go",
		old: `	return proto.Unmarshal(data, k.M)`, with: `	err := proto.Unmarshal(data, k.M)
	if c, ok := any(k.M).(*runtimeapi.PodSandboxConfig); ok && c.Linux != nil {
		c.Linux.Overhead, c.Linux.Resources = nil, nil
	}
	return err`},
	{rule: "sandbox.update.kept", op: "not shown", file: "impl/server/sandbox_status.go",
		old: `"config": e.Data.Config.M,`, with: `"config": nil,`},

	{rule: "container.log.reopen", op: "does nothing", file: "impl/server/log.go",
		old: `	if e.Data.LogPath != "" {`, with: `	if e.Data.LogPath == "" {`},
	{rule: "container.log.reopen", op: "does not wait", file: "impl/runtime/reopen.go",
		old: `		if now, err := openLogOf(monitor); err == nil && isFile(now, path) {`, with: `		if now, err := openLogOf(monitor); err == nil || isFile(now, path) {`},
	{rule: "container.log.reopen", op: "makes a file that nobody writes to", file: "impl/runtime/reopen.go",
		old: `			return writeControl(filepath.Join(r.loadRecord(id).Bundle, ctlFile), reopenLine)`, with: `			return os.Rename(path+logSuffix, path)`},
	{rule: "container.log.whole-lines", op: "whenever", file: "impl/runtime/hold.go",
		old: `		if idle(monitor, log, time.Since(begin) < emptyTime) || time.Since(changed) > lineGrace || ctx.Err() != nil {`, with: `		if !idle(monitor, log, time.Since(begin) < emptyTime) || time.Since(changed) < time.Hour {`},
	{rule: "container.log.unmoved", op: "is emptied", file: "impl/runtime/reopen.go",
		old: `	if err != nil || isFile(old, path) {`, with: `	if err != nil {`},
	{rule: "container.log.directory", op: "is not made", file: "impl/runtime/reopen.go",
		old: `	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("log directory: %w", err)
	}
`, with: ``},
	{rule: "container.log.reopen-fails", op: "is left to the monitor", file: "impl/runtime/reopen.go",
		old: `	if err := makeLog(path); err != nil {
		return err
	}
	err = watcher.Add(filepath.Dir(path))
	if err == nil {`, with: `	_ = makeLog(path)
	_ = watcher.Add(filepath.Dir(path))
	if err == nil {`},
	{rule: "container.log.reopen-fails", op: "is no error", file: "impl/server/log.go",
		old: `			return nil, s.refusal("container.log.reopen-fails", spec.FailedPrecondition, e.Data.LogPath, err)`, with: `			return &runtimeapi.ReopenContainerLogResponse{}, nil`},
	{rule: "container.log.reopen-fails", op: "another code", file: "impl/server/log.go",
		old: `spec.FailedPrecondition, e.Data.LogPath`, with: `spec.NotFound, e.Data.LogPath`},
	{rule: "container.log.unwritable", op: "is no error", file: "impl/server/container_works.go",
		old: `			return fmt.Errorf("log directory: %w", err)
`, with: `			c.LogPath = ""
`},
	{rule: "container.log.unwritable", op: "not told which", file: "impl/server/container_works.go",
		old: `			return fmt.Errorf("log directory: %w", err)
`, with: `			return fmt.Errorf("log directory")
`},
	{rule: "container.log.max-size", op: "none", file: "impl/daemon/daemon.go",
		old: `LogSizeMax: max(d.cfg.Runtime.LogSizeMax, 0),`, with: `LogSizeMax: 0,`},
	{rule: "container.log.max-size", op: "twice as large", file: "impl/daemon/daemon.go",
		old: `LogSizeMax: max(d.cfg.Runtime.LogSizeMax, 0),`, with: `LogSizeMax: 2 * max(d.cfg.Runtime.LogSizeMax, 0),`},
}
