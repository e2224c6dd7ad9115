package server

import (
	"context"
	"errors"
	"sync"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"ocid/impl/ledger"
	"ocid/spec"
)

// StopPodSandbox stops a sandbox by the plan of that name.
func (s *Server) StopPodSandbox(ctx context.Context, req *runtimeapi.StopPodSandboxRequest) (*runtimeapi.StopPodSandboxResponse, error) {
	if err := s.stopSandbox(ctx, s.sandboxes.Resolve(req.PodSandboxId)); err != nil {
		return nil, err
	}
	return &runtimeapi.StopPodSandboxResponse{}, nil
}

func (s *Server) stopSandbox(ctx context.Context, id string) error {
	return s.sandboxes.Step(ctx, id, spec.StopPodSandbox, ledger.Finish, func(ctx context.Context, id string) error {
		ctx, cancel := s.bounded(ctx)
		defer cancel()
		e, _ := s.sandboxes.Get(id)
		return s.Runner.Run(ctx, s.sandboxes, id, s.Book.StopPodSandbox, e.Data.facts(), s.stopWorks(id))
	})
}

// RemovePodSandbox removes a sandbox by the plan of that name.
func (s *Server) RemovePodSandbox(ctx context.Context, req *runtimeapi.RemovePodSandboxRequest) (*runtimeapi.RemovePodSandboxResponse, error) {
	if err := s.removeSandbox(ctx, s.sandboxes.Resolve(req.PodSandboxId)); err != nil {
		return nil, err
	}
	return &runtimeapi.RemovePodSandboxResponse{}, nil
}

func (s *Server) removeSandbox(ctx context.Context, id string) error {
	return s.sandboxes.Step(ctx, id, spec.RemovePodSandbox, ledger.Finish, func(ctx context.Context, id string) error {
		ctx, cancel := s.bounded(ctx)
		defer cancel()
		e, _ := s.sandboxes.Get(id)
		return s.Runner.Run(ctx, s.sandboxes, id, s.Book.RemovePodSandbox, e.Data.facts(), s.removeWorks(id))
	})
}

func (s *Server) stopContainersOf(ctx context.Context, pod string) error {
	s.Stats.Forget(pod) // the sampler's socket would keep the network namespace
	return s.eachContainerOf(ctx, pod, s.endWithSandbox)
}

func (s *Server) removeContainersOf(ctx context.Context, pod string) error {
	s.Stats.Forget(pod)
	return s.eachContainerOf(ctx, pod, s.removeContainer)
}

// eachContainerOf does something to the containers of a pod, side by side.
func (s *Server) eachContainerOf(ctx context.Context, pod string, do func(context.Context, string) error) error {
	var group sync.WaitGroup
	var mu sync.Mutex
	var all []error
	for _, e := range s.containers.List() {
		if e.Data.PodID != pod {
			continue
		}
		group.Go(func() {
			err := do(ctx, e.ID)
			mu.Lock()
			defer mu.Unlock()
			all = append(all, err)
		})
	}
	group.Wait()
	return errors.Join(all...)
}
