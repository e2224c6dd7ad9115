package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"ocid/conformance/target"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const (
	podBound = time.Minute
	again    = 5 * time.Millisecond // between two attempts to get the page
)

// measure runs one pod to the first answer of its server, and removes it.
func measure(ctx context.Context, t *target.T, handler string, n int) (took time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, podBound)
	defer cancel()
	config := &runtimeapi.PodSandboxConfig{
		Metadata: &runtimeapi.PodSandboxMetadata{Name: fmt.Sprintf("%s-%d", handler, n), Namespace: "ready", Uid: fmt.Sprintf("%s-%d", handler, n)},
		Linux:    &runtimeapi.LinuxPodSandboxConfig{CgroupParent: t.Var("CGROUP")},
	}
	begun := time.Now()
	pod, err := t.Runtime.RunPodSandbox(ctx, &runtimeapi.RunPodSandboxRequest{Config: config, RuntimeHandler: handler})
	if err != nil {
		return 0, err
	}
	defer func() {
		_, rerr := t.Runtime.RemovePodSandbox(context.WithoutCancel(ctx), &runtimeapi.RemovePodSandboxRequest{PodSandboxId: pod.PodSandboxId})
		err = errors.Join(err, rerr)
	}()
	if err := serve(ctx, t, pod.PodSandboxId, config); err != nil {
		return 0, err
	}
	status, err := t.Runtime.PodSandboxStatus(ctx, &runtimeapi.PodSandboxStatusRequest{PodSandboxId: pod.PodSandboxId})
	if err != nil {
		return 0, err
	}
	err = answer(ctx, status.GetStatus().GetNetwork().GetIp())
	return time.Since(begun), err
}

// serve starts the container with the server.
func serve(ctx context.Context, t *target.T, pod string, config *runtimeapi.PodSandboxConfig) error {
	container, err := t.Runtime.CreateContainer(ctx, &runtimeapi.CreateContainerRequest{
		PodSandboxId: pod, SandboxConfig: config,
		Config: &runtimeapi.ContainerConfig{
			Metadata: &runtimeapi.ContainerMetadata{Name: "server"},
			Image:    &runtimeapi.ImageSpec{Image: t.DefaultImage()},
			Command:  []string{"sh", "-c", "echo ready > /index.html && exec busybox httpd -f -p 80 -h /"},
		},
	})
	if err != nil {
		return err
	}
	_, err = t.Runtime.StartContainer(ctx, &runtimeapi.StartContainerRequest{ContainerId: container.ContainerId})
	return err
}

// answer waits for the page.
func answer(ctx context.Context, ip string) error {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	tick := time.NewTicker(again)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(ip, "80")+"/index.html", http.NoBody)
		if err != nil {
			return err
		}
		res, err := client.Do(req)
		if err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
			err = errors.New(res.Status)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("no answer from %s: %w", ip, err)
		}
	}
}
