package network

import (
	"fmt"

	"ocid/impl/dirwatch"
)

// startWatching watches the configuration and reads it.
func (m *Manager) startWatching() (err error) {
	if m.watcher, err = dirwatch.Watch([]string{m.cfg.ConfDir}, m.reload, m.log); err != nil {
		return fmt.Errorf("network: %w", err)
	}
	m.reload()
	return nil
}

// reload reads the directory and puts the outcome in force.
func (m *Manager) reload() {
	m.reading.Lock()
	defer m.reading.Unlock()
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
