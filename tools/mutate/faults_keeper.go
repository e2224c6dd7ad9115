package main

// faultsKeeper break the promises about runtimes whose containers are no
// processes of the host's.
var faultsKeeper = []fault{
	{rule: "keeper.exit-status", op: "always 0", file: "impl/keeper/keeper.go",
		old: `return *end.Status`, with: `return 0`},
	{rule: "keeper.exit-status", op: "never told", file: "impl/runtime/command.go",
		old: `	defer r.nudge(id)
`, with: ``},
	{rule: "keeper.exit-status", op: "the runtime's process stands for it", file: "impl/runtime/launch.go",
		old: `	if r.keeper == "" {
		args`, with: `	if r.keeper != "" {
		args`},
	{rule: "keeper.streams", op: "none at the start", file: "impl/runtime/command.go",
		old: `if r.startStreams {`, with: `if !r.startStreams {`},
	{rule: "keeper.streams", op: "errors are output", file: "impl/runtime/kept.go",
		old: `streams[0], streams[1], streams[2]
`, with: `streams[0], streams[1], streams[1]
`},
	{rule: "keeper.commands", op: "left alone", file: "impl/runtime/exec.go",
		old: `w.inside = func() { r.killGuest(id, dir) }`, with: `w.inside = func() {}`},
	{rule: "keeper.commands", op: "not what it has started", file: "impl/runtime/execguest.go",
		old: `born := guestBelow(guestTable(string(out)), seen)`, with: `born := guestBelow(guestTable(string(out[:0])), seen)`},
	{rule: "keeper.restart", op: "ends with the daemon", file: "impl/keeper/keeper.go",
		old: `child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}`, with: `child.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}`},
	{rule: "keeper.unstarted", op: "waited for", file: "impl/runtime/command.go",
		old: `	r.nudge(id)
	return r.explain`, with: `	return r.explain`},
	{rule: "keeper.dies", op: "its container runs on", file: "impl/runtime/delete.go",
		old: `		r.log.Debug("delete falls back to --force", "container", id, "error", err)
		if err := r.deleteForce(ctx, id); err != nil {
			return err
		}`, with: `		r.log.Debug("delete falls back to --force", "container", id, "error", err)`},
	{rule: "keeper.lag", op: "state is believed at once", file: "impl/runtime/command.go",
		old: `s.Status == specs.StateStopped, r.keeperEnds(ctx, id):`, with: `s.Status == specs.StateStopped:`},
	{rule: "keeper.cgroup", op: "in the daemon's", file: "impl/runtime/create.go",
		old: `r.placeKeeper(c, p)`, with: `nil`},
}
