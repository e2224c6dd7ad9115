package main

// faultsRestart break the promises about restarts, shutdown, images and the
// service calls.
var faultsRestart = []fault{
	{rule: "recover.container.lost", op: "reason Error", file: "impl/server/container_life.go",
		old: `case !exit.Known:`, with: `case !exit.Known && exit.Code == 0:`},
	{rule: "recover.container.lost", op: "code 0", file: "impl/runtime/watch.go",
		old: `const UnknownCode = 255`, with: `const UnknownCode = 0`},
	{rule: "recover.status", op: "no creation time of sandboxes", file: "impl/server/record.go",
		old: `CreatedAt  int64                              ` + "`json:\"createdAt\"`", with: `CreatedAt  int64                              ` + "`json:\"-\"`"},
	{rule: "recover.status", op: "no creation time of containers", file: "impl/server/record.go",
		old: `CreatedAt int64                             ` + "`json:\"createdAt\"`", with: `CreatedAt int64                             ` + "`json:\"-\"`"},
	{rule: "recover.status", op: "no IP", file: "impl/server/record.go",
		old: "`json:\"ips,omitempty\"`", with: "`json:\"-\"`"},
	{rule: "recover.status", op: "no handler", file: "impl/server/record.go",
		old: "`json:\"requestedHandler,omitempty\"`", with: "`json:\"-\"`"},
	{rule: "recover.status", op: "no labels and annotations", file: "impl/server/record.go",
		old: `	return proto.Unmarshal(data, k.M)`, with: `	err := proto.Unmarshal(data, k.M)
	switch m := any(k.M).(type) {
	case *runtimeapi.PodSandboxConfig:
		m.Labels = nil
	case *runtimeapi.ContainerConfig:
		m.Annotations = nil
	}
	return err`},
	{rule: "recover.status", op: "no exit code", file: "impl/server/record.go",
		old: "`json:\"exitCode\"`", with: "`json:\"-\"`"},

	{rule: "shutdown.exit", op: "not on SIGTERM", file: "impl/daemon/daemon.go",
		old: `signal.NotifyContext(ctx, unix.SIGTERM, unix.SIGINT)`, with: `signal.NotifyContext(ctx, unix.SIGINT)`},
	{rule: "shutdown.exit", op: "not on SIGINT", file: "impl/daemon/daemon.go",
		old: `signal.NotifyContext(ctx, unix.SIGTERM, unix.SIGINT)`, with: `signal.NotifyContext(ctx, unix.SIGTERM)`},
	{rule: "shutdown.exit", op: "with 1", file: "impl/daemon/daemon.go",
		old: `errors.Join(d.serve(ctx), d.shutdown())`, with: `errors.Join(d.serve(ctx), d.shutdown(), errors.New("broken"))`},
	{rule: "shutdown.containers", op: "they are stopped", file: "impl/daemon/daemon.go",
		old: `	d.log.Info("shutting down")
`, with: `	all, _ := d.server.ListContainers(context.Background(), &runtimeapi.ListContainersRequest{})
	for _, c := range all.GetContainers() {
		_, _ = d.server.StopContainer(context.Background(), &runtimeapi.StopContainerRequest{ContainerId: c.Id})
	}
`},
	{rule: "shutdown.containers", op: "their monitors end", file: "impl/daemon/shutdown.go",
		old: `func (d *daemon) closeStorage(context.Context) error {
`, with: `func (d *daemon) closeStorage(context.Context) error {
	entries, _ := os.ReadDir(d.cfg.RunRoot + "/containers")
	for _, e := range entries {
		data, _ := os.ReadFile(d.cfg.RunRoot + "/containers/" + e.Name() + "/monitor.pid")
		pid := 0
		for _, c := range data {
			if c >= '0' && c <= '9' {
				pid = 10*pid + int(c-'0')
			}
		}
		if p, err := os.FindProcess(pid); err == nil && pid > 1 {
			_ = p.Kill()
		}
	}
`},

	{rule: "container.log", op: "goes with the container", file: "impl/server/container_works.go",
		old: `	return s.Store.Delete(id)
}

func (s *Server) mountRoot(`, with: `	_ = os.Remove(c.LogPath)
	return s.Store.Delete(id)
}

func (s *Server) mountRoot(`},
	{rule: "service.version", op: "no API version", file: "impl/server/status.go",
		old: `RuntimeVersion: version.String(), RuntimeApiVersion: apiVersion,`, with: `RuntimeVersion: version.String(),`},
	{rule: "service.version", op: "no semantic version", file: "impl/server/status.go",
		old: `	apiVersion = "1.0.0"`, with: `	apiVersion = "v1"`},
	{rule: "service.version", op: "no runtime version", file: "impl/server/status.go",
		old: `RuntimeVersion: version.String(), RuntimeApiVersion: apiVersion,`, with: `RuntimeVersion: version.String()[:0], RuntimeApiVersion: apiVersion,`},
	{rule: "service.status", op: "no NetworkReady", file: "impl/server/status.go",
		old: `[]*runtimeapi.RuntimeCondition{ready, net}`, with: `[]*runtimeapi.RuntimeCondition{ready, net}[:1]`},
	{rule: "service.status", op: "no RuntimeReady", file: "impl/server/status.go",
		old: `[]*runtimeapi.RuntimeCondition{ready, net}`, with: `[]*runtimeapi.RuntimeCondition{ready, net}[1:]`},
	{rule: "service.network-ready", op: "always true", file: "impl/server/status.go",
		old: `net.Status, net.Reason, net.Message = false,`, with: `net.Status, net.Reason, net.Message = true,`},
	{rule: "service.network-ready", op: "no reason", file: "impl/server/status.go",
		old: `false, "NetworkPluginNotReady", err.Error()`, with: `false, "", ""`},
	{rule: "service.network-ready", op: "only at the start", file: "impl/network/watch.go",
		old: `	m.current.Store(sel)
	if old`, with: `	if old == nil {
		m.current.Store(sel)
	}
	if old`},
	{rule: "service.network-ready", op: "plugins are not looked for", file: "impl/network/network.go",
		old: `_, err := invoke.FindInPath(plugin, m.cfg.BinDirs); err != nil`, with: `_, err := invoke.FindInPath(plugin, m.cfg.BinDirs); err != nil && m.cfg.BinDirs == nil`},
	{rule: "service.network-ready", op: "the runtime is not ready either", file: "impl/server/status.go",
		old: `err.Error()
	}
	res := &`, with: `err.Error()
		ready.Status = false
	}
	res := &`},
	{rule: "service.network-ready", op: "no pod of the host network", file: "impl/server/sandbox_run.go",
		old: `	sum, err := digest(req)
`, with: `	if err := s.Network.Status(); err != nil {
		return nil, err
	}
	sum, err := digest(req)
`},
	{rule: "service.handlers", op: "not the empty name", file: "impl/server/status.go",
		old: `[]*runtimeapi.RuntimeHandler{{Name: "", Features`, with: `[]*runtimeapi.RuntimeHandler{{Name: s.Config.Runtime.DefaultHandler, Features`},
	{rule: "service.handlers", op: "only the default", file: "impl/server/status.go",
		old: `	for _, name := range s.Config.HandlerNames() {`, with: `	for _, name := range s.Config.HandlerNames()[:0] {`},
	{rule: "service.cgroup-driver", op: "the other", file: "impl/server/status.go",
		old: `s.Config.CgroupDriver() == config.CgroupSystemd`, with: `s.Config.CgroupDriver() != config.CgroupSystemd`},
	{rule: "service.rule-info", op: "no detail", file: "impl/gate/status.go",
		old: `derr == nil {
			s = with`, with: `derr != nil {
			s = with`},
	{rule: "service.rule-info", op: "another domain", file: "impl/gate/status.go",
		old: `const Domain = "ocid"`, with: `const Domain = "cri"`},
	{rule: "service.rule-info", op: "not in the message", file: "impl/gate/status.go",
		old: `	return withRule(status.New(code, short(err.Error())), rule)`, with: `	text := err.Error()
	if refusal != nil {
		text = refusal.Object + " " + refusal.Reason
	}
	return withRule(status.New(code, text), rule)`},
	{rule: "service.failure", op: "no row", file: "impl/ledger/failure.go",
		old: `	return &Failure{Row: row.ID, Err: err}`, with: `	return err`},
	{rule: "service.failure", op: "of another row", file: "impl/ledger/failure.go",
		old: `	return &Failure{Row: row.ID, Err: err}`, with: `	return &Failure{Row: "container.remove.idle", Err: err}`},
	{rule: "service.rule-info", op: "not of steps", file: "impl/gate/status.go",
		old: `if rule == "" {
		rule = ruleOf(err)`, with: `if rule != "" {
		rule = ruleOf(err)`},
}
