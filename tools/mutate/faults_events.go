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
}
