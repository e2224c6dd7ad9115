package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"ocid/impl/gate"
	"ocid/impl/ledger"
	"ocid/impl/oci"
	"ocid/impl/runtime"
	"ocid/spec"
)

// UpdateContainerResources changes limits of a container, all that the request
// names or none.
func (s *Server) UpdateContainerResources(ctx context.Context, req *runtimeapi.UpdateContainerResourcesRequest) (*runtimeapi.UpdateContainerResourcesResponse, error) {
	id := s.containers.Resolve(req.ContainerId)
	err := s.containers.Step(ctx, id, spec.UpdateContainer, ledger.Apart, func(ctx context.Context, id string) error {
		return s.updateContainer(ctx, id, req.GetLinux())
	})
	if err != nil {
		return nil, err
	}
	return &runtimeapi.UpdateContainerResourcesResponse{}, nil
}

func (s *Server) updateContainer(ctx context.Context, id string, asked *runtimeapi.LinuxContainerResources) error {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	e, _ := s.containers.Get(id)
	limits, err := s.limits(oci.UpdateLimits(e.Data.Limits.M, asked), "linux.")
	if err != nil {
		return err
	}
	if err := s.refuseUpdate(id, &e.Data, limits); err != nil {
		return err
	}
	return s.applyLimits(ctx, id, &e.Data, limits)
}

// limits are those of the limits asked for that will hold.
func (s *Server) limits(asked *runtimeapi.LinuxContainerResources, field string) (*runtimeapi.LinuxContainerResources, error) {
	limits, err := oci.Limits(asked, s.Host, field)
	var bad *oci.FieldError
	switch {
	case !errors.As(err, &bad):
		return limits, err
	case bad.Field == field+"unified" && !s.Host.CgroupV2:
		return nil, s.refusal("container.limits.unified", spec.InvalidArgument, bad.Field, errors.New(bad.Reason))
	}
	return nil, s.refusal("container.limits.contradiction", spec.InvalidArgument, bad.Field, errors.New(bad.Reason))
}

// refuseUpdate refuses limits that can't be given to a live container.
func (s *Server) refuseUpdate(id string, c *Container, limits *runtimeapi.LinuxContainerResources) error {
	if !proto.Equal(&runtimeapi.LinuxContainerResources{HugepageLimits: c.Limits.M.GetHugepageLimits()}, &runtimeapi.LinuxContainerResources{HugepageLimits: limits.HugepageLimits}) {
		return s.refusal("container.update.all-or-none", spec.InvalidArgument, "linux.hugepage_limits", errors.New("differs, and no runtime changes it while a container lives"))
	}
	memory := limits.MemoryLimitInBytes
	if memory <= 0 || memory == c.Limits.M.GetMemoryLimitInBytes() {
		return nil
	}
	rt, err := s.runtimeOf(c.Handler)
	if err != nil {
		return err
	}
	use, err := rt.MemoryUse(id, c.Process)
	if err != nil {
		return err
	}
	if memory < use {
		return s.refusal("container.update.memory-use", spec.FailedPrecondition, "linux.memory_limit_in_bytes", fmt.Errorf("is %d, and the container uses %d bytes", memory, use))
	}
	return nil
}

// applyLimits gives limits to a live container, its OCI configuration and its
// record; if one fails, all have what they had.
func (s *Server) applyLimits(ctx context.Context, id string, c *Container, limits *runtimeapi.LinuxContainerResources) error {
	rt, err := s.runtimeOf(c.Handler)
	if err != nil {
		return err
	}
	before, err := s.Store.ReadConfig(id)
	if err != nil {
		return err
	}
	config, err := s.ociConfig(id)
	if err == nil {
		err = oci.ApplyLimits(config, limits, s.Host)
	}
	if err != nil {
		return err
	}
	data, err := json.Marshal(config)
	if err == nil {
		err = s.Store.WriteConfig(id, data)
	}
	var update *runtime.Update
	if err == nil {
		wanted := *config.Linux.Resources
		wanted.Devices, wanted.Pids = nil, nil
		update, err = rt.Update(ctx, id, c.Process, runtime.Limits{Resources: &wanted, OOMScoreAdj: config.Process.OOMScoreAdj})
	}
	if err != nil {
		return updateError(errors.Join(err, s.Store.WriteConfig(id, before)))
	}
	err = s.containers.Change(id, func(c *Container) { c.Limits.M = limits })
	if err != nil {
		return errors.Join(err, update.Undo(), s.Store.WriteConfig(id, before))
	}
	return update.Keep()
}

// settleLimits ends an update that the last daemon has died in: the limits of
// the record hold, and those that it does not name are as they were.
func (s *Server) settleLimits(ctx context.Context, id string, c *Container) error {
	rt, err := s.runtimeOf(c.Handler)
	if err != nil {
		return err
	}
	open, err := rt.UndoUpdate(id)
	if err != nil || !open {
		return err
	}
	return s.applyLimits(ctx, id, c, c.Limits.M)
}

// updateError gives the failure of an update whose container ended meanwhile
// its code.
func updateError(err error) error {
	if errors.Is(err, runtime.ErrNotRunning) {
		return &gate.Coded{Code: codes.FailedPrecondition, Err: err}
	}
	return err
}

// UpdatePodSandboxResources records what the sandbox's cgroup has, which is
// kubelet's.
func (s *Server) UpdatePodSandboxResources(ctx context.Context, req *runtimeapi.UpdatePodSandboxResourcesRequest) (*runtimeapi.UpdatePodSandboxResourcesResponse, error) {
	err := s.sandboxes.Step(ctx, s.sandboxes.Resolve(req.PodSandboxId), spec.UpdateSandbox, ledger.Apart, func(_ context.Context, id string) error {
		return s.sandboxes.Change(id, func(sb *Sandbox) {
			config := proto.CloneOf(sb.Config.M)
			if config.Linux == nil {
				config.Linux = &runtimeapi.LinuxPodSandboxConfig{}
			}
			if req.Overhead != nil {
				config.Linux.Overhead = oci.UpdateLimits(config.Linux.Overhead, req.Overhead)
			}
			if req.Resources != nil {
				config.Linux.Resources = oci.UpdateLimits(config.Linux.Resources, req.Resources)
			}
			sb.Config.M = config
		})
	})
	if err != nil {
		return nil, err
	}
	return &runtimeapi.UpdatePodSandboxResourcesResponse{}, nil
}
