// Package usage measures what images and containers take on disk, in the
// background, and answers from memory. A layer of an image is walked once in its
// life: the result is kept with its record. A container's layer is walked again
// and again, one at a time, and no more than a tenth of the time is spent so.
//
// It counts blocks and inodes as du does, so that a sparse file takes what it
// takes and a hard link nothing. It refuses to limit anybody, and to use the
// quotas of the filesystem: a static build of the storage library has none.
package usage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"sync"
	"time"

	"go.podman.io/storage"

	"ocid/impl/store"
)

// A Usage is what one or several layers take.
type Usage struct {
	Bytes  uint64 `json:"bytes"`
	Inodes uint64 `json:"inodes"`
	At     int64  `json:"-"` // ns since 1970: when it was measured
}

func (u *Usage) add(more Usage) { u.Bytes, u.Inodes = u.Bytes+more.Bytes, u.Inodes+more.Inodes }

// Totals are what all layers take, and the directory they are in.
type Totals struct {
	Mountpoint         string
	Images, Containers Usage
}

// Options configure a Meter.
type Options struct {
	Interval time.Duration // between two looks at a container's layer
	Log      *slog.Logger  // nil discards
}

// A Meter measures the layers of one Store. Its methods are safe for concurrent
// use.
type Meter struct {
	store *store.Store
	o     Options
	log   *slog.Logger
	first chan struct{} // closed when all has been measured once

	mu     sync.Mutex
	totals Totals
	layers map[string]*layer // by the layer's ID
}

// A layer is one container's; known is closed when it has been measured.
type layer struct {
	known chan struct{}
	usage Usage // before known is closed: none
}

// New returns a Meter that has measured nothing.
func New(s *store.Store, o Options) *Meter {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Meter{store: s, o: o, log: o.Log, first: make(chan struct{}), layers: map[string]*layer{}}
}

// Run measures at the interval until ctx ends or the storage is shut down.
func (m *Meter) Run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for first := true; ; {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		err := m.round(ctx, first)
		if err != nil && ctx.Err() == nil && !errors.Is(err, store.ErrClosed) {
			m.log.Warn("disk usage not measured", "err", err)
		}
		if err == nil && first {
			close(m.first)
			first = false
		}
		timer.Reset(m.o.Interval)
	}
}

// Totals returns what images and containers take, at most an interval and a
// round old. It waits for the first round, until ctx ends.
func (m *Meter) Totals(ctx context.Context) (Totals, error) {
	select {
	case <-m.first:
	case <-ctx.Done():
		return Totals{}, fmt.Errorf("disk usage is being measured: %w", context.Cause(ctx))
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.totals, nil
}

// patience is how long Container waits for the first measurement of a layer.
const patience = time.Second

// Container returns what the writable layer of a container's record takes, and
// the directory that all layers are in. A layer never looked at is measured now,
// and waited for a second at most: not ok if it takes longer.
func (m *Meter) Container(ctx context.Context, id string) (u Usage, mountpoint string, ok bool) {
	m.mu.Lock()
	one, found := m.layers[id]
	if !found {
		one = &layer{known: make(chan struct{})}
		m.layers[id] = one
	}
	m.mu.Unlock()
	if !found {
		go m.measureNew(context.WithoutCancel(ctx), id, one)
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-one.known:
	case <-timer.C:
	case <-ctx.Done():
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return one.usage, m.directory(), one.usage.At != 0
}

// directory is where the storage driver keeps the layers.
func (m *Meter) directory() string { return filepath.Join(m.store.Root(), m.store.Driver()) }

func (m *Meter) measureNew(ctx context.Context, id string, one *layer) {
	defer close(one.known)
	u, err := m.walk(ctx, id, nil)
	if err != nil {
		m.log.Warn("disk usage not measured", "layer", id, "err", err)
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	one.usage = u
}

// round measures what has to be measured again, and adds up.
func (m *Meter) round(ctx context.Context, first bool) error {
	back, release, err := m.store.Hold()
	if err != nil {
		return err
	}
	list, err := back.MultiList(storage.MultiListOptions{Layers: true, Containers: true})
	release()
	if err != nil {
		return fmt.Errorf("list layers: %w", err)
	}
	writable := make(map[string]bool, len(list.Containers))
	for n := range list.Containers {
		writable[list.Containers[n].LayerID] = true
	}
	next, there := Totals{Mountpoint: m.directory()}, make(map[string]bool, len(list.Layers))
	for n := range list.Layers {
		if there[list.Layers[n].ID] = true; list.Layers[n].Flags[incomplete] == true {
			continue
		}
		u, err := m.measure(ctx, &list.Layers[n], writable[list.Layers[n].ID], first)
		if err != nil {
			return err
		}
		if writable[list.Layers[n].ID] {
			next.Containers.add(u)
		} else {
			next.Images.add(u)
		}
	}
	next.Images.At, next.Containers.At = time.Now().UnixNano(), time.Now().UnixNano()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.totals = next
	maps.DeleteFunc(m.layers, func(id string, _ *layer) bool { return !there[id] })
	return nil
}

// incomplete is the mark of the storage library on a layer that is being made.
const incomplete = "incomplete"

// measure returns what a layer takes. The first round is not slowed down:
// callers wait for it.
func (m *Meter) measure(ctx context.Context, l *storage.Layer, writable, first bool) (Usage, error) {
	if !writable {
		return m.image(ctx, l)
	}
	p := &pace{}
	if first {
		p = nil
	}
	u, err := m.walk(ctx, l.ID, p)
	if err != nil {
		return u, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	one := m.layers[l.ID]
	if one == nil {
		one = &layer{known: make(chan struct{})}
		close(one.known)
		m.layers[l.ID] = one
	}
	one.usage = u
	return u, nil
}

// kept is what the record of an image's layer says of it. The field is ours: the
// libraries write none for a layer.
type kept struct {
	Usage *Usage `json:"ocidUsage"`
}

// image returns what an image's layer takes: what its record says, or what is
// now written there.
func (m *Meter) image(ctx context.Context, l *storage.Layer) (Usage, error) {
	var k kept
	if err := json.Unmarshal([]byte(l.Metadata), &k); err == nil && k.Usage != nil {
		return *k.Usage, nil
	}
	u, err := m.walk(ctx, l.ID, nil)
	if err != nil || l.Metadata != "" {
		return u, err
	}
	text, err := json.Marshal(kept{&u})
	if err != nil {
		return u, err
	}
	back, release, err := m.store.Hold()
	if err != nil {
		return u, err
	}
	defer release()
	if err := back.SetMetadata(l.ID, string(text)); err != nil && !errors.Is(err, storage.ErrLayerUnknown) && !errors.Is(err, storage.ErrNotAnID) {
		return u, fmt.Errorf("layer %s: %w", l.ID, err)
	}
	return u, nil
}
