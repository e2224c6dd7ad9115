// Package gate stands before every gRPC method: it gives each call an ID, asks
// whether the daemon is ready, holds the request against the spec's table of
// requirements, and turns what a method returns into a gRPC status. It is the
// only package that makes one. It decides nothing about objects.
package gate

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"ocid/spec"
)

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
	cut     *spec.Rule // of calls that outlast the drain
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

// Cut ends the patience with the calls that are still in flight: what they fail
// with from now on is the rule's, if no other speaks for it.
func (g *Gate) Cut(rule spec.Rule) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.cut = &rule
}

// cutShort is the failure of a call, or of its being cut.
func (g *Gate) cutShort(err error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.cut == nil || ruleOf(err) != "" {
		return err
	}
	return &Coded{Code: spec.Unavailable, Err: &Ruled{Rule: g.cut.ID, Err: fmt.Errorf("the daemon is shutting down: %w", err)}}
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
