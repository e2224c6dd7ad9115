package events

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

func read(t *testing.T, r *Reader[int], want ...int) {
	t.Helper()
	for _, w := range want {
		got, err := r.Next(t.Context())
		require.NoError(t, err)
		require.Equal(t, w, got)
	}
}

func TestReadersReadWhatComesAfterThem(t *testing.T) {
	l := New[int](10, 100)
	require.False(t, l.Wanted())
	l.Append(1, 1)
	a := l.Reader()
	require.True(t, l.Wanted())
	l.Append(2, 1)
	b := l.Reader()
	l.Append(3, 1)
	read(t, a, 2, 3)
	read(t, b, 3)
	require.Empty(t, l.kept, "what all have read")
	require.Zero(t, l.bytes)
	a.Close()
	b.Close()
	require.False(t, l.Wanted())
	l.Append(4, 1)
	read(t, func() *Reader[int] { r := l.Reader(); l.Append(5, 1); return r }(), 5)
}

func TestSlowReaderIsToldWhatItMissed(t *testing.T) {
	for name, l := range map[string]*Log[int]{"events": New[int](3, 1000), "bytes": New[int](1000, 35)} {
		t.Run(name, func(t *testing.T) {
			slow, fast := l.Reader(), l.Reader()
			for i := range 8 {
				l.Append(i, 10)
				read(t, fast, i)
			}
			_, err := slow.Next(t.Context())
			var missed *Missed
			require.ErrorAs(t, err, &missed)
			require.Equal(t, uint64(5), missed.Events)
			require.EqualError(t, err, "missed 5 events")
			read(t, slow, 5, 6, 7)
		})
	}
}

func TestOneEventThatIsTooLargeIsKept(t *testing.T) {
	l := New[int](3, 10)
	r := l.Reader()
	l.Append(1, 1000)
	read(t, r, 1)
}

func TestOneThatGoesHoldsNothingBack(t *testing.T) {
	l := New[int](3, 10)
	slow, fast := l.Reader(), l.Reader()
	l.Append(1, 1)
	read(t, fast, 1)
	require.Len(t, l.kept, 1)
	slow.Close()
	require.Empty(t, l.kept)
}

func TestNextWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New[int](3, 10)
		r := l.Reader()
		var got []int
		var err error
		done := make(chan struct{})
		go func() {
			defer close(done)
			for err == nil {
				var e int
				if e, err = r.Next(t.Context()); err == nil {
					got = append(got, e)
				}
			}
		}()
		synctest.Wait()
		l.Append(1, 1)
		synctest.Wait()
		require.Equal(t, []int{1}, got)
		l.Append(2, 1)
		l.Close()
		<-done
		require.Equal(t, []int{1, 2}, got, "what was there before the end")
		require.ErrorIs(t, err, ErrClosed)

		ctx, cancel := context.WithCancelCause(t.Context())
		gone := errors.New("gone")
		cancel(gone)
		_, err = New[int](1, 1).Reader().Next(ctx)
		require.ErrorIs(t, err, gone)
	})
}

// Under the race detector: writers and readers side by side lose nothing.
func TestManyAtOnce(t *testing.T) {
	const events = 500
	l := New[int](2*events, 1<<20)
	var readers, writers sync.WaitGroup
	for range 4 {
		r := l.Reader()
		readers.Go(func() {
			defer r.Close()
			seen := map[int]bool{}
			for {
				e, err := r.Next(t.Context())
				if errors.Is(err, ErrClosed) {
					break
				}
				require.NoError(t, err)
				require.False(t, seen[e])
				seen[e] = true
			}
			require.Len(t, seen, 2*events)
		})
	}
	for w := range 2 {
		writers.Go(func() {
			for i := range events {
				l.Append(w*events+i, 1)
			}
		})
	}
	writers.Wait()
	l.Close()
	readers.Wait()
	require.Empty(t, l.kept)
}
