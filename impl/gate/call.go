package gate

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// Unary is the interceptor of the calls that have one answer.
func (g *Gate) Unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	var res any
	err := g.call(ctx, info.FullMethod, func(ctx context.Context) (err error) {
		if err = g.admit(info.FullMethod, req); err == nil {
			res, err = handle(ctx, req)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return res, nil
}

// Stream is the interceptor of the calls that answer with a stream.
func (g *Gate) Stream(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	return g.call(stream.Context(), info.FullMethod, func(ctx context.Context) error {
		return handle(server, &guarded{ServerStream: stream, ctx: ctx, gate: g, method: info.FullMethod})
	})
}

// A guarded stream knows its call's context and gives its method no request
// that a row refuses.
type guarded struct {
	grpc.ServerStream
	ctx    context.Context
	gate   *Gate
	method string
}

func (s *guarded) Context() context.Context { return s.ctx }

func (s *guarded) RecvMsg(m any) error {
	if err := s.ServerStream.RecvMsg(m); err != nil {
		return err
	}
	return s.gate.admit(s.method, m)
}

// call lets one call through, whatever its kind, and gives its error a status.
func (g *Gate) call(ctx context.Context, full string, handle func(context.Context) error) error {
	log := g.log.With("request", g.boot+"-"+strconv.FormatUint(g.next.Add(1), 36), "call", method(full))
	start := time.Now()
	if err := g.counted(With(ctx, log), full, handle); err != nil {
		log.Warn("refused", "err", err, "took", time.Since(start))
		return toStatus(g.cutShort(err))
	}
	log.Debug("answered", "took", time.Since(start))
	return nil
}

func (g *Gate) counted(ctx context.Context, full string, handle func(context.Context) error) (err error) {
	if err := g.enter(); err != nil {
		return err
	}
	defer g.leave()
	defer func() {
		if r := recover(); r != nil { // one call's failure, not every pod's
			Log(ctx).Error("panic", "panic", r, "stack", string(debug.Stack()))
			err = fmt.Errorf("%s: panic: %v", method(full), r)
		}
	}()
	return handle(ctx)
}

// admit holds a request against the rows of its call.
func (g *Gate) admit(full string, req any) error {
	if m, ok := req.(proto.Message); ok {
		return Validate(g.requests[method(full)], m)
	}
	return nil
}

// method is the last part of a full method name.
func method(full string) string { return full[strings.LastIndexByte(full, '/')+1:] }

type logKey struct{}

// With returns a context that carries the logger of a call.
func With(ctx context.Context, log *slog.Logger) context.Context {
	return context.WithValue(ctx, logKey{}, log)
}

// Log returns the logger of the call, which names its request ID.
func Log(ctx context.Context) *slog.Logger {
	if log, ok := ctx.Value(logKey{}).(*slog.Logger); ok {
		return log
	}
	return slog.Default()
}
