package ledger

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"ocid/spec"
)

var errWork = errors.New("the work fails")

// data is what the objects of these tests record.
type data struct {
	Note string `json:"note"`
}

const (
	theID     = "0123"
	theKey    = "the-name"
	theDigest = "the-digest"
)

// lab is one table on one file.
type lab struct {
	t     *testing.T
	path  string
	db    *bbolt.DB
	life  spec.Lifecycle
	table *Table[data]
}

func newLab(t *testing.T, life spec.Lifecycle) *lab {
	l := &lab{t: t, path: filepath.Join(t.TempDir(), "ledger.db"), life: life}
	l.db = open(t, l.path)
	l.db.MaxBatchSize = 1 // no write waits for another, nor for a clock that only tests move
	l.table = table(t, l.db, life)
	return l
}

func open(t *testing.T, path string) *bbolt.DB {
	t.Helper()
	db, err := Open(path)
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func table(t *testing.T, db *bbolt.DB, life spec.Lifecycle) *Table[data] {
	t.Helper()
	tab, err := NewTable[data](db, life, slog.New(slog.NewTextHandler(io.Discard, nil)))
	require.NoError(t, err)
	return tab
}

// put makes the object be there in a state.
func (l *lab) put(s spec.State) {
	l.t.Helper()
	if s == spec.Absent {
		return
	}
	l.insert(Entry[data]{ID: theID, Key: theKey, Digest: theDigest, State: s})
}

// insert makes an object be there, in memory and on disk.
func (l *lab) insert(e Entry[data]) {
	l.t.Helper()
	o := &object[data]{Entry: e}
	l.table.mu.Lock()
	l.table.objs[e.ID], l.table.keys[e.Key] = o, e.ID
	l.table.mu.Unlock()
	require.NoError(l.t, l.table.enter(o, e.State))
}

// state of the object in memory.
func (l *lab) state(id string) spec.State {
	e, _ := l.table.Get(id)
	return e.State
}

// crash returns the table that a daemon would have that starts now, after this
// one was killed.
func (l *lab) crash() *Table[data] {
	l.t.Helper()
	all, err := os.ReadFile(l.path)
	require.NoError(l.t, err)
	copied := filepath.Join(l.t.TempDir(), "copy.db")
	require.NoError(l.t, os.WriteFile(copied, all, 0o600))
	db := open(l.t, copied)
	defer db.Close()
	return table(l.t, db, l.life)
}

// durable asserts that the disk says what memory says.
func (l *lab) durable() {
	l.t.Helper()
	require.Equal(l.t, l.table.List(), l.crash().List())
}

func isCreation(e spec.Event) bool {
	switch e {
	case spec.RunPodSandbox, spec.RunOther, spec.CreateContainer, spec.CreateOther:
		return true
	}
	return false
}

// creation returns the wish for an object under the name; an event for another
// request has another digest.
func creation(e spec.Event, id string, work Work) Creation[data] {
	c := Creation[data]{
		Key: theKey, Digest: theDigest, Event: spec.RunPodSandbox, Other: spec.RunOther, Work: work,
		Make: func(context.Context) (string, data, error) { return id, data{Note: "made"}, nil },
	}
	if e == spec.CreateContainer || e == spec.CreateOther {
		c.Event, c.Other = spec.CreateContainer, spec.CreateOther
	}
	if e == spec.RunOther || e == spec.CreateOther {
		c.Digest = "another-digest"
	}
	return c
}

// step makes the event happen, as a call does; a creation is of a new object
// only if nobody holds the name.
func (l *lab) step(ctx context.Context, e spec.Event, stay Stay, work Work) (string, error) {
	if isCreation(e) {
		return l.table.StepNew(ctx, creation(e, "new-"+string(e), work))
	}
	return theID, l.table.Step(ctx, theID, e, stay, work)
}

// hold makes the event happen to the object, which a creation makes.
func (l *lab) hold(ctx context.Context, e spec.Event, stay Stay, work Work) (string, error) {
	if isCreation(e) {
		return l.table.StepNew(ctx, creation(e, theID, work))
	}
	return l.step(ctx, e, stay, work)
}

// job is work that tells what became of it and waits to be let go.
type job struct {
	runs  int
	id    string
	ctx   context.Context
	begun chan struct{}
	let   chan error
}

func newJob() *job { return &job{begun: make(chan struct{}), let: make(chan error, 1)} }

func (j *job) work(ctx context.Context, id string) error {
	j.runs++
	j.id, j.ctx = id, ctx
	close(j.begun)
	select {
	case err := <-j.let:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// call is a call in flight.
type call struct {
	id   string
	err  error
	done chan struct{}
}

func (l *lab) call(ctx context.Context, e spec.Event, stay Stay, work Work) *call {
	return fly(func() (string, error) { return l.step(ctx, e, stay, work) })
}

func fly(do func() (string, error)) *call {
	c := &call{done: make(chan struct{})}
	go func() {
		defer close(c.done)
		c.id, c.err = do()
	}()
	return c
}

// over says whether the call has returned.
func (c *call) over() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// begin starts an operation that holds the object in row.Via, and returns when
// it does.
func (l *lab) begin(ctx context.Context, row spec.Transition, stay Stay) (*job, *call) {
	l.t.Helper()
	l.put(row.From.Each()[0])
	j := newJob()
	c := fly(func() (string, error) { return l.hold(ctx, row.On, stay, j.work) })
	<-j.begun
	require.Equal(l.t, theID, j.id)
	require.Equal(l.t, row.Via, l.state(j.id))
	return j, c
}

func lives() []spec.Lifecycle {
	book := spec.Default()
	return []spec.Lifecycle{book.Sandbox, book.Container}
}

// met says whether a call can meet the row: a creation by another request
// exists only where the name is held.
func met(e spec.Event, s spec.State) bool {
	return s != spec.Absent || (e != spec.RunOther && e != spec.CreateOther)
}

func refusedBy(t *testing.T, err error, row *spec.Transition) {
	t.Helper()
	var r *spec.Refusal
	require.ErrorAs(t, err, &r)
	require.Equal(t, row.ID, r.Rule.ID)
	require.Equal(t, row.Code, r.Code)
}
