package image

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	"go.podman.io/image/v5/types"
)

// A stallWatch follows a transfer, and cancels one in which no byte of a layer
// arrives for too long. Time spent on unpacking what has arrived does not count.
type stallWatch struct {
	events   chan types.ProgressProperties
	interval time.Duration
	stop     func() // to be called when the transfer is over; no event may follow
}

// watchStall returns the context for a transfer that is cancelled, with an
// ErrRegistryUnavailable as cause, when no byte arrives for timeout; 0 is never.
func watchStall(ctx context.Context, timeout time.Duration, t *transfer) (context.Context, stallWatch) {
	ctx, cancel := context.WithCancelCause(ctx)
	// The shortest interval makes each read an event, the last one included.
	w := stallWatch{events: make(chan types.ProgressProperties), interval: 1}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f := follower{t: t, timeout: timeout, blobs: make(map[digest.Digest]*blob), any: time.Now()}
		f.follow(w.events, func(what string) {
			cancel(fmt.Errorf("%w: no data for %s%s", ErrRegistryUnavailable, timeout, what))
		})
	}()
	w.stop = func() {
		close(w.events)
		<-done
		cancel(nil)
	}
	return ctx, w
}

// A follower knows which blobs of one transfer are due to bring bytes.
type follower struct {
	t       *transfer
	timeout time.Duration
	blobs   map[digest.Digest]*blob // begun and not done
	any     time.Time               // when the last event came
	last    bool                    // all has arrived, what follows is local
}

// A blob is one that has begun.
type blob struct {
	heard time.Time // when its last byte came
	whole bool      // it is being unpacked
}

// follow takes events until the channel is closed, and calls stalled when a
// blob brings nothing for the timeout, or nothing comes though something is due.
func (f *follower) follow(events <-chan types.ProgressProperties, stalled func(what string)) {
	timer := time.NewTimer(f.timeout)
	defer timer.Stop()
	if f.timeout <= 0 {
		timer.Stop()
	}
	for {
		select {
		case event, open := <-events:
			if !open {
				return
			}
			f.take(event)
		case now := <-timer.C:
			since, what := f.oldest(now)
			left := f.timeout - now.Sub(since)
			if left <= 0 {
				stalled(what)
				left = f.timeout
			}
			timer.Reset(left)
		}
	}
}

// take notes an event.
func (f *follower) take(event types.ProgressProperties) {
	f.any = time.Now()
	f.t.receive(event.OffsetUpdate)
	info := event.Artifact
	switch event.Event {
	case types.ProgressEventNewArtifact:
		f.blobs[info.Digest] = &blob{heard: f.any}
		f.t.announce(info.Size)
	case types.ProgressEventDone:
		delete(f.blobs, info.Digest)
		f.last = f.last || isConfig(info.MediaType)
	case types.ProgressEventRead:
		if b := f.blobs[info.Digest]; b != nil {
			b.heard = f.any
			b.whole = info.Size > 0 && event.Offset >= uint64(info.Size)
		}
	}
}

// oldest returns since when the blob that is most overdue has brought nothing,
// and which one that is; now, if nothing is due.
func (f *follower) oldest(now time.Time) (since time.Time, what string) {
	since = now
	unpacking := false
	for d, b := range f.blobs {
		unpacking = unpacking || b.whole
		if !b.whole && b.heard.Before(since) {
			since, what = b.heard, fmt.Sprintf(" of layer %s", d)
		}
	}
	if what == "" && !unpacking && !f.last {
		return f.any, ""
	}
	return since, what
}

// isConfig says whether a blob is an image's configuration, which a copy stores
// after all layers.
func isConfig(mediaType string) bool {
	return strings.HasPrefix(mediaType, "application/vnd.oci.image.config.") ||
		strings.HasPrefix(mediaType, "application/vnd.docker.container.image.")
}
