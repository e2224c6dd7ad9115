package usage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// A pace makes a walk take a tenth of the time: after each slice of work it
// rests nine times as long. nil does not rest.
type pace struct{ began time.Time }

const (
	slice = 10 * time.Millisecond
	rest  = 9
)

// step rests if a slice is over; an error if ctx ends.
func (p *pace) step(ctx context.Context) error {
	if p == nil {
		return ctx.Err()
	}
	worked := time.Since(p.began)
	if worked < slice {
		return ctx.Err()
	}
	timer := time.NewTimer(rest * worked)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		p.began = time.Now()
		return nil
	}
}

// blockSize is the unit of st_blocks, whatever the filesystem's own is.
const blockSize = 512

// walk adds up the blocks and inodes of a layer. One that is gone takes nothing;
// what comes and goes meanwhile counts or not.
func (m *Meter) walk(ctx context.Context, id string, p *pace) (Usage, error) {
	if p != nil {
		p.began = time.Now()
	}
	root, err := os.OpenRoot(m.layerDir(id))
	if errors.Is(err, fs.ErrNotExist) {
		return Usage{At: time.Now().UnixNano()}, nil
	}
	if err != nil {
		return Usage{}, fmt.Errorf("layer %s: %w", id, err)
	}
	defer root.Close()
	u := Usage{}
	linked := map[uint64]bool{} // inodes with several names
	err = fs.WalkDir(root.FS(), ".", func(_ string, e fs.DirEntry, err error) error {
		if stop := p.step(ctx); stop != nil {
			return stop
		}
		var info fs.FileInfo
		if err == nil {
			info, err = e.Info()
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		st := info.Sys().(*syscall.Stat_t)
		if st.Nlink > 1 && !e.IsDir() {
			if linked[st.Ino] {
				return nil
			}
			linked[st.Ino] = true
		}
		u.add(Usage{Bytes: uint64(st.Blocks) * blockSize, Inodes: 1})
		return nil
	})
	if err != nil {
		return Usage{}, fmt.Errorf("layer %s: %w", id, err)
	}
	u.At = time.Now().UnixNano()
	return u, nil
}

// layerDir is where a layer's own files are.
func (m *Meter) layerDir(id string) string {
	if m.store.Driver() == "overlay" {
		return filepath.Join(m.directory(), id, "diff")
	}
	return filepath.Join(m.directory(), "dir", id)
}
