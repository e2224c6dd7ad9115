package server

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"ocid/impl/facts"
	"ocid/impl/ledger"
	"ocid/impl/oci"
	"ocid/impl/store"
	"ocid/spec"
)

// CreateContainer creates a container by the plan of that name.
func (s *Server) CreateContainer(ctx context.Context, req *runtimeapi.CreateContainerRequest) (*runtimeapi.CreateContainerResponse, error) {
	req.PodSandboxId = s.sandboxes.Resolve(req.PodSandboxId)
	if err := s.joinSandbox(ctx, req.PodSandboxId); err != nil {
		return nil, err
	}
	sum, err := digest(req)
	if err != nil {
		return nil, err
	}
	m := req.Config.Metadata
	id, err := s.containers.StepNew(ctx, ledger.Creation[Container]{
		Key:    req.PodSandboxId + "_" + m.Name + "_" + strconv.FormatUint(uint64(m.Attempt), 10),
		Digest: sum, Event: spec.CreateContainer, Other: spec.CreateOther,
		Make: func(ctx context.Context) (string, Container, error) {
			container, err := s.newContainer(ctx, req)
			return newID(), container, err
		},
		Work: s.createContainer,
	})
	if err != nil {
		return nil, err
	}
	return &runtimeapi.CreateContainerResponse{ContainerId: id}, nil
}

// joinSandbox asks whether a container may be created in the sandbox.
func (s *Server) joinSandbox(ctx context.Context, id string) error {
	return s.sandboxes.Step(ctx, id, spec.JoinSandbox, ledger.Finish, nil)
}

// newContainer decides what the container will be.
func (s *Server) newContainer(ctx context.Context, req *runtimeapi.CreateContainerRequest) (Container, error) {
	c := req.Config
	pod, _ := s.sandboxes.Get(req.PodSandboxId)
	row := s.Book.Elevation.Decide(facts.Elevation(c, pod.Data.Privileged))
	if row == nil {
		return Container{}, errors.New("no rule decides whether the container may be privileged")
	}
	if row.Code != 0 {
		return Container{}, &spec.Refusal{Rule: row.Rule, Code: row.Code, Object: "config.linux.security_context.privileged", Reason: "is set"}
	}
	if err := s.refuseNamespaces(req.PodSandboxId, c, &pod.Data); err != nil {
		return Container{}, err
	}
	limits, err := s.limits(c.GetLinux().GetResources(), "config.linux.resources.")
	if err != nil {
		return Container{}, err
	}
	volumes, err := s.refuseMounts(ctx, c, &pod.Data)
	if err != nil {
		return Container{}, ledByVolume(err)
	}
	log := logPath(pod.Data.Config.M, c)
	if err := refuseLogPath(log); err != nil {
		return Container{}, s.fieldError(spec.CreateContainer, err)
	}
	img, err := s.Images.Status(ctx, c.Image.Image)
	if err != nil {
		return Container{}, imageError(err)
	}
	if img == nil {
		return Container{}, s.refusal("container.create.image", spec.NotFound, "config.image.image", fmt.Errorf("%.200q is not on this node", c.Image.Image))
	}
	var field *oci.FieldError
	if _, err := oci.CommandLine(c, img.Config); errors.As(err, &field) {
		return Container{}, s.refusal("container.process.none", spec.InvalidArgument, field.Field, errors.New(field.Reason))
	}
	return Container{
		PodID: req.PodSandboxId, Config: kept[*runtimeapi.ContainerConfig]{c}, Handler: pod.Data.Handler,
		Elevated: row.Then == spec.Elevated, ImageID: img.ID, ImageRef: firstOr(img.RepoDigests, img.ID),
		Limits: kept[*runtimeapi.LinuxContainerResources]{limits}, LogPath: log, StopWith: oci.StopSignal(c, img.Config).Number, CreatedAt: time.Now().UnixNano(),
		VolumeImages: volumes,
	}, nil
}

// logPath is where the container's log goes, "" if it has none.
func logPath(pod *runtimeapi.PodSandboxConfig, c *runtimeapi.ContainerConfig) string {
	if pod.GetLogDirectory() == "" || c.GetLogPath() == "" {
		return ""
	}
	return filepath.Join(pod.LogDirectory, c.LogPath)
}

// createContainer takes a new container through its plan and watches it. The
// sandbox is asked again, now that a stop of it would see the container.
func (s *Server) createContainer(ctx context.Context, id string) error {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	e, _ := s.containers.Get(id)
	if err := s.joinSandbox(ctx, e.Data.PodID); err != nil {
		return err
	}
	err := s.Runner.Run(ctx, s.containers, id, s.Book.CreateContainer, 0, s.createWorks(id))
	if errors.Is(err, store.ErrNoImage) { // removed since it was looked up
		return s.refusal("container.create.image", spec.NotFound, "config.image.image", err)
	}
	if err != nil {
		return s.fieldError(spec.CreateContainer, ledByVolume(err))
	}
	s.watchContainer(id)
	return nil
}
