package main

// faultsContainer break the promises about containers and ExecSync.
var faultsContainer = []fault{
	{rule: "container.start.brief", op: "freed while it starts", file: "impl/server/watch.go",
		old: `		w.awaitStart()
		logged(`, with: `		logged(`},
	{rule: "container.stop.signal", op: "always SIGTERM", file: "impl/server/container_life.go",
		old: `kill(ctx, rt, id, syscall.Signal(e.Data.StopWith), false)`, with: `kill(ctx, rt, id, syscall.SIGTERM, false)`},
	{rule: "container.stop.signal", op: "the image's first", file: "impl/oci/signal.go",
		old: `if s, ok := fromCRI(config.GetStopSignal()); ok {`, with: `if s, ok := fromCRI(config.GetStopSignal()); ok && (image == nil || image.Config.StopSignal == "") {`},
	{rule: "container.stop.signal", op: "image's is ignored", file: "impl/oci/signal.go",
		old: `parseSignal(image.Config.StopSignal); ok {`, with: `parseSignal(image.Config.StopSignal); ok && false {`},
	{rule: "container.stop.signal", op: "sent again when the time changes", file: "impl/server/container_life.go",
		old: `		if w := s.watched(id); w != nil {
			w.shorten(deadline)
		}
	}`, with: `		if w := s.watched(id); w != nil {
			w.shorten(deadline)
			if e.State == spec.Stopping {
				_ = kill(ctx, s.Runtimes[e.Data.Handler], id, syscall.Signal(e.Data.StopWith), false)
			}
		}
	}`},
	{rule: "container.stop.grace", op: "none", file: "impl/server/container_life.go",
		old: `deadline := time.Now().Add(time.Duration(req.Timeout) * time.Second)`, with: `deadline := time.Now()`},
	{rule: "container.stop.grace", op: "in minutes", file: "impl/server/container_life.go",
		old: `time.Duration(req.Timeout) * time.Second)
	if e`, with: `time.Duration(req.Timeout) * time.Minute)
	if e`},
	{rule: "container.stop.grace", op: "0 is a second", file: "impl/server/container_life.go",
		old: `time.Duration(req.Timeout) * time.Second)
	if e`, with: `time.Duration(max(req.Timeout, 1)) * time.Second)
	if e`},
	{rule: "container.stop.grace", op: "always waited for", file: "impl/server/watch.go",
		old: `		case <-w.known:
			timer.Stop()
			return true, nil
		case <-timer.C:`, with: `		case <-timer.C:`},
	{rule: "container.stop.grace", op: "begins before the start", file: "impl/server/container_life.go",
		old: `e.State&(spec.Running|spec.Stopping) != 0`, with: `e.State != 0`},
	{rule: "container.stop.shorter", op: "the first counts", file: "impl/server/watch.go",
		old: `if w.deadline.IsZero() || to.Before(w.deadline) {`, with: `if w.deadline.IsZero() {`},
	{rule: "container.stop.shorter", op: "the last counts", file: "impl/server/watch.go",
		old: `if w.deadline.IsZero() || to.Before(w.deadline) {`, with: `if true {`},
	{rule: "container.stop.shorter", op: "nobody is told", file: "impl/server/watch.go",
		old: `		close(w.changed)
`, with: ``},
	{rule: "container.stop.cancelled", op: "goes on", file: "impl/server/container_life.go",
		old: `spec.StopContainer, ledger.GiveUp,`, with: `spec.StopContainer, ledger.Finish,`},
	{rule: "container.stop.cancelled", op: "kills", file: "impl/server/watch.go",
		old: `			return false, context.Cause(ctx)
`, with: `			return false, nil
`},
	{rule: "container.stop.cancelled", op: "keeps the time", file: "impl/server/watch.go",
		old: `	w.deadline = time.Time{}
`, with: ``},

	{rule: "container.namespaces.network", op: "its own", file: "impl/oci/namespaces.go",
		old: `{specs.NetworkNamespace, n.Net},`, with: `{specs.NetworkNamespace, NewNamespace},`},
	{rule: "container.namespaces.network", op: "the host's", file: "impl/oci/namespaces.go",
		old: `{specs.NetworkNamespace, n.Net},`, with: `{specs.NetworkNamespace, HostNamespace},`},
	{rule: "container.namespaces.network", op: "never the host's", file: "impl/server/sandbox_works.go",
		old: `ns.Net, ns.UTS = oci.HostNamespace, oci.HostNamespace`, with: `ns.Net, ns.UTS = "", oci.HostNamespace`},
	{rule: "container.namespaces.pid", op: "always its own", file: "impl/server/container_works.go",
		old: `ns.PID = pid.PID`, with: `_ = pid`},
	{rule: "container.namespaces.pid", op: "always the host's", file: "impl/server/container_works.go",
		old: `ns.PID = pid.PID`, with: `ns.PID = oci.HostNamespace + pid.PID[:0]`},
	{rule: "container.namespaces.pid", op: "POD is a new one", file: "impl/server/container_works.go",
		old: `ns.PID = pid.PID`, with: `ns.PID = pid.PID
	if opts.Pid == runtimeapi.NamespaceMode_POD {
		ns.PID = ""
	}`},
	{rule: "container.namespaces.pid", op: "CONTAINER is the host's", file: "impl/server/container_works.go",
		old: `ns.PID = pid.PID`, with: `ns.PID = pid.PID
	if opts.Pid == runtimeapi.NamespaceMode_CONTAINER {
		ns.PID = oci.HostNamespace
	}`},
	{rule: "container.namespaces.pid", op: "NODE is a new one", file: "impl/server/container_works.go",
		old: `ns.PID = pid.PID`, with: `ns.PID = pid.PID
	if opts.Pid == runtimeapi.NamespaceMode_NODE {
		ns.PID = ""
	}`},

	{rule: "container.process", op: "image's command wins", file: "impl/oci/process.go",
		old: `if len(command) == 0 && image != nil {`, with: `if image != nil && len(image.Config.Entrypoint) > 0 {`},
	{rule: "container.process", op: "image's arguments always", file: "impl/oci/process.go",
		old: `		if len(args) == 0 {
			args = image.Config.Cmd
		}
	}`, with: `	}
	if len(args) == 0 && image != nil {
		args = image.Config.Cmd
	}`},
	{rule: "container.process", op: "image's arguments never", file: "impl/oci/process.go",
		old: `			args = image.Config.Cmd
`, with: `			args = nil
`},
	{rule: "container.process", op: "config's arguments ignored", file: "impl/oci/process.go",
		old: `line := slices.Concat(command, args)`, with: `line := slices.Concat(command, args)[:max(len(command), min(1, len(args)))]`},
	{rule: "container.process", op: "image's environment ignored", file: "impl/oci/process.go",
		old: `ok && key != "" {`, with: `ok && key == "" {`},
	{rule: "container.process", op: "image's environment wins", file: "impl/oci/process.go",
		old: `		env = env.set(e.GetKey(), string(e.GetValue()))`, with: `		if env.index(e.GetKey()) < 0 {
			env = env.set(e.GetKey(), string(e.GetValue()))
		}`},
	{rule: "container.process", op: "config's environment ignored", file: "impl/oci/process.go",
		old: `range in.Config.GetEnvs()`, with: `range in.Config.GetEnvs()[:0]`},
	{rule: "container.process", op: "config's directory ignored", file: "impl/oci/process.go",
		old: `dir := config.GetWorkingDir()`, with: `dir := ""`},
	{rule: "container.process", op: "image's directory ignored", file: "impl/oci/process.go",
		old: `dir = image.Config.WorkingDir`, with: `dir = "/"`},
	{rule: "container.process", op: "root", file: "impl/oci/process.go",
		old: `User:            in.User.oci(),`, with: `User:            specs.User{},`},
	{rule: "container.process", op: "image's user ignored", file: "impl/oci/user.go",
		old: `req.ImageUser = image.Config.User`, with: `req.ImageUser = ""`},
	{rule: "container.process", op: "config's user ignored", file: "impl/oci/user.go",
		old: `RunAsUser:          sc.GetRunAsUser(),`, with: `RunAsUser:          nil,`},
	{rule: "container.process", op: "config's user name ignored", file: "impl/oci/user.go",
		old: `RunAsUsername:      sc.GetRunAsUsername(),`, with: `RunAsUsername:      "",`},
	{rule: "container.process", op: "config's group ignored", file: "impl/oci/user.go",
		old: `RunAsGroup:         sc.GetRunAsGroup(),`, with: `RunAsGroup:         nil,`},
	{rule: "container.process", op: "further groups ignored", file: "impl/oci/user.go",
		old: `SupplementalGroups: sc.GetSupplementalGroups(),`, with: `SupplementalGroups: nil,`},

	{rule: "container.mounts", op: "none", file: "impl/oci/mounts.go",
		old: `criMounts(in.Config.GetMounts())`, with: `criMounts(nil)`},
	{rule: "container.mounts", op: "all read-only", file: "impl/oci/mounts.go",
		old: `	readonly := in.Config`, with: `	for i := range own {
		own[i].Options = append(own[i].Options, "ro")
	}
	readonly := in.Config`},
	{rule: "container.mounts", op: "all writable", file: "impl/oci/mounts.go",
		old: `	readonly := in.Config`, with: `	own = writable(own)
	readonly := in.Config`},
	{rule: "container.create.image", op: "another code", file: "impl/server/container_create.go",
		old: `s.refusal("container.create.image", spec.NotFound, "config.image.image", fmt`, with: `s.refusal("container.create.image", spec.FailedPrecondition, "config.image.image", fmt`},
	{rule: "container.create.image", op: "created all the same", file: "impl/server/container_create.go",
		old: `	if img == nil {
		return s.ref`, with: `	if img == nil {
		if all, err := s.Images.List(ctx); err == nil && len(all) > 0 {
			img = &all[0]
		}
	}
	if img == nil {
		return s.ref`},
	{rule: "container.create.mount-missing", op: "made", file: "impl/server/mounts.go",
		old: `real, err := filepath.EvalSymlinks(m.HostPath)`, with: `_ = unix.Mkdir(m.HostPath, 0o755)
		real, err := filepath.EvalSymlinks(m.HostPath)`},
	{rule: "container.create.mount-missing", op: "left out", file: "impl/server/mounts.go",
		old: `		if err != nil {
			return s.refusal("container.create.mount-missing", spec.InvalidArgument,`, with: `		if err != nil && len(c.Mounts) == 1 {
			c.Mounts = nil
			return nil
		}
		if err != nil {
			return s.refusal("container.create.mount-missing", spec.InvalidArgument,`},
	{rule: "container.create.mount-missing", op: "another code", file: "impl/server/mounts.go",
		old: `s.refusal("container.create.mount-missing", spec.InvalidArgument,`, with: `s.refusal("container.create.mount-missing", spec.FailedPrecondition,`},

	{rule: "container.start.fails", op: "no status", file: "impl/server/container_life.go",
		old: `return &gate.Ruled{Rule: "container.start.fails", Err: errors.Join(err, s.startFailed(context.WithoutCancel(ctx), id, &e.Data, err))}`, with: `return &gate.Ruled{Rule: "container.start.fails", Err: errors.Join(err, s.killContainer(context.WithoutCancel(ctx), id, &e.Data))}`},
	{rule: "container.start.fails", op: "no reason", file: "impl/server/container_life.go",
		old: `startFailedReason = "StartError"`, with: `startFailedReason = ""`},
	{rule: "container.start.fails", op: "another exit code", file: "impl/server/container_life.go",
		old: `startFailedCode   = 128`, with: `startFailedCode   = 0`},
	{rule: "container.start.fails", op: "no message", file: "impl/server/container_life.go",
		old: `c.Reason, c.Message = startFailedReason, cause.Error()`, with: `c.Reason, c.Message = startFailedReason, ""`},
	{rule: "container.start.fails", op: "its process lives", file: "impl/server/container_life.go",
		old: `		s.killContainer(ctx, id, c))`, with: `		nil)`},
	{rule: "container.start.fails", op: "is no error", file: "impl/server/container_life.go",
		old: `return &gate.Ruled{Rule: "container.start.fails", Err: errors.Join(err, s.startFailed(context.WithoutCancel(ctx), id, &e.Data, err))}`, with: `_ = gate.Ruled{}
		return s.startFailed(context.WithoutCancel(ctx), id, &e.Data, err)`},

	{rule: "container.status.exit", op: "no exit code", file: "impl/server/container_life.go",
		old: `exit.At.UnixNano(), exit.Code, "Completed"`, with: `exit.At.UnixNano(), 0, "Completed"`},
	{rule: "container.status.exit", op: "one reason", file: "impl/server/container_life.go",
		old: `c.Reason = "Error"`, with: `c.Reason = "Completed"`},
	{rule: "container.status.exit", op: "no reason for success", file: "impl/server/container_life.go",
		old: `exit.Code, "Completed"`, with: `exit.Code, ""`},
	{rule: "container.status.exit", op: "no finish time", file: "impl/server/container_status.go",
		old: `st.FinishedAt, st.ExitCode, st.Reason, st.Message = d.FinishedAt,`, with: `st.FinishedAt, st.ExitCode, st.Reason, st.Message = 0,`},
	{rule: "container.status.exit", op: "no start time", file: "impl/server/container_status.go",
		old: `st.StartedAt = d.StartedAt`, with: `st.StartedAt = 0`},
	{rule: "container.status.exit", op: "no creation time", file: "impl/server/container_status.go",
		old: `State: containerState(e), CreatedAt: d.CreatedAt,`, with: `State: containerState(e),`},
	{rule: "container.status.exit", op: "signal number for code", file: "impl/runtime/watch.go",
		old: `return Exit{Code: code, At: at,`, with: `return Exit{Code: code % 128, At: at,`},
	{rule: "container.status.image", op: "no ID", file: "impl/server/container_status.go",
		old: `ImageId: d.ImageID,
		Labels: c.GetLabels(), Annotations: c.GetAnnotations(), Mounts`, with: `
		Labels: c.GetLabels(), Annotations: c.GetAnnotations(), Mounts`},
	{rule: "container.status.image", op: "no reference", file: "impl/server/container_status.go",
		old: `Image: c.GetImage(), ImageRef: d.ImageRef, ImageId: d.ImageID,
		Labels: c.GetLabels(), Annotations: c.GetAnnotations(), Mounts`, with: `Image: c.GetImage(), ImageId: d.ImageID,
		Labels: c.GetLabels(), Annotations: c.GetAnnotations(), Mounts`},
	{rule: "container.status.image", op: "not as requested", file: "impl/server/container_status.go",
		old: `Image: c.GetImage(), ImageRef: d.ImageRef, ImageId: d.ImageID,
		Labels: c.GetLabels(), Annotations: c.GetAnnotations(), Mounts`, with: `Image: &runtimeapi.ImageSpec{Image: d.ImageID}, ImageRef: d.ImageRef, ImageId: d.ImageID,
		Labels: c.GetLabels(), Annotations: c.GetAnnotations(), Mounts`},

	{rule: "container.log", op: "none", file: "impl/runtime/launch.go",
		old: `if c.LogPath == "" {`, with: `if true {`},
	{rule: "container.log", op: "another format", file: "impl/runtime/launch.go",
		old: `"--log-path=k8s-file:"`, with: `"--log-path=json-file:"`},
	{rule: "container.log", op: "goes with the container", file: "impl/server/container_works.go",
		old: `	s.forget(id)
	return nil
}

// undoInRuntime`, with: `	s.forget(id)
	_ = os.Remove(c.LogPath)
	return nil
}

// undoInRuntime`},
	{rule: "container.handler.inherited", op: "the default", file: "impl/server/container_create.go",
		old: `Handler: pod.Data.Handler,`, with: `Handler: s.Config.Runtime.DefaultHandler,`},
	{rule: "container.handler.inherited", op: "by the name in the request", file: "impl/server/container_create.go",
		old: `Handler: pod.Data.Handler,`, with: `Handler: firstOr([]string{pod.Data.Requested}, s.Config.Runtime.DefaultHandler),`},

	{rule: "exec.sync", op: "no stdout", file: "impl/server/container_life.go",
		old: `Stdout: stdout, Stderr: stderr,`, with: `Stdout: nil, Stderr: append(stderr, stdout[len(stdout):]...),`},
	{rule: "exec.sync", op: "no stderr", file: "impl/server/container_life.go",
		old: `Stdout: stdout, Stderr: stderr,`, with: `Stdout: append(stdout, stderr[len(stderr):]...),`},
	{rule: "exec.sync", op: "streams mixed", file: "impl/server/container_life.go",
		old: `Stdout: stdout, Stderr: stderr,`, with: `Stdout: append(stdout, stderr...), Stderr: stderr,`},
	{rule: "exec.sync", op: "no exit code", file: "impl/server/container_life.go",
		old: `, ExitCode: res.ExitCode}, nil`, with: `}, nil`},
	{rule: "exec.sync", op: "exit code is an error", file: "impl/runtime/exec.go",
		old: `(pidErr == nil || ps.Success())`, with: `(pidErr == nil && ps.Success() || ps.Success())`},
	{rule: "exec.timeout", op: "none", file: "impl/runtime/exec.go",
		old: `if e.Timeout > 0 {`, with: `if e.Timeout > time.Minute {`},
	{rule: "exec.timeout", op: "another code", file: "impl/server/container_life.go",
		old: `s.refusal("exec.timeout", spec.DeadlineExceeded,`, with: `s.refusal("exec.timeout", spec.FailedPrecondition,`},
	{rule: "exec.timeout", op: "command lives", file: "impl/runtime/execwatch.go",
		old: `	err := killCommand(w.cmd, session)`, with: `	_ = session
	err := w.cmd.Process.Kill()`},
	{rule: "exec.timeout", op: "always", file: "impl/runtime/exec.go",
		old: `if e.Timeout > 0 {`, with: `if e.Timeout = max(e.Timeout, 1); e.Timeout > 0 {`},
}
