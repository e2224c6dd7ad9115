package target

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// An Observer looks at a daemon's traces from outside. It needs root and no
// daemon. It is safe for concurrent use.
type Observer struct {
	work     string // what the daemon and all of its programs are told of
	at       Observe
	cgroups  []string // mount points of cgroup hierarchies
	mu       sync.Mutex
	cgroup   string // parent of all pods; "" is none
	excluded []int  // processes that are no leak
}

// NewObserver returns an observer of the daemon whose command lines and
// environment name the directory work, which keeps its traces at the places
// given, and which was told to put cgroups below the parent cgroup ("" is none).
// Placeholders are to be expanded already.
func NewObserver(work string, at Observe, cgroup string) (*Observer, error) {
	for _, pattern := range at.Ignore {
		if _, err := matchFile(pattern, "/"); err != nil {
			return nil, fmt.Errorf("observe.ignore: %q: %w", pattern, err)
		}
	}
	roots, err := cgroupRoots()
	if err != nil {
		return nil, err
	}
	return &Observer{work: work, at: at, cgroups: roots, cgroup: cgroup}, nil
}

// exclude adds a process that is there on purpose. Those that ended before are
// forgotten, for their numbers come again.
func (o *Observer) exclude(pid int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.excluded = slices.DeleteFunc(o.excluded, func(p int) bool { return !exists(p) })
	o.excluded = append(o.excluded, pid)
}

func (o *Observer) setCgroup(parent string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.cgroup = parent
}

func (o *Observer) state() (cgroup string, excluded []int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.cgroup, slices.Clone(o.excluded)
}

// Snapshot looks at everything once.
func (o *Observer) Snapshot() (Snapshot, error) {
	s := Snapshot{}
	looks := []func(Snapshot) error{
		o.snapProcesses, o.snapMounts, o.snapNetns, o.snapCgroups, o.snapStorage,
		o.snapLeases, o.snapFiles, o.snapLinks, o.snapNAT,
	}
	for _, look := range looks {
		if err := look(s); err != nil {
			return nil, suiteError(fmt.Errorf("snapshot: %w", err))
		}
	}
	return s, nil
}

const settlePoll = 25 * time.Millisecond

// Settle takes snapshots until one equals before, or ctx ends, and returns what
// differs then: nil, or the leaks.
func (o *Observer) Settle(ctx context.Context, before Snapshot) (Leaks, error) {
	tick := time.NewTicker(settlePoll)
	defer tick.Stop()
	for {
		after, err := o.Snapshot()
		if err != nil {
			return nil, err
		}
		leaks := Diff(before, after)
		if len(leaks) == 0 {
			return nil, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return leaks, ctx.Err()
			}
			return leaks, nil
		}
	}
}
