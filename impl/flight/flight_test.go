package flight

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const patience = 10 * time.Second

// waitFor waits until n callers wait for key.
func waitFor(t *testing.T, g *Group[int], key string, n int) {
	t.Helper()
	require.Eventually(t, func() bool { return g.Waiting(key) == n }, patience, time.Millisecond)
}

type answer struct {
	value int
	err   error
}

// start calls Do in a goroutine and returns where its answer will come.
func start(ctx context.Context, g *Group[int], key string, fn func(context.Context) (int, error)) <-chan answer {
	out := make(chan answer, 1)
	go func() {
		v, err := g.Do(ctx, key, fn)
		out <- answer{v, err}
	}()
	return out
}

func get(t *testing.T, c <-chan answer) answer {
	t.Helper()
	select {
	case a := <-c:
		return a
	case <-time.After(patience):
		require.Fail(t, "no answer")
		return answer{}
	}
}

func TestEqualKeysShareOneRun(t *testing.T) {
	var g Group[int]
	var runs atomic.Int32
	release := make(chan struct{})
	fn := func(context.Context) (int, error) {
		runs.Add(1)
		<-release
		return 7, nil
	}
	var answers []<-chan answer
	for range 20 {
		answers = append(answers, start(t.Context(), &g, "k", fn))
	}
	other := start(t.Context(), &g, "other", func(context.Context) (int, error) { return 8, nil })
	assert.Equal(t, answer{8, nil}, get(t, other), "another key is another run")
	waitFor(t, &g, "k", 20)
	close(release)
	for _, a := range answers {
		assert.Equal(t, answer{7, nil}, get(t, a))
	}
	assert.EqualValues(t, 1, runs.Load())
	v, err := g.Do(t.Context(), "k", func(context.Context) (int, error) { return 9, nil })
	require.NoError(t, err)
	assert.Equal(t, 9, v, "a finished run is forgotten")
}

func TestCallerLeavesAloneTheOthers(t *testing.T) {
	var g Group[int]
	release := make(chan struct{})
	ended := make(chan error, 1)
	fn := func(ctx context.Context) (int, error) {
		select {
		case <-release:
			return 1, nil
		case <-ctx.Done():
			ended <- context.Cause(ctx)
			return 0, ctx.Err()
		}
	}
	leader, leave := context.WithCancelCause(t.Context())
	first := start(leader, &g, "k", fn)
	waitFor(t, &g, "k", 1)
	second := start(t.Context(), &g, "k", fn)
	waitFor(t, &g, "k", 2)

	why := errors.New("client went away")
	leave(why)
	assert.ErrorIs(t, get(t, first).err, why, "the one who started the run leaves at once")
	assert.Equal(t, 1, g.Waiting("k"))
	close(release)
	assert.Equal(t, answer{1, nil}, get(t, second))
	assert.Empty(t, ended, "the run was not cancelled")
}

func TestLastCallerCancelsAndFreesTheKey(t *testing.T) {
	var g Group[int]
	cause := make(chan error, 1)
	hold := make(chan struct{})
	stubborn := func(ctx context.Context) (int, error) {
		<-ctx.Done()
		cause <- context.Cause(ctx)
		<-hold
		return 0, ctx.Err()
	}
	ctx, cancel := context.WithCancel(t.Context())
	first := start(ctx, &g, "k", stubborn)
	waitFor(t, &g, "k", 1)
	cancel()
	require.ErrorIs(t, get(t, first).err, context.Canceled)
	require.ErrorIs(t, <-cause, ErrLeft)

	// The old run still holds on; the key is free all the same.
	v, err := g.Do(t.Context(), "k", func(context.Context) (int, error) { return 2, nil })
	require.NoError(t, err)
	assert.Equal(t, 2, v)

	// A new run of the same key survives the end of the old one.
	release := make(chan struct{})
	again := start(t.Context(), &g, "k", func(context.Context) (int, error) { <-release; return 3, nil })
	waitFor(t, &g, "k", 1)
	close(hold)
	joined := start(t.Context(), &g, "k", func(context.Context) (int, error) { return 4, nil })
	waitFor(t, &g, "k", 2)
	close(release)
	assert.Equal(t, answer{3, nil}, get(t, again))
	assert.Equal(t, answer{3, nil}, get(t, joined))
}

func TestEndedContextStartsNothing(t *testing.T) {
	var g Group[int]
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := g.Do(ctx, "k", func(context.Context) (int, error) {
		t.Error("must not run")
		return 0, nil
	})
	assert.ErrorIs(t, err, context.Canceled)
}

func TestErrorsAndPanicsReachTheCaller(t *testing.T) {
	var g Group[int]
	bad := errors.New("bad")
	_, err := g.Do(t.Context(), "k", func(context.Context) (int, error) { return 0, bad })
	assert.ErrorIs(t, err, bad)
	_, err = g.Do(t.Context(), "k", func(context.Context) (int, error) { panic("boom") })
	assert.ErrorContains(t, err, "boom")
	assert.Zero(t, g.Waiting("k"))
}

type key struct{}

func TestRunKeepsValuesButNotTheDeadline(t *testing.T) {
	var g Group[int]
	ctx, cancel := context.WithTimeout(context.WithValue(t.Context(), key{}, 5), time.Hour)
	defer cancel()
	v, err := g.Do(ctx, "k", func(ctx context.Context) (int, error) {
		_, limited := ctx.Deadline()
		assert.False(t, limited)
		return ctx.Value(key{}).(int), nil
	})
	require.NoError(t, err)
	assert.Equal(t, 5, v)
}

func TestNoGoroutineStays(t *testing.T) {
	before := runtime.NumGoroutine()
	var g Group[int]
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if i%3 == 0 {
				cancel()
			}
			_, _ = g.Do(ctx, string(rune('a'+i%5)), func(ctx context.Context) (int, error) {
				select {
				case <-ctx.Done():
				case <-time.After(time.Duration(i%7) * time.Millisecond):
				}
				return i, nil
			})
		})
	}
	wg.Wait()
	// Eventually itself runs the condition in one more goroutine.
	assert.Eventually(t, func() bool { return runtime.NumGoroutine() <= before+1 }, patience, time.Millisecond,
		"goroutines stay behind")
	for i := range 5 {
		assert.Zero(t, g.Waiting(string(rune('a'+i))))
	}
}
