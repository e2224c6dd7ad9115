package main

// faultsRequest break the promises about annotations and privilege.
var faultsRequest = []fault{
	{rule: "annotation.unaltered", op: "status without labels", file: "impl/server/sandbox_status.go",
		old: `		Labels: c.GetLabels(), Annotations: c.GetAnnotations(), RuntimeHandler: e.Data.Requested,
	}
}`, with: `		Annotations: c.GetAnnotations(), RuntimeHandler: e.Data.Requested,
	}
}`},
	{rule: "annotation.unaltered", op: "status without annotations", file: "impl/server/sandbox_status.go",
		old: `		Labels: c.GetLabels(), Annotations: c.GetAnnotations(), RuntimeHandler: e.Data.Requested,
	}
}`, with: `		Labels: c.GetLabels(), RuntimeHandler: e.Data.Requested,
	}
}`},
	{rule: "annotation.unaltered", op: "list without labels", file: "impl/server/sandbox_status.go",
		old: `			Labels: c.GetLabels(), Annotations: c.GetAnnotations(), RuntimeHandler: e.Data.Requested,
		})`, with: `			Annotations: c.GetAnnotations(), RuntimeHandler: e.Data.Requested,
		})`},
	{rule: "annotation.unaltered", op: "list without annotations", file: "impl/server/sandbox_status.go",
		old: `			Labels: c.GetLabels(), Annotations: c.GetAnnotations(), RuntimeHandler: e.Data.Requested,
		})`, with: `			Labels: c.GetLabels(), RuntimeHandler: e.Data.Requested,
		})`},
	{rule: "annotation.unaltered", op: "the runtime's are added", file: "impl/server/sandbox_run.go",
		old: `	sb := Sandbox{
`, with: `	if req.Config.Annotations == nil {
		req.Config.Annotations = map[string]string{}
	}
	req.Config.Annotations["io.kubernetes.cri-o.RuntimeHandler"] = handler
	sb := Sandbox{
`},
	{rule: "annotation.unaltered", op: "empty values are lost in a restart", file: "impl/server/record.go",
		old: `	return proto.Unmarshal(data, k.M)`, with: `	err := proto.Unmarshal(data, k.M)
	if c, ok := any(k.M).(*runtimeapi.PodSandboxConfig); ok {
		for key, value := range c.Annotations {
			if value == "" {
				delete(c.Annotations, key)
			}
		}
	}
	return err`},
	{rule: "privilege.persistent", op: "the flag is forgotten", file: "impl/server/record.go",
		old: "`json:\"privileged\"`", with: "`json:\"-\"`"},
	{rule: "privilege.persistent", op: "it is derived from the flag alone", file: "impl/server/container_create.go",
		old: `facts.Elevation(c.Config.M, pod.Privileged)`, with: `facts.Elevation(c.Config.M, pod.Config.M.GetLinux().GetSecurityContext().GetPrivileged())`},
	{rule: "privilege.persistent", op: "everything is privileged after a restart", file: "impl/server/recover.go",
		old: `func (s *Server) recoverSandbox(ctx context.Context, e ledger.Entry[Sandbox]) error {
`, with: `func (s *Server) recoverSandbox(ctx context.Context, e ledger.Entry[Sandbox]) error {
	if err := s.sandboxes.Change(e.ID, func(sb *Sandbox) { sb.Privileged = true }); err != nil {
		return err
	}
`},
	{rule: "privilege.persistent", op: "the handler is chosen again", file: "impl/server/container_create.go",
		old: `Handler: pod.Data.Handler,`, with: `Handler: s.Config.Runtime.DefaultHandler,`},
}
