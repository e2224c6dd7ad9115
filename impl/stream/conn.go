package stream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// linger is how long a connection that is closed waits for its client to take
// what was sent: closing at once, with input unread, would have the kernel throw
// the output away.
const linger = 2 * time.Second

var errClientGone = errors.New("the client has gone")

// listener knows its connections, hijacked ones too.
type listener struct {
	net.Listener

	mu      sync.Mutex
	conns   map[*conn]bool
	serving sync.WaitGroup
	stopped bool
}

func newListener(l net.Listener) *listener { return &listener{Listener: l, conns: map[*conn]bool{}} }

// Accept waits for the next connection.
func (l *listener) Accept() (net.Conn, error) {
	tcp, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: tcp, l: l}
	c.ctx, c.end = context.WithCancelCause(context.WithValue(context.Background(), connKey{}, c))
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped {
		return nil, errors.Join(net.ErrClosed, tcp.Close())
	}
	l.conns[c] = true
	return c, nil
}

// begin counts what runs behind a connection, until end is called. It returns
// nil when nothing may begin any more.
func (l *listener) begin() (end func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped {
		return nil
	}
	l.serving.Add(1)
	return l.serving.Done
}

// stop takes no more connections, ends the contexts of those that are there and
// waits, until ctx ends, for what runs behind them.
func (l *listener) stop(ctx context.Context) error {
	l.mu.Lock()
	l.stopped = true
	for c := range l.conns {
		c.end(ErrStopping)
	}
	l.mu.Unlock()
	err := l.Close()
	if errors.Is(err, net.ErrClosed) {
		err = nil // stopped before
	}
	done := make(chan struct{})
	go func() { l.serving.Wait(); close(done) }()
	select {
	case <-done:
		return err
	case <-ctx.Done():
		return errors.Join(err, fmt.Errorf("streams go on: %w", context.Cause(ctx)))
	}
}

// closeAll closes every connection, without lingering for long.
func (l *listener) closeAll() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		_ = c.Conn.SetDeadline(time.Now())
	}
}

func (l *listener) forget(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, c)
}

// conn is a connection whose context ends when its client has gone. The HTTP
// libraries tell nobody once a connection is hijacked.
type conn struct {
	net.Conn
	l    *listener
	ctx  context.Context
	end  context.CancelCauseFunc
	once sync.Once
}

// Read reads, and notices the end.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		c.end(errClientGone)
		_ = c.SetWriteDeadline(time.Now().Add(linger)) // a client that has half gone does not read
	}
	return n, err
}

// Close sends what was written, then the end, and gives the client a moment to
// take both. It does not wait for that.
func (c *conn) Close() error {
	c.end(errClientGone)
	c.once.Do(func() {
		_ = c.SetDeadline(time.Now().Add(linger))
		if tcp, ok := c.Conn.(*net.TCPConn); ok {
			_ = tcp.CloseWrite()
		}
		go func() {
			_, _ = io.Copy(io.Discard, c.Conn)
			_ = c.Conn.Close()
			c.l.forget(c)
		}()
	})
	return nil
}

// connKey is the key of a connection in its own context.
type connKey struct{}

// giveUp gives the client of a connection, by its context, a moment to take what
// was sent; what it then has not taken, and who waits to send more, is given up.
func giveUp(ctx context.Context) {
	if c, ok := ctx.Value(connKey{}).(*conn); ok {
		_ = c.SetWriteDeadline(time.Now().Add(linger))
	}
}

// connContext gives a request the context of its connection.
func connContext(_ context.Context, c net.Conn) context.Context {
	if wrapped, ok := c.(interface{ NetConn() net.Conn }); ok { // of TLS
		c = wrapped.NetConn()
	}
	return c.(*conn).ctx
}
