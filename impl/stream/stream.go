// Package stream serves the streams of Exec, Attach and PortForward over HTTP:
// SPDY and WebSocket in every form that clients of Kubernetes offer.
//
// A call of the CRI gets a URL with a token; the client that comes with it gets
// the stream, once and within a time. The package holds tokens and connections
// and refuses to know what a container is: what runs behind a URL is a function
// of its caller's. It ends that function's context when the client has gone.
package stream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
)

const (
	headerTimeout = 10 * time.Second // for a client to send its request's head
	createTimeout = 30 * time.Second // for a SPDY client to open its streams
)

// ErrStopping is the cause of the end of streams that Close ends.
var ErrStopping = errors.New("the daemon is shutting down")

// Config is where and how streams are served.
type Config struct {
	Address     string        // an IP address
	Port        int           // 0 is any that is free
	CertFile    string        // PEM; with KeyFile it makes the URLs https, "" is http
	KeyFile     string        // PEM; both are read anew for each connection
	IdleTimeout time.Duration // a stream on which nothing moves for so long is closed
	URLTimeout  time.Duration // how long a URL waits for its client
	Log         *slog.Logger  // nil discards
}

// Server is an open one. Close has to be called.
type Server struct {
	cfg      Config
	tickets  *tickets
	http     *http.Server
	listener *listener
	base     url.URL
	log      *slog.Logger
	serving  sync.WaitGroup
}

// Open opens the listener and serves. It fails if the address is taken or the
// certificate can't be used.
func Open(cfg Config) (*Server, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{cfg: cfg, tickets: newTickets(cfg.URLTimeout), log: cfg.Log, base: url.URL{Scheme: "http"}}
	config, err := tlsConfig(cfg.CertFile, cfg.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("streaming: %w", err)
	}
	tcp, err := net.Listen("tcp", net.JoinHostPort(cfg.Address, strconv.Itoa(cfg.Port)))
	if err != nil {
		return nil, fmt.Errorf("streaming: %w", err)
	}
	s.base.Host = reachable(tcp.Addr().(*net.TCPAddr))
	s.listener = newListener(tcp)
	s.http = &http.Server{
		Handler: s.routes(), ReadHeaderTimeout: headerTimeout, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		ConnContext: connContext, Protocols: &http.Protocols{},
	}
	s.http.Protocols.SetHTTP1(true) // an upgrade needs it
	var l net.Listener = s.listener
	if config != nil {
		s.base.Scheme = "https"
		l = tls.NewListener(l, config)
	}
	s.serving.Go(func() {
		if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			s.log.Error("streams are no longer served", "err", err)
		}
	})
	return s, nil
}

// reachable is the address for a URL: an unspecified one is the loopback's.
func reachable(a *net.TCPAddr) string {
	ip := a.IP
	switch {
	case !ip.IsUnspecified():
	case ip.To4() != nil:
		ip = net.IPv4(127, 0, 0, 1)
	default:
		ip = net.IPv6loopback
	}
	return net.JoinHostPort(ip.String(), strconv.Itoa(a.Port))
}

// Address is where the server listens.
func (s *Server) Address() string { return s.listener.Addr().String() }

// Close ends every stream with the cause ErrStopping and waits, until ctx ends,
// for what runs behind them. Then all connections are closed.
func (s *Server) Close(ctx context.Context) error {
	s.tickets.close()
	err := s.listener.stop(ctx)
	err = errors.Join(err, s.http.Close())
	s.listener.closeAll()
	s.serving.Wait()
	return err
}

// Options say which streams a client gets.
type Options struct{ Stdin, Stdout, Stderr, TTY bool }

// Size is a terminal's, in characters.
type Size = remotecommand.TerminalSize

// Streams are a client's. Those that Options has not asked for are nil. Stdin
// ends, with an error or without, when the client has gone.
type Streams struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	TTY            bool
	Resize         <-chan Size // nil without a terminal
}

// Command runs a command for a client and returns its exit code. The error is
// of a command that has none.
type Command func(ctx context.Context, s Streams) (code int32, err error)

// Dial connects to a port, 1 to 65535.
type Dial func(ctx context.Context, port uint16) (net.Conn, error)

// Exec returns the URL of a command. The error is ErrFull if too many wait.
func (s *Server) Exec(o Options, run Command) (string, error) {
	return s.url("exec", func(w http.ResponseWriter, r *http.Request) { s.serveCommand(w, r, o, run) })
}

// Attach returns the URL of streams that have no exit code. The error is ErrFull
// if too many wait.
func (s *Server) Attach(o Options, run func(context.Context, Streams) error) (string, error) {
	return s.url("attach", func(w http.ResponseWriter, r *http.Request) {
		s.serveCommand(w, r, o, func(ctx context.Context, c Streams) (int32, error) { return 0, run(ctx, c) })
	})
}

// PortForward returns the URL of connections to ports, to any if none is named.
// The error is ErrFull if too many wait.
func (s *Server) PortForward(ports []int32, dial Dial) (string, error) {
	return s.url("portforward", func(w http.ResponseWriter, r *http.Request) { s.serveForward(w, r, ports, dial) })
}

func (s *Server) url(kind string, serve http.HandlerFunc) (string, error) {
	token, err := s.tickets.issue(kind, serve)
	if err != nil {
		return "", err
	}
	return s.base.JoinPath(kind, token).String(), nil
}

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/{kind}/{token}", func(w http.ResponseWriter, r *http.Request) {
		serve := s.tickets.redeem(r.PathValue("kind"), r.PathValue("token"))
		if serve == nil {
			http.Error(w, "this URL was used, has expired or never was", http.StatusNotFound)
			return
		}
		end := s.listener.begin()
		if end == nil {
			http.Error(w, ErrStopping.Error(), http.StatusServiceUnavailable)
			return
		}
		defer end()
		serve(w, r)
	})
	return mux
}
