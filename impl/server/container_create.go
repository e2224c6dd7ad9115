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

// newContainer decides what the container will be, or refuses it, before
// anything is made.
func (s *Server) newContainer(ctx context.Context, req *runtimeapi.CreateContainerRequest) (Container, error) {
	pod, _ := s.sandboxes.Get(req.PodSandboxId)
	c := Container{
		PodID: req.PodSandboxId, Config: kept[*runtimeapi.ContainerConfig]{req.Config}, Handler: pod.Data.Handler, CreatedAt: time.Now().UnixNano(),
	}
	for _, decide := range []func(context.Context, *Container, *Sandbox) error{
		s.decideElevation, s.refuseNamespaces, s.decideLimits, s.decideVolumes, s.decideLog, s.decideImage,
	} {
		if err := decide(ctx, &c, &pod.Data); err != nil {
			return Container{}, err
		}
	}
	return c, nil
}

// decideElevation decides whether the container is privileged.
func (s *Server) decideElevation(_ context.Context, c *Container, pod *Sandbox) error {
	row := s.Book.Elevation.Decide(facts.Elevation(c.Config.M, pod.Privileged))
	if row == nil {
		return errors.New("no rule decides whether the container may be privileged")
	}
	if row.Code != 0 {
		return &spec.Refusal{Rule: row.Rule, Code: row.Code, Object: "config.linux.security_context.privileged", Reason: "is set"}
	}
	c.Elevated = row.Then == spec.Elevated
	return nil
}

func (s *Server) decideLimits(_ context.Context, c *Container, _ *Sandbox) (err error) {
	c.Limits.M, err = s.limits(c.Config.M.GetLinux().GetResources(), "config.linux.resources.")
	return err
}

func (s *Server) decideVolumes(ctx context.Context, c *Container, pod *Sandbox) (err error) {
	c.VolumeImages, err = s.refuseMounts(ctx, c.Config.M, pod)
	return ledByVolume(err)
}

func (s *Server) decideLog(_ context.Context, c *Container, pod *Sandbox) error {
	c.LogPath = logPath(pod.Config.M, c.Config.M)
	return s.fieldError(spec.CreateContainer, refuseLogPath(c.LogPath))
}

// decideImage finds the image, and in it what the config leaves open; then it is
// known what the process would be.
func (s *Server) decideImage(ctx context.Context, c *Container, pod *Sandbox) error {
	name := c.Config.M.Image.Image
	img, err := s.Images.Status(ctx, name)
	if err != nil {
		return imageError(err)
	}
	if img == nil {
		return s.refusal("container.create.image", spec.NotFound, "config.image.image", fmt.Errorf("%.200q is not on this node", name))
	}
	var field *oci.FieldError
	if _, err := oci.CommandLine(c.Config.M, img.Config); errors.As(err, &field) {
		return s.refusal("container.process.none", spec.InvalidArgument, field.Field, errors.New(field.Reason))
	}
	c.ImageID, c.ImageRef = img.ID, firstOr(img.RepoDigests, img.ID)
	c.StopWith = oci.StopSignal(c.Config.M, img.Config).Number
	return s.refuseProcess(c, pod, img.Config)
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
