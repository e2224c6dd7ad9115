package main

import (
	"context"
	"fmt"

	"google.golang.org/grpc"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

type step struct {
	what string
	do   func(context.Context) error
}

// steps are one round, in order. A step's name is the call that it makes.
func (w *worker) steps(n int) []step {
	transport := []string{"spdy", "websocket"}[n%2]
	first := func() string { return w.ids[0] }
	return []step{
		{"RunPodSandbox", w.runPod},
		{"CreateContainer", w.createContainers},
		{"StartContainer", w.startContainers},
		{"ExecSync", w.execSync},
		{"Exec, " + transport, func(ctx context.Context) error {
			return w.run(ctx, "hello\n", "hello", "exec", "--interactive", "--transport", transport, first(), "head", "-n", "1")
		}},
		{"Attach, " + transport, func(ctx context.Context) error {
			return w.run(ctx, "hello again\n", "hello again", "attach", "--stdin", "--transport", transport, w.ids[1])
		}},
		{"UpdateContainerResources", func(ctx context.Context) error {
			return call(ctx, w.Runtime.UpdateContainerResources, &runtimeapi.UpdateContainerResourcesRequest{
				ContainerId: first(), Linux: &runtimeapi.LinuxContainerResources{CpuShares: 512 + int64(n%2), MemoryLimitInBytes: 64 << 20},
			})
		}},
		{"ContainerStats", func(ctx context.Context) error {
			return call(ctx, w.Runtime.ContainerStats, &runtimeapi.ContainerStatsRequest{ContainerId: first()})
		}},
		{"ListContainerStats", func(ctx context.Context) error {
			return call(ctx, w.Runtime.ListContainerStats, &runtimeapi.ListContainerStatsRequest{})
		}},
		{"PodSandboxStats", func(ctx context.Context) error {
			return call(ctx, w.Runtime.PodSandboxStats, &runtimeapi.PodSandboxStatsRequest{PodSandboxId: w.pod})
		}},
		{"ReopenContainerLog", func(ctx context.Context) error {
			return call(ctx, w.Runtime.ReopenContainerLog, &runtimeapi.ReopenContainerLogRequest{ContainerId: first()})
		}},
		{"StopContainer", w.each(func(ctx context.Context, id string) error {
			return call(ctx, w.Runtime.StopContainer, &runtimeapi.StopContainerRequest{ContainerId: id, Timeout: 1})
		})},
		{"RemoveContainer", w.each(func(ctx context.Context, id string) error {
			return call(ctx, w.Runtime.RemoveContainer, &runtimeapi.RemoveContainerRequest{ContainerId: id})
		})},
		{"StopPodSandbox", func(ctx context.Context) error {
			return call(ctx, w.Runtime.StopPodSandbox, &runtimeapi.StopPodSandboxRequest{PodSandboxId: w.pod})
		}},
		{"RemovePodSandbox", func(ctx context.Context) error {
			return call(ctx, w.Runtime.RemovePodSandbox, &runtimeapi.RemovePodSandboxRequest{PodSandboxId: w.pod})
		}},
	}
}

// call makes a call whose answer does not matter.
func call[Q, A any](ctx context.Context, rpc func(context.Context, Q, ...grpc.CallOption) (A, error), q Q) error {
	ctx, cancel := context.WithTimeout(ctx, callBound)
	defer cancel()
	_, err := rpc(ctx, q)
	return err
}

func (w *worker) each(do func(context.Context, string) error) func(context.Context) error {
	return func(ctx context.Context) error {
		for _, id := range w.ids {
			if err := do(ctx, id); err != nil {
				return err
			}
		}
		return nil
	}
}

func (w *worker) runPod(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callBound)
	defer cancel()
	resp, err := w.Runtime.RunPodSandbox(ctx, &runtimeapi.RunPodSandboxRequest{Config: w.config})
	w.pod = resp.GetPodSandboxId()
	return err
}

// createContainers makes one that logs and sleeps, and one that ends when it has
// read a line.
func (w *worker) createContainers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callBound)
	defer cancel()
	sleeps := []string{"/bin/sh", "-c", "trap 'exit 0' TERM; echo begins; while :; do sleep 1000 & wait; done"}
	for i, command := range [][]string{sleeps, {"/bin/head", "-n", "1"}} {
		name := fmt.Sprintf("c%d", i)
		resp, err := w.Runtime.CreateContainer(ctx, &runtimeapi.CreateContainerRequest{
			PodSandboxId: w.pod, SandboxConfig: w.config,
			Config: &runtimeapi.ContainerConfig{
				Metadata: &runtimeapi.ContainerMetadata{Name: name}, Image: &runtimeapi.ImageSpec{Image: w.DefaultImage()},
				Command: command, LogPath: name + ".log", Stdin: i == 1, StdinOnce: i == 1, Linux: &runtimeapi.LinuxContainerConfig{},
			},
		})
		if err != nil {
			return err
		}
		w.ids = append(w.ids, resp.GetContainerId())
	}
	return nil
}

func (w *worker) startContainers(ctx context.Context) error {
	return w.each(func(ctx context.Context, id string) error {
		return call(ctx, w.Runtime.StartContainer, &runtimeapi.StartContainerRequest{ContainerId: id})
	})(ctx)
}

func (w *worker) execSync(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callBound)
	defer cancel()
	resp, err := w.Runtime.ExecSync(ctx, &runtimeapi.ExecSyncRequest{ContainerId: w.ids[0], Cmd: []string{"/bin/echo", w.name}, Timeout: 30})
	if err == nil && string(resp.GetStdout()) != w.name+"\n" {
		err = fmt.Errorf("the command printed %q", resp.GetStdout())
	}
	return err
}
