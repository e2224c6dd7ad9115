package main

// faultsStream break the promises about Exec, Attach and PortForward.
var faultsStream = []fault{
	{rule: "stream.url.once", op: "good for ever", file: "impl/stream/ticket.go",
		old: `	delete(t.waiting, key)
	found.timer.Stop()
`, with: ``},
	{rule: "stream.url.expires", op: "never", file: "impl/stream/ticket.go",
		old: `time.AfterFunc(t.valid, `, with: `time.AfterFunc(t.valid+time.Hour, `},
	{rule: "stream.url.expires", op: "at once", file: "impl/stream/ticket.go",
		old: `time.AfterFunc(t.valid, `, with: `time.AfterFunc(0, `},
	{rule: "stream.url.secret", op: "short", file: "impl/stream/ticket.go",
		old: `token := rand.Text()`, with: `token := rand.Text()[:8]`},
	{rule: "stream.url.secret", op: "for any kind", file: "impl/stream/stream.go",
		old: `s.tickets.redeem(r.PathValue("kind"), `, with: `s.tickets.redeem("exec", `},
	{rule: "stream.url.loopback", op: "everywhere", file: "impl/daemon/daemon.go",
		old: `Address: c.Address, Port: int(c.Port)`, with: `Address: "0.0.0.0", Port: int(c.Port)`},
	{rule: "stream.url.tls", op: "ignored", file: "impl/daemon/daemon.go",
		old: `CertFile: c.TLSCert, KeyFile: c.TLSKey,`, with: `CertFile: "", KeyFile: "",`},
	{rule: "stream.url.tls", op: "of any age", file: "impl/stream/tls.go",
		old: `MinVersion: tls.VersionTLS12,`, with: `MinVersion: tls.VersionTLS10,`},
	{rule: "stream.url.many", op: "no bound", file: "impl/stream/ticket.go",
		old: `maxTickets = 1000`, with: `maxTickets = 100000`},
	{rule: "stream.url.many", op: "fewer", file: "impl/stream/ticket.go",
		old: `maxTickets = 1000`, with: `maxTickets = 999`},
	{rule: "stream.protocols", op: "no v5", file: "impl/stream/command.go",
		old: `if wsstream.IsWebSocketRequestWithStreamCloseProtocol(r) {`, with: `if false && wsstream.IsWebSocketRequestWithStreamCloseProtocol(r) {`},
	{rule: "stream.protocols", op: "only v5", file: "impl/stream/command.go",
		old: `if wsstream.IsWebSocketRequestWithStreamCloseProtocol(r) {`, with: `if wsstream.IsWebSocketRequest(r) {`},
	{rule: "stream.idle", op: "for ever", file: "impl/daemon/daemon.go",
		old: `IdleTimeout: c.IdleTimeout.Duration,`, with: `IdleTimeout: c.IdleTimeout.Duration + 1e12,`},
	{rule: "stream.exec.code", op: "always 0", file: "impl/stream/command.go",
		old: `	case code != 0:`, with: `	case false:`},
	{rule: "stream.exec.code", op: "a missing command is 0", file: "impl/runtime/exec.go",
		old: `		return 0, r.notStarted(ctx, id, ps.ExitCode(), streams.said())`, with: `		return int32(ps.ExitCode()), nil`},
	{rule: "stream.exec.output", op: "stderr is stdout", file: "impl/runtime/execio.go",
		old: `cmd.Stdout, cmd.Stderr = o.stdout.w, o.stderr.w`, with: `cmd.Stdout, cmd.Stderr = o.stdout.w, o.stdout.w`},
	{rule: "stream.exec.output", op: "cut from a slow client", file: "impl/runtime/execio.go",
		old: `		if rest = 0; o.patient {`, with: `		if rest = 0; false {`},
	{rule: "stream.exec.stdin", op: "never ends", file: "impl/runtime/execio.go",
		old: `		_, _ = io.Copy(o.in, o.stdin)
		_ = o.in.Close()
`, with: `		_, _ = io.Copy(o.in, o.stdin)
`},
	{rule: "stream.exec.stdin", op: "none", file: "impl/runtime/execio.go",
		old: `		cmd.Stdin = o.inR
`, with: ``},
	{rule: "stream.exec.tty", op: "none", file: "impl/runtime/exec.go",
		old: `terminal: p.Terminal, stdin`, with: `terminal: false, stdin`},
	{rule: "stream.exec.tty", op: "no size", file: "impl/runtime/execterm.go",
		old: `err == nil && size != (WinSize{}) {`, with: `err == nil && false {`},
	{rule: "stream.exec.tty", op: "one size", file: "impl/runtime/execio.go",
		old: `		go o.follow()
`, with: ``},
	{rule: "stream.exec.tty", op: "input has no end", file: "impl/runtime/execterm.go",
		old: `	_, _ = o.stdout.r.Write(end)
`, with: ``},
	{rule: "stream.exec.held", op: "for ever", file: "impl/runtime/execwatch.go",
		old: `			w.out.hangUp()
			w.nudge()
`, with: ``},
	{rule: "stream.exec.gone", op: "nobody notices", file: "impl/stream/command.go",
		old: `e := executor{ctx: r.Context(), `, with: `e := executor{ctx: context.WithoutCancel(r.Context()), `},
	{rule: "stream.exec.gone", op: "sessions of their own live on", file: "impl/runtime/tree.go",
		old: `if !in[s.parent] && s.group != root`, with: `if s.session == s.pid || !in[s.parent] && s.group != root`},

	{rule: "stream.attach.output", op: "stderr is stdout", file: "impl/runtime/attach.go",
		old: `	pipeStderr = 3
`, with: `	pipeStderr = 4
`},
	{rule: "stream.attach.output", op: "the tail is lost", file: "impl/runtime/attach.go",
		old: `		if !errors.Is(err, ErrSlow) {
			<-b.done
		}
`, with: `		b.to = nil
`},
	{rule: "stream.attach.several", op: "the bytes of one only", file: "impl/runtime/attach.go",
		old: `		if n > 1 && to[buf[0]] != nil {`, with: `		if n > 1 && to[buf[0]] != nil && time.Now().UnixMilli()%2 == 0 {`},
	{rule: "stream.attach.stdin", op: "closed after one", file: "impl/runtime/launch.go",
		old: `"--leave-stdin-open": c.Stdin && !c.StdinOnce,`, with: `"--leave-stdin-open": false,`},
	{rule: "stream.attach.stdin-once", op: "stays open", file: "impl/runtime/launch.go",
		old: `"--leave-stdin-open": c.Stdin && !c.StdinOnce,`, with: `"--leave-stdin-open": c.Stdin,`},
	{rule: "stream.attach.stdin-once", op: "its end is not passed on", file: "impl/runtime/attach.go",
		old: `		_ = conn.CloseWrite()
`, with: ``},
	{rule: "stream.attach.stdin-once", op: "a reader closes it", file: "impl/runtime/attach.go",
		old: `	if err == nil || !a.Once || a.Stdin != nil {`, with: `	if true || err == nil {`},
	{rule: "stream.attach.tty", op: "any", file: "impl/server/stream.go",
		old: `e.Data.Config.M.GetTty() != req.Tty {`, with: `false && e.Data.Config.M.GetTty() != req.Tty {`},
	{rule: "stream.attach.resize", op: "turned", file: "impl/runtime/attach.go",
		old: `size.Height, size.Width)`, with: `size.Width, size.Height)`},
	{rule: "stream.attach.slow", op: "waited for", file: "impl/runtime/backlog.go",
		old: `	if n := len(b.data) + len(p); n > maxBacklog {
		return fmt.Errorf("%w: %d bytes wait for it", ErrSlow, n)
	}
`, with: `	if n := len(b.data) + len(p); n > maxBacklog {
		<-b.done
		return fmt.Errorf("%w: %d bytes wait for it", ErrSlow, n)
	}
`},
	{rule: "stream.attach.slow", op: "loses bytes in silence", file: "impl/runtime/backlog.go",
		old: `		return fmt.Errorf("%w: %d bytes wait for it", ErrSlow, n)
`, with: `		if n < 0 {
			return fmt.Errorf("%w: %d bytes wait for it", ErrSlow, n)
		}
		return nil
`},
	{rule: "stream.attach.slow", op: "its connection stays", file: "impl/stream/command.go",
		old: `		giveUp(e.ctx)
`, with: ``},
	{rule: "stream.attach.restart", op: "forgotten", file: "impl/server/recover.go",
		old: `rt.EndExecs(id, e.Data.Process))`, with: `errors.Join(rt.EndExecs(id, e.Data.Process), s.containers.Change(id, func(c *Container) { c.StdinClosed = true })))`},

	{rule: "stream.forward.pod", op: "the host", file: "impl/server/stream.go",
		old: `if sb.facts()&spec.OnHostNetwork != 0 {`, with: `if true || sb.facts()&spec.OnHostNetwork != 0 {`},
	{rule: "stream.forward.pod", op: "IPv4 only", file: "impl/server/stream.go",
		old: `hosts := []string{"127.0.0.1", "::1"}`, with: `hosts := []string{"127.0.0.1"}`},
	{rule: "stream.forward.host", op: "no namespace, no way", file: "impl/server/stream.go",
		old: `if sb.facts()&spec.OnHostNetwork != 0 {`, with: `if false && sb.facts()&spec.OnHostNetwork != 0 {`},
	{rule: "stream.forward.vm", op: "as any other", file: "impl/server/stream.go",
		old: `vm && len(sb.IPs) > 0 {`, with: `false && vm {`},
	{rule: "stream.forward.half", op: "the client's end ends all", file: "impl/stream/forward.go",
		old: `err = errors.Join(err, half.CloseWrite())`, with: `err = errors.Join(err, half.CloseWrite(), conn.Close())`},
	{rule: "stream.forward.half", op: "the pod's end ends all", file: "impl/stream/forward.go",
		old: `	_ = stream.Close()
	select {
	case <-sent:
	case <-f.ctx.Done():
	}
`, with: `	_ = stream.Close()
`},
	{rule: "stream.forward.half", op: "the client's end is kept", file: "impl/stream/forward.go",
		old: `conn.(interface{ CloseWrite() error }); ok {`, with: `conn.(interface{ CloseWrite() error }); ok && false {`},
	{rule: "stream.forward.refused", op: "silently", file: "impl/stream/forward.go",
		old: `	conn, err := f.dial(f.ctx, uint16(port))
	if err != nil {
		return err
	}`, with: `	conn, err := f.dial(f.ctx, uint16(port))
	if err != nil {
		return nil
	}`},
	{rule: "stream.forward.protocols", op: "no tunnel", file: "impl/stream/forward.go",
		old: `if wsstream.IsWebSocketRequestWithTunnelingProtocol(r) {`, with: `if false && wsstream.IsWebSocketRequestWithTunnelingProtocol(r) {`},
	{rule: "stream.forward.protocols", op: "any port", file: "impl/stream/forward.go",
		old: `if len(f.ports) > 0 && !slices`, with: `if false && !slices`},

	{rule: "exec.limit", op: "none", file: "impl/server/container_life.go",
		old: `	stdout, stderr := fit(res.Stdout, res.Stderr)
`, with: `	stdout, stderr := res.Stdout, res.Stderr
`},
	{rule: "exec.limit", op: "the command waits", file: "impl/runtime/command.go",
		old: `	if room := c.limit - int64(c.Len()); room > 0 {
		c.Buffer.Write(p[:min(int64(len(p)), room)])
	}
	return len(p), nil`, with: `	if room := c.limit - int64(c.Len()); room > 0 {
		c.Buffer.Write(p[:min(int64(len(p)), room)])
	} else if c.limit == DefaultLimit {
		select {}
	}
	return len(p), nil`},
	{rule: "exec.tree", op: "sessions of their own live on", file: "impl/runtime/tree.go",
		old: `if !in[s.parent] && s.group != root`, with: `if s.session == s.pid || !in[s.parent] && s.group != root`},
	{rule: "exec.tree", op: "the first process only", file: "impl/runtime/command.go",
		old: `	return killTree(st, session)
`, with: `	_ = st
	return cmd.Process.Kill()
`},
	{rule: "exec.held", op: "for ever", file: "impl/runtime/execwatch.go",
		old: `			w.out.hangUp()
			w.nudge()
`, with: ``},
	{rule: "exec.missing", op: "exit code", file: "impl/runtime/exec.go",
		old: `		return 0, r.notStarted(ctx, id, ps.ExitCode(), streams.said())`, with: `		return int32(ps.ExitCode()), nil`},
	{rule: "exec.missing", op: "no rule", file: "impl/server/container_life.go",
		old: `return nil, &gate.Ruled{Rule: "exec.missing", Err: err}`, with: `return nil, err`},
	{rule: "exec.left", op: "left", file: "impl/server/recover.go",
		old: `rt.EndExecs(id, e.Data.Process))`, with: `func() error { _ = rt; return nil }())`},
	{rule: "exec.nothing-left", op: "files", file: "impl/runtime/exec.go",
		old: `	defer os.RemoveAll(dir)
	return r.exec(ctx, id, dir, p.OOMScoreAdj, streams)`, with: `	return r.exec(ctx, id, dir, p.OOMScoreAdj, streams)`},
}
