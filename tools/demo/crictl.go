package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"

	"ocid/fixtures/images"
)

type object = map[string]any

// writeCrictlConfig points crictl at the daemon. JSON is YAML.
func (d *demo) writeCrictlConfig() error {
	endpoint := "unix://" + d.path("ocid.sock")
	return d.writeJSON("crictl.yaml", object{"runtime-endpoint": endpoint, "image-endpoint": endpoint, "timeout": 60})
}

func (d *demo) writeJSON(name string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return os.WriteFile(d.path(name), text, 0o600)
}

// crictl returns what crictl prints on standard output; its error holds what
// it says besides.
func (d *demo) crictl(ctx context.Context, args ...string) (string, error) {
	out, said, err := d.crictlStreams(ctx, args...)
	if err != nil {
		return "", fmt.Errorf("crictl %s: %w: %s", args[0], err, said)
	}
	return out, nil
}

func (d *demo) crictlStreams(ctx context.Context, args ...string) (stdout, stderr string, err error) {
	cmd := exec.CommandContext(ctx, "bin/crictl", append([]string{"--config", d.path("crictl.yaml")}, args...)...)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	err = cmd.Run()
	return strings.TrimSpace(out.String()), strings.TrimSpace(said.String()), err
}

// crictlShow is a step that runs crictl and shows what it prints.
func (d *demo) crictlShow(args ...string) func(context.Context) error {
	return func(ctx context.Context) error {
		d.show("$ crictl " + strings.Join(args, " "))
		out, err := d.crictl(ctx, args...)
		if err != nil {
			if d.daemon != nil {
				return fmt.Errorf("%w\n%w", err, d.logTail())
			}
			return err
		}
		d.show(out)
		return nil
	}
}

func (d *demo) pull(ctx context.Context) error {
	d.later("remove the image", func(ctx context.Context) error { return d.crictlShow("rmi", d.image)(ctx) })
	return d.crictlShow("pull", d.image)(ctx)
}

func (d *demo) runPod(ctx context.Context) error {
	err := d.writeJSON("pod.json", object{
		"metadata":      object{"name": "web", "namespace": "demo", "uid": "demo", "attempt": 0},
		"log_directory": d.path("logs"),
		"linux":         object{},
	})
	if err != nil {
		return err
	}
	if d.pod, err = d.crictl(ctx, "runp", d.path("pod.json")); err != nil {
		return fmt.Errorf("%w\n%w", err, d.logTail())
	}
	d.later("stop and remove the pod", func(ctx context.Context) error {
		if err := d.crictlShow("stopp", d.pod)(ctx); err != nil {
			return err
		}
		return d.crictlShow("rmp", d.pod)(ctx)
	})
	d.podIP, err = d.crictl(ctx, "inspectp", "--output", "go-template", "--template", "{{.status.network.ip}}", d.pod)
	d.show("pod " + d.pod + " has IP " + d.podIP)
	return err
}

func (d *demo) runContainer(ctx context.Context) error {
	err := d.writeJSON("container.json", object{
		"metadata": object{"name": "httpd", "attempt": 0},
		"image":    object{"image": d.image},
		"log_path": "httpd.log",
		"linux":    object{},
	})
	if err != nil {
		return err
	}
	if d.container, err = d.crictl(ctx, "create", d.pod, d.path("container.json"), d.path("pod.json")); err != nil {
		return fmt.Errorf("%w\n%w", err, d.logTail())
	}
	d.later("stop and remove the container", func(ctx context.Context) error {
		if err := d.crictlShow("stop", d.container)(ctx); err != nil {
			return err
		}
		return d.crictlShow("rm", d.container)(ctx)
	})
	return d.crictlShow("start", d.container)(ctx)
}

// fetch waits for the web server and compares its page.
func (d *demo) fetch(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	url := "http://" + net.JoinHostPort(d.podIP, "80") + "/"
	client := &http.Client{Transport: &http.Transport{Proxy: nil}, Timeout: 5 * time.Second}
	var page string
	err := eventually(ctx, func() error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
		page = string(body)
		return err
	})
	if err != nil {
		return err
	}
	d.show("GET " + url)
	d.show(page)
	if !strings.Contains(page, images.WebPage) {
		return fmt.Errorf("the page at %s does not say %q", url, images.WebPage)
	}
	return nil
}

// logs shows the log, which has to hold the request of fetch. The server
// writes it on standard error, and so does crictl.
func (d *demo) logs(ctx context.Context) error {
	var out string
	err := eventually(ctx, func() error {
		stdout, stderr, err := d.crictlStreams(ctx, "logs", d.container)
		out = strings.TrimSpace(stdout + "\n" + stderr)
		if err == nil && out == "" {
			err = fmt.Errorf("the log of container %s is empty", d.container)
		}
		return err
	})
	d.show("$ crictl logs " + d.container)
	d.show(out)
	return err
}

// exec runs a command without a stream server: ExecSync.
func (d *demo) exec(ctx context.Context) error {
	args := []string{"exec", "--sync", d.container, "cat", "/var/www/index.html"}
	out, err := d.crictl(ctx, args...)
	if err != nil {
		return err
	}
	d.show("$ crictl " + strings.Join(args, " "))
	d.show(out)
	if !strings.Contains(out, images.WebPage) {
		return fmt.Errorf("the command printed %q", out)
	}
	return nil
}
