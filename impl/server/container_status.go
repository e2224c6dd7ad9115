package server

import (
	"context"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"ocid/impl/ledger"
	"ocid/impl/oci"
	"ocid/spec"
)

// ContainerStatus answers from memory.
func (s *Server) ContainerStatus(ctx context.Context, req *runtimeapi.ContainerStatusRequest) (*runtimeapi.ContainerStatusResponse, error) {
	id := s.containers.Resolve(req.ContainerId)
	if err := s.containers.Step(ctx, id, spec.ContainerStatus, ledger.Finish, nil); err != nil {
		return nil, err
	}
	e, _ := s.containers.Get(id)
	res := &runtimeapi.ContainerStatusResponse{Status: containerStatus(e)}
	if req.Verbose {
		res.Info = s.containerInfo(e)
	}
	return res, nil
}

// containerInfo is what a verbose status adds; sandboxID, pid, runtimeSpec and
// privileged are called as the peers call them.
func (s *Server) containerInfo(e ledger.Entry[Container]) map[string]string {
	info := map[string]any{
		"sandboxID": e.Data.PodID, "pid": e.Data.Process.PID, "privileged": e.Data.Elevated, "config": e.Data.Config.M,
		"state": e.State.String(), "handler": e.Data.Handler, "process": e.Data.Process, "journal": e.Journal,
	}
	if config, err := s.ociConfig(e.ID); err == nil {
		info["runtimeSpec"] = config
	}
	return verboseInfo(info)
}

func containerStatus(e ledger.Entry[Container]) *runtimeapi.ContainerStatus {
	c, d := e.Data.Config.M, &e.Data
	st := &runtimeapi.ContainerStatus{
		Id: e.ID, Metadata: c.GetMetadata(), State: containerState(e), CreatedAt: d.CreatedAt,
		Image: c.GetImage(), ImageRef: d.ImageRef, ImageId: d.ImageID,
		Labels: c.GetLabels(), Annotations: c.GetAnnotations(), Mounts: c.GetMounts(), LogPath: d.LogPath,
		Resources:  &runtimeapi.ContainerResources{Linux: d.Limits.M},
		StopSignal: oci.CRISignal(d.StopWith),
		User:       containerUser(d.User),
	}
	if st.State == runtimeapi.ContainerState_CONTAINER_CREATED {
		return st
	}
	st.StartedAt = d.StartedAt
	if st.State == runtimeapi.ContainerState_CONTAINER_EXITED {
		st.FinishedAt, st.ExitCode, st.Reason, st.Message = d.FinishedAt, d.ExitCode, d.Reason, d.Message
	}
	return st
}

// containerUser is the identity that the first process begins with; nil as long
// as it is not known.
func containerUser(u *specs.User) *runtimeapi.ContainerUser {
	if u == nil {
		return nil
	}
	user := &runtimeapi.LinuxContainerUser{Uid: int64(u.UID), Gid: int64(u.GID)}
	for _, g := range u.AdditionalGids {
		user.SupplementalGroups = append(user.SupplementalGroups, int64(g))
	}
	return &runtimeapi.ContainerUser{Linux: user}
}

// containerState is the state in the CRI's words. One that is being removed is
// EXITED; one that is being stopped still runs.
func containerState(e ledger.Entry[Container]) runtimeapi.ContainerState {
	switch e.State {
	case spec.Creating, spec.Created, spec.Starting:
		return runtimeapi.ContainerState_CONTAINER_CREATED
	case spec.Running, spec.Stopping:
		return runtimeapi.ContainerState_CONTAINER_RUNNING
	}
	return runtimeapi.ContainerState_CONTAINER_EXITED
}

// ListContainers answers from memory.
func (s *Server) ListContainers(_ context.Context, req *runtimeapi.ListContainersRequest) (*runtimeapi.ListContainersResponse, error) {
	return &runtimeapi.ListContainersResponse{Containers: s.listContainers(req.GetFilter())}, nil
}

func (s *Server) listContainers(f *runtimeapi.ContainerFilter) (items []*runtimeapi.Container) {
	id, pod := s.containers.Resolve(f.GetId()), s.sandboxes.Resolve(f.GetPodSandboxId())
	for _, e := range s.containers.List() {
		c, state := e.Data.Config.M, containerState(e)
		switch {
		case e.State == spec.Creating,
			id != "" && e.ID != id,
			pod != "" && e.Data.PodID != pod,
			f.GetState() != nil && f.State.State != state,
			!hasLabels(c.GetLabels(), f.GetLabelSelector()):
			continue
		}
		items = append(items, &runtimeapi.Container{
			Id: e.ID, PodSandboxId: e.Data.PodID, Metadata: c.GetMetadata(), State: state, CreatedAt: e.Data.CreatedAt,
			Image: c.GetImage(), ImageRef: e.Data.ImageRef, ImageId: e.Data.ImageID,
			Labels: c.GetLabels(), Annotations: c.GetAnnotations(),
		})
	}
	return items
}
