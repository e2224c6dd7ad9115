package server

import (
	"context"
	"sync/atomic"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"ocid/impl/ledger"
	"ocid/spec"
)

// ReopenContainerLog has the container's output go to a new file at its log
// path. A container without a log has nothing to reopen.
func (s *Server) ReopenContainerLog(ctx context.Context, req *runtimeapi.ReopenContainerLogRequest) (*runtimeapi.ReopenContainerLogResponse, error) {
	id := s.containers.Resolve(req.ContainerId)
	if err := s.containers.Step(ctx, id, spec.ReopenLog, ledger.Finish, nil); err != nil {
		return nil, err
	}
	e, _ := s.containers.Get(id)
	if e.Data.LogPath != "" {
		if err := s.reopenLog(ctx, id, &e.Data); err != nil {
			return nil, s.refusal("container.log.reopen-fails", spec.FailedPrecondition, e.Data.LogPath, err)
		}
	}
	return &runtimeapi.ReopenContainerLogResponse{}, nil
}

// reopenLog reopens the log when no other call does so: two at once would each
// put an empty file in the place of the other's.
func (s *Server) reopenLog(ctx context.Context, id string, c *Container) error {
	rt, err := s.runtimeOf(c.Handler)
	if err != nil {
		return err
	}
	for {
		var ours atomic.Bool
		_, err := s.reopening.Do(ctx, id, func(ctx context.Context) (struct{}, error) {
			ours.Store(true)
			return struct{}{}, rt.ReopenLog(ctx, id, c.Process, c.LogPath)
		})
		if ours.Load() || ctx.Err() != nil {
			return err
		}
	}
}
