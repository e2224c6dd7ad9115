package main

// faultsSandbox break the promises about sandboxes, their network and lists.
var faultsSandbox = []fault{
	{rule: "sandbox.stop.netns-twice", op: "a missing file is an error", file: "impl/namespace/pin.go",
		old: `	case errors.Is(err, fs.ErrNotExist):
		return false, nil`, with: `	case errors.Is(err, fs.ErrNotExist):
		return false, fmt.Errorf("namespace %s is not there: %w", path, err)`},
	{rule: "sandbox.stop.netns-twice", op: "a file without a mount is an error", file: "impl/namespace/pin.go",
		old: `		if !open {
			break
		}`, with: `		if !open {
			return fmt.Errorf("namespace %s is not mounted", path)
		}`},
	{rule: "sandbox.stop.netns-twice", op: "no CNI DEL without the namespace", file: "impl/server/sandbox_works.go",
		old: `	if sb.Attachment == nil {`, with: `	if open, err := namespace.State(s.netnsPath(id)); sb.Attachment == nil || err == nil && !open {`},
	{rule: "sandbox.stop.del-fails", op: "the failure is no error", file: "impl/server/sandbox_works.go",
		old: `	if err := s.Network.Del(ctx, *sb.Attachment, s.podNetwork(id, sb)); err != nil {
		return err
	}`, with: `	if err := s.Network.Del(ctx, *sb.Attachment, s.podNetwork(id, sb)); err != nil {
		return nil
	}`},
	{rule: "sandbox.stop.del-fails", op: "not tried again", file: "impl/server/sandbox_works.go",
		old: `	if err := s.Network.Del(ctx, *sb.Attachment, s.podNetwork(id, sb)); err != nil {
		return err
	}`, with: `	if err := s.Network.Del(ctx, *sb.Attachment, s.podNetwork(id, sb)); err != nil {
		_ = s.sandboxes.Change(id, func(sb *Sandbox) { sb.Attachment = nil })
		return err
	}`},
	{rule: "sandbox.stop.del-fails", op: "the namespace goes", file: "impl/server/sandbox_works.go",
		old: `	if err := s.Network.Del(ctx, *sb.Attachment, s.podNetwork(id, sb)); err != nil {
		return err
	}`, with: `	if err := s.Network.Del(ctx, *sb.Attachment, s.podNetwork(id, sb)); err != nil {
		_ = s.closeNetNS(ctx, id, sb)
		return err
	}`},

	{rule: "sandbox.run.deadline", op: "the work ends with its caller", file: "impl/ledger/step.go",
		old: `context.WithCancel(context.WithoutCancel(ctx))`, with: `context.WithCancel(ctx)`},
	{rule: "sandbox.run.host-port", op: "none", file: "impl/network/pod.go",
		old: `		args["portMappings"] = ports`, with: `		_ = ports`},
	{rule: "sandbox.run.host-port", op: "0 is one", file: "impl/network/pod.go",
		old: `		if m.HostPort <= 0 {
			continue
		}`, with: `		if m.HostPort == 0 {
			m.HostPort = m.ContainerPort
		}`},
	{rule: "sandbox.run.host-port", op: "always TCP", file: "impl/network/pod.go",
		old: `		m.Protocol = m.protocol()`, with: `		m.Protocol = "tcp"`},
	{rule: "sandbox.run.host-port", op: "on every address", file: "impl/server/hostport.go",
		old: `HostIP: p.HostIp,`, with: `HostIP: "",`},
	{rule: "sandbox.run.host-port", op: "no SCTP", file: "impl/network/pod.go",
		old: `		m.Protocol = m.protocol()`, with: `		if m.Protocol = m.protocol(); m.Protocol == "sctp" {
			continue
		}`},
	{rule: "sandbox.run.host-port", op: "same number in the pod", file: "impl/server/hostport.go",
		old: `HostPort: p.HostPort, ContainerPort: p.ContainerPort,`, with: `HostPort: p.HostPort, ContainerPort: p.HostPort,`},

	{rule: "sandbox.status.ip", op: "none", file: "impl/server/sandbox_works.go",
		old: `func(sb *Sandbox) { sb.IPs = res.IPs }`, with: `func(sb *Sandbox) { _ = res.IPs }`},
	{rule: "sandbox.status.ip", op: "the first only", file: "impl/server/sandbox_status.go",
		old: `range sb.IPs[1:] {`, with: `range sb.IPs[:0] {`},
	{rule: "sandbox.status.ip", op: "IPv6 first", file: "impl/network/result.go",
		old: `a.BitLen() - b.BitLen()`, with: `b.BitLen() - a.BitLen()`},
	{rule: "sandbox.status.ip", op: "loopback on the host network", file: "impl/server/sandbox_status.go",
		old: `	if len(sb.IPs) == 0 {
		return nil`, with: `	if len(sb.IPs) == 0 {
		return &runtimeapi.PodSandboxNetworkStatus{Ip: "127.0.0.1"}`},
	{rule: "sandbox.status.namespaces", op: "none", file: "impl/server/sandbox_status.go",
		old: `Options: facts.NamespaceOptions(c)}`, with: `Options: facts.NamespaceOptions(nil)}`},
	{rule: "sandbox.status.namespaces", op: "the defaults", file: "impl/server/sandbox_status.go",
		old: `Options: facts.NamespaceOptions(c)}`, with: `Options: &runtimeapi.NamespaceOption{Pid: runtimeapi.NamespaceMode_CONTAINER, Network: facts.NamespaceOptions(c).GetNetwork()}}`},
	{rule: "sandbox.status.handler", op: "the resolved one in Status", file: "impl/server/sandbox_status.go",
		old: `Annotations: c.GetAnnotations(), RuntimeHandler: e.Data.Requested,
	}
}`, with: `Annotations: c.GetAnnotations(), RuntimeHandler: e.Data.Handler,
	}
}`},
	{rule: "sandbox.status.handler", op: "none in List", file: "impl/server/sandbox_status.go",
		old: `Annotations: c.GetAnnotations(), RuntimeHandler: e.Data.Requested,
		})`, with: `Annotations: c.GetAnnotations(),
		})`},

	{rule: "list.sandbox-filter", op: "not by ID", file: "impl/server/sandbox_status.go",
		old: `id != "" && e.ID != id,`, with: `id != "" && e.ID == "",`},
	{rule: "list.sandbox-filter", op: "no prefix", file: "impl/server/sandbox_status.go",
		old: `id := s.sandboxes.Resolve(f.GetId())`, with: `id := f.GetId()`},
	{rule: "list.sandbox-filter", op: "not by state", file: "impl/server/sandbox_status.go",
		old: `f.GetState() != nil && f.State.State != state,`, with: `f.GetState() != nil && f.State.State != state && false,`},
	{rule: "list.sandbox-filter", op: "not by label", file: "impl/server/sandbox_status.go",
		old: `!hasLabels(c.GetLabels(), f.GetLabelSelector()):`, with: `!hasLabels(c.GetLabels(), nil):`},
	{rule: "list.sandbox-filter", op: "label's value ignored", file: "impl/server/sandbox_status.go",
		old: `return ok && got == v`, with: `return ok && (got == v || v == "")`},
	{rule: "list.sandbox-filter", op: "one of the labels is enough", file: "impl/server/sandbox_status.go",
		old: `return len(both) == 0`, with: `return len(selected) == 0 || len(both) < len(selected)`},
	{rule: "list.container-filter", op: "not by ID", file: "impl/server/container_status.go",
		old: `id != "" && e.ID != id,`, with: `id != "" && e.ID == "",`},
	{rule: "list.container-filter", op: "no prefix of an ID", file: "impl/server/container_status.go",
		old: `id, pod := s.containers.Resolve(f.GetId()),`, with: `id, pod := f.GetId(),`},
	{rule: "list.container-filter", op: "no prefix of a sandbox's ID", file: "impl/server/container_status.go",
		old: `s.sandboxes.Resolve(f.GetPodSandboxId())`, with: `f.GetPodSandboxId()`},
	{rule: "list.container-filter", op: "not by sandbox", file: "impl/server/container_status.go",
		old: `pod != "" && e.Data.PodID != pod,`, with: `pod != "" && e.Data.PodID == "",`},
	{rule: "list.container-filter", op: "not by state", file: "impl/server/container_status.go",
		old: `f.GetState() != nil && f.State.State != state,`, with: `f.GetState() != nil && f.State.State != state && false,`},
	{rule: "list.container-filter", op: "not by label", file: "impl/server/container_status.go",
		old: `!hasLabels(c.GetLabels(), f.GetLabelSelector()):`, with: `!hasLabels(c.GetLabels(), nil):`},
	{rule: "list.half-made", op: "sandboxes", file: "impl/server/sandbox_status.go",
		old: `case e.State == spec.Creating,`, with: `case e.State == spec.Absent,`},
	{rule: "list.half-made", op: "containers", file: "impl/server/container_status.go",
		old: `case e.State == spec.Creating,`, with: `case e.State == spec.Absent,`},
	{rule: "list.ambiguous", op: "one of them", file: "impl/ledger/ledger.go",
		old: `			if found != prefix {
				return prefix
			}`, with: `			if found != prefix {
				return found
			}`},
	{rule: "sandbox.run.sysctls", op: "those of the network are left out", file: "impl/server/sandbox_works.go",
		old: `		Sysctls: sysctls(sb, namespace.Net),`, with: ``},
	{rule: "sandbox.run.sysctls", op: "those of the IPC namespace are left out", file: "impl/server/sandbox_works.go",
		old: `, Sysctls: sysctls(sb, namespace.IPC),`, with: `,`},
	{rule: "sandbox.run.sysctls", op: "others are ignored", file: "impl/server/refuse.go",
		old: `if !own[spec.SysctlNamespace(name)] {`, with: `if !own[spec.SysctlNamespace(name)] && false {`},

	{rule: "sandbox.run.host-port-taken", op: "never refused", file: "impl/server/hostport.go",
		old: `other := s.holder(p); other != "" {`, with: `other := s.holder(p); other != "" && i < 0 {`},
	{rule: "sandbox.run.host-port-taken", op: "of any address", file: "impl/network/pod.go",
		old: `	return a == b || a.Is4() == b.Is4()`, with: `	return a != b || a.Is4() == b.Is4()`},
	{rule: "sandbox.run.host-port-taken", op: "of no other address", file: "impl/network/pod.go",
		old: `	return a == b || a.Is4() == b.Is4()`, with: `	return a == b || a.Is4() != b.Is4()`},
	{rule: "sandbox.run.host-port-taken", op: "of any protocol", file: "impl/network/pod.go",
		old: ` || m.protocol() != o.protocol() {`, with: ` {`},
	{rule: "sandbox.run.host-port-taken", op: "never free again", file: "impl/server/hostport.go",
		old: `		if e.Data.Attachment == nil {`, with: `		if e.State&(spec.Absent|spec.Creating) != 0 {`},
}
