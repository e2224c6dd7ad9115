package main

// lateNetwork is the plan of RunPodSandbox with its fourth step, the network,
// behind the seventh, the runtime's create.
const lateNetwork = `RunPodSandbox: func() Plan {
			p := runPodSandbox.clone()
			network := p.Steps[3]
			copy(p.Steps[3:], p.Steps[4:7])
			p.Steps[6] = network
			return p
		}()`

// faultsKernel break the promises about pods with a kernel of their own.
var faultsKernel = []fault{
	{rule: "kernel.own", op: "a container is said to be a sandbox", file: "impl/server/container_works.go",
		old: `values[spec.ContainerType] = "container"`, with: `values[spec.ContainerType] = "sandbox"`},
	{rule: "kernel.own", op: "the wrong sandbox is named", file: "impl/server/container_works.go",
		old: `values := sandboxValues(c.PodID, pod)`, with: `values := sandboxValues(id, pod)`},
	{rule: "kernel.one-machine", op: "ends late", file: "impl/server/infra.go",
		old: `func (s *Server) endInfra(ctx context.Context, id string, sb *Sandbox) error {
`, with: `func (s *Server) endInfra(ctx context.Context, id string, sb *Sandbox) error {
	return nil
`},
	{rule: "kernel.network", op: "another namespace", file: "impl/server/infra.go",
		old: `Namespaces:  s.namespacesOf(id, sb),`, with: `Namespaces:  oci.Namespaces{},`},
	{rule: "kernel.addresses", op: "another namespace", file: "impl/server/infra.go",
		old: `Namespaces:  s.namespacesOf(id, sb),`, with: `Namespaces:  oci.Namespaces{},`},
	{rule: "kernel.privileged", op: "all on the default runtime", file: "impl/server/sandbox_run.go",
		old: `return rt.PrivilegedHandler, nil`, with: `return rt.DefaultHandler, nil`},
	{rule: "kernel.files", op: "another root", file: "impl/server/container_works.go",
		old: `RootFS: c.RootFS, Privileged`, with: `RootFS: filepath.Dir(c.RootFS), Privileged`},
	{rule: "kernel.dies", op: "nobody looks", file: "impl/server/infra.go",
		old: `if !sb.HasInfra || !known {`, with: `if !sb.HasInfra || known {`},
	{rule: "kernel.restart", op: "given up", file: "impl/server/recover.go",
		old: `spec.InfraAlive: !e.Data.HasInfra || e.Data.Infra.Alive(),`, with: `spec.InfraAlive: !e.Data.HasInfra,`},
	{rule: "kernel.cni-del", op: "left on the network", file: "impl/server/sandbox_works.go",
		old: `if err := s.Network.Del(ctx, *sb.Attachment, s.podNetwork(id, sb)); err != nil {`, with: `if err := ctx.Err(); err != nil {`},
	{rule: "kernel.own", op: "another pod's sandbox is named", file: "impl/server/container_works.go",
		old: `containerValues(id, c, &pod.Data)),`, with: `func() map[spec.Value]string {
			values := containerValues(id, c, &pod.Data)
			values[spec.SandboxID] = s.sandboxes.List()[0].ID
			return values
		}()),`},
	{rule: "kernel.own", op: "containers without annotations", file: "impl/server/container_works.go",
		old: `spec.Annotate(s.Book.Annotations, spec.AppContainer, containerValues`, with: `spec.Annotate(nil, spec.AppContainer, containerValues`},
	{rule: "kernel.own", op: "sandboxes without annotations", file: "impl/server/infra.go",
		old: `spec.Annotate(s.Book.Annotations, spec.InfraContainer, sandboxValues(id, sb)),`, with: `nil,`},
	{rule: "kernel.own", op: "a sandbox is said to be a container", file: "impl/server/infra.go",
		old: `spec.ContainerType: "sandbox", spec.ContainerID: id,`, with: `spec.ContainerType: "container", spec.ContainerID: id,`},
	{rule: "kernel.own", op: "a sandbox names another one", file: "impl/server/infra.go",
		old: `spec.SandboxID: id, spec.SandboxName`, with: `spec.SandboxID: "0" + id[1:], spec.SandboxName`},
	{rule: "kernel.network", op: "CNI after the runtime's create", file: "spec/book.go",
		old: `RunPodSandbox: runPodSandbox.clone()`, with: lateNetwork},
	{rule: "kernel.addresses", op: "CNI after the runtime's create", file: "spec/book.go",
		old: `RunPodSandbox: runPodSandbox.clone()`, with: lateNetwork},
	{rule: "kernel.sysctls", op: "none", file: "impl/oci/infra.go",
		old: `	if in.OwnKernel {
		return maps.Clone(asked)`, with: `	if in.OwnKernel {
		return nil`},
	{rule: "kernel.size", op: "nothing is asked for", file: "impl/server/infra.go",
		old: `		if n != 0 {
			values[value]`, with: `		if n < 0 {
			values[value]`},
	{rule: "kernel.limits", op: "the runtime is not told", file: "impl/runtime/update.go",
		old: `_, err = r.run(ctx, id, "update", "--resources", asked, id)`, with: `err = ctx.Err()`},
	{rule: "kernel.stats", op: "of the host's cgroup", file: "impl/server/stats.go",
		old: `if err != nil || !s.Config.Runtime.Handlers[handler].VM {`, with: `if err != nil || s.Config.Runtime.Handlers[handler].VM {`},
	{rule: "kernel.traffic", op: "TAPs too", file: "impl/stats/network.go",
		old: `noTaps && l.Type() == "tuntap"`, with: `noTaps && l.Type() == ""`},
}
