package image

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"
	"time"

	"go.podman.io/storage"
)

// FsUsage is what a filesystem holds of ours.
type FsUsage struct {
	Mountpoint string // directory the data is in
	UsedBytes  uint64
	InodesUsed uint64
}

// FsInfo returns what the layers of images and those of containers use on disk.
// The answer is up to UsageAge old, plus the time of one measurement; only the
// first call waits for one. An image's layer is walked once in the life of the
// process, a container's at each measurement.
func (i *Images) FsInfo(ctx context.Context) (images, containers FsUsage, err error) {
	if err := ctx.Err(); err != nil {
		return FsUsage{}, FsUsage{}, err
	}
	m := &i.meter
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.measured.IsZero():
		m.images, m.containers, err = i.measure()
		if err != nil {
			return FsUsage{}, FsUsage{}, err
		}
		m.measured = time.Now()
	case time.Since(m.measured) > i.o.UsageAge && !m.busy:
		m.busy = true
		go i.refresh()
	}
	return m.images, m.containers, nil
}

// A meter holds the last measurement.
type meter struct {
	mu                 sync.Mutex
	images, containers FsUsage
	measured           time.Time
	busy               bool // a refresh is under way

	layersMu sync.Mutex
	layers   map[string]FsUsage // image layers by ID; they never change
}

// refresh measures and stores the result.
func (i *Images) refresh() {
	images, containers, err := i.measure()
	i.meter.mu.Lock()
	defer i.meter.mu.Unlock()
	i.meter.busy = false
	if err != nil {
		i.log.Warn("measure storage", "err", err)
		return
	}
	i.meter.images, i.meter.containers, i.meter.measured = images, containers, time.Now()
}

// measure adds up the use of all layers.
func (i *Images) measure() (images, containers FsUsage, err error) {
	back, release, err := i.store.Hold()
	if err != nil {
		return images, containers, err
	}
	defer release()
	list, err := back.MultiList(storage.MultiListOptions{Layers: true, Containers: true})
	if err != nil {
		return images, containers, fmt.Errorf("list layers: %w", err)
	}
	dir := filepath.Join(back.GraphRoot(), back.GraphDriverName())
	images.Mountpoint, containers.Mountpoint = dir, dir
	writable := make(map[string]bool, len(list.Containers))
	for n := range list.Containers {
		writable[list.Containers[n].LayerID] = true
	}
	alive := make(map[string]FsUsage, len(list.Layers))
	for n := range list.Layers {
		id := list.Layers[n].ID
		use, err := i.meter.layer(back, id, writable[id])
		if err != nil {
			return images, containers, err
		}
		if writable[id] {
			containers.add(use)
			continue
		}
		images.add(use)
		alive[id] = use
	}
	i.meter.layersMu.Lock()
	i.meter.layers = alive
	i.meter.layersMu.Unlock()
	return images, containers, nil
}

func (u *FsUsage) add(more FsUsage) {
	u.UsedBytes += more.UsedBytes
	u.InodesUsed += more.InodesUsed
}

// layer returns the use of one layer; that of a layer gone meanwhile is zero.
func (m *meter) layer(back storage.Store, id string, writable bool) (FsUsage, error) {
	m.layersMu.Lock()
	use, known := m.layers[id]
	m.layersMu.Unlock()
	if known && !writable {
		return use, nil
	}
	driver, err := back.GraphDriver()
	if err != nil {
		return FsUsage{}, fmt.Errorf("storage driver: %w", err)
	}
	disk, err := driver.ReadWriteDiskUsage(id)
	if errors.Is(err, fs.ErrNotExist) {
		return FsUsage{}, nil
	}
	if err != nil {
		return FsUsage{}, fmt.Errorf("size of layer %s: %w", id, err)
	}
	return FsUsage{UsedBytes: uint64(disk.Size), InodesUsed: uint64(disk.InodeCount)}, nil
}
