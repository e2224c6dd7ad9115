package main

import (
	"context"
	"errors"
	"fmt"
)

func numberChecks() []check {
	return []check{
		{"update", func(ctx context.Context, s *session) error {
			if _, err := s.crictl(ctx, "update", "--memory", "67108864", "--cpu-share", "512", s.container); err != nil {
				return err
			}
			return s.says(ctx, []string{`67108864`, `512`}, "inspect", s.container)
		}},
		output("stats --output table", `CONTAINER\s+NAME\s+CPU %\s+MEM`, `shell`),
		output("stats --output json CONTAINER", `"usageCoreNanoSeconds"`, `"workingSetBytes"`, `"writableLayer"`),
		output("statsp --output json POD", `"name": "web"`, `"usageCoreNanoSeconds"`, `"rxBytes"`),
		output("metricdescs", `"name": ".+"`, `"help": ".+"`),
		output("metricsp --output json", `"podSandboxId"`, `"metrics"`),
		{"events", events},
	}
}

// events watches a container come and go.
func events(ctx context.Context, s *session) error {
	out, end, err := s.background(ctx, nil, "events")
	if err != nil {
		return err
	}
	defer end()
	// crictl does not say when it listens: containers are made until it has seen
	// one of them.
	var last string
	attempt := 0
	err = eventually(ctx, func() error {
		if err := out.has(`CONTAINER_CREATED_EVENT`); err == nil || errors.Is(err, errEnded) {
			return err
		}
		if attempt++; attempt%10 != 1 {
			return fmt.Errorf("no event: %q", out.String())
		}
		if last != "" {
			if _, err := s.crictl(ctx, "rm", "--force", last); err != nil {
				return err
			}
		}
		last, err = s.crictl(ctx, "create", s.pod, s.path("run.json"), s.path("pod.json"))
		return errors.Join(errors.New("no event"), err)
	})
	if err != nil {
		return err
	}
	if _, err := s.crictl(ctx, "start", last); err != nil {
		return err
	}
	if err := out.await(ctx, `CONTAINER_STARTED_EVENT`); err != nil {
		return err
	}
	if _, err := s.crictl(ctx, "rm", "--force", last); err != nil {
		return err
	}
	return out.await(ctx, `CONTAINER_STOPPED_EVENT.*CONTAINER_DELETED_EVENT`)
}
