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
}
