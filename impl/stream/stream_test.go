package stream

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func open(t *testing.T, cfg Config) *Server {
	t.Helper()
	if cfg.Address == "" {
		cfg.Address = "127.0.0.1"
	}
	if cfg.URLTimeout == 0 {
		cfg.URLTimeout, cfg.IdleTimeout = time.Minute, time.Hour
	}
	s, err := Open(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close(context.Background())) })
	return s
}

func TestTickets(t *testing.T) {
	tickets := newTickets(time.Minute)
	serve := func(http.ResponseWriter, *http.Request) {}
	token, err := tickets.issue("exec", serve)
	require.NoError(t, err)
	require.Nil(t, tickets.redeem("attach", token), "another kind")
	require.NotNil(t, tickets.redeem("exec", token))
	require.Nil(t, tickets.redeem("exec", token), "the second time")
	for range maxTickets {
		_, err = tickets.issue("exec", serve)
		require.NoError(t, err)
	}
	_, err = tickets.issue("exec", serve)
	require.ErrorIs(t, err, ErrFull)
	tickets.close()
	_, err = tickets.issue("exec", serve)
	require.ErrorIs(t, err, ErrStopping)
	short := newTickets(time.Millisecond)
	token, err = short.issue("exec", serve)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		short.mu.Lock()
		defer short.mu.Unlock()
		return len(short.waiting) == 0
	}, 5*time.Second, time.Millisecond)
	require.Nil(t, short.redeem("exec", token))
}

func TestReachable(t *testing.T) {
	for ip, want := range map[string]string{"0.0.0.0": "127.0.0.1:7", "::": "[::1]:7", "127.0.0.2": "127.0.0.2:7", "2001:db8::1": "[2001:db8::1]:7"} {
		require.Equal(t, want, reachable(&net.TCPAddr{IP: net.ParseIP(ip), Port: 7}))
	}
}

func TestAddressTaken(t *testing.T) {
	s := open(t, Config{})
	_, port, err := net.SplitHostPort(s.Address())
	require.NoError(t, err)
	n, err := net.LookupPort("tcp", port)
	require.NoError(t, err)
	_, err = Open(Config{Address: "127.0.0.1", Port: n})
	require.Error(t, err)
	_, err = Open(Config{Address: "127.0.0.1", CertFile: "/no/such/file", KeyFile: "/no/such/file"})
	require.ErrorContains(t, err, "certificate")
}

// webSocket opens a raw connection to a URL, as far as the upgrade.
func webSocket(t *testing.T, url string) net.Conn {
	t.Helper()
	host, path, _ := strings.Cut(strings.TrimPrefix(url, "http://"), "/")
	conn, err := net.Dial("tcp", host)
	require.NoError(t, err)
	_, err = io.WriteString(conn, "GET /"+path+" HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: v5.channel.k8s.io\r\nOrigin: http://x\r\n\r\n")
	require.NoError(t, err)
	return conn
}

func TestContextEndsWithTheClient(t *testing.T) {
	s := open(t, Config{})
	running, ended := make(chan bool), make(chan error)
	url, err := s.Exec(Options{Stdout: true}, func(ctx context.Context, _ Streams) (int32, error) {
		close(running)
		<-ctx.Done()
		ended <- context.Cause(ctx)
		return 0, context.Cause(ctx)
	})
	require.NoError(t, err)
	conn := webSocket(t, url)
	<-running
	require.NoError(t, conn.Close())
	require.ErrorIs(t, <-ended, errClientGone)
}

func TestCloseEndsStreams(t *testing.T) {
	s := open(t, Config{})
	running := make(chan bool)
	url, err := s.Attach(Options{Stdout: true}, func(ctx context.Context, _ Streams) error {
		close(running)
		<-ctx.Done()
		return context.Cause(ctx)
	})
	require.NoError(t, err)
	conn := webSocket(t, url)
	defer conn.Close()
	<-running
	require.NoError(t, s.Close(context.Background()))
	got, _ := io.ReadAll(conn)
	require.Contains(t, string(got), ErrStopping.Error(), "the client is told")
}

func TestStatus(t *testing.T) {
	require.Equal(t, status{Status: "Success"}, statusOf(nil))
	require.Equal(t, "InternalError", statusOf(errors.New("x")).Reason)
}
