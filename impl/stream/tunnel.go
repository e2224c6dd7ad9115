package stream

import (
	"bufio"
	"errors"
	"net"
	"net/http"
	"strings"

	"golang.org/x/net/websocket"
	"k8s.io/streaming/pkg/httpstream"
	"k8s.io/streaming/pkg/httpstream/spdy"
)

// tunnelPrefix stands before the name of the protocol inside the tunnel.
const tunnelPrefix = "SPDY/3.1+"

var errNoTunnel = errors.New("no such tunnel")

// serveTunnel serves SPDY inside a WebSocket connection, the form of
// PortForward that current clients offer. For what is inside, the request has
// come as SPDY.
func (s *Server) serveTunnel(w http.ResponseWriter, r *http.Request, serve http.HandlerFunc) {
	websocket.Server{Handshake: chooseTunnel, Handler: func(ws *websocket.Conn) {
		ws.PayloadType = websocket.BinaryFrame
		inner := r.Clone(r.Context())
		inner.Header = http.Header{
			httpstream.HeaderConnection: {httpstream.HeaderUpgrade},
			httpstream.HeaderUpgrade:    {spdy.HeaderSpdy31},
		}
		inner.Header.Set(httpstream.HeaderProtocolVersion, strings.TrimPrefix(ws.Config().Protocol[0], tunnelPrefix))
		serve(&tunnelled{conn: ws, header: http.Header{}}, inner)
	}}.ServeHTTP(w, r)
}

// chooseTunnel takes the first protocol that is a tunnel.
func chooseTunnel(c *websocket.Config, _ *http.Request) error {
	for _, p := range c.Protocol {
		if strings.HasPrefix(p, tunnelPrefix) {
			c.Protocol = []string{p}
			return nil
		}
	}
	return errNoTunnel
}

// tunnelled is the response to a request inside the tunnel: its head was sent
// when the tunnel was made.
type tunnelled struct {
	conn   net.Conn
	header http.Header
}

// Header is thrown away.
func (t *tunnelled) Header() http.Header { return t.header }

// WriteHeader does nothing.
func (t *tunnelled) WriteHeader(int) {}

// Write ends up nowhere: the client speaks SPDY.
func (t *tunnelled) Write(p []byte) (int, error) { return len(p), nil }

// Hijack gives the tunnel away.
func (t *tunnelled) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return t.conn, bufio.NewReadWriter(bufio.NewReader(t.conn), bufio.NewWriter(t.conn)), nil
}
