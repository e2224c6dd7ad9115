package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"ocid/conformance/target"
	"ocid/tools/rig"
)

type object = map[string]any

// session is what the checks know of each other.
type session struct {
	*target.T
	program string
	dir     string
	used    map[string]bool // subcommands that were run

	image     string
	pod       string
	container string // runs a shell that logs and sleeps
	reader    string // runs cat, with a standard input
}

// configure writes crictl's configuration. JSON is YAML.
func (s *session) configure() error {
	endpoint := rig.Endpoint(s.T)
	return s.writeJSON("crictl.yaml", object{"runtime-endpoint": endpoint, "image-endpoint": endpoint, "timeout": 30})
}

func (s *session) writeJSON(name string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return os.WriteFile(s.path(name), text, 0o600)
}

func (s *session) path(name string) string { return filepath.Join(s.dir, name) }

// command is crictl with the arguments; the first is the subcommand.
func (s *session) command(ctx context.Context, args ...string) *exec.Cmd {
	s.used[args[0]] = true
	return exec.CommandContext(ctx, s.program, append([]string{"--config", s.path("crictl.yaml")}, args...)...)
}

// crictl runs crictl and returns what it prints on standard output, without
// spaces around it. An error holds what it says besides.
func (s *session) crictl(ctx context.Context, args ...string) (string, error) {
	return s.crictlIn(ctx, "", args...)
}

// crictlIn is crictl with a standard input.
func (s *session) crictlIn(ctx context.Context, input string, args ...string) (string, error) {
	cmd := s.command(ctx, args...)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if input != "" {
		cmd.Stdin = strings.NewReader(input)
	}
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("crictl %s: %w: %s%s", strings.Join(args, " "), err, out.String(), said.String())
	}
	return strings.TrimSpace(out.String()), nil
}

// says runs crictl, whose output has to match the patterns.
func (s *session) says(ctx context.Context, patterns []string, args ...string) error {
	out, err := s.crictl(ctx, args...)
	if err != nil {
		return err
	}
	return match(out, patterns...)
}

// match wants all patterns to match, over line ends.
func match(out string, patterns ...string) error {
	for _, p := range patterns {
		if !regexp.MustCompile("(?s)" + p).MatchString(out) {
			return fmt.Errorf("%q does not match %q", out, p)
		}
	}
	return nil
}

// errEnded is the error of a program that ended, which no trying again makes
// good.
var errEnded = errors.New("crictl ended")

// eventually tries until it works, is in vain, or ctx ends; it returns the last
// error.
func eventually(ctx context.Context, try func() error) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try()
		if err == nil || errors.Is(err, errEnded) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-tick.C:
		}
	}
}

// background runs crictl until end is called and hands over its output line by
// line. Its standard input is stdin, which may be nil.
func (s *session) background(ctx context.Context, stdin *os.File, args ...string) (out *lines, end func(), err error) {
	ctx, cancel := context.WithCancel(ctx)
	cmd := s.command(ctx, args...)
	out = &lines{}
	cmd.Stdout, cmd.Stderr = out, out
	if stdin != nil {
		cmd.Stdin = stdin
	}
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		cancel()
		return nil, nil, err
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // what it says is in out
		out.end()
		close(ended)
	}()
	return out, func() {
		cancel()
		<-ended
	}, nil
}

// everyCommand compares what was run with what crictl says that it has.
func everyCommand(ctx context.Context, s *session) error {
	out, err := exec.CommandContext(ctx, s.program, "--help").Output()
	if err != nil {
		return err
	}
	_, list, _ := strings.Cut(string(out), "COMMANDS:\n")
	list, _, _ = strings.Cut(list, "\nGLOBAL OPTIONS")
	var missing []string
	n := 0
	for line := range strings.Lines(list) {
		names := strings.FieldsFunc(strings.SplitN(strings.TrimSpace(line), "  ", 2)[0], func(r rune) bool { return r == ',' || r == ' ' })
		if len(names) == 0 || names[0] == "help" {
			continue
		}
		n++
		if !slices.ContainsFunc(names, func(name string) bool { return s.used[name] }) {
			missing = append(missing, names[0])
		}
	}
	if n == 0 || len(missing) > 0 {
		return fmt.Errorf("of %d subcommands no check runs %v", n, missing)
	}
	return nil
}
