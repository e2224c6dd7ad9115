package target

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"
	"google.golang.org/protobuf/proto"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// A Container is one that the suite made.
type Container struct {
	T      *T
	Pod    *Pod
	ID     string
	Config *runtimeapi.ContainerConfig
}

// untilTERM runs until SIGTERM, then exits with 0 at once, from the moment on
// that it says so.
const untilTERM = `trap 'kill $!; exit 0' TERM; echo ` + upWord + `; sleep 2000000 & wait $!`

const upWord = "up"

// ContainerConfig returns a minimal valid container configuration: a shell that
// lives until SIGTERM and then exits with 0, a log path, the namespaces that
// kubelet asks for by default. Empty name and image get a fresh name and the
// default image.
func (t *T) ContainerConfig(name, image string) *runtimeapi.ContainerConfig {
	if name == "" {
		name = t.Fresh("container")
	}
	if image == "" {
		image = t.busybox
	}
	return &runtimeapi.ContainerConfig{
		Metadata:    &runtimeapi.ContainerMetadata{Name: name},
		Image:       &runtimeapi.ImageSpec{Image: image, UserSpecifiedImage: image},
		Command:     []string{"/bin/sh", "-c", untilTERM},
		LogPath:     name + ".log",
		Labels:      map[string]string{},
		Annotations: map[string]string{},
		Linux: &runtimeapi.LinuxContainerConfig{
			Resources: &runtimeapi.LinuxContainerResources{},
			SecurityContext: &runtimeapi.LinuxContainerSecurityContext{
				NamespaceOptions: &runtimeapi.NamespaceOption{
					Network: runtimeapi.NamespaceMode_POD,
					Pid:     runtimeapi.NamespaceMode_CONTAINER,
					Ipc:     runtimeapi.NamespaceMode_POD,
				},
			},
		},
	}
}

// ContainerRequest returns the request that [Pod.Create] would send: the
// container has its sandbox's namespace options.
func (p *Pod) ContainerRequest(opts ...ContainerOption) *runtimeapi.CreateContainerRequest {
	config := p.T.ContainerConfig("", "")
	if options := p.Config.GetLinux().GetSecurityContext().GetNamespaceOptions(); options != nil {
		config.GetLinux().GetSecurityContext().NamespaceOptions = proto.CloneOf(options)
	}
	req := &runtimeapi.CreateContainerRequest{PodSandboxId: p.ID, Config: config, SandboxConfig: p.Config}
	for _, o := range opts {
		o(req)
	}
	return req
}

// Create creates a container, which goes with its sandbox. A refusal fails the
// case.
func (p *Pod) Create(ctx context.Context, opts ...ContainerOption) *Container {
	ginkgo.GinkgoHelper()
	c, err := p.TryCreate(ctx, opts...)
	gomega.Expect(err).NotTo(gomega.HaveOccurred(), "CreateContainer")
	return c
}

// TryCreate is [Pod.Create] for a probe that expects a refusal.
func (p *Pod) TryCreate(ctx context.Context, opts ...ContainerOption) (*Container, error) {
	return p.CreateFrom(ctx, p.ContainerRequest(opts...))
}

// CreateFrom sends the request, which may be one sent before.
func (p *Pod) CreateFrom(ctx context.Context, req *runtimeapi.CreateContainerRequest) (*Container, error) {
	resp, err := p.T.Runtime.CreateContainer(ctx, req)
	if err != nil {
		return nil, err
	}
	if resp.GetContainerId() == "" {
		return nil, errors.New("CreateContainer answers with an empty ID")
	}
	return &Container{T: p.T, Pod: p, ID: resp.GetContainerId(), Config: req.GetConfig()}, nil
}

// Run creates and starts a container.
func (p *Pod) Run(ctx context.Context, opts ...ContainerOption) *Container {
	ginkgo.GinkgoHelper()
	c := p.Create(ctx, opts...)
	gomega.Expect(c.Start(ctx)).To(gomega.Succeed(), "StartContainer")
	c.awaitUp()
	return c
}

// upLimit is how long a container may take to say that it is up. One that says
// nothing is up for all that the suite knows.
const upLimit = 2 * time.Second

// awaitUp waits until the default command heeds SIGTERM: it is the first process
// of its PID namespace, whose signals the kernel drops before that.
func (c *Container) awaitUp() {
	if !slices.Contains(c.Config.GetCommand(), untilTERM) || c.Config.GetLogPath() == "" {
		return
	}
	for deadline := time.Now().Add(upLimit); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		if info, err := os.Stat(c.Pod.LogPath(c.Config.GetLogPath())); err == nil && info.Size() > 0 {
			return
		}
	}
}

// Running returns a running container in a sandbox of its own. It lives until
// SIGTERM.
func (t *T) Running(ctx context.Context, opts ...PodOption) *Container {
	ginkgo.GinkgoHelper()
	return t.Pod(ctx, opts...).Run(ctx)
}

// Start calls StartContainer.
func (c *Container) Start(ctx context.Context) error {
	_, err := c.T.Runtime.StartContainer(ctx, &runtimeapi.StartContainerRequest{ContainerId: c.ID})
	return err
}

// Stop calls StopContainer; timeout is in seconds, 0 kills at once.
func (c *Container) Stop(ctx context.Context, timeout int64) error {
	_, err := c.T.Runtime.StopContainer(ctx, &runtimeapi.StopContainerRequest{ContainerId: c.ID, Timeout: timeout})
	return err
}

// Remove calls RemoveContainer.
func (c *Container) Remove(ctx context.Context) error {
	_, err := c.T.Runtime.RemoveContainer(ctx, &runtimeapi.RemoveContainerRequest{ContainerId: c.ID})
	return err
}

// TryStatus calls ContainerStatus.
func (c *Container) TryStatus(ctx context.Context) (*runtimeapi.ContainerStatus, error) {
	resp, err := c.T.Runtime.ContainerStatus(ctx, &runtimeapi.ContainerStatusRequest{ContainerId: c.ID})
	return resp.GetStatus(), err
}

// Status calls ContainerStatus; an error fails the case.
func (c *Container) Status(ctx context.Context) *runtimeapi.ContainerStatus {
	ginkgo.GinkgoHelper()
	status, err := c.TryStatus(ctx)
	gomega.Expect(err).NotTo(gomega.HaveOccurred(), "ContainerStatus")
	gomega.Expect(status).NotTo(gomega.BeNil(), "ContainerStatus answers without a status")
	return status
}

// State returns the container's state; an error fails the case.
func (c *Container) State(ctx context.Context) runtimeapi.ContainerState {
	ginkgo.GinkgoHelper()
	return c.Status(ctx).GetState()
}

// Listed returns the container as ListContainers has it; nil if it does not.
func (c *Container) Listed(ctx context.Context) *runtimeapi.Container {
	ginkgo.GinkgoHelper()
	resp, err := c.T.Runtime.ListContainers(ctx, &runtimeapi.ListContainersRequest{})
	gomega.Expect(err).NotTo(gomega.HaveOccurred(), "ListContainers")
	for _, x := range resp.GetContainers() {
		if x.GetId() == c.ID {
			return x
		}
	}
	return nil
}

const execTimeout = 20 // seconds

// Exec calls ExecSync with a timeout of 20 s. err is the call's, not the
// command's.
func (c *Container) Exec(ctx context.Context, cmd ...string) (stdout, stderr string, code int32, err error) {
	resp, err := c.T.Runtime.ExecSync(ctx, &runtimeapi.ExecSyncRequest{ContainerId: c.ID, Cmd: cmd, Timeout: execTimeout})
	return string(resp.GetStdout()), string(resp.GetStderr()), resp.GetExitCode(), err
}

// Output runs a command that has to exit with 0 and returns what it wrote, space
// at the ends trimmed.
func (c *Container) Output(ctx context.Context, cmd ...string) string {
	ginkgo.GinkgoHelper()
	stdout, stderr, code, err := c.Exec(ctx, cmd...)
	gomega.Expect(err).NotTo(gomega.HaveOccurred(), "ExecSync %q", cmd)
	gomega.Expect(code).To(gomega.BeZero(), "exit code of %q; it wrote: %s", cmd, stderr)
	return strings.TrimSpace(stdout)
}

// Processes returns the processes that the host has for the container: those in
// a cgroup named by its ID, its monitor left out.
func (c *Container) Processes() []Process {
	ginkgo.GinkgoHelper()
	return c.T.ProcessesOf(c.ID)
}

// Init returns the container's first process as the host sees it; the feature
// host-namespaces is needed. None fails the case.
func (c *Container) Init() Process {
	ginkgo.GinkgoHelper()
	c.T.Need(FeatureHostNamespaces)
	all := c.Processes()
	gomega.Expect(all).NotTo(gomega.BeEmpty(), "%s has no process on the host", c)
	first := all[0]
	for _, p := range all {
		if p.Started < first.Started || p.Started == first.Started && p.PID < first.PID {
			first = p
		}
	}
	return first
}

// Birth names the container's first process for ever: as the host has it, or
// where its kernel is another one, as it stands there.
func (c *Container) Birth(ctx context.Context) string {
	ginkgo.GinkgoHelper()
	if c.T.Has(FeatureHostNamespaces) {
		init := c.Init()
		return fmt.Sprint(init.PID, init.Started)
	}
	return c.Output(ctx, "sh", "-c", "cut -d ' ' -f 1,22 /proc/1/stat; cat /proc/sys/kernel/random/boot_id")
}

// Signal sends a signal to the container's first process, past the daemon, or
// where the host has no such process, by a command in the container: that one
// has to handle the signal, and may end so soon that the command goes with it.
func (c *Container) Signal(ctx context.Context, sig syscall.Signal) {
	ginkgo.GinkgoHelper()
	if c.T.Has(FeatureHostNamespaces) {
		must(syscall.Kill(c.Init().PID, sig))
		return
	}
	_, stderr, code, err := c.Exec(ctx, "kill", "-"+strconv.Itoa(int(sig)), "1")
	must(err)
	gomega.Expect(code).To(gomega.BeElementOf(int32(0), int32(128+syscall.SIGKILL)), "exit code of kill; it wrote: %s", stderr)
}

// Namespace names a namespace of the container in the form "pid:[4026531836]",
// as the kernel does that it runs on.
func (c *Container) Namespace(ctx context.Context, kind string) string {
	ginkgo.GinkgoHelper()
	if c.T.Has(FeatureHostNamespaces) {
		return c.T.NamespaceOf(c.Init().PID, kind)
	}
	return c.Output(ctx, "readlink", "/proc/self/ns/"+kind)
}

func (c *Container) String() string {
	return fmt.Sprintf("container %s (%s)", c.ID, c.Config.GetMetadata().GetName())
}
