package image

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	"go.podman.io/image/v5/types"
)

// A stallWatch cancels a transfer in which no byte arrives for too long. Time
// spent on unpacking what has arrived does not count.
type stallWatch struct {
	events   chan types.ProgressProperties // nil when nothing is watched
	interval time.Duration
	stop     func() // to be called when the transfer is over; no event may follow
}

// watchStall returns the context for a transfer that is cancelled, with an
// ErrRegistryUnavailable as cause, when no byte arrives for timeout. 0 watches
// nothing.
func watchStall(ctx context.Context, timeout time.Duration) (context.Context, stallWatch) {
	if timeout <= 0 {
		return ctx, stallWatch{stop: func() {}}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	// The shortest interval makes each read an event, the last one included.
	w := stallWatch{events: make(chan types.ProgressProperties), interval: 1}
	done := make(chan struct{})
	go func() {
		defer close(done)
		follow(w.events, timeout, func() {
			cancel(fmt.Errorf("%w: no data for %s", ErrRegistryUnavailable, timeout))
		})
	}()
	w.stop = func() {
		close(w.events)
		<-done
		cancel(nil)
	}
	return ctx, w
}

// follow reads events until the channel is closed and calls stalled when none
// came for timeout though one was due.
func follow(events <-chan types.ProgressProperties, timeout time.Duration, stalled func()) {
	unpacking := make(map[digest.Digest]bool)
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	last := false // all has arrived, what follows is local
	for {
		select {
		case event, open := <-events:
			if !open {
				return
			}
			blob := event.Artifact
			switch {
			case event.Event == types.ProgressEventDone:
				delete(unpacking, blob.Digest)
				last = last || isConfig(blob.MediaType)
			case blob.Size > 0 && event.Offset >= uint64(blob.Size):
				unpacking[blob.Digest] = true
			}
			timer.Reset(timeout)
		case <-timer.C:
			if len(unpacking) == 0 && !last {
				stalled()
			}
			timer.Reset(timeout)
		}
	}
}

// isConfig says whether a blob is an image's configuration, which a copy stores
// after all layers.
func isConfig(mediaType string) bool {
	return strings.HasPrefix(mediaType, "application/vnd.oci.image.config.") ||
		strings.HasPrefix(mediaType, "application/vnd.docker.container.image.")
}
