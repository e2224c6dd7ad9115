package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"time"

	"ocid/conformance/target"
	"ocid/tools/rig"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

type object = map[string]any

// kubelet is a kubelet that has only static pods.
type kubelet struct {
	program, dir, log string
	url               string
	client            http.Client
}

// newKubelet writes the configuration. JSON is YAML.
func newKubelet(t *target.T, bin string) (*kubelet, error) {
	k := &kubelet{program: filepath.Join(bin, "kubelet"), dir: filepath.Join(t.Work(), "kubelet"), log: filepath.Join(bin, "kubelet.log")}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	port := l.Addr().(*net.TCPAddr).Port
	if err := l.Close(); err != nil {
		return nil, err
	}
	k.url = fmt.Sprintf("https://127.0.0.1:%d", port)
	// kubelet signs its certificate itself.
	k.client = http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{Proxy: nil, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	if err := os.MkdirAll(filepath.Dir(k.manifest()), 0o700); err != nil {
		return nil, err
	}
	return k, errors.Join(makeCgroup(t.Var("CGROUP")), k.writeConfig(rig.Endpoint(t), t.Var("CGROUP"), port))
}

func (k *kubelet) manifest() string { return filepath.Join(k.dir, "manifests", "web.yaml") }

func (k *kubelet) writeConfig(endpoint, cgroup string, port int) error {
	text, err := json.Marshal(object{
		"apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
		"staticPodPath": filepath.Dir(k.manifest()), "fileCheckFrequency": "1s", "syncFrequency": "2s",
		"containerRuntimeEndpoint": endpoint,
		"address":                  "127.0.0.1", "port": port, "readOnlyPort": 0, "healthzPort": 0,
		"authentication":  object{"anonymous": object{"enabled": true}, "webhook": object{"enabled": false}},
		"authorization":   object{"mode": "AlwaysAllow"},
		"cgroupDriver":    "cgroupfs",
		"cgroupRoot":      cgroup,
		"failCgroupV1":    false,
		"failSwapOn":      false,
		"oomScoreAdj":     0,
		"podLogsDir":      filepath.Join(filepath.Dir(k.dir), "logs", "pods"),
		"evictionHard":    object{"memory.available": "1Mi", "nodefs.available": "1Mi", "imagefs.available": "1Mi"},
		"featureGates":    object{"PodAndContainerStatsFromCRI": true},
		"volumePluginDir": filepath.Join(k.dir, "plugins"), "localStorageCapacityIsolation": true,
		"makeIPTablesUtilChains": false, "enforceNodeAllocatable": []string{},
	})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(k.dir, "config.yaml"), text, 0o600)
}

// manifest is a static pod with a probe of each sort.
func manifest(image string) []byte {
	text, err := json.Marshal(object{
		"apiVersion": "v1", "kind": "Pod", "metadata": object{"name": "web", "namespace": "default"},
		"spec": object{"terminationGracePeriodSeconds": 1, "containers": []object{{
			"name": "web", "image": image,
			"command":        []string{"/bin/sh", "-c", "echo begins; exec httpd -f -p 80 -h /var/www"},
			"startupProbe":   object{"exec": object{"command": []string{"test", "-d", "/var/www"}}, "periodSeconds": 1},
			"readinessProbe": object{"httpGet": object{"path": "/", "port": 80}, "periodSeconds": 1},
			"livenessProbe":  object{"tcpSocket": object{"port": 80}, "periodSeconds": 1},
			"resources":      object{"limits": object{"memory": "64Mi", "cpu": "500m"}},
		}}},
	})
	if err != nil {
		panic(err) // literals
	}
	return text
}

// run runs kubelet while work works, and puts back the kernel's settings that
// kubelet changes.
func (k *kubelet) run(ctx context.Context, work func() error) (err error) {
	kernel, err := rememberKernel()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, kernel.restore()) }()
	log, err := os.Create(k.log)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	cmd := exec.CommandContext(context.WithoutCancel(ctx), k.program, "--config", filepath.Join(k.dir, "config.yaml"),
		"--root-dir", filepath.Join(k.dir, "root"), "--cert-dir", filepath.Join(k.dir, "pki"), "--hostname-override", "node", "-v=2")
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	done := make(chan error, 1)
	go func() { done <- work() }()
	select {
	case err = <-ended:
		return fmt.Errorf("kubelet ended by itself: %v: %s", err, tail(k.log))
	case err = <-done:
	}
	stop := cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		stop = errors.Join(errors.New("kubelet lives on after SIGTERM"), cmd.Process.Kill())
		<-ended
	}
	return errors.Join(err, stop, k.unmount())
}

// unmount undoes what kubelet leaves mounted: its own directory, made a mount
// point so that mounts below it propagate.
func (k *kubelet) unmount() error {
	root := filepath.Join(k.dir, "root")
	if mounted, err := mountinfo.Mounted(root); err != nil || !mounted {
		return err
	}
	return unix.Unmount(root, unix.MNT_DETACH)
}

func tail(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-3000):])
}

// says asks kubelet until its answer matches all patterns.
func (k *kubelet) says(ctx context.Context, method, path string, patterns ...string) error {
	return eventually(ctx, func() error {
		req, err := http.NewRequestWithContext(ctx, method, k.url+path, nil)
		if err != nil {
			return err
		}
		resp, err := k.client.Do(req)
		if err != nil {
			return err
		}
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			return err
		}
		for _, p := range patterns {
			if !regexp.MustCompile(p).Match(body) {
				return fmt.Errorf("%s %s: %s: %q does not match %q", method, path, resp.Status, p, body)
			}
		}
		return nil
	})
}

// eventually tries until it works or ctx ends; it returns the last error.
func eventually(ctx context.Context, try func() error) error {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-tick.C:
		}
	}
}

// gone is nil when the daemon has no pod any more.
func gone(ctx context.Context, t *target.T) error {
	pods, err := t.Runtime.ListPodSandbox(ctx, &runtimeapi.ListPodSandboxRequest{})
	if err == nil && len(pods.GetItems()) > 0 {
		err = fmt.Errorf("there is still %v", pods.GetItems())
	}
	return err
}
