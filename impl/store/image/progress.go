package image

import (
	"slices"
	"sync"
	"time"
)

// Progress is how far a pull in flight has come.
type Progress struct {
	Image   string    `json:"image"`
	Started time.Time `json:"started"`
	Age     string    `json:"age"`        // since Started
	Idle    string    `json:"idle"`       // since the last byte of any layer
	Bytes   uint64    `json:"bytes"`      // received, compressed
	Total   uint64    `json:"totalBytes"` // of the blobs begun so far
	Blobs   int       `json:"blobs"`      // begun so far
}

// Totals count what pulls did since the process started.
type Totals struct {
	Pulled uint64 `json:"pulled"` // images, each time
	Failed uint64 `json:"failed"`
	Bytes  uint64 `json:"bytes"` // received, compressed, failed pulls included
}

// pulls are the pulls in flight and what became of the others.
type pulls struct {
	mu     sync.Mutex
	flying map[*transfer]struct{}
	totals Totals
}

// A transfer is one pull in flight. Its fields belong to the mutex of its pulls.
type transfer struct {
	all     *pulls
	name    string
	started time.Time
	heard   time.Time // when the last byte came
	bytes   uint64
	total   uint64
	blobs   int
}

// begin notes a pull.
func (p *pulls) begin(name string) *transfer {
	now := time.Now()
	t := &transfer{all: p, name: name, started: now, heard: now}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.flying == nil {
		p.flying = make(map[*transfer]struct{})
	}
	p.flying[t] = struct{}{}
	return t
}

// end forgets the pull and counts it.
func (t *transfer) end(err error) {
	t.all.mu.Lock()
	defer t.all.mu.Unlock()
	delete(t.all.flying, t)
	if err != nil {
		t.all.totals.Failed++
		return
	}
	t.all.totals.Pulled++
}

// announce notes that a blob of so many bytes, or of an unknown size, begins.
func (t *transfer) announce(size int64) {
	t.all.mu.Lock()
	defer t.all.mu.Unlock()
	t.blobs++
	t.total += uint64(max(size, 0))
}

// receive notes bytes that came.
func (t *transfer) receive(n uint64) {
	t.all.mu.Lock()
	defer t.all.mu.Unlock()
	t.bytes += n
	t.all.totals.Bytes += n
	t.heard = time.Now()
}

// Pulls returns the pulls in flight, the oldest first.
func (i *Images) Pulls() []Progress {
	now := time.Now()
	i.pulls.mu.Lock()
	defer i.pulls.mu.Unlock()
	list := make([]Progress, 0, len(i.pulls.flying))
	for t := range i.pulls.flying {
		list = append(list, Progress{
			Image: t.name, Started: t.started, Age: now.Sub(t.started).String(), Idle: now.Sub(t.heard).String(),
			Bytes: t.bytes, Total: t.total, Blobs: t.blobs,
		})
	}
	slices.SortFunc(list, func(a, b Progress) int { return a.Started.Compare(b.Started) })
	return list
}

// Totals returns what pulls did since the process started.
func (i *Images) Totals() Totals {
	i.pulls.mu.Lock()
	defer i.pulls.mu.Unlock()
	return i.pulls.totals
}
