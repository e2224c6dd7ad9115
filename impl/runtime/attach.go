package runtime

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

const (
	attachSocket = "attach" // in the bundle, made by the monitor
	sizeFifo     = "winsz"  // beside it: "HEIGHT WIDTH\n"

	pipeStdout = 2 // first byte of the monitor's packets
	pipeStderr = 3

	maxAttachOut = 64 << 10 // bytes of a packet from the monitor
	maxAttachIn  = 8 << 10  // bytes of a packet to it; a longer one would be cut
)

// Attach is a client of a container's streams.
type Attach struct {
	Streams
	Terminal bool // the container has one
	Once     bool // the monitor closes the container's stdin when a client leaves
}

// Attach connects a client with a container's streams until the container has
// ended, or until ctx ends, which does the container nothing. The error is
// ErrNotRunning if the container has no monitor any more.
//
// Output begins with what the container writes next, and nothing of it is lost
// up to the container's end. A client that falls behind by more than a few
// megabytes is given up with ErrSlow: the monitor would wait for it, and with
// the monitor the container, its log and all other clients.
func (r *OCI) Attach(ctx context.Context, id string, a Attach) error {
	if !idPattern.MatchString(id) {
		return r.fail("attach", strconv.Quote(clip(id)), errors.New("bad container ID"))
	}
	bundle := r.loadRecord(id).Bundle
	conn, err := dialAttach(bundle)
	if err != nil {
		return r.fail("attach", id, err)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	if a.Stdin != nil {
		go a.feed(conn)
	}
	if a.Terminal && a.Resize != nil {
		go resize(filepath.Join(bundle, sizeFifo), a.Resize)
	}
	err = a.receive(conn)
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err == nil || !a.Once || a.Stdin != nil {
		_ = conn.Close()
	} else { // the monitor takes any client's leaving for the end of stdin
		_ = conn.SetReadDeadline(time.Time{})
		go hold(conn)
	}
	if err != nil {
		return r.fail("attach", id, err)
	}
	return nil
}

// hold keeps a connection until the container has ended.
func hold(conn net.Conn) {
	_, _ = io.Copy(io.Discard, conn)
	_ = conn.Close()
}

// dialAttach connects to the monitor. The path goes through a descriptor: the
// bundle's own may be longer than a socket's address.
func dialAttach(bundle string) (*net.UnixConn, error) {
	dir, err := unix.Open(bundle, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, errors.Join(ErrNotRunning, err)
	}
	defer unix.Close(dir)
	addr := &net.UnixAddr{Net: "unixpacket", Name: fmt.Sprintf("/proc/self/fd/%d/%s", dir, attachSocket)}
	conn, err := net.DialUnix(addr.Net, nil, addr)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ECONNREFUSED) {
		err = errors.Join(ErrNotRunning, err)
	}
	return conn, err
}

// feed passes the client's input on, and its end; a terminal has none. It reads
// the input to its end whatever becomes of it, so that the client is never held
// up.
func (a *Attach) feed(conn *net.UnixConn) {
	_, err := io.CopyBuffer(struct{ io.Writer }{conn}, struct{ io.Reader }{a.Stdin}, make([]byte, maxAttachIn))
	if err == nil && !a.Terminal {
		_ = conn.CloseWrite()
	}
	_, _ = io.Copy(io.Discard, a.Stdin)
}

// receive passes the container's output on until its end.
func (a *Attach) receive(conn net.Conn) error {
	out, errs := newBacklog(a.Stdout), newBacklog(a.Stderr)
	err := deliver(conn, map[byte]*backlog{pipeStdout: out, pipeStderr: errs})
	for _, b := range []*backlog{out, errs} {
		b.end()
		if !errors.Is(err, ErrSlow) {
			<-b.done
		}
	}
	return err
}

// deliver sorts the monitor's packets until it hangs up.
func deliver(conn net.Conn, to map[byte]*backlog) error {
	buf := make([]byte, maxAttachOut)
	for {
		n, err := conn.Read(buf)
		if n > 1 && to[buf[0]] != nil {
			if err := to[buf[0]].put(buf[1:n]); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, unix.ECONNRESET):
			return nil
		case err != nil:
			return err
		}
	}
}

// resize tells the monitor the sizes that the client's terminal has.
func resize(fifo string, sizes <-chan WinSize) {
	for size := range sizes {
		f, err := os.OpenFile(fifo, os.O_WRONLY|unix.O_NONBLOCK, 0)
		if err != nil {
			continue // the container has ended; the client learns it from its output
		}
		_, _ = fmt.Fprintf(f, "%d %d\n", size.Height, size.Width)
		_ = f.Close()
	}
}
