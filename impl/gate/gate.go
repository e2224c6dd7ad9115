// Package gate stands before every gRPC method: it gives each call an ID, asks
// whether the daemon is ready, holds the request against the spec's table of
// requirements, and turns what a method returns into a gRPC status. It is the
// only package that makes one. It decides nothing about objects.
package gate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"ocid/spec"
)

// Domain is the domain of the google.rpc.ErrorInfo that refusals carry.
const Domain = "ocid"

// A Gate is what interceptors ask. The zero value is not usable; see New.
type Gate struct {
	requests map[string][]spec.Requirement
	log      *slog.Logger
	boot     string
	next     atomic.Uint64

	mu      sync.Mutex
	refuse  *spec.Refusal // while the daemon is not ready
	calls   int
	drained chan struct{} // closed when closing and no call is left
	closing bool
}

// New returns a gate that admits calls that satisfy the requirements.
func New(requests []spec.Requirement, log *slog.Logger) *Gate {
	g := &Gate{requests: map[string][]spec.Requirement{}, log: log, drained: make(chan struct{}), boot: strconv.FormatInt(time.Now().Unix(), 36)}
	for _, r := range requests {
		g.requests[r.RPC] = append(g.requests[r.RPC], r)
	}
	return g
}

// Close refuses every call from now on with the rule. Calls in flight go on.
func (g *Gate) Close(rule spec.Rule, reason string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.refuse = &spec.Refusal{Rule: rule, Code: spec.Unavailable, Object: "daemon", Reason: reason}
	if !g.closing && g.calls == 0 {
		close(g.drained)
	}
	g.closing = true
}

// Drain waits until the calls in flight are over, or the context.
func (g *Gate) Drain(ctx context.Context) error {
	select {
	case <-g.drained:
		return nil
	case <-ctx.Done():
		g.mu.Lock()
		defer g.mu.Unlock()
		return fmt.Errorf("%d calls are still in flight: %w", g.calls, context.Cause(ctx))
	}
}

func (g *Gate) enter() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.refuse != nil {
		return g.refuse
	}
	g.calls++
	return nil
}

func (g *Gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.calls--
	if g.closing && g.calls == 0 {
		close(g.drained)
	}
}

// Unary is the interceptor of the calls that have one answer.
func (g *Gate) Unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	log := g.log.With("request", g.boot+"-"+strconv.FormatUint(g.next.Add(1), 36), "call", method(info.FullMethod))
	start := time.Now()
	res, err := g.unary(With(ctx, log), req, method(info.FullMethod), handle)
	if err != nil {
		log.Warn("refused", "err", err, "took", time.Since(start))
		return nil, toStatus(err)
	}
	log.Debug("answered", "took", time.Since(start))
	return res, nil
}

func (g *Gate) unary(ctx context.Context, req any, call string, handle grpc.UnaryHandler) (res any, err error) {
	if err := g.enter(); err != nil {
		return nil, err
	}
	defer g.leave()
	defer func() {
		if r := recover(); r != nil { // one call's failure, not every pod's
			Log(ctx).Error("panic", "panic", r, "stack", string(debug.Stack()))
			err = fmt.Errorf("%s: panic: %v", call, r)
		}
	}()
	if m, ok := req.(proto.Message); ok {
		if err := Validate(g.requests[call], m); err != nil {
			return nil, err
		}
	}
	return handle(ctx, req)
}

func method(full string) string {
	for i := len(full) - 1; i >= 0; i-- {
		if full[i] == '/' {
			return full[i+1:]
		}
	}
	return full
}

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

// A Coded error knows the gRPC code of its cause, and the rule that asks for
// it if there is one; the message stays its own.
type Coded struct {
	Code spec.Code
	Rule spec.ID
	Err  error
}

func (c *Coded) Error() string { return c.Err.Error() }

func (c *Coded) Unwrap() error { return c.Err }

// toStatus makes the status of an error: the row's code and name if a row
// refused, the code that a cause asks for, or Internal.
func toStatus(err error) error {
	var refusal *spec.Refusal
	var coded *Coded
	code, rule := codes.Internal, spec.ID("")
	if _, ok := err.(interface{ GRPCStatus() *status.Status }); ok {
		return err // Unimplemented, as the generated code has it
	}
	switch {
	case errors.As(err, &refusal):
		code, rule = refusal.Code, refusal.Rule.ID
	case errors.As(err, &coded):
		code, rule = coded.Code, coded.Rule
	case errors.Is(err, context.DeadlineExceeded):
		code = codes.DeadlineExceeded
	case errors.Is(err, context.Canceled):
		code = codes.Canceled
	}
	var ruled interface{ RuleID() spec.ID }
	if rule == "" && errors.As(err, &ruled) {
		rule = ruled.RuleID()
	}
	s := status.New(code, short(err.Error()))
	if rule != "" {
		if with, derr := s.WithDetails(&errdetails.ErrorInfo{Reason: string(rule), Domain: Domain}); derr == nil {
			s = with
		}
	}
	return s.Err()
}

// maxMessage bounds a refusal, in bytes: with its details it has to fit into the
// 8 KiB of metadata that gRPC libraries of other languages take.
const maxMessage = 2048

// short cuts what a caller, or a program that failed, made too long.
func short(message string) string {
	if len(message) <= maxMessage {
		return message
	}
	const cut = "…"
	return strings.ToValidUTF8(message[:maxMessage-len(cut)], "") + cut
}
