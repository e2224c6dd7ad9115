package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"time"

	"ocid/fixtures/images"

	"github.com/creack/pty"
)

// transports are what crictl can stream over.
func transports() []string { return []string{"spdy", "websocket"} }

func streamChecks() []check {
	all := []check{output("exec --sync CONTAINER cat /var/www/index.html", images.WebPage)}
	for _, transport := range transports() {
		all = append(all,
			output("exec --transport "+transport+" CONTAINER cat /var/www/index.html", "^"+images.WebPage+"$"),
			check{"exec, standard input, " + transport, func(ctx context.Context, s *session) error {
				out, err := s.crictlIn(ctx, "hello\n", "exec", "--interactive", "--transport", transport, s.container, "cat")
				return errors.Join(err, match(out, "^hello$"))
			}},
			check{"exec, exit code, " + transport, func(ctx context.Context, s *session) error {
				_, err := s.crictl(ctx, "exec", "--transport", transport, s.container, "sh", "-c", "exit 7")
				var exit *exec.ExitError
				if !errors.As(err, &exit) {
					return fmt.Errorf("it did not fail: %w", err)
				}
				return match(err.Error(), "exit (status|code) 7")
			}},
			check{"exec, terminal, " + transport, func(ctx context.Context, s *session) error { return s.terminal(ctx, transport) }},
			check{"attach, " + transport, func(ctx context.Context, s *session) error { return s.attach(ctx, transport) }},
			check{"port-forward, " + transport, func(ctx context.Context, s *session) error { return s.forward(ctx, transport) }})
	}
	return append(all, check{"attach without standard input", attachOutput})
}

// attachOutput has a container say something while crictl is attached. What it
// says before, crictl does not see: it is told again and again.
func attachOutput(ctx context.Context, s *session) error {
	out, end, err := s.background(ctx, nil, "attach", s.container)
	if err != nil {
		return err
	}
	defer end()
	return eventually(ctx, func() error {
		_, err := s.crictl(ctx, "exec", "--sync", s.container, "sh", "-c", "kill -USR1 $(cat /tmp/pid)")
		return errors.Join(err, out.has("three"))
	})
}

// terminal runs a command on a terminal of a size that no default has.
func (s *session) terminal(ctx context.Context, transport string) error {
	cmd := s.command(ctx, "exec", "--interactive", "--tty", "--transport", transport, s.container, "sh", "-c",
		"for i in 1 2 3 4 5 6 7 8 9 10; do stty size; sleep 0.1; done")
	terminal, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 33, Cols: 77})
	if err != nil {
		return err
	}
	defer func() { _ = terminal.Close() }()
	out := &lines{}
	copied := make(chan struct{})
	go func() {
		_, _ = io.Copy(out, terminal) // ends with EIO when crictl does
		close(copied)
	}()
	err = cmd.Wait()
	<-copied
	return errors.Join(err, match(out.String(), "33 77"))
}

// attach writes a line to a container's standard input and reads it back.
func (s *session) attach(ctx context.Context, transport string) error {
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	defer func() { _, _ = read.Close(), write.Close() }()
	out, end, err := s.background(ctx, read, "attach", "--stdin", "--transport", transport, s.reader)
	if err != nil {
		return err
	}
	defer end()
	// What is written before crictl has attached waits in the pipe.
	line := "attached over " + transport
	if _, err := write.WriteString(line + "\n"); err != nil {
		return err
	}
	return out.await(ctx, line)
}

// forward fetches the pod's page through a port of the host.
func (s *session) forward(ctx context.Context, transport string) error {
	out, end, err := s.background(ctx, nil, "port-forward", "--transport", transport, s.pod, "0:80")
	if err != nil {
		return err
	}
	defer end()
	ready := regexp.MustCompile(`Forwarding from 127\.0\.0\.1:(\d+) -> 80`)
	if err := out.await(ctx, ready.String()); err != nil {
		return err
	}
	url := "http://127.0.0.1:" + ready.FindStringSubmatch(out.String())[1] + "/"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	client := http.Client{Transport: &http.Transport{Proxy: nil, DisableKeepAlives: true}, Timeout: 10 * time.Second}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	page, err := io.ReadAll(resp.Body)
	return errors.Join(err, match(string(page), images.WebPage))
}

// removeLogs empties the directory of the pods' logs, which are the client's.
func (s *session) removeLogs() error {
	return errors.Join(os.RemoveAll(s.path("logs/pod")), os.RemoveAll(s.path("logs/pod2")))
}
