package server

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"ocid/impl/facts"
	"ocid/impl/flow"
	"ocid/impl/namespace"
	"ocid/impl/network"
	"ocid/impl/oci"
	"ocid/impl/store"
	"ocid/spec"
)

// shmSize is the size of a pod's /dev/shm, as container engines give it.
const shmSize = "size=65536k"

// sandboxWorks are the works of RunPodSandbox's steps.
func (s *Server) sandboxWorks(id string) flow.Works {
	return flow.Works{
		spec.StepRecord:      {Do: s.withSandbox(id, s.addSandboxRecord), Undo: s.byID(id, s.deleteRecord)},
		spec.StepFiles:       {Do: s.withSandbox(id, s.writePodFiles)},
		spec.StepNetNS:       {Do: s.withSandbox(id, s.openNetNS), Undo: s.withSandbox(id, s.closeNetNS)},
		spec.StepNetwork:     {Do: s.withSandbox(id, s.addNetwork), Undo: s.withSandbox(id, s.delNetwork)},
		spec.StepUTS:         {Do: s.withSandbox(id, s.openUTS), Undo: s.byID(id, s.closeUTS)},
		spec.StepIPC:         {Do: s.withSandbox(id, s.openIPC), Undo: s.byID(id, s.closeIPC)},
		spec.StepInfraCreate: {Do: s.withSandbox(id, s.createInfra), Undo: s.withSandbox(id, s.endInfra)},
		spec.StepInfraStart:  {Do: s.withSandbox(id, s.startInfra)},
	}
}

// stopWorks are the works of StopPodSandbox's steps, and of RemovePodSandbox's
// but for the containers and the record.
func (s *Server) stopWorks(id string) flow.Works {
	return flow.Works{
		spec.StepContainers: {Do: s.byID(id, s.stopContainersOf)},
		spec.StepInfra:      {Do: s.withSandbox(id, s.endInfra)},
		spec.StepNetwork:    {Do: s.withSandbox(id, s.delNetwork)},
		spec.StepNetNS:      {Do: s.withSandbox(id, s.closeNetNS)},
		spec.StepIPC:        {Do: s.byID(id, s.closeIPC)},
		spec.StepUTS:        {Do: s.byID(id, s.closeUTS)},
	}
}

func (s *Server) removeWorks(id string) flow.Works {
	works := s.stopWorks(id)
	works[spec.StepContainers] = flow.Work{Do: s.byID(id, s.removeContainersOf)}
	works[spec.StepRecord] = flow.Work{Do: s.byID(id, s.deleteRecord)}
	return works
}

func (s *Server) byID(id string, do func(context.Context, string) error) func(context.Context) error {
	return func(ctx context.Context) error { return do(ctx, id) }
}

// withSandbox hands a step the sandbox as the ledger has it when it runs.
func (s *Server) withSandbox(id string, do func(context.Context, string, *Sandbox) error) func(context.Context) error {
	return func(ctx context.Context) error {
		e, ok := s.sandboxes.Get(id)
		if !ok {
			return fmt.Errorf("sandbox %q is not in the ledger", id)
		}
		return do(ctx, id, &e.Data)
	}
}

func (s *Server) addSandboxRecord(_ context.Context, id string, sb *Sandbox) error {
	m := sb.Config.M.Metadata
	return s.Store.CreateSandbox(id, store.Metadata{
		Pod: true, PodID: id, Name: m.Name, Namespace: m.Namespace, UID: m.Uid, Attempt: m.Attempt, IDs: storeIDs(userns(sb.Config.M)),
	})
}

func (s *Server) deleteRecord(_ context.Context, id string) error { return s.Store.Delete(id) }

// writePodFiles writes the files that all containers of the pod share.
func (s *Server) writePodFiles(_ context.Context, id string, sb *Sandbox) error {
	_, dir, err := s.Store.Dirs(id)
	if err != nil {
		return err
	}
	resolv, err := resolvConf(sb.Config.M.GetDnsConfig())
	if err != nil {
		return err
	}
	files := podFiles(dir)
	uid, gid := podRoot(sb.Config.M)
	return errors.Join(
		os.WriteFile(files.ResolvConf, resolv, 0o644), os.Chown(files.ResolvConf, uid, gid),
		os.WriteFile(files.Hostname, []byte(sb.Hostname+"\n"), 0o644), os.Chown(files.Hostname, uid, gid))
}

func podFiles(runDir string) oci.PodFiles {
	return oci.PodFiles{ResolvConf: filepath.Join(runDir, "resolv.conf"), Hostname: filepath.Join(runDir, "hostname")}
}

// Paths of what is pinned for a sandbox.
func (s *Server) netnsPath(id string) string { return filepath.Join(s.Config.Network.NetNSDir, id) }
func (s *Server) utsPath(id string) string   { return filepath.Join(s.Config.RunRoot, "ns", "uts", id) }
func (s *Server) ipcPath(id string) string   { return filepath.Join(s.Config.RunRoot, "ns", "ipc", id) }
func (s *Server) shmPath(id string) string   { return filepath.Join(s.Config.RunRoot, "shm", id) }

// ReleaseDirs undoes what pinning has made of the directories of namespaces, if
// nothing is pinned in them any more. The network namespaces' directory is the
// machine's, not ours.
func (s *Server) ReleaseDirs() error {
	var errs []error
	for _, path := range []string{s.utsPath(""), s.ipcPath(""), s.userPath("")} {
		errs = append(errs, namespace.ReleaseDir(path))
	}
	return errors.Join(errs...)
}

func (s *Server) openNetNS(ctx context.Context, id string, sb *Sandbox) error {
	if err := s.sandboxes.Change(id, func(sb *Sandbox) { sb.NetNSOpen = true }); err != nil {
		return err
	}
	if u := userns(sb.Config.M); u != nil {
		return namespace.Create(ctx, s.ownedNamespaces(id, sb, u))
	}
	return namespace.Create(ctx, namespace.Spec{
		Pins:    []namespace.Pin{{Kind: namespace.Net, Path: s.netnsPath(id)}},
		Sysctls: sysctls(sb, namespace.Net),
	})
}

func (s *Server) closeNetNS(_ context.Context, id string, sb *Sandbox) error {
	if err := namespace.Remove(s.netnsPath(id)); err != nil {
		return err
	}
	if userns(sb.Config.M) != nil {
		if err := s.closeOwned(id); err != nil {
			return err
		}
	}
	return s.sandboxes.Change(id, func(sb *Sandbox) { sb.NetNSOpen = false })
}

func (s *Server) openUTS(ctx context.Context, id string, sb *Sandbox) error {
	if userns(sb.Config.M) != nil {
		return nil // made with the network namespace
	}
	return namespace.Create(ctx, namespace.Spec{
		Pins: []namespace.Pin{{Kind: namespace.UTS, Path: s.utsPath(id)}}, Hostname: sb.Hostname,
	})
}

func (s *Server) closeUTS(_ context.Context, id string) error { return namespace.Remove(s.utsPath(id)) }

func (s *Server) openIPC(ctx context.Context, id string, sb *Sandbox) error {
	if userns(sb.Config.M) == nil { // else made with the network namespace
		err := namespace.Create(ctx, namespace.Spec{
			Pins: []namespace.Pin{{Kind: namespace.IPC, Path: s.ipcPath(id)}}, Sysctls: sysctls(sb, namespace.IPC),
		})
		if err != nil {
			return err
		}
	}
	shm := s.shmPath(id)
	if err := os.MkdirAll(shm, 0o700); err != nil {
		return err
	}
	uid, gid := podRoot(sb.Config.M)
	options := fmt.Sprintf("mode=1777,%s,uid=%d,gid=%d", shmSize, uid, gid)
	if err := unix.Mount("shm", shm, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, options); err != nil {
		return fmt.Errorf("mount %s: %w", shm, err)
	}
	return nil
}

func (s *Server) closeIPC(_ context.Context, id string) error {
	shm := s.shmPath(id)
	if err := unix.Unmount(shm, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("unmount %s: %w", shm, err)
	}
	if err := os.Remove(shm); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return namespace.Remove(s.ipcPath(id))
}

// sysctls of the pod that belong to some kinds of namespaces.
func sysctls(sb *Sandbox, kinds ...namespace.Kind) map[namespace.Kind]namespace.Sysctls {
	out := map[namespace.Kind]namespace.Sysctls{}
	for name, value := range sb.Config.M.GetLinux().GetSysctls() {
		kind := namespace.Kind(spec.SysctlNamespace(name))
		path, ok := spec.SysctlPath(name)
		if !ok || !slices.Contains(kinds, kind) {
			continue
		}
		if out[kind] == nil {
			out[kind] = namespace.Sysctls{}
		}
		out[kind][path] = value
	}
	return out
}

// addNetwork writes down which network the sandbox is put on, then does it.
func (s *Server) addNetwork(ctx context.Context, id string, sb *Sandbox) error {
	a, err := s.Network.Select()
	if err != nil {
		return err
	}
	if err := s.takeNetwork(id, sb, a); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, s.Config.Network.AddTimeout.Duration)
	defer cancel()
	res, err := s.Network.Add(ctx, a, s.podNetwork(id, sb))
	if err != nil {
		return err
	}
	return s.sandboxes.Change(id, func(sb *Sandbox) { sb.IPs = res.IPs })
}

// delNetwork takes a sandbox off the network it was put on, if it is on one.
func (s *Server) delNetwork(ctx context.Context, id string, sb *Sandbox) error {
	if sb.Attachment == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.Config.Network.AddTimeout.Duration)
	defer cancel()
	if err := s.Network.Del(ctx, *sb.Attachment, s.podNetwork(id, sb)); err != nil {
		return err
	}
	return s.sandboxes.Change(id, func(sb *Sandbox) { sb.Attachment = nil })
}

func (s *Server) podNetwork(id string, sb *Sandbox) network.Pod {
	c := sb.Config.M
	pod := network.Pod{
		ID: id, Name: c.Metadata.Name, Namespace: c.Metadata.Namespace, UID: c.Metadata.Uid,
		NetNS: s.netnsPath(id), Annotations: c.Annotations, CgroupPath: c.GetLinux().GetCgroupParent(),
	}
	if open, err := namespace.State(pod.NetNS); err == nil && !open {
		pod.NetNS = ""
	}
	pod.Ports = ports(sb)
	if d := c.GetDnsConfig(); d != nil {
		pod.DNS = &network.DNS{Servers: d.Servers, Searches: d.Searches, Options: d.Options}
	}
	return pod
}

// namespacesOf are the pod's namespaces for a process of it.
func (s *Server) namespacesOf(id string, sb *Sandbox) oci.Namespaces {
	ns := oci.Namespaces{Net: s.netnsPath(id), UTS: s.utsPath(id), IPC: s.ipcPath(id), User: s.ociUserns(id, userns(sb.Config.M))}
	f := sb.facts()
	if f&spec.OnHostNetwork != 0 {
		ns.Net, ns.UTS = oci.HostNamespace, oci.HostNamespace
	}
	if f&spec.OnHostIPC != 0 {
		ns.IPC = oci.HostNamespace
	}
	if facts.NamespaceOptions(sb.Config.M).GetPid() == runtimeapi.NamespaceMode_NODE {
		ns.PID = oci.HostNamespace
	}
	return ns
}
