// Package events is a log of what happens, for readers that follow it. Writing
// never waits: a reader that does not keep up is told how many it has missed.
// The package does not know what an event is, keeps none that every reader has
// read, and nothing on disk.
package events

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// ErrClosed says that the log has ended.
var ErrClosed = errors.New("event log is closed")

// A Missed error says how many events a reader was too slow for.
type Missed struct{ Events uint64 }

func (m *Missed) Error() string { return fmt.Sprintf("missed %d events", m.Events) }

// A Log keeps events until all of its readers have read them, or until there
// are too many.
type Log[E any] struct {
	maxEvents, maxBytes int

	mu      sync.Mutex
	kept    []entry[E]
	first   uint64 // sequence number of kept[0]
	bytes   int    // of what is kept
	readers map[*Reader[E]]bool
	wake    chan struct{} // closed when something is there to be read
	closed  bool
}

type entry[E any] struct {
	event E
	bytes int
}

// New returns a log that keeps as many events, and as many bytes of them.
func New[E any](maxEvents, maxBytes int) *Log[E] {
	return &Log[E]{maxEvents: maxEvents, maxBytes: maxBytes, readers: map[*Reader[E]]bool{}, wake: make(chan struct{})}
}

// Wanted says whether anybody reads.
func (l *Log[E]) Wanted() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.readers) > 0
}

// Append adds an event, whose size in bytes the caller knows best.
func (l *Log[E]) Append(event E, bytes int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.readers) == 0 {
		l.first++
		return
	}
	l.kept = append(l.kept, entry[E]{event, bytes})
	l.bytes += bytes
	for len(l.kept) > l.maxEvents || l.bytes > l.maxBytes && len(l.kept) > 1 {
		l.drop()
	}
	l.tell()
}

// drop forgets the oldest event; mu is held.
func (l *Log[E]) drop() {
	l.bytes -= l.kept[0].bytes
	l.kept[0] = entry[E]{} // the array under it lives on
	l.kept = l.kept[1:]
	l.first++
}

// tell wakes the readers that wait; mu is held.
func (l *Log[E]) tell() {
	close(l.wake)
	l.wake = make(chan struct{})
}

// Close ends the log: its readers read what is there, and then ErrClosed.
func (l *Log[E]) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.tell()
}

// A Reader follows a log from the event on that comes first after it was made.
type Reader[E any] struct {
	log  *Log[E]
	next uint64
}

// Reader returns a reader, which has to be closed.
func (l *Log[E]) Reader() *Reader[E] {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := &Reader[E]{log: l, next: l.first + uint64(len(l.kept))}
	l.readers[r] = true
	return r
}

// Close ends the reading: nothing is kept for the reader any more.
func (r *Reader[E]) Close() {
	r.log.mu.Lock()
	defer r.log.mu.Unlock()
	delete(r.log.readers, r)
	r.log.trim()
}

// Next returns the next event and waits for it. Errors: a *Missed, after which
// the reader goes on with the oldest event that is left; ErrClosed; the
// context's end.
func (r *Reader[E]) Next(ctx context.Context) (E, error) {
	for {
		event, wake, err := r.look()
		if wake == nil {
			return event, err
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return event, context.Cause(ctx)
		}
	}
}

// look returns what is there to be read, or else what tells that it is.
func (r *Reader[E]) look() (event E, wake <-chan struct{}, err error) {
	l := r.log
	l.mu.Lock()
	defer l.mu.Unlock()
	switch at := int64(r.next - l.first); {
	case at < 0:
		r.next = l.first
		return event, nil, &Missed{Events: uint64(-at)}
	case at < int64(len(l.kept)):
		event = l.kept[at].event
		r.next++
		l.trim()
		return event, nil, nil
	}
	if l.closed {
		return event, nil, ErrClosed
	}
	return event, l.wake, nil
}

// trim forgets what every reader has read; mu is held.
func (l *Log[E]) trim() {
	oldest := l.first + uint64(len(l.kept))
	for r := range l.readers {
		oldest = min(oldest, r.next)
	}
	for l.first < oldest {
		l.drop()
	}
}
