package target

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/client-go/util/exec"
	"k8s.io/streaming/pkg/httpstream"
)

// Transport is how a stream is fetched.
type Transport string

// The transports of Kubernetes' clients.
const (
	SPDY      Transport = "SPDY"
	WebSocket Transport = "WebSocket"
)

// Transports lists them.
func Transports() []Transport { return []Transport{SPDY, WebSocket} }

// Output is what a client of a stream has got; it may be read meanwhile.
type Output struct {
	mu   sync.Mutex
	data bytes.Buffer
}

// Write adds to it.
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.data.Write(p)
}

// String returns all of it.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.data.String()
}

// Len is the number of bytes.
func (o *Output) Len() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.data.Len()
}

// Terminal gives a stream the sizes of a terminal.
type Terminal chan remotecommand.TerminalSize

// Next waits for the next size; nil when there is none any more.
func (t Terminal) Next() *remotecommand.TerminalSize {
	size, ok := <-t
	if !ok {
		return nil
	}
	return &size
}

// Resize gives the terminal another size.
func (t Terminal) Resize(width, height uint16) {
	t <- remotecommand.TerminalSize{Width: width, Height: height}
}

// A Client is what a client of Exec or Attach has; what is nil is not asked for.
type Client struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Terminal       Terminal // not nil: with a terminal
}

// Stream fetches the stream behind a URL of Exec or Attach until its end.
// Protocols of WebSocket may be given; by default it is the newest one.
func (c Client) Stream(ctx context.Context, via Transport, address string, protocols ...string) error {
	u, err := url.Parse(address)
	if err != nil {
		return err
	}
	var e remotecommand.Executor
	switch {
	case via == SPDY:
		e, err = remotecommand.NewSPDYExecutor(clientConfig(), http.MethodPost, u)
	case len(protocols) > 0:
		e, err = remotecommand.NewWebSocketExecutorForProtocols(clientConfig(), http.MethodGet, address, protocols...)
	default:
		e, err = remotecommand.NewWebSocketExecutor(clientConfig(), http.MethodGet, address)
	}
	if err != nil {
		return err
	}
	o := remotecommand.StreamOptions{Stdin: c.Stdin, Stdout: c.Stdout, Stderr: c.Stderr, Tty: c.Terminal != nil}
	if c.Terminal != nil {
		o.TerminalSizeQueue = c.Terminal
	}
	return e.StreamWithContext(ctx, o)
}

// clientConfig trusts any certificate, as kubelet does on its own node.
func clientConfig() *rest.Config {
	return &rest.Config{TLSClientConfig: rest.TLSClientConfig{Insecure: true}}
}

// ExitCode returns the exit code that a stream ended with; ok is false for an
// error of another kind.
func ExitCode(err error) (code int, ok bool) {
	var exit exec.CodeExitError
	switch {
	case err == nil:
		return 0, true
	case errors.As(err, &exit):
		return exit.Code, true
	}
	return 0, false
}

// A Forwarding is a client of PortForward.
type Forwarding struct {
	conn httpstream.Connection
	next int
}

// Forward comes as a client to a URL of PortForward. Close has to be called.
func Forward(via Transport, address string) (*Forwarding, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	var dialer httpstream.Dialer
	if via == WebSocket {
		dialer, err = portforward.NewSPDYOverWebsocketDialerForStreaming(u, clientConfig())
	} else {
		var transport http.RoundTripper
		var upgrader spdy.Upgrader
		if transport, upgrader, err = spdy.RoundTripperFor(clientConfig()); err == nil {
			dialer = spdy.NewDialerForStreaming(upgrader, &http.Client{Transport: transport}, http.MethodPost, u)
		}
	}
	if err != nil {
		return nil, err
	}
	conn, _, err := dialer.Dial(portforward.PortForwardProtocolV1Name)
	if err != nil {
		return nil, err
	}
	return &Forwarding{conn: conn}, nil
}

// Close ends all connections.
func (f *Forwarding) Close() error { return f.conn.Close() }

// A Connection is one forwarded connection. Closing it ends its output only.
type Connection struct {
	httpstream.Stream
	errs chan string
}

// Connect opens a connection to a port of the pod. Whether anybody listens there
// shows later.
func (f *Forwarding) Connect(port int) (*Connection, error) {
	f.next++
	headers := http.Header{}
	headers.Set("port", strconv.Itoa(port))
	headers.Set("requestID", strconv.Itoa(f.next))
	headers.Set("streamType", "error")
	errs, err := f.conn.CreateStream(headers)
	if err != nil {
		return nil, fmt.Errorf("error stream: %w", err)
	}
	_ = errs.Close() // nothing is sent on it
	headers.Set("streamType", "data")
	data, err := f.conn.CreateStream(headers)
	if err != nil {
		return nil, fmt.Errorf("data stream: %w", err)
	}
	c := &Connection{Stream: data, errs: make(chan string, 1)}
	go func() {
		text, _ := io.ReadAll(errs)
		c.errs <- string(text)
	}()
	return c, nil
}

// Failure waits for the end of the connection's error stream and returns what
// stood there.
func (c *Connection) Failure(ctx context.Context) (string, error) {
	select {
	case text := <-c.errs:
		return text, nil
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

// Get fetches a URL of the stream server as a plain HTTP client would, or one
// that asks for an upgrade, and returns the status code.
func Get(ctx context.Context, address string, header http.Header, config *tls.Config) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return 0, err
	}
	req.Header = header
	transport := &http.Transport{TLSClientConfig: config, DialContext: (&net.Dialer{Timeout: 5 * time.Second}).DialContext, DisableKeepAlives: true}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}
