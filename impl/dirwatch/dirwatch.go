// Package dirwatch tells when something may have changed in files or
// directories that come, go and are replaced at any time, with everything
// above them. It refuses to say what has changed: whoever is told reads anew.
package dirwatch

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/fsnotify/fsnotify"
)

// A Watcher watches paths until it is closed.
type Watcher struct {
	paths   []string
	changed func()
	log     *slog.Logger
	notify  *fsnotify.Watcher
	stopped chan struct{}
}

// Watch calls changed, one call after the other, after each change at or below
// one of the paths, and after the loss of such an event. The paths need not
// exist. What is read after Watch has returned is the present state, or changed
// will be called.
func Watch(paths []string, changed func(), log *slog.Logger) (*Watcher, error) {
	w := &Watcher{changed: changed, log: log, stopped: make(chan struct{})}
	for _, path := range paths {
		abs, err := filepath.Abs(path)
		if err != nil {
			return nil, fmt.Errorf("watch: %w", err)
		}
		w.paths = append(w.paths, abs)
	}
	var err error
	if w.notify, err = fsnotify.NewWatcher(); err != nil {
		return nil, fmt.Errorf("watch %q: %w", w.paths, err)
	}
	if err := w.rearm(); err != nil {
		return nil, errors.Join(err, w.notify.Close())
	}
	go w.run()
	return w, nil
}

// Close ends the watching; no call of changed begins or runs after it.
func (w *Watcher) Close() error {
	err := w.notify.Close()
	<-w.stopped
	return err
}

func (w *Watcher) run() {
	defer close(w.stopped)
	for {
		select {
		case ev, ok := <-w.notify.Events:
			if !ok {
				return
			}
			if !slices.ContainsFunc(w.paths, func(path string) bool { return concerns(ev.Name, path) }) {
				continue
			}
		case err, ok := <-w.notify.Errors:
			if !ok {
				return
			}
			// Events may be lost: everything has to be read anew.
			w.log.Warn("watching", "paths", w.paths, "error", err)
		}
		if err := w.rearm(); err != nil {
			w.log.Warn("watching", "paths", w.paths, "error", err)
		}
		w.changed()
	}
}

// rearm watches what exists of each path, from the root down (what is made
// while it goes down is seen by the watch above it), then the directories
// inside. It must come before the reading. Watching a directory twice is
// harmless.
func (w *Watcher) rearm() error {
	for _, path := range w.paths {
		if err := w.arm(path); err != nil {
			return err
		}
	}
	return nil
}

func (w *Watcher) arm(path string) error {
	for _, dir := range lineage(path) {
		if err := w.notify.Add(dir); errors.Is(err, fs.ErrNotExist) {
			return nil
		} else if err != nil {
			return fmt.Errorf("watch %s: %w", dir, err)
		}
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil // a file, or gone again: whoever reads it tells
	}
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		dir := filepath.Join(path, e.Name())
		if err := w.notify.Add(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("watch %s: %w", dir, err)
		}
	}
	return nil
}

// lineage returns all directories from the root down to a path, and the path.
func lineage(path string) []string {
	dirs := []string{path}
	for path != filepath.Dir(path) {
		path = filepath.Dir(path)
		dirs = append(dirs, path)
	}
	slices.Reverse(dirs)
	return dirs
}

// concerns tells whether an event on name can change what is read from path:
// name is the path, above it or inside it. (fsnotify writes names in the root
// as "//etc".)
func concerns(name, path string) bool {
	name = filepath.Clean(name)
	return name == path || strings.HasPrefix(name, path+"/") || strings.HasPrefix(path, name+"/")
}
