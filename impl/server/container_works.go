package server

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	imgspecv1 "github.com/opencontainers/image-spec/specs-go/v1"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"google.golang.org/protobuf/proto"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"ocid/impl/flow"
	"ocid/impl/oci"
	"ocid/impl/runtime"
	"ocid/impl/store"
	"ocid/spec"
)

// createWorks are the works of CreateContainer's steps.
func (s *Server) createWorks(id string) flow.Works {
	return flow.Works{
		spec.StepRecord: {Do: s.withContainer(id, s.addContainerRecord), Undo: s.withContainer(id, s.deleteContainerRecord)},
		spec.StepMount:  {Do: s.withContainer(id, s.mountRoot)},
		spec.StepConfig: {Do: s.withContainer(id, s.writeContainerConfig)},
		spec.StepCreate: {Do: s.withContainer(id, s.createInRuntime), Undo: s.withContainer(id, s.undoInRuntime)},
	}
}

// removeContainerWorks are the works of RemoveContainer's steps.
func (s *Server) removeContainerWorks(id string) flow.Works {
	return flow.Works{
		spec.StepKill:    {Do: s.withContainer(id, s.killContainer)},
		spec.StepDelete:  {Do: s.withContainer(id, s.deleteInRuntime)},
		spec.StepUnmount: {Do: s.withContainer(id, s.unmountRoot)},
		spec.StepRecord:  {Do: s.withContainer(id, s.deleteContainerRecord)},
	}
}

func (s *Server) withContainer(id string, do func(context.Context, string, *Container) error) func(context.Context) error {
	return func(ctx context.Context) error {
		e, ok := s.containers.Get(id)
		if !ok {
			return fmt.Errorf("container %q is not in the ledger", id)
		}
		return do(ctx, id, &e.Data)
	}
}

func (s *Server) addContainerRecord(_ context.Context, id string, c *Container) error {
	pod, _ := s.sandboxes.Get(c.PodID)
	m := pod.Data.Config.M.GetMetadata()
	return s.Store.CreateContainer(id, c.ImageID, store.Metadata{
		PodID: c.PodID, Name: c.Config.M.Metadata.Name, Namespace: m.GetNamespace(), UID: m.GetUid(), Attempt: c.Config.M.Metadata.Attempt,
		Image: c.Config.M.Image.Image, ImageRef: c.ImageRef, Runtime: c.Handler, IDs: storeIDs(userns(pod.Data.Config.M)),
	})
}

// deleteContainerRecord deletes the records of the container's volumes first:
// nothing else leads to them.
func (s *Server) deleteContainerRecord(_ context.Context, id string, c *Container) error {
	if err := s.deleteVolumes(id, c); err != nil {
		return err
	}
	return s.Store.Delete(id)
}

func (s *Server) mountRoot(_ context.Context, id string, c *Container) error {
	root, err := s.Store.Mount(id)
	if err != nil {
		return err
	}
	if err := s.containers.Change(id, func(c *Container) { c.RootFS = root }); err != nil {
		return err
	}
	return s.openVolumes(id, c)
}

func (s *Server) unmountRoot(_ context.Context, id string, c *Container) error {
	return errors.Join(s.closeVolumes(id, c), s.Store.Unmount(id))
}

// writeContainerConfig builds the OCI configuration and keeps it in both of
// the container's directories.
func (s *Server) writeContainerConfig(ctx context.Context, id string, c *Container) error {
	img, err := s.Images.Status(ctx, c.ImageID)
	if err != nil {
		return fmt.Errorf("image %s: %w", c.ImageID, err)
	}
	if img == nil {
		return fmt.Errorf("image %s: %w", c.ImageID, store.ErrNoImage)
	}
	in, err := s.containerInput(id, c, img.Config)
	if err != nil {
		return err
	}
	config, err := oci.Container(in)
	if err != nil {
		return err
	}
	if err := s.injectDevices(config, c.Config.M); err != nil {
		return err
	}
	data, err := json.Marshal(config)
	if err != nil {
		return err
	}
	if err := s.Store.WriteConfig(id, data); err != nil {
		return err
	}
	return s.containers.Change(id, func(c *Container) { c.User = &config.Process.User })
}

func (s *Server) containerInput(id string, c *Container, img *imgspecv1.Image) (oci.ContainerInput, error) {
	pod, _ := s.sandboxes.Get(c.PodID)
	in := oci.ContainerInput{
		ID: id, Sandbox: pod.Data.Config.M, Hostname: pod.Data.Hostname, Config: proto.CloneOf(c.Config.M), Image: img, RootFS: c.RootFS, Privileged: c.Elevated, Host: s.Host,
		Annotations: spec.Annotate(s.Book.Annotations, spec.AppContainer, containerValues(id, c, &pod.Data)),
	}
	err := errors.Join(s.resolveMounts(in.Config), s.placeVolumes(id, in.Config, userns(pod.Data.Config.M) != nil))
	if err != nil {
		return in, err
	}
	if in.ExtraMounts, err = s.imageMounts(id, c, img.Config.Volumes); err != nil {
		return in, err
	}
	if in.User, err = resolveUser(c.RootFS, c.Config.M, img); err != nil {
		return in, err
	}
	if err := s.confine(&in, c); err != nil {
		return in, err
	}
	if in.Namespaces, err = s.containerNamespaces(c, &pod.Data); err != nil {
		return in, err
	}
	if in.CgroupsPath, err = oci.CgroupsPath(s.Config.CgroupDriver(), s.cgroupParent(&pod.Data), id); err != nil {
		return in, err
	}
	if in.Devices, err = hostDevices(c.Config.M.GetDevices()); err != nil {
		return in, err
	}
	_, podDir, err := s.Store.Dirs(c.PodID)
	in.Files = podFiles(podDir)
	if pod.Data.facts()&spec.OnHostIPC == 0 {
		in.Files.Shm = s.shmPath(c.PodID)
	}
	return in, err
}

// containerNamespaces are the pod's, but for the PID namespace, which the
// container's own config chooses.
func (s *Server) containerNamespaces(c *Container, pod *Sandbox) (oci.Namespaces, error) {
	ns := s.namespacesOf(c.PodID, pod)
	opts := c.Config.M.GetLinux().GetSecurityContext().GetNamespaceOptions()
	if opts == nil {
		opts = &runtimeapi.NamespaceOption{Pid: pod.Config.M.GetLinux().GetSecurityContext().GetNamespaceOptions().GetPid()}
	}
	pid, err := oci.ResolveNamespaces(
		&runtimeapi.NamespaceOption{Pid: opts.Pid},
		oci.Namespaces{Net: "-", IPC: "-", UTS: "-", PID: pidNamespace(pod)}, s.targetPID(c.PodID, opts))
	ns.PID = pid.PID
	return ns, err
}

// targetPID is the PID namespace of the container that a TARGET mode names.
func (s *Server) targetPID(pod string, opts *runtimeapi.NamespaceOption) string {
	e, ok := s.target(opts)
	if opts.GetPid() != runtimeapi.NamespaceMode_TARGET || !ok || e.Data.PodID != pod || e.State != spec.Running {
		return ""
	}
	return fmt.Sprintf("/proc/%d/ns/pid", e.Data.Process.PID)
}

func containerValues(id string, c *Container, pod *Sandbox) map[spec.Value]string {
	values := sandboxValues(c.PodID, pod)
	values[spec.ContainerType] = "container"
	values[spec.ContainerID] = id
	values[spec.ContainerName] = c.Config.M.Metadata.Name
	values[spec.ImageName] = cmp.Or(c.Config.M.Image.UserSpecifiedImage, c.Config.M.Image.Image)
	return values
}

// createInRuntime makes the runtime create the container.
func (s *Server) createInRuntime(ctx context.Context, id string, c *Container) error {
	_, bundle, err := s.Store.Dirs(id)
	if err != nil {
		return err
	}
	if c.LogPath != "" {
		if err := os.MkdirAll(filepath.Dir(c.LogPath), 0o755); err != nil {
			return fmt.Errorf("log directory: %w", err)
		}
	}
	rt, err := s.runtimeOf(c.Handler)
	if err != nil {
		return err
	}
	p, err := rt.Create(ctx, runtime.Create{
		ID: id, Bundle: bundle, LogPath: c.LogPath,
		Terminal: c.Config.M.Tty, Stdin: c.Config.M.Stdin, StdinOnce: c.Config.M.StdinOnce,
	})
	if err != nil {
		return err
	}
	return s.containers.Change(id, func(c *Container) { c.Process = p })
}

// deleteInRuntime takes the container out of its runtime.
func (s *Server) deleteInRuntime(ctx context.Context, id string, c *Container) error {
	rt, err := s.runtimeOf(c.Handler)
	if err != nil {
		return err
	}
	if err := rt.Delete(ctx, id); err != nil {
		return err
	}
	s.forget(id)
	return nil
}

// undoInRuntime takes back createInRuntime. The log of a container that never
// ran goes too: nothing stands in it.
func (s *Server) undoInRuntime(ctx context.Context, id string, c *Container) error {
	if err := s.deleteInRuntime(ctx, id, c); err != nil {
		return err
	}
	if info, err := os.Stat(c.LogPath); err != nil || info.Size() > 0 {
		return nil
	}
	return os.Remove(c.LogPath)
}

// ociConfig reads the container's OCI configuration back.
func (s *Server) ociConfig(id string) (*specs.Spec, error) {
	data, err := s.Store.ReadConfig(id)
	if err != nil {
		return nil, err
	}
	config := &specs.Spec{}
	return config, json.Unmarshal(data, config)
}
