package image

import "sync"

// A gate lets pulls through side by side and sweeps between them: layers that
// no image uses are garbage only when no pull is about to use them.
type gate struct {
	mu     sync.Mutex
	inside int
	dirty  bool
}

// enter waits for a sweep that is under way, which takes milliseconds.
func (g *gate) enter() {
	g.mu.Lock()
	g.inside++
	g.mu.Unlock()
}

// leave ends a pull. The last one out sweeps if one of them failed; an error
// leaves the sweep to the next.
func (g *gate) leave(failed bool, sweep func() error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside--
	g.dirty = g.dirty || failed
	if g.inside > 0 || !g.dirty {
		return nil
	}
	err := sweep()
	g.dirty = err != nil
	return err
}
