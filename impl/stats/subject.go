package stats

import (
	"errors"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
)

// A subject is one container or pod: its open files and its last readings.
type subject struct {
	from  Source
	files layout

	mu     sync.Mutex // held while files are read
	closed bool
	group  *group          // nil: the cgroup has not been found yet
	socket *netlink.Handle // nil: not opened yet
	clock  int64           // of the last reading
	window window
	last   Sample
	links  []Interface
}

func newSubject(from Source, files layout) *subject {
	s := &subject{from: from, files: files}
	if from.Ask != nil {
		s.window.rate(reading{at: from.Since}, 0)
	}
	return s
}

// A window is what usage per second is an average over: it begins at one of two
// older readings, so that it is never much shorter than half the interval once
// the subject is that old.
type window struct{ begin, next reading }

type reading struct {
	at    int64 // 0: none
	usage uint64
}

// rate notes a reading and returns ns of CPU per second since the window's
// beginning; nil for the first one.
func (w *window) rate(now reading, interval time.Duration) *uint64 {
	if w.begin.at == 0 || now.usage < w.begin.usage { // or the cgroup is another one
		w.begin, w.next = now, now
		return nil
	}
	if time.Duration(now.at-w.next.at) >= interval/2 {
		w.begin, w.next = w.next, now
	}
	since := now.at - w.begin.at
	if since <= 0 {
		return nil
	}
	v := uint64(float64(now.usage-w.begin.usage) / float64(since) * float64(time.Second))
	return &v
}

// now is the time of a reading: after that of the last one, whatever happens to
// the machine's clock.
func (s *subject) now() int64 {
	s.clock = max(time.Now().UnixNano(), s.clock+1)
	return s.clock
}

// open finds the cgroup. One that has been made again under the same name, as a
// pod's may be, is found again.
func (s *subject) open() error {
	if s.closed || s.from.Cgroup == "" {
		return ErrGone
	}
	if s.group != nil {
		return nil
	}
	if !s.files.exists(s.from.Cgroup) {
		return ErrGone
	}
	s.group = s.files.open(s.from.Cgroup)
	return nil
}

// lost closes the files of a cgroup that has gone, so that the next reading
// looks for it again.
func (s *subject) lost(err error) error {
	if errors.Is(err, ErrGone) && s.group != nil {
		s.group.close()
		s.group = nil
	}
	return err
}

// current is a reading of the cgroup, or what somebody else says.
func (s *subject) current(interval, maxAge time.Duration) (Sample, error) {
	if s.from.Ask == nil {
		return s.sample(interval, maxAge)
	}
	s.mu.Lock()
	last, shared := s.last, s.shared(maxAge)
	s.mu.Unlock()
	if shared {
		return last, nil
	}
	told, err := s.from.Ask()
	if err != nil {
		return Sample{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.now()
	s.last = Sample{
		At: at, CPU: &CPU{Usage: told.CPU, UsagePerSecond: s.window.rate(reading{at, told.CPU}, interval)},
		Memory: &told.Memory, Processes: &told.Processes,
	}
	return s.last, nil
}

// shared says whether the last reading is young and has a rate.
func (s *subject) shared(maxAge time.Duration) bool {
	age := time.Duration(time.Now().UnixNano() - s.last.At)
	return s.last.At != 0 && age >= 0 && age < maxAge && s.last.CPU.UsagePerSecond != nil
}

// tick reads the CPU counter only.
func (s *subject) tick(interval time.Duration) error {
	if s.from.Ask != nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.open(); err != nil {
		return err
	}
	usage, err := s.group.usage()
	if err != nil {
		return s.lost(err)
	}
	s.window.rate(reading{s.now(), usage}, interval)
	return nil
}

// sample returns the last reading if it may be shared, else a new one.
func (s *subject) sample(interval, maxAge time.Duration) (Sample, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.open(); err != nil {
		return Sample{}, err
	}
	if s.shared(maxAge) {
		return s.last, nil
	}
	next, err := s.read(interval)
	if err != nil {
		return Sample{}, s.lost(err)
	}
	s.last = next
	return next, nil
}

func (s *subject) read(interval time.Duration) (next Sample, err error) {
	usage, err := s.group.usage()
	if err != nil {
		return next, err
	}
	next.At = s.now()
	next.CPU = &CPU{Usage: usage, UsagePerSecond: s.window.rate(reading{next.At, usage}, interval)}
	var errs [3]error
	next.Memory, next.Swap, errs[0] = s.group.memory()
	next.Processes, errs[1] = s.group.processes()
	next.Pressure, errs[2] = s.group.pressure()
	return next, errors.Join(errs[:]...)
}

func (s *subject) detail() (Detail, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.from.Ask != nil {
		return Detail{At: s.now()}, nil
	}
	if err := s.open(); err != nil {
		return Detail{}, err
	}
	d, err := s.group.detail()
	d.At = s.now()
	return d, s.lost(err)
}

func (s *subject) network(maxAge time.Duration) ([]Interface, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.from.NetNS == "" {
		return nil, nil
	}
	if len(s.links) > 0 && time.Since(time.Unix(0, s.links[0].At)) < maxAge {
		return s.links, nil
	}
	if s.socket == nil {
		socket, err := openNetwork(s.from.NetNS)
		if err != nil {
			return nil, err
		}
		s.socket = socket
	}
	links, err := interfaces(s.socket, s.from.NoTaps, s.now())
	if err != nil {
		s.socket.Close()
		s.socket = nil
		return nil, err
	}
	s.links = links
	return links, nil
}

func (s *subject) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.group != nil {
		s.group.close()
		s.group = nil
	}
	if s.socket != nil {
		s.socket.Close()
		s.socket = nil
	}
}
