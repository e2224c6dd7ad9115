package server

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"ocid/impl/facts"
	"ocid/impl/ledger"
	"ocid/impl/oci"
	"ocid/impl/runtime"
	"ocid/spec"
)

// infraProgram is where the infra program stands in its root filesystem.
const infraProgram = "/infra"

// createInfra makes the sandbox's own container: its record's layer with
// nothing in it but the infra program.
func (s *Server) createInfra(ctx context.Context, id string, sb *Sandbox) error {
	root, err := s.Store.Mount(id)
	if err != nil {
		return err
	}
	if err := copyFile(filepath.Join(root, infraProgram), s.Infra); err != nil {
		return fmt.Errorf("infra program: %w", err)
	}
	uid, gid := podRoot(sb.Config.M)
	if err := os.Chown(root, uid, gid); err != nil {
		return fmt.Errorf("infra root filesystem: %w", err)
	}
	_, bundle, err := s.Store.Dirs(id)
	if err != nil {
		return err
	}
	if err := s.writeInfraConfig(id, bundle, root, sb); err != nil {
		return err
	}
	p, err := s.Runtimes[sb.Handler].Create(ctx, runtime.Create{ID: id, Bundle: bundle})
	if err != nil {
		return err
	}
	return s.sandboxes.Change(id, func(sb *Sandbox) { sb.Infra = p })
}

func (s *Server) writeInfraConfig(id, bundle, root string, sb *Sandbox) error {
	cgroup, err := oci.CgroupsPath(s.Config.CgroupDriver(), s.cgroupParent(sb), id)
	if err != nil {
		return err
	}
	files := podFiles(bundle)
	if sb.facts()&spec.OnHostIPC == 0 {
		files.Shm = s.shmPath(id)
	}
	filter, err := s.sandboxSeccomp(sb)
	if err != nil {
		return err
	}
	config, err := oci.Infra(oci.InfraInput{
		ID: id, Sandbox: sb.Config.M,
		Args:        append([]string{infraProgram}, s.Config.Runtime.InfraArgs...),
		RootFS:      root,
		Namespaces:  s.namespacesOf(id, sb),
		CgroupsPath: cgroup,
		Annotations: spec.Annotate(s.Book.Annotations, spec.InfraContainer, sandboxValues(id, sb)),
		Files:       files,
		Seccomp:     filter,
		OwnKernel:   s.Config.Runtime.Handlers[sb.Handler].VM,
		Host:        s.Host,
	})
	if err != nil {
		return err
	}
	data, err := json.Marshal(config)
	if err != nil {
		return err
	}
	return s.Store.WriteConfig(id, data)
}

func (s *Server) cgroupParent(sb *Sandbox) string {
	if p := sb.Config.M.GetLinux().GetCgroupParent(); p != "" {
		return p
	}
	return s.Config.Runtime.CgroupParent
}

func (s *Server) startInfra(ctx context.Context, id string, sb *Sandbox) error {
	return s.startInRuntime(ctx, id, sb.Handler)
}

// endInfra ends the infra container and unmounts its root filesystem.
func (s *Server) endInfra(ctx context.Context, id string, sb *Sandbox) error {
	rt, err := s.runtimeOf(sb.Handler)
	if err != nil {
		return err
	}
	if w := s.watched(id); w != nil && !w.over() {
		if err := kill(ctx, rt, id, syscall.SIGKILL, false); err != nil {
			return err
		}
		if err := w.settle(ctx); err != nil {
			return err
		}
	}
	if err := rt.Delete(ctx, id); err != nil {
		return err
	}
	s.forget(id)
	return s.Store.Unmount(id)
}

// watchInfra makes the exit of the infra process an event of the sandbox.
func (s *Server) watchInfra(id string, sb *Sandbox) {
	rt, known := s.Runtimes[sb.Handler]
	if !sb.HasInfra || !known {
		return
	}
	nothing := func(context.Context) error { return nil }
	s.watch(id, rt, sb.Infra, onExit{
		exited: func(context.Context, runtime.Exit) error { return nil },
		tell: func(ctx context.Context) error {
			return s.sandboxes.Step(ctx, id, spec.SandboxProcessDied, ledger.Finish, nil)
		},
		settle: nothing,
	})
}

// sandboxValues are what the annotations of all containers of a sandbox say.
func sandboxValues(id string, sb *Sandbox) map[spec.Value]string {
	m := sb.Config.M.Metadata
	values := map[spec.Value]string{
		spec.ContainerType: "sandbox", spec.ContainerID: id,
		spec.SandboxID: id, spec.SandboxName: m.Name, spec.SandboxNamespace: m.Namespace, spec.SandboxUID: m.Uid,
		spec.SandboxKey: sandboxKey(m), spec.RuntimeHandler: sb.Handler,
		spec.Privileged: strconv.FormatBool(sb.Privileged), spec.Manager: "ocid",
	}
	r := sb.Config.M.GetLinux().GetResources()
	for value, n := range map[spec.Value]int64{
		spec.CPUPeriod: r.GetCpuPeriod(), spec.CPUQuota: r.GetCpuQuota(), spec.CPUShares: r.GetCpuShares(), spec.Memory: r.GetMemoryLimitInBytes(),
	} {
		if n != 0 {
			values[value] = strconv.FormatInt(n, 10)
		}
	}
	return values
}

// pidNamespace is the PID namespace that the containers of a sandbox share.
func pidNamespace(sb *Sandbox) string {
	if facts.Infra(sb.Config.M, false, false)&spec.SharedPID == 0 || sb.Infra.PID == 0 {
		return ""
	}
	return fmt.Sprintf("/proc/%d/ns/pid", sb.Infra.PID)
}

func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o755)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}
