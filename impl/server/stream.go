package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"ocid/impl/ledger"
	"ocid/impl/namespace"
	"ocid/impl/oci"
	"ocid/impl/runtime"
	"ocid/impl/stream"
	"ocid/spec"
)

// Exec returns the URL of a command's streams.
func (s *Server) Exec(ctx context.Context, req *runtimeapi.ExecRequest) (*runtimeapi.ExecResponse, error) {
	id := s.containers.Resolve(req.ContainerId)
	if err := s.containers.Step(ctx, id, spec.Exec, ledger.Finish, nil); err != nil {
		return nil, err
	}
	o := stream.Options{Stdin: req.Stdin, Stdout: req.Stdout, Stderr: req.Stderr, TTY: req.Tty}
	url, err := s.Streams.Exec(o, func(ctx context.Context, c stream.Streams) (int32, error) {
		rt, process, err := s.command(id, req.Cmd, req.Tty)
		if err != nil {
			return 0, err
		}
		streams, done := streamsOf(c)
		defer done()
		return rt.ExecStream(ctx, id, process, streams)
	})
	if err != nil {
		return nil, s.noURL(err)
	}
	return &runtimeapi.ExecResponse{Url: url}, nil
}

// Attach returns the URL of a container's streams.
func (s *Server) Attach(ctx context.Context, req *runtimeapi.AttachRequest) (*runtimeapi.AttachResponse, error) {
	id := s.containers.Resolve(req.ContainerId)
	if err := s.containers.Step(ctx, id, spec.Attach, ledger.Finish, nil); err != nil {
		return nil, err
	}
	if e, _ := s.containers.Get(id); e.Data.Config.M.GetTty() != req.Tty {
		return nil, s.refusal("stream.attach.tty", spec.InvalidArgument, "tty", fmt.Errorf("is %t, and the container's is not", req.Tty))
	}
	o := stream.Options{Stdin: req.Stdin, Stdout: req.Stdout, Stderr: req.Stderr, TTY: req.Tty}
	url, err := s.Streams.Attach(o, func(ctx context.Context, c stream.Streams) error { return s.attach(ctx, id, c) })
	if err != nil {
		return nil, s.noURL(err)
	}
	return &runtimeapi.AttachResponse{Url: url}, nil
}

// attach connects a client with a container. Stdin that the container does not
// have, or no longer, is read and thrown away.
func (s *Server) attach(ctx context.Context, id string, c stream.Streams) error {
	e, ok := s.containers.Get(id)
	if !ok {
		return fmt.Errorf("container %q is gone", id)
	}
	rt, err := s.runtimeOf(e.Data.Handler)
	if err != nil {
		return err
	}
	config := e.Data.Config.M
	once := config.GetStdin() && config.GetStdinOnce()
	streams, done := streamsOf(c)
	defer done()
	if streams.Stdin != nil && (!config.GetStdin() || e.Data.StdinClosed) {
		go func(in io.Reader) { _, _ = io.Copy(io.Discard, in) }(streams.Stdin)
		streams.Stdin = nil
	}
	if once && streams.Stdin != nil {
		if err := s.containers.Change(id, func(c *Container) { c.StdinClosed = true }); err != nil {
			return err
		}
	}
	return rt.Attach(ctx, id, runtime.Attach{Streams: streams, Terminal: config.GetTty(), Once: once})
}

// PortForward returns the URL of connections to a sandbox's ports.
func (s *Server) PortForward(ctx context.Context, req *runtimeapi.PortForwardRequest) (*runtimeapi.PortForwardResponse, error) {
	id := s.sandboxes.Resolve(req.PodSandboxId)
	if err := s.sandboxes.Step(ctx, id, spec.PortForward, ledger.Finish, nil); err != nil {
		return nil, err
	}
	url, err := s.Streams.PortForward(req.Port, func(ctx context.Context, port uint16) (net.Conn, error) { return s.dialPod(ctx, id, port) })
	if err != nil {
		return nil, s.noURL(err)
	}
	return &runtimeapi.PortForwardResponse{Url: url}, nil
}

// dialPod connects to a port of a pod: on the loopback interface of its network
// namespace, or, where a VM has a network of its own behind that, at the pod's
// address from outside.
func (s *Server) dialPod(ctx context.Context, id string, port uint16) (net.Conn, error) {
	if err := s.sandboxes.Step(ctx, id, spec.PortForward, ledger.Finish, nil); err != nil {
		return nil, err
	}
	e, _ := s.sandboxes.Get(id)
	sb := &e.Data
	hosts := []string{"127.0.0.1", "::1"}
	if vm := s.Config.Runtime.Handlers[sb.Handler].VM; vm && len(sb.IPs) > 0 {
		hosts = nil
		for _, ip := range sb.IPs {
			hosts = append(hosts, ip.String())
		}
		return dialFirst(ctx, hosts, port)
	}
	if sb.facts()&spec.OnHostNetwork != 0 {
		return dialFirst(ctx, hosts, port)
	}
	var conn net.Conn
	err := namespace.Do(s.netnsPath(id), func() (err error) {
		conn, err = dialFirst(ctx, hosts, port)
		return err
	})
	return conn, err
}

// dialFirst connects to the first host that accepts, without another goroutine.
func dialFirst(ctx context.Context, hosts []string, port uint16) (net.Conn, error) {
	var dialer net.Dialer
	var errs []error
	for _, host := range hosts {
		conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(int(port))))
		if err == nil {
			return conn, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// command is what runs cmd in a container as its first process runs.
func (s *Server) command(id string, cmd []string, tty bool) (*runtime.OCI, specs.Process, error) {
	e, ok := s.containers.Get(id)
	if !ok {
		return nil, specs.Process{}, fmt.Errorf("container %q is gone", id)
	}
	config, err := s.ociConfig(id)
	if err != nil {
		return nil, specs.Process{}, err
	}
	rt, err := s.runtimeOf(e.Data.Handler)
	return rt, oci.ExecProcess(config, cmd, tty), err
}

// streamsOf gives a client's streams to a runtime, until done is called.
func streamsOf(c stream.Streams) (streams runtime.Streams, done func()) {
	streams = runtime.Streams{Stdin: c.Stdin, Stdout: c.Stdout, Stderr: c.Stderr}
	if c.Resize == nil {
		return streams, func() {}
	}
	sizes, over := make(chan runtime.WinSize), make(chan struct{})
	go func() {
		defer close(sizes)
		for size := range c.Resize {
			select {
			case sizes <- runtime.WinSize(size):
			case <-over:
			}
		}
	}()
	streams.Resize = sizes
	return streams, func() { close(over) }
}

// noURL explains why there is none.
func (s *Server) noURL(err error) error {
	if errors.Is(err, stream.ErrFull) {
		return s.refusal("stream.url.many", spec.ResourceExhausted, "", err)
	}
	return s.refusal("stream.url.stopping", spec.Unavailable, "", err)
}
