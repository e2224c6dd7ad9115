package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"ocid/fixtures/images"
)

// check is one check of one or more subcommands.
type check struct {
	what string
	do   func(context.Context, *session) error
}

// output is a check of what a subcommand prints. PLACEHOLDERS in the arguments
// stand for what earlier checks made.
func output(args string, patterns ...string) check {
	return check{args, func(ctx context.Context, s *session) error {
		return s.says(ctx, patterns, s.fill(strings.Fields(args))...)
	}}
}

// fill replaces the placeholders.
func (s *session) fill(args []string) []string {
	r := strings.NewReplacer("IMAGE", s.image, "POD", s.pod, "CONTAINER", s.container, "READER", s.reader)
	filled := make([]string, 0, len(args))
	for _, a := range args {
		filled = append(filled, r.Replace(a))
	}
	return filled
}

func checks() []check {
	var all []check
	for _, part := range [][]check{daemonChecks(), imageChecks(), podChecks(), streamChecks(), numberChecks(), endChecks()} {
		all = append(all, part...)
	}
	return append(all, check{"every subcommand was run", everyCommand})
}

func daemonChecks() []check {
	return []check{
		output("version", `RuntimeName:\s+ocid`, `RuntimeApiVersion:\s+1\.0\.0`),
		output("info", `"RuntimeReady"`, `"NetworkReady"`, `"status": true`),
		output("runtime-config", `(?i)cgroup`),
		output("completion bash", `complete`, `crictl`),
		{"config", func(ctx context.Context, s *session) error {
			if _, err := s.crictl(ctx, "config", "--set", "debug=false"); err != nil {
				return err
			}
			return s.says(ctx, []string{`^30$`}, "config", "--get", "timeout")
		}},
		output("update-runtime-config --pod-cidr 10.1.0.0/16", ``),
	}
}

func imageChecks() []check {
	return []check{
		{"pull", func(ctx context.Context, s *session) error {
			s.image = s.Ref(images.Web).Tagged
			return s.says(ctx, []string{`Image is up to date for `}, "pull", s.image)
		}},
		{"images", func(ctx context.Context, s *session) error {
			return s.says(ctx, []string{images.Web + `\s+1\s+[0-9a-f]{13}\s+[\d.]+ ?[kM]B`}, "images")
		}},
		output("inspecti IMAGE", `"repoTags"`, `"ExposedPorts"`),
		output("imagefsinfo", `"mountpoint"`, `"usedBytes"`, `"inodesUsed"`),
	}
}

func podChecks() []check {
	return []check{
		{"runp", runPod},
		output("pods --name web", `Ready\s+web\s+crictl-test\s+0`),
		output("inspectp POD", `"state": "SANDBOX_READY"`, `"ip": "10\.`),
		{"create", createContainers},
		output("start CONTAINER READER", `[0-9a-f]{64}\s+[0-9a-f]{64}`),
		output("ps --pod POD", `Running\s+shell\s+0`, `Running\s+reader\s+0`),
		output("inspect CONTAINER", `"state": "CONTAINER_RUNNING"`, `"pid": [1-9]`, `"name": "shell"`),
		{"logs", func(ctx context.Context, s *session) error {
			return eventually(ctx, func() error { return s.says(ctx, []string{`^one\ntwo$`}, "logs", s.container) })
		}},
		output("logs --tail 1 CONTAINER", `^two$`),
		output("logs --reopen CONTAINER", ``),
	}
}

func runPod(ctx context.Context, s *session) error {
	err := s.writeJSON("pod.json", object{
		"metadata": object{"name": "web", "namespace": "crictl-test", "uid": "uid", "attempt": 0}, "log_directory": s.path("logs/pod"),
		"linux": object{},
	})
	if err != nil {
		return err
	}
	s.pod, err = s.crictl(ctx, "runp", s.path("pod.json"))
	return errors.Join(err, match(s.pod, `^[0-9a-f]{64}$`))
}

func createContainers(ctx context.Context, s *session) error {
	shell := "echo one; echo two; httpd -p 80 -h /var/www; echo $$ >/tmp/pid; trap 'exit 0' TERM; trap 'echo three' USR1; while :; do sleep 1000 & wait; done"
	err := errors.Join(
		s.writeContainer("shell", object{"command": []string{"/bin/sh", "-c", shell}}),
		s.writeContainer("reader", object{"command": []string{"/bin/cat"}, "stdin": true}),
		s.writeContainer("run", object{"command": []string{"/bin/sleep", "1000"}}))
	if err != nil {
		return err
	}
	if s.container, err = s.crictl(ctx, "create", s.pod, s.path("shell.json"), s.path("pod.json")); err != nil {
		return err
	}
	s.reader, err = s.crictl(ctx, "create", s.pod, s.path("reader.json"), s.path("pod.json"))
	return errors.Join(err, match(s.container, `^[0-9a-f]{64}$`))
}

func (s *session) writeContainer(name string, config object) error {
	config["metadata"] = object{"name": name, "attempt": 0}
	config["image"] = object{"image": s.image}
	config["log_path"] = name + ".log"
	config["linux"] = object{}
	return s.writeJSON(name+".json", config)
}

func endChecks() []check {
	return []check{
		{"run", func(ctx context.Context, s *session) error {
			err := s.writeJSON("pod2.json", object{
				"metadata":      object{"name": "second", "namespace": "crictl-test", "uid": "uid2", "attempt": 0},
				"log_directory": s.path("logs/pod2"), "linux": object{},
			})
			if err != nil {
				return err
			}
			id, err := s.crictl(ctx, "run", s.path("run.json"), s.path("pod2.json"))
			return errors.Join(err, match(id, `^[0-9a-f]{64}$`))
		}},
		{"checkpoint (refused)", func(ctx context.Context, s *session) error {
			_, err := s.crictl(ctx, "checkpoint", "--export", s.path("checkpoint.tar"), s.container)
			if err == nil {
				return errors.New("it worked")
			}
			return match(err.Error(), `Unimplemented`)
		}},
		output("stop --timeout 5 CONTAINER", `[0-9a-f]{64}`),
		output("ps --all --state Exited", `Exited\s+shell`),
		output("rm CONTAINER", `[0-9a-f]{64}`),
		output("stopp POD", `Stopped sandbox [0-9a-f]{64}`),
		output("rmp POD", `Removed sandbox [0-9a-f]{64}`),
		output("rmp --all --force", `Removed sandbox [0-9a-f]{64}`),
		output("rmi IMAGE", `Deleted: .*`+images.Web),
		{"rmi: the image is gone", func(ctx context.Context, s *session) error {
			out, err := s.crictl(ctx, "images", "--quiet", s.image)
			if err == nil && out != "" {
				err = fmt.Errorf("there is %s", out)
			}
			return err
		}},
		{"remove logs", func(_ context.Context, s *session) error { return s.removeLogs() }},
	}
}
