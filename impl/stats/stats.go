// Package stats reads what containers and pods use: CPU, memory, swap, IO,
// pressure and processes from their cgroups, v1, hybrid or v2, and traffic from
// their network namespace. One Sampler keeps the files and the socket of each of
// them open and reads them in place.
//
// It refuses to know what a container is: it is told a name, a cgroup and a
// namespace. It walks no directory, starts no process, and has no opinion on
// who may see which number. Libraries for cgroups open and close each file at
// each reading, and read more of them; theirs is where hierarchies are mounted.
package stats

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// Errors a caller can ask for with errors.Is.
var (
	// ErrUnknown is returned for a name that is not tracked.
	ErrUnknown = errors.New("not tracked")
	// ErrGone is returned when there is no such cgroup.
	ErrGone = errors.New("cgroup is not there")
)

// Options configure a Sampler.
type Options struct {
	// Interval is how often the CPU counter is read when nobody asks: the
	// window of usage per second is half to one and a half times as long.
	Interval time.Duration
	// MaxAge is how old an answer may be. Younger readings are shared by all who
	// ask, so that many callers cost no more than one.
	MaxAge time.Duration
	Log    *slog.Logger // nil discards
}

// A Source is where the numbers of one container or pod come from.
type Source struct {
	Cgroup string // path below the mount point of each hierarchy; "" is none
	NetNS  string // file of the network namespace; "" is none
	// NoTaps leaves TAP devices out: they are a virtual machine's end of the
	// other interfaces, where their traffic is counted already.
	NoTaps bool
	// Ask tells the numbers of what the host's cgroup says nothing of; nil reads
	// the cgroup. Its errors are Sample's. Only who wants the numbers pays for
	// them: nothing is asked at the interval.
	Ask   func() (Asked, error)
	Since int64 // ns since 1970: when what Ask counts was nothing
}

// Asked is what somebody else has counted.
type Asked struct {
	CPU       uint64 // ns
	Memory    Memory
	Processes uint64
}

// A Sampler holds the open files. Its methods are safe for concurrent use.
type Sampler struct {
	o     Options
	log   *slog.Logger
	files layout

	mu       sync.Mutex
	subjects map[string]*subject
}

// New returns a Sampler that tracks nothing. It fails if the machine's cgroups
// can't be found.
func New(o Options) (*Sampler, error) {
	files, err := hostLayout()
	if err != nil {
		return nil, fmt.Errorf("cgroups: %w", err)
	}
	return newSampler(o, files), nil
}

func newSampler(o Options, files layout) *Sampler {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Sampler{o: o, log: o.Log, files: files, subjects: map[string]*subject{}}
}

// Track begins to sample; the first reading is taken at once. Tracking a name
// again replaces its source.
func (s *Sampler) Track(name string, from Source) {
	next := newSubject(from, s.files)
	s.mu.Lock()
	last := s.subjects[name]
	s.subjects[name] = next
	s.mu.Unlock()
	if last != nil {
		last.close()
	}
	s.tick(name, next)
}

// Forget ends the sampling of a name and closes its files. A name that is not
// tracked is no error.
func (s *Sampler) Forget(name string) {
	s.mu.Lock()
	one := s.subjects[name]
	delete(s.subjects, name)
	s.mu.Unlock()
	if one != nil {
		one.close()
	}
}

// Run reads the CPU counters at the interval until ctx ends, then closes every
// file.
func (s *Sampler) Run(ctx context.Context) {
	timer := time.NewTicker(s.o.Interval)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			s.close()
			return
		case <-timer.C:
		}
		s.mu.Lock()
		all := make(map[string]*subject, len(s.subjects))
		for name, one := range s.subjects {
			all[name] = one
		}
		s.mu.Unlock()
		for name, one := range all {
			s.tick(name, one)
		}
	}
}

func (s *Sampler) tick(name string, one *subject) {
	if err := one.tick(s.o.Interval); err != nil && !errors.Is(err, ErrGone) {
		s.log.Warn("no statistics", "of", name, "err", err)
	}
}

func (s *Sampler) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, one := range s.subjects {
		one.close()
		delete(s.subjects, name)
	}
}

// Sample returns the numbers of a name, at most MaxAge old. What the kernel does
// not tell is nil. ErrUnknown if the name is not tracked, ErrGone if it has no
// cgroup any more.
func (s *Sampler) Sample(name string) (Sample, error) {
	one, err := s.find(name)
	if err != nil {
		return Sample{}, err
	}
	sample, err := one.current(s.o.Interval, s.o.MaxAge)
	if err != nil {
		return sample, fmt.Errorf("statistics of %q: %w", name, err)
	}
	return sample, nil
}

// Detail returns what only metrics show, read at this moment. Its errors are
// those of Sample.
func (s *Sampler) Detail(name string) (Detail, error) {
	one, err := s.find(name)
	if err != nil {
		return Detail{}, err
	}
	detail, err := one.detail()
	if err != nil {
		return detail, fmt.Errorf("statistics of %q: %w", name, err)
	}
	return detail, nil
}

// Network returns the traffic of each interface of a name's network namespace
// but the loopback; nil if it has no namespace of its own.
func (s *Sampler) Network(name string) ([]Interface, error) {
	one, err := s.find(name)
	if err != nil {
		return nil, err
	}
	links, err := one.network(s.o.MaxAge)
	if err != nil {
		return nil, fmt.Errorf("network statistics of %q: %w", name, err)
	}
	return links, nil
}

func (s *Sampler) find(name string) (*subject, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one, ok := s.subjects[name]
	if !ok {
		return nil, fmt.Errorf("%q: %w", name, ErrUnknown)
	}
	return one, nil
}
