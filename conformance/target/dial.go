package target

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const maxMessage = 64 << 20 // bytes; ExecSync may answer with 32 MiB

// Dial makes a connection to the unix socket at path; it does not wait for the
// daemon. Calls without a deadline get one of timeout.
func Dial(path string, timeout time.Duration, more ...grpc.DialOption) (*grpc.ClientConn, error) {
	deadline := func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		if _, has := ctx.Deadline(); !has {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, timeout)
			defer cancel()
		}
		return invoke(ctx, method, req, reply, cc, opts...)
	}
	conn, err := grpc.NewClient("unix:"+path, append(more,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithUnaryInterceptor(deadline),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 2 * time.Millisecond, Multiplier: 1.3, MaxDelay: 50 * time.Millisecond},
			MinConnectTimeout: time.Second,
		}))...)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", path, err)
	}
	return conn, nil
}

func (t *T) endpoint() (string, error) {
	if t.cfg.Profile.Endpoint != "" {
		return t.effective().Expand(t.cfg.Profile.Endpoint)
	}
	return t.vars["LISTEN"], nil
}

func (t *T) connect() error {
	if t.conn != nil {
		return nil
	}
	path, err := t.endpoint()
	if err != nil {
		return err
	}
	conn, err := Dial(path, t.cfg.Profile.RPCTimeout.or(30*time.Second), grpc.WithStatsHandler(&t.unruled))
	if err != nil {
		return err
	}
	t.conn = conn
	t.Runtime, t.Images = runtimeapi.NewRuntimeServiceClient(conn), runtimeapi.NewImageServiceClient(conn)
	return nil
}

// waitReady returns when Version answers. A daemon that exits first, or does
// not answer before ctx ends, is an error. Unavailable is asked again: it is
// what a connection to a daemon's predecessor, or a recovering daemon, says.
func (t *T) waitReady(ctx context.Context) error {
	if err := t.connect(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if t.daemon != nil {
		exited := t.daemon.exited
		go func() {
			select {
			case <-exited:
				cancel(errDaemonExited)
			case <-ctx.Done():
			}
		}()
	}
	for {
		version, err := t.Runtime.Version(ctx, &runtimeapi.VersionRequest{}, grpc.WaitForReady(true))
		switch {
		case err == nil:
			if t.version == nil {
				t.version = version
			}
			return nil
		case errors.Is(context.Cause(ctx), errDaemonExited):
			return fmt.Errorf("%w: %s: %s", errDaemonExited, t.daemon, t.daemonLog.tail(t.daemon.logOffset))
		case status.Code(err) != codes.Unavailable || ctx.Err() != nil:
			return fmt.Errorf("daemon does not answer Version: %w: %s", err, t.logTail())
		}
	}
}

var errDaemonExited = errors.New("daemon exited")

func (t *T) logTail() string {
	if t.daemon == nil {
		return "it was not started by the suite"
	}
	return t.daemonLog.tail(t.daemon.logOffset)
}
