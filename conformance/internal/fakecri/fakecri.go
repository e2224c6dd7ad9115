// Package fakecri is a CRI daemon without containers, for tests of the suite's
// framework: it keeps objects in memory and does wrong what it is told to. It
// runs no process, mounts nothing, and pulls nothing.
package fakecri

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Env is the environment variable that turns a test's program into the daemon.
// Its value lists faults, separated by commas; "ok" is none.
const Env = "CRICONFORM_FAKE_DAEMON"

// The faults.
const (
	NoStart   = "no-start"    // exits with 3 at once
	ExitOne   = "exit-1"      // exits with 1 on SIGTERM
	Stubborn  = "stubborn"    // ignores SIGTERM
	LeakFile  = "leak-file"   // leaves a sandbox's file behind
	LeakPod   = "leak-pod"    // still lists the first sandbox that was removed
	DiesOnRun = "dies-on-run" // exits with 4 at RunPodSandbox of a pod named "bomb"
)

// BrokenState is a file in the root directory with which the daemon does not
// start.
const BrokenState = "broken"

// Main is the daemon if the environment asks for it; it does not return then.
// A test's TestMain calls it first.
func Main() {
	faults, asked := os.LookupEnv(Env)
	if !asked {
		return
	}
	flags := flag.NewFlagSet("fakecri", flag.ExitOnError)
	listen := flags.String("listen", "", "unix socket")
	root := flags.String("root", "", "directory of sandbox files")
	config := flags.String("config", "", "file whose content is the runtime's version")
	if err := flags.Parse(os.Args[1:]); err != nil {
		os.Exit(2)
	}
	s := &server{root: *root, config: *config, faults: strings.Split(faults, ","), pods: map[string]*runtimeapi.PodSandbox{}}
	if s.has(NoStart) {
		fmt.Fprintln(os.Stderr, "fake daemon: cannot start")
		os.Exit(3)
	}
	if _, err := os.Stat(s.file(BrokenState)); err == nil {
		fmt.Fprintln(os.Stderr, "fake daemon: state is broken")
		os.Exit(6)
	}
	if err := s.serve(*listen); err != nil {
		fmt.Fprintln(os.Stderr, "fake daemon:", err)
		os.Exit(5)
	}
	if s.has(ExitOne) {
		os.Exit(1)
	}
	os.Exit(0)
}

type server struct {
	runtimeapi.UnimplementedRuntimeServiceServer
	runtimeapi.UnimplementedImageServiceServer
	root, config string
	faults       []string

	mu      sync.Mutex
	serial  int
	leaked  bool
	pods    map[string]*runtimeapi.PodSandbox
	objects []*runtimeapi.Container
}

func (s *server) has(fault string) bool { return slices.Contains(s.faults, fault) }

func (s *server) serve(path string) error {
	if err := os.RemoveAll(path); err != nil {
		return err
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		return err
	}
	g := grpc.NewServer()
	runtimeapi.RegisterRuntimeServiceServer(g, s)
	runtimeapi.RegisterImageServiceServer(g, s)
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	go func() {
		for range term {
			if !s.has(Stubborn) {
				g.Stop()
			}
		}
	}()
	fmt.Fprintln(os.Stderr, "fake daemon: ready")
	return g.Serve(listener)
}

// Version tells the configuration in the runtime's version.
func (s *server) Version(context.Context, *runtimeapi.VersionRequest) (*runtimeapi.VersionResponse, error) {
	text, err := os.ReadFile(s.config)
	if err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	return &runtimeapi.VersionResponse{Version: "0.1.0", RuntimeName: "fake", RuntimeVersion: strings.TrimSpace(string(text)), RuntimeApiVersion: "v1"}, nil
}

// RuntimeConfig answers with cgroupfs.
func (s *server) RuntimeConfig(context.Context, *runtimeapi.RuntimeConfigRequest) (*runtimeapi.RuntimeConfigResponse, error) {
	return &runtimeapi.RuntimeConfigResponse{Linux: &runtimeapi.LinuxRuntimeConfiguration{CgroupDriver: runtimeapi.CgroupDriver_CGROUPFS}}, nil
}

// PullImage has every image.
func (s *server) PullImage(_ context.Context, r *runtimeapi.PullImageRequest) (*runtimeapi.PullImageResponse, error) {
	return &runtimeapi.PullImageResponse{ImageRef: r.GetImage().GetImage()}, nil
}

// RunPodSandbox refuses a configuration without metadata.
func (s *server) RunPodSandbox(_ context.Context, r *runtimeapi.RunPodSandboxRequest) (*runtimeapi.RunPodSandboxResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.GetConfig().GetMetadata().GetName() == "" {
		return nil, status.Error(codes.InvalidArgument, "metadata")
	}
	if s.has(DiesOnRun) && r.GetConfig().GetMetadata().GetName() == "bomb" {
		fmt.Fprintln(os.Stderr, "fake daemon: boom")
		os.Exit(4)
	}
	s.serial++
	id := fmt.Sprintf("%d-%d", os.Getpid(), s.serial)
	if err := os.MkdirAll(s.root, 0o700); err != nil {
		return nil, err
	}
	if err := os.WriteFile(s.file(id), nil, 0o600); err != nil {
		return nil, err
	}
	s.pods[id] = &runtimeapi.PodSandbox{Id: id, Metadata: r.GetConfig().GetMetadata(), State: runtimeapi.PodSandboxState_SANDBOX_READY}
	return &runtimeapi.RunPodSandboxResponse{PodSandboxId: id}, nil
}

func (s *server) file(id string) string { return filepath.Join(s.root, id) }

// StopPodSandbox does nothing.
func (s *server) StopPodSandbox(context.Context, *runtimeapi.StopPodSandboxRequest) (*runtimeapi.StopPodSandboxResponse, error) {
	return &runtimeapi.StopPodSandboxResponse{}, nil
}

// RemovePodSandbox forgets the sandbox and its containers.
func (s *server) RemovePodSandbox(_ context.Context, r *runtimeapi.RemovePodSandboxRequest) (*runtimeapi.RemovePodSandboxResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.has(LeakPod) && !s.leaked {
		s.leaked = true
		return &runtimeapi.RemovePodSandboxResponse{}, nil
	}
	if !s.has(LeakFile) {
		if err := os.RemoveAll(s.file(r.GetPodSandboxId())); err != nil {
			return nil, err
		}
	}
	delete(s.pods, r.GetPodSandboxId())
	s.objects = slices.DeleteFunc(s.objects, func(c *runtimeapi.Container) bool { return c.GetPodSandboxId() == r.GetPodSandboxId() })
	return &runtimeapi.RemovePodSandboxResponse{}, nil
}

// ListPodSandbox ignores its filter.
func (s *server) ListPodSandbox(context.Context, *runtimeapi.ListPodSandboxRequest) (*runtimeapi.ListPodSandboxResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var resp runtimeapi.ListPodSandboxResponse
	for _, p := range s.pods {
		resp.Items = append(resp.Items, p)
	}
	return &resp, nil
}

// CreateContainer creates a container in a known sandbox.
func (s *server) CreateContainer(_ context.Context, r *runtimeapi.CreateContainerRequest) (*runtimeapi.CreateContainerResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pods[r.GetPodSandboxId()] == nil {
		return nil, status.Error(codes.NotFound, "no such sandbox")
	}
	s.serial++
	c := &runtimeapi.Container{Id: fmt.Sprintf("c%d", s.serial), PodSandboxId: r.GetPodSandboxId(), Metadata: r.GetConfig().GetMetadata()}
	s.objects = append(s.objects, c)
	return &runtimeapi.CreateContainerResponse{ContainerId: c.GetId()}, nil
}

// ListContainers ignores its filter.
func (s *server) ListContainers(context.Context, *runtimeapi.ListContainersRequest) (*runtimeapi.ListContainersResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &runtimeapi.ListContainersResponse{Containers: slices.Clone(s.objects)}, nil
}
