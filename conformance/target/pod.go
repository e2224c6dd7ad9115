package target

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// namespace is the Kubernetes namespace of all pods of the suite.
const namespace = "criconform"

// A Pod is a sandbox that the suite made.
type Pod struct {
	T       *T
	ID      string
	Handler string // as requested
	Config  *runtimeapi.PodSandboxConfig
}

// PodConfig returns a minimal valid sandbox configuration: its own network, IPC
// and per-container PID namespaces, metadata that no other has, an existing log
// directory that goes at the end of the case. An empty name gets one.
func (t *T) PodConfig(name string) *runtimeapi.PodSandboxConfig {
	ginkgo.GinkgoHelper()
	uid := t.Fresh("uid-" + t.vars["ID"])
	if name == "" {
		name = t.Fresh("pod")
	}
	logs := filepath.Join(t.work, "logs", uid)
	must(os.Mkdir(logs, 0o755))
	t.Cleanup("remove log directory", func(context.Context) error { return suiteError(os.RemoveAll(logs)) })
	return &runtimeapi.PodSandboxConfig{
		Metadata:     &runtimeapi.PodSandboxMetadata{Name: name, Uid: uid, Namespace: namespace},
		Hostname:     "host-" + uid,
		LogDirectory: logs,
		Labels:       map[string]string{"criconform.pod": uid},
		Annotations:  map[string]string{},
		Linux: &runtimeapi.LinuxPodSandboxConfig{
			CgroupParent: t.cgroup,
			SecurityContext: &runtimeapi.LinuxSandboxSecurityContext{
				NamespaceOptions: &runtimeapi.NamespaceOption{
					Network: runtimeapi.NamespaceMode_POD,
					Pid:     runtimeapi.NamespaceMode_CONTAINER,
					Ipc:     runtimeapi.NamespaceMode_POD,
				},
			},
		},
	}
}

// PodRequest returns the request that [T.Pod] would send.
func (t *T) PodRequest(opts ...PodOption) *runtimeapi.RunPodSandboxRequest {
	ginkgo.GinkgoHelper()
	req := &runtimeapi.RunPodSandboxRequest{Config: t.PodConfig("")}
	for _, o := range opts {
		o(req)
	}
	return req
}

// Pod runs a sandbox, which is stopped and removed at the end of the case. A
// refusal fails the case.
func (t *T) Pod(ctx context.Context, opts ...PodOption) *Pod {
	ginkgo.GinkgoHelper()
	p, err := t.TryPod(ctx, opts...)
	gomega.Expect(err).NotTo(gomega.HaveOccurred(), "RunPodSandbox")
	return p
}

// TryPod is [T.Pod] for a probe that expects a refusal. A sandbox that the
// daemon made all the same is removed at the end of the case.
func (t *T) TryPod(ctx context.Context, opts ...PodOption) (*Pod, error) {
	ginkgo.GinkgoHelper()
	return t.RunPod(ctx, t.PodRequest(opts...))
}

// RunPod sends the request, which may be one sent before.
func (t *T) RunPod(ctx context.Context, req *runtimeapi.RunPodSandboxRequest) (*Pod, error) {
	resp, err := t.Runtime.RunPodSandbox(ctx, req)
	if err != nil {
		return nil, err
	}
	p := &Pod{T: t, ID: resp.GetPodSandboxId(), Handler: req.GetRuntimeHandler(), Config: req.GetConfig()}
	if p.ID == "" {
		return nil, errors.New("RunPodSandbox answers with an empty ID")
	}
	t.Cleanup("sandbox "+p.ID, func(ctx context.Context) error { return t.removePod(ctx, p.ID) })
	return p, nil
}

// Stop calls StopPodSandbox.
func (p *Pod) Stop(ctx context.Context) error {
	_, err := p.T.Runtime.StopPodSandbox(ctx, &runtimeapi.StopPodSandboxRequest{PodSandboxId: p.ID})
	return err
}

// Remove calls RemovePodSandbox.
func (p *Pod) Remove(ctx context.Context) error {
	_, err := p.T.Runtime.RemovePodSandbox(ctx, &runtimeapi.RemovePodSandboxRequest{PodSandboxId: p.ID})
	return err
}

// TryStatus calls PodSandboxStatus.
func (p *Pod) TryStatus(ctx context.Context) (*runtimeapi.PodSandboxStatus, error) {
	resp, err := p.T.Runtime.PodSandboxStatus(ctx, &runtimeapi.PodSandboxStatusRequest{PodSandboxId: p.ID})
	return resp.GetStatus(), err
}

// Status calls PodSandboxStatus; an error fails the case.
func (p *Pod) Status(ctx context.Context) *runtimeapi.PodSandboxStatus {
	ginkgo.GinkgoHelper()
	status, err := p.TryStatus(ctx)
	gomega.Expect(err).NotTo(gomega.HaveOccurred(), "PodSandboxStatus")
	gomega.Expect(status).NotTo(gomega.BeNil(), "PodSandboxStatus answers without a status")
	return status
}

// Listed returns the sandbox as ListPodSandbox has it; nil if it does not.
func (p *Pod) Listed(ctx context.Context) *runtimeapi.PodSandbox {
	ginkgo.GinkgoHelper()
	resp, err := p.T.Runtime.ListPodSandbox(ctx, &runtimeapi.ListPodSandboxRequest{})
	gomega.Expect(err).NotTo(gomega.HaveOccurred(), "ListPodSandbox")
	for _, s := range resp.GetItems() {
		if s.GetId() == p.ID {
			return s
		}
	}
	return nil
}

// Processes returns the processes that the host has for the pod itself: those in
// a cgroup named by the sandbox's ID, its monitor left out.
func (p *Pod) Processes() []Process {
	ginkgo.GinkgoHelper()
	return p.T.ProcessesOf(p.ID)
}

// LogPath returns the path of a file in the pod's log directory.
func (p *Pod) LogPath(name string) string { return filepath.Join(p.Config.GetLogDirectory(), name) }

func (p *Pod) String() string {
	return fmt.Sprintf("sandbox %s (%s)", p.ID, p.Config.GetMetadata().GetName())
}
