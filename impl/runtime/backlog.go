package runtime

import (
	"fmt"
	"io"
	"slices"
	"sync"
)

const (
	maxBacklog = 4 << 20  // bytes of one output that may wait for a client
	maxPiece   = 32 << 10 // bytes written to it at once: clients keep a number of pieces of any size
)

// backlog is output that waits for its client, so that nobody else does.
type backlog struct {
	to   io.Writer // nil throws the output away
	more chan struct{}
	done chan struct{} // closed when all is written

	mu    sync.Mutex
	data  []byte
	ended bool
}

func newBacklog(to io.Writer) *backlog {
	b := &backlog{to: to, more: make(chan struct{}, 1), done: make(chan struct{})}
	go b.write()
	return b
}

// put adds output; it never waits. The error is ErrSlow.
func (b *backlog) put(p []byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := len(b.data) + len(p); n > maxBacklog {
		return fmt.Errorf("%w: %d bytes wait for it", ErrSlow, n)
	}
	b.data = append(b.data, p...)
	b.wake()
	return nil
}

func (b *backlog) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = true
	b.wake()
}

func (b *backlog) wake() {
	select {
	case b.more <- struct{}{}:
	default:
	}
}

func (b *backlog) take() (data []byte, ended bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	data, b.data = b.data, nil
	return data, b.ended
}

func (b *backlog) write() {
	defer close(b.done)
	for {
		data, ended := b.take()
		for piece := range slices.Chunk(data, maxPiece) {
			if b.to == nil {
				break
			}
			if _, err := b.to.Write(piece); err != nil {
				b.to = nil
			}
		}
		if len(data) == 0 {
			if ended {
				return
			}
			<-b.more
		}
	}
}
