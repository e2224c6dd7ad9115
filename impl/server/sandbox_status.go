package server

import (
	"context"
	"maps"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"ocid/impl/facts"
	"ocid/impl/ledger"
	"ocid/spec"
)

// PodSandboxStatus answers from memory.
func (s *Server) PodSandboxStatus(ctx context.Context, req *runtimeapi.PodSandboxStatusRequest) (*runtimeapi.PodSandboxStatusResponse, error) {
	id := s.sandboxes.Resolve(req.PodSandboxId)
	v, now := s.pods.view(id) // first: one that goes meanwhile is refused
	if err := s.sandboxes.Step(ctx, id, spec.PodSandboxStatus, ledger.Finish, nil); err != nil {
		return nil, err
	}
	return &runtimeapi.PodSandboxStatusResponse{
		Status: sandboxStatus(v.sandbox), ContainersStatuses: containerStatuses(v), Timestamp: now, Info: s.sandboxInfo(req.Verbose, v.sandbox),
	}, nil
}

func sandboxStatus(e ledger.Entry[Sandbox]) *runtimeapi.PodSandboxStatus {
	c := e.Data.Config.M
	return &runtimeapi.PodSandboxStatus{
		Id: e.ID, Metadata: c.GetMetadata(), State: sandboxState(e.State), CreatedAt: e.Data.CreatedAt,
		Network: podIPs(&e.Data), Linux: &runtimeapi.LinuxPodSandboxStatus{
			Namespaces: &runtimeapi.Namespace{Options: facts.NamespaceOptions(c)},
		},
		Labels: c.GetLabels(), Annotations: c.GetAnnotations(), RuntimeHandler: e.Data.Requested,
	}
}

func sandboxState(st spec.State) runtimeapi.PodSandboxState {
	if st == spec.Ready {
		return runtimeapi.PodSandboxState_SANDBOX_READY
	}
	return runtimeapi.PodSandboxState_SANDBOX_NOTREADY
}

// podIPs are the addresses of a sandbox, none on the host network.
func podIPs(sb *Sandbox) *runtimeapi.PodSandboxNetworkStatus {
	if len(sb.IPs) == 0 {
		return nil
	}
	st := &runtimeapi.PodSandboxNetworkStatus{Ip: sb.IPs[0].String()}
	for _, ip := range sb.IPs[1:] {
		st.AdditionalIps = append(st.AdditionalIps, &runtimeapi.PodIP{Ip: ip.String()})
	}
	return st
}

// sandboxInfo is what a verbose status adds.
func (s *Server) sandboxInfo(verbose bool, e ledger.Entry[Sandbox]) map[string]string {
	if !verbose {
		return nil
	}
	return verboseInfo(map[string]any{
		"pid": e.Data.Infra.PID, "config": e.Data.Config.M, "runtimeHandler": e.Data.Handler, "state": e.State.String(),
		"privileged": e.Data.Privileged, "infra": e.Data.Infra,
		"netns": s.netnsPath(e.ID), "netnsOpen": e.Data.NetNSOpen, "network": e.Data.Attachment,
		"journal": e.Journal,
	})
}

// ListPodSandbox answers from memory.
func (s *Server) ListPodSandbox(_ context.Context, req *runtimeapi.ListPodSandboxRequest) (*runtimeapi.ListPodSandboxResponse, error) {
	return &runtimeapi.ListPodSandboxResponse{Items: s.listSandboxes(req.GetFilter())}, nil
}

func (s *Server) listSandboxes(f *runtimeapi.PodSandboxFilter) (items []*runtimeapi.PodSandbox) {
	id := s.sandboxes.Resolve(f.GetId())
	for _, e := range s.sandboxes.List() {
		c, state := e.Data.Config.M, sandboxState(e.State)
		switch {
		case e.State == spec.Creating,
			id != "" && e.ID != id,
			f.GetState() != nil && f.State.State != state,
			!hasLabels(c.GetLabels(), f.GetLabelSelector()):
			continue
		}
		items = append(items, &runtimeapi.PodSandbox{
			Id: e.ID, Metadata: c.GetMetadata(), State: state, CreatedAt: e.Data.CreatedAt,
			Labels: c.GetLabels(), Annotations: c.GetAnnotations(), RuntimeHandler: e.Data.Requested,
		})
	}
	return items
}

// hasLabels says whether labels hold all that are selected.
func hasLabels(labels, selected map[string]string) bool {
	both := maps.Clone(selected)
	maps.DeleteFunc(both, func(k, v string) bool { got, ok := labels[k]; return ok && got == v })
	return len(both) == 0
}
