package stream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"

	"k8s.io/cri-streaming/pkg/streaming/portforward"
	"k8s.io/streaming/pkg/httpstream/wsstream"
)

// serveForward serves a client of PortForward, which may want any number of
// connections.
func (s *Server) serveForward(w http.ResponseWriter, r *http.Request, ports []int32, dial Dial) {
	f := forwarder{ctx: r.Context(), ports: ports, dial: dial}
	serve := func(w http.ResponseWriter, r *http.Request) {
		portforward.ServePortForward(w, r, f, "", "", &portforward.V4Options{Ports: ports}, s.cfg.IdleTimeout, createTimeout, portforward.SupportedProtocols)
	}
	if wsstream.IsWebSocketRequestWithTunnelingProtocol(r) {
		s.serveTunnel(w, r, serve)
		return
	}
	serve(w, r)
}

// forwarder makes one client's connections.
type forwarder struct {
	ctx   context.Context
	ports []int32
	dial  Dial
}

// PortForward copies between a stream and a port until both directions have
// ended. The end of one is passed on and is not the end of the other.
func (f forwarder) PortForward(_ context.Context, _, _ string, port int32, stream io.ReadWriteCloser) error {
	if len(f.ports) > 0 && !slices.Contains(f.ports, port) {
		return fmt.Errorf("the request named the ports %v", f.ports)
	}
	conn, err := f.dial(f.ctx, uint16(port))
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(f.ctx, func() { _ = conn.Close(); _ = stream.Close() })
	defer stop()
	sent := make(chan error, 1)
	go func() {
		_, err := io.Copy(conn, stream)
		if half, ok := conn.(interface{ CloseWrite() error }); ok {
			err = errors.Join(err, half.CloseWrite())
		}
		sent <- err
	}()
	_, err = io.Copy(stream, conn)
	if err != nil {
		_ = conn.Close() // the client or the port has gone: nothing more gets through
	}
	_ = stream.Close()
	select {
	case <-sent:
	case <-f.ctx.Done():
	}
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
