package main

// faultsEvents break the promises about events, streamed lists and the state of the service.
var faultsEvents = []fault{
	{rule: "list.stream.sandboxes", op: "no filter", file: "impl/server/stream_list.go",
		old: `sendList(s.listSandboxes(req.GetFilter()), stream`, with: `sendList(s.listSandboxes(nil), stream`},
	{rule: "list.stream.sandboxes", op: "the last of a message comes again", file: "impl/server/stream_list.go",
		old: `		items = items[n:]`, with: `		if n > 1 {
			n--
		}
		items = items[n:]`},
	{rule: "list.stream.sandboxes", op: "only the first message", file: "impl/server/stream_list.go",
		old: `		items = items[n:]
	}`, with: `		return nil
	}`},
	{rule: "list.stream.sandboxes", op: "does not end", file: "impl/server/stream_list.go",
		old: `		items = items[n:]
	}`, with: `		items = items[n:]
	}
	<-stream.Context().Done()`},
	{rule: "list.stream.containers", op: "no filter", file: "impl/server/stream_list.go",
		old: `sendList(s.listContainers(req.GetFilter()), stream`, with: `sendList(s.listContainers(nil), stream`},
	{rule: "list.stream.images", op: "no filter", file: "impl/server/stream_list.go",
		old: `s.listImages(stream.Context(), req.GetFilter())`, with: `s.listImages(stream.Context(), nil)`},
	{rule: "list.stream.messages", op: "no bound", file: "impl/server/stream_list.go",
		old: `size > messageSize {`, with: `size < 0 {`},
	{rule: "list.stream.messages", op: "an empty one first", file: "impl/server/stream_list.go",
		old: `	for len(items) > 0 {`, with: `	if err := stream.Send(message(nil)); err != nil {
		return err
	}
	for len(items) > 0 {`},

	{rule: "sandbox.run.cgroup-parent", op: "may climb", file: "impl/oci/cgroup.go",
		old: `if slices.Contains(strings.Split(parent, "/"), "..") {`, with: `if slices.Contains(strings.Split(parent, "/"), "...") {`},
	{rule: "sandbox.run.cgroup-parent", op: "a slice is a directory", file: "impl/oci/cgroup.go",
		old: `		if slice {
`, with: `		if slice && driver != Cgroupfs {
`},
	{rule: "sandbox.run.cgroup-parent", op: "nobody speaks for it", file: "spec/promise.go",
		old: `return ok && (rest == "" ||`, with: `return ok && (rest == "no" ||`},
	{rule: "container.create.log-path", op: "names are not looked at", file: "impl/server/refuse.go",
		old: `len(name) > unix.NAME_MAX`, with: `len(name) > unix.PathMax`},
	{rule: "container.create.log-path", op: "the directory does not count", file: "impl/server/refuse.go",
		old: `len(path) >= unix.PathMax`, with: `len(path) > unix.PathMax+255`},
	{rule: "container.create.retry", op: "made again first", file: "impl/ledger/create.go",
		old: `	var made *object[T]
	for {`, with: `	made, err := c.object(ctx)
	if err != nil {
		return "", err
	}
	for {`},

	{rule: "events.containers", op: "no stop by itself", file: "impl/server/pods.go",
		old: `	case spec.Exited:
		return ended`, with: `	case spec.Exited:
		if e.Data.ExitCode != 0 {
			return before
		}
		return ended`},
	{rule: "events.containers", op: "stopping is stopped", file: "impl/server/pods.go",
		old: `	case spec.Running, spec.Stopping:
		return running`, with: `	case spec.Stopping:
		return ended
	case spec.Running:
		return running`},
	{rule: "events.containers", op: "no end of what was never started", file: "impl/server/pods.go",
		old: `if to == ended || to == gone && from != ended {`, with: `if (to == ended || to == gone && from != ended) && from != made {`},
	{rule: "events.containers", op: "half made ones too", file: "impl/server/pods.go",
		old: `	case spec.Created, spec.Starting:`, with: `	case spec.Created, spec.Starting, spec.Creating:`},
	{rule: "events.containers", op: "no deletion", file: "impl/server/pods.go",
		old: `	if to == gone {
		kinds = append(`, with: `	if to == gone && to == from {
		kinds = append(`},
	{rule: "events.containers", op: "again with each change", file: "impl/server/pods.go",
		old: `	if from == to {
		return nil
	}
	if from == gone {`, with: `	if from == to && from != running {
		return nil
	}
	if from == gone {`},
	{rule: "events.sandboxes", op: "none", file: "impl/server/pods.go",
		old: `	p.tell(pod, e.ID, sandboxStage(e, pod.stages[e.ID]))
`, with: ``},
	{rule: "events.sandboxes", op: "stopped before its containers", file: "impl/server/pods.go",
		old: `	case spec.NotReady, spec.Stopped:
		return ended
	case spec.Stopping, spec.Removing:`, with: `	case spec.NotReady, spec.Stopped, spec.Stopping:
		return ended
	case spec.Removing:`},
	{rule: "events.sandboxes", op: "not started", file: "impl/server/pods.go",
		old: `	case spec.Ready:
		return running`, with: `	case spec.Ready:
		return made`},
	{rule: "events.status", op: "no sandbox", file: "impl/server/events.go",
		old: `	if h.pod.sandbox.ID != "" {`, with: `	if h.pod.sandbox.ID == "" {`},
	{rule: "events.status", op: "no containers", file: "impl/server/events.go",
		old: `CreatedAt: h.at, ContainersStatuses: containerStatuses(h.pod),`, with: `CreatedAt: h.at,`},
	{rule: "events.status", op: "of the time it is sent", file: "impl/server/events.go",
		old: `		if err := stream.Send(h.message()); err != nil {`, with: `		h.pod, _ = s.pods.view(h.pod.sandbox.ID)
		if err := stream.Send(h.message()); err != nil {`},
	{rule: "events.status", op: "no time", file: "impl/server/events.go",
		old: `CreatedAt: h.at,`, with: ``},
	{rule: "events.status", op: "from before the change", file: "impl/server/pods.go",
		old: `	pod.containers[e.ID] = e
	if e.State == spec.Absent {
		delete(pod.containers, e.ID)
	}
	p.tell(pod, e.ID, containerStage(e, pod.stages[e.ID]))`, with: `	p.tell(pod, e.ID, containerStage(e, pod.stages[e.ID]))
	pod.containers[e.ID] = e
	if e.State == spec.Absent {
		delete(pod.containers, e.ID)
	}`},
	{rule: "events.subscribe", op: "no headers", file: "impl/server/events.go",
		old: `	if err := stream.SendHeader(metadata.MD{}); err != nil {
		return err
	}
`, with: `	_ = metadata.MD{}
`},
	{rule: "events.subscribe", op: "one subscriber takes it from the others", file: "impl/events/events.go",
		old: `		event = l.kept[at].event
		r.next++`, with: `		event = l.kept[at].event
		for o := range l.readers {
			o.next = max(o.next, r.next+1)
		}`},
	{rule: "events.subscribe", op: "begins with the last one", file: "impl/events/events.go",
		old: `	r := &Reader[E]{log: l, next: l.first + uint64(len(l.kept))}`, with: `	if len(l.readers) == 0 {
		l.readers[&Reader[E]{log: l}] = true
	}
	r := &Reader[E]{log: l, next: l.first}`},
	{rule: "events.slow", op: "waited for", file: "impl/events/events.go",
		old: `	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.readers) == 0 {`, with: `	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.kept) > 0 && len(l.readers) > 0 {
		l.mu.Unlock()
		<-l.wake
		l.mu.Lock()
	}
	if len(l.readers) == 0 {`},
	{rule: "events.missed", op: "nobody is told", file: "impl/events/events.go",
		old: `		return event, nil, &Missed{Events: uint64(-at)}`, with: `		return l.kept[0].event, nil, nil`},
	{rule: "events.missed", op: "no bound of bytes", file: "impl/events/events.go",
		old: `|| l.bytes > l.maxBytes && len(l.kept) > 1 {`, with: `{`},
	{rule: "events.missed", op: "ends without an error", file: "impl/server/events.go",
		old: `			return s.refusal("events.missed", spec.DataLoss, "", err)`, with: `			return nil`},
	{rule: "events.missed", op: "another code", file: "impl/server/events.go",
		old: `"events.missed", spec.DataLoss`, with: `"events.missed", spec.Unavailable`},
	{rule: "events.shutdown", op: "holds it up", file: "impl/daemon/shutdown.go",
		old: `	d.server.EndEvents()
`, with: ``},
	{rule: "events.shutdown", op: "another code", file: "impl/server/events.go",
		old: `"events.shutdown", spec.Unavailable`, with: `"events.shutdown", spec.NotFound`},
	{rule: "sandbox.status.containers", op: "no containers", file: "impl/server/sandbox_status.go",
		old: `ContainersStatuses: containerStatuses(v),`, with: ``},
	{rule: "sandbox.status.containers", op: "no time", file: "impl/server/sandbox_status.go",
		old: `Timestamp: now,`, with: `Timestamp: now - now,`},
	{rule: "sandbox.status.containers", op: "those that are gone, too", file: "impl/server/pods.go",
		old: `	if e.State == spec.Absent {
		delete(pod.containers, e.ID)
	}`, with: ``},

	{rule: "service.pod-cidr", op: "forgotten", file: "impl/server/status.go",
		old: `		s.podCIDR = cidr`, with: `		_ = cidr`},
	{rule: "service.pod-cidr", op: "an empty one clears it", file: "impl/server/status.go",
		old: `GetPodCidr(); cidr != "" {`, with: `GetPodCidr(); true {`},
	{rule: "service.features", op: "none", file: "impl/server/status.go",
		old: `{SupplementalGroupsPolicy: true, MountOptions: true}`, with: `{}`},
	{rule: "service.features", op: "no mount options", file: "impl/server/status.go",
		old: `{SupplementalGroupsPolicy: true, MountOptions: true}`, with: `{SupplementalGroupsPolicy: true}`},
	{rule: "service.handler-features", op: "none", file: "impl/server/status.go",
		old: `	told := rt.Info().Features`, with: `	told := *rt.Info().Features
	told.MountOptions, told.Linux = nil, nil`},
	{rule: "service.handler-features", op: "no recursive read-only mounts", file: "impl/server/status.go",
		old: `slices.Contains(told.MountOptions, "rro")`, with: `slices.Contains(told.MountOptions, "no")`},
	{rule: "service.handler-features", op: "not of the default", file: "impl/server/status.go",
		old: `Name: "", Features: s.handlerFeatures(s.Config.Runtime.DefaultHandler)`, with: `Name: ""`},
	{rule: "service.handler-features", op: "no user namespaces", file: "impl/server/status.go",
		old: `has.UserNamespaces = !s`, with: `has.UserNamespaces = s`},
	{rule: "service.verbose", op: "always", file: "impl/server/sandbox_status.go",
		old: `	if !verbose {
		return nil
	}
`, with: ``},
	{rule: "service.verbose", op: "no runtime spec", file: "impl/server/container_status.go",
		old: `s.ociConfig(e.ID); err == nil {`, with: `s.ociConfig(e.ID); err != nil {`},
	{rule: "service.verbose", op: "no JSON", file: "impl/server/status.go",
		old: `map[string]string{"info": string(data)}`, with: `map[string]string{"info": string(data[1:])}`},

	{rule: "service.unimplemented", op: "no rule", file: "impl/gate/status.go",
		old: `return withRule(s.GRPCStatus(), "service.unimplemented")`, with: `return err`},
	{rule: "service.unimplemented", op: "another code", file: "impl/gate/status.go",
		old: `			return withRule(s.GRPCStatus(), "service.unimplemented")`, with: `			return withRule(status.New(codes.Internal, "no"), "service.unimplemented")`},
}
