package network

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/fsnotify/fsnotify"
)

// startWatching watches the directory and all directories above it, so that it
// may come, go and be replaced at any time.
func (m *Manager) startWatching() error {
	dir, err := filepath.Abs(m.cfg.ConfDir)
	if err != nil {
		return fmt.Errorf("network: %w", err)
	}
	m.cfg.ConfDir = dir
	if m.watcher, err = fsnotify.NewWatcher(); err != nil {
		return fmt.Errorf("network: watch %s: %w", dir, err)
	}
	if err := m.rearm(); err != nil {
		return errors.Join(fmt.Errorf("network: %w", err), m.watcher.Close())
	}
	m.reload()
	go m.watch()
	return nil
}

func (m *Manager) watch() {
	defer close(m.stopped)
	for {
		select {
		case ev, ok := <-m.watcher.Events:
			if !ok {
				return
			}
			if !concerns(ev.Name, m.cfg.ConfDir) {
				continue
			}
		case err, ok := <-m.watcher.Errors:
			if !ok {
				return
			}
			// Events may be lost: read everything anew.
			m.log.Warn("watching the network configuration", "dir", m.cfg.ConfDir, "error", err)
		}
		if err := m.rearm(); err != nil {
			m.log.Warn("watching the network configuration", "dir", m.cfg.ConfDir, "error", err)
		}
		m.reload()
	}
}

// rearm watches what exists of the path, from the root down (what is made while
// it goes down is seen by the watch above it), then the directories inside. It
// must come before the reading. Watching a directory twice is harmless.
func (m *Manager) rearm() error {
	for _, dir := range lineage(m.cfg.ConfDir) {
		if err := m.watcher.Add(dir); errors.Is(err, fs.ErrNotExist) {
			return nil
		} else if err != nil {
			return fmt.Errorf("watch %s: %w", dir, err)
		}
	}
	entries, err := os.ReadDir(m.cfg.ConfDir)
	if err != nil {
		return nil // gone again, or no directory: reload tells
	}
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		dir := filepath.Join(m.cfg.ConfDir, e.Name())
		if err := m.watcher.Add(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("watch %s: %w", dir, err)
		}
	}
	return nil
}

// reload reads the directory and puts the outcome in force.
func (m *Manager) reload() {
	old, sel := m.current.Load(), choose(m.cfg.ConfDir, m.builtin)
	m.current.Store(sel)
	if old != nil && old.String() == sel.String() {
		return
	}
	for _, err := range sel.problems {
		m.log.Warn("network configuration passed over", "error", err)
	}
	if sel.err != nil {
		m.log.Warn("no network", "error", sel.err)
		return
	}
	m.log.Info("network configuration", "network", sel.conf.list.Name, "file", sel.conf.file)
}

// String tells selections apart, for the log.
func (s *selection) String() string {
	if s.conf == nil {
		return s.err.Error()
	}
	return fmt.Sprint(s.conf.file, "\n", string(s.conf.list.Bytes), s.problems)
}

// lineage returns all directories from the root down to dir.
func lineage(dir string) []string {
	dirs := []string{dir}
	for dir != filepath.Dir(dir) {
		dir = filepath.Dir(dir)
		dirs = append(dirs, dir)
	}
	slices.Reverse(dirs)
	return dirs
}

// concerns tells whether an event on name can change what is read from dir: name
// is dir, above it or inside it. (fsnotify writes names in the root as "//etc".)
func concerns(name, dir string) bool {
	name = filepath.Clean(name)
	return name == dir || strings.HasPrefix(name, dir+"/") || strings.HasPrefix(dir, name+"/")
}
