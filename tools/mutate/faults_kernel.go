package main

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
}
