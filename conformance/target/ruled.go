package target

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
)

const (
	ruleDomain   = "ocid"             // of the ErrorInfo of a refusal
	ruleFallback = "service.internal" // the rule of a failure that no rule foresees
	deadlineNear = 100 * time.Millisecond
)

// An unruled watches the connections to the daemon for answers that are errors
// and name no rule. What the client itself makes up, because there is no
// connection or its caller gave up, is no answer. It is safe for concurrent use.
type unruled struct {
	mu   sync.Mutex
	seen []string
}

type answerKey struct{}

type answer struct {
	method string
	came   atomic.Bool // the daemon has sent the call's trailer
}

// take returns what was seen since the last time, each but once.
func (u *unruled) take() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	seen := u.seen
	u.seen = nil
	if len(seen) == 0 {
		return nil
	}
	slices.Sort(seen)
	return errors.New("errors that name no rule:\n" + strings.Join(slices.Compact(seen), "\n"))
}

// TagRPC remembers the method of a call.
func (u *unruled) TagRPC(ctx context.Context, info *stats.RPCTagInfo) context.Context {
	return context.WithValue(ctx, answerKey{}, &answer{method: info.FullMethodName})
}

// HandleRPC looks at the end of a call.
func (u *unruled) HandleRPC(ctx context.Context, event stats.RPCStats) {
	a, ok := ctx.Value(answerKey{}).(*answer)
	if !ok {
		return
	}
	switch e := event.(type) {
	case *stats.InTrailer:
		a.came.Store(true)
	case *stats.End:
		s := status.Convert(e.Error)
		if e.Error == nil || !a.came.Load() || gaveUp(ctx, s.Code()) || named(s) {
			return
		}
		u.mu.Lock()
		defer u.mu.Unlock()
		u.seen = append(u.seen, fmt.Sprintf("%s: %v", a.method, e.Error))
	}
}

// TagConn does nothing.
func (u *unruled) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

// HandleConn does nothing.
func (u *unruled) HandleConn(context.Context, stats.ConnStats) {}

// gaveUp reports whether an error only says that the caller had no more time;
// the daemon, which counts the same time, may say so a moment before.
func gaveUp(ctx context.Context, code codes.Code) bool {
	deadline, has := ctx.Deadline()
	switch code {
	case codes.Canceled:
		return ctx.Err() != nil
	case codes.DeadlineExceeded:
		return has && time.Until(deadline) < deadlineNear
	}
	return false
}

func named(s *status.Status) bool {
	return slices.ContainsFunc(s.Details(), func(d any) bool {
		info, ok := d.(*errdetails.ErrorInfo)
		return ok && info.GetDomain() == ruleDomain && info.GetReason() != "" && info.GetReason() != ruleFallback
	})
}
