package server

import (
	"context"
	"fmt"
	"strconv"
	"time"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"ocid/impl/facts"
	"ocid/impl/ledger"
	"ocid/spec"
)

// RunPodSandbox creates a sandbox by the plan of that name.
func (s *Server) RunPodSandbox(ctx context.Context, req *runtimeapi.RunPodSandboxRequest) (*runtimeapi.RunPodSandboxResponse, error) {
	sum, err := digest(req)
	if err != nil {
		return nil, err
	}
	id, err := s.sandboxes.StepNew(ctx, ledger.Creation[Sandbox]{
		Key: sandboxKey(req.Config.Metadata), Digest: sum, Event: spec.RunPodSandbox, Other: spec.RunOther,
		Make: func(context.Context) (string, Sandbox, error) {
			id := newID()
			sandbox, err := s.newSandbox(req)
			sandbox.Hostname = hostname(req.Config, id, s.Host.Hostname)
			return id, sandbox, err
		},
		Work: s.runSandbox,
	})
	if err != nil {
		return nil, err
	}
	return &runtimeapi.RunPodSandboxResponse{PodSandboxId: id}, nil
}

// sandboxKey is the name that at most one sandbox has. None of its parts holds
// a slash.
func sandboxKey(m *runtimeapi.PodSandboxMetadata) string {
	return m.GetName() + "/" + m.GetNamespace() + "/" + m.GetUid() + "/" + strconv.FormatUint(uint64(m.GetAttempt()), 10)
}

// hostname of a sandbox: as configured, else the node's on the host network,
// else the beginning of the sandbox's ID.
func hostname(c *runtimeapi.PodSandboxConfig, id, node string) string {
	switch {
	case facts.HostNetwork(c):
		return node
	case c.GetHostname() != "":
		return c.GetHostname()
	}
	return id[:12]
}

// newSandbox decides what the sandbox will be.
func (s *Server) newSandbox(req *runtimeapi.RunPodSandboxRequest) (Sandbox, error) {
	privileged := s.Book.Privilege.Decide(facts.Privilege(req.Config))
	if privileged == nil {
		return Sandbox{}, fmt.Errorf("no rule decides whether the sandbox is privileged")
	}
	handler, err := s.chooseHandler(req.RuntimeHandler, privileged.Then)
	if err != nil {
		return Sandbox{}, err
	}
	if err := s.refuseSandbox(req.Config, s.Config.Runtime.Handlers[handler].VM); err != nil {
		return Sandbox{}, err
	}
	infra := s.Book.Infra.Decide(facts.Infra(req.Config, s.Config.Runtime.Infra == "always", s.Config.Runtime.Handlers[handler].VM))
	if infra == nil {
		return Sandbox{}, fmt.Errorf("no rule decides whether the sandbox has an infra process")
	}
	if infra.Then && s.Infra == "" {
		return Sandbox{}, fmt.Errorf("%s: no infra program is installed: install catatonit or set runtime.infra_program", infra.ID)
	}
	sb := Sandbox{
		Config:     kept[*runtimeapi.PodSandboxConfig]{req.Config},
		Requested:  req.RuntimeHandler,
		Handler:    handler,
		Privileged: privileged.Then,
		HasInfra:   infra.Then,
		CreatedAt:  time.Now().UnixNano(),
	}
	_, err = s.sandboxSeccomp(&sb)
	return sb, s.fieldError(spec.RunPodSandbox, err)
}

// chooseHandler returns the configured runtime handler that a sandbox runs on.
func (s *Server) chooseHandler(named string, privileged bool) (string, error) {
	rt := s.Config.Runtime
	_, known := s.Runtimes[named]
	row := s.Book.Handler.Decide(facts.Bits(map[spec.Facts]bool{
		spec.HandlerNamed:         named != "",
		spec.HandlerKnown:         known,
		spec.SandboxPrivileged:    privileged,
		spec.PrivilegedHandlerSet: rt.PrivilegedHandler != "",
	}))
	switch {
	case row == nil:
		return "", fmt.Errorf("no rule decides the runtime handler")
	case row.Code != 0:
		return "", &spec.Refusal{Rule: row.Rule, Code: row.Code, Object: "runtime_handler", Reason: fmt.Sprintf("%.80q is not configured", named)}
	case row.Then == spec.NamedHandler:
		return named, nil
	case row.Then == spec.PrivilegedHandler:
		return rt.PrivilegedHandler, nil
	}
	return rt.DefaultHandler, nil
}

// runSandbox takes a new sandbox through its plan and watches its process.
func (s *Server) runSandbox(ctx context.Context, id string) error {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	e, _ := s.sandboxes.Get(id)
	if err := s.Runner.Run(ctx, s.sandboxes, id, s.Book.RunPodSandbox, e.Data.facts(), s.sandboxWorks(id)); err != nil {
		return err
	}
	e, _ = s.sandboxes.Get(id)
	s.watchInfra(id, &e.Data)
	s.samplePod(id)
	return nil
}
