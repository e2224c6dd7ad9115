package server

import (
	"errors"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"ocid/impl/events"
	"ocid/spec"
)

// GetContainerEvents sends what happens to sandboxes and containers from now
// on. Its headers say that it listens.
func (s *Server) GetContainerEvents(_ *runtimeapi.GetEventsRequest, stream grpc.ServerStreamingServer[runtimeapi.ContainerEventResponse]) error {
	reader := s.pods.log.Reader()
	defer reader.Close()
	if err := stream.SendHeader(metadata.MD{}); err != nil {
		return err
	}
	for {
		h, err := reader.Next(stream.Context())
		var missed *events.Missed
		switch {
		case errors.As(err, &missed):
			return s.refusal("events.missed", spec.DataLoss, "", err)
		case errors.Is(err, events.ErrClosed):
			return s.refusal("events.shutdown", spec.Unavailable, "daemon", errors.New("is shutting down"))
		case err != nil:
			return err
		}
		if err := stream.Send(h.message()); err != nil {
			return err
		}
	}
}

// EndEvents ends the subscriptions, which would go on for ever.
func (s *Server) EndEvents() { s.pods.log.Close() }

func (h *happening) message() *runtimeapi.ContainerEventResponse {
	m := &runtimeapi.ContainerEventResponse{
		ContainerId: h.id, ContainerEventType: h.kind, CreatedAt: h.at, ContainersStatuses: containerStatuses(h.pod),
	}
	if h.pod.sandbox.ID != "" {
		m.PodSandboxStatus = sandboxStatus(h.pod.sandbox)
	}
	return m
}

func containerStatuses(v podView) (all []*runtimeapi.ContainerStatus) {
	for _, e := range v.containers {
		all = append(all, containerStatus(e))
	}
	return all
}
