// Package ledger holds the state of every sandbox and container, in memory for
// answers and on disk for the next daemon. Step and StepNew are the only writers of a
// state, and what they allow is a row of a spec.Lifecycle; the package decides
// nothing by itself and knows neither runtimes nor networks nor storage.
package ledger

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"ocid/spec"
)

// Open opens the database file of the ledger. It fails if another daemon holds
// the file.
func Open(path string) (*bbolt.DB, error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: time.Second, FreelistType: bbolt.FreelistMapType})
	if errors.Is(err, berrors.ErrTimeout) {
		return nil, fmt.Errorf("ledger %s: another daemon uses it", path)
	}
	if err != nil {
		return nil, fmt.Errorf("ledger %s: %w", path, err)
	}
	db.MaxBatchDelay = batchDelay
	return db, nil
}

// batchDelay is how long a write waits for others to share its way to the disk.
const batchDelay = 200 * time.Microsecond

// A Journal says which plan an object is going through and which of its steps
// have begun. It is on disk before a step's effect.
type Journal struct {
	Plan  string          `json:"plan,omitempty"`
	Begun []spec.StepName `json:"begun,omitempty"`
}

// Open says whether a plan has begun and is neither complete nor taken back.
func (j Journal) Open() bool { return j.Plan != "" }

// An Entry is one object as it is at one moment. Data is a copy; what it
// points to must not be changed.
type Entry[T any] struct {
	ID      string     `json:"id"`
	Key     string     `json:"key"`    // the name, unique among the objects of the table
	Digest  string     `json:"digest"` // of the request that made it: equal requests have equal digests
	State   spec.State `json:"state"`
	Journal Journal    `json:"journal,omitzero"`
	Data    T          `json:"data"`
}

type object[T any] struct {
	Entry[T]            // as it is on disk, or will be in a moment
	op       *op        // in flight; nil: none
	disk     sync.Mutex // held while the entry is on its way to the disk
}

// A Table holds the objects of one kind. mu guards what is in memory and is
// never held during a write to the disk, so that answers don't wait for one.
type Table[T any] struct {
	life   spec.Lifecycle
	db     *bbolt.DB
	bucket []byte
	log    *slog.Logger

	mu      sync.Mutex
	objs    map[string]*object[T]
	keys    map[string]string // Key -> ID
	observe func(Entry[T])
}

// NewTable loads the table of one kind of object from the database. Entries
// that can't be read are kept on disk, reported and left out.
func NewTable[T any](db *bbolt.DB, life spec.Lifecycle, log *slog.Logger) (*Table[T], error) {
	t := &Table[T]{life: life, db: db, bucket: []byte(life.Object), log: log, objs: map[string]*object[T]{}, keys: map[string]string{}}
	err := db.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists(t.bucket)
		if err != nil {
			return err
		}
		return b.ForEach(func(id, data []byte) error {
			o := &object[T]{}
			if err := json.Unmarshal(data, &o.Entry); err != nil {
				log.Error("ledger entry can't be read", "object", life.Object, "id", string(id), "err", err)
				return nil
			}
			t.objs[o.ID], t.keys[o.Key] = o, o.ID
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("ledger of %ss: %w", life.Object, err)
	}
	return t, nil
}

// Observe has an observer told of each object, as it is now and after each
// change, the last of which makes it Absent. The observer is told in the order
// of the changes, before anybody else can see them: it must be quick and must
// not ask the table.
func (t *Table[T]) Observe(observe func(Entry[T])) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.observe = observe
	for _, id := range slices.Sorted(maps.Keys(t.objs)) {
		observe(t.objs[id].Entry)
	}
}

// Get returns the object with the ID.
func (t *Table[T]) Get(id string) (Entry[T], bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if o, ok := t.objs[id]; ok {
		return o.Entry, true
	}
	return Entry[T]{State: spec.Absent}, false
}

// List returns all objects, those in creation too, ordered by ID.
func (t *Table[T]) List() []Entry[T] {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := make([]Entry[T], 0, len(t.objs))
	for _, id := range slices.Sorted(maps.Keys(t.objs)) {
		if e := t.objs[id].Entry; e.State != spec.Absent {
			all = append(all, e)
		}
	}
	return all
}

// Resolve returns the ID that an ID or a prefix names: the one object whose ID
// begins with it. A prefix of several objects, or of none, is returned as it
// is: it is the ID of no object.
func (t *Table[T]) Resolve(prefix string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, ok := t.objs[prefix]; ok || prefix == "" {
		return prefix
	}
	found := prefix
	for id := range t.objs {
		if strings.HasPrefix(id, prefix) {
			if found != prefix {
				return prefix
			}
			found = id
		}
	}
	return found
}

// Change changes what is recorded of an object and makes it durable; its state
// and name stay. Changing an object that is not there is no error.
func (t *Table[T]) Change(id string, change func(*T)) error {
	return t.edit(id, func(e *Entry[T]) { change(&e.Data) })
}

// edit applies a change to an entry once it is durable.
func (t *Table[T]) edit(id string, change func(*Entry[T])) error {
	t.mu.Lock()
	o, ok := t.objs[id]
	t.mu.Unlock()
	if !ok {
		return nil
	}
	return t.write(o, change, false)
}

// write takes a changed entry to the disk, then to memory. One that has become
// Absent is forgotten. If the disk refuses a change that is a fact already,
// memory says what is true all the same, and the disk still says what a restart
// has to look into.
func (t *Table[T]) write(o *object[T], change func(*Entry[T]), fact bool) error {
	o.disk.Lock()
	defer o.disk.Unlock()
	t.mu.Lock()
	next := o.Entry
	t.mu.Unlock()
	before := next.State
	change(&next)
	if before == spec.Absent && next.State == spec.Absent {
		return nil // nobody has it yet
	}
	err := t.save(next)
	if err != nil && !fact {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	o.Entry = next
	if next.State == spec.Absent {
		t.drop(o)
	}
	if t.observe != nil {
		t.observe(next)
	}
	return err
}

// save makes an entry durable, or the absence of it.
func (t *Table[T]) save(e Entry[T]) error {
	data, err := json.Marshal(e)
	if err == nil {
		err = t.db.Batch(func(tx *bbolt.Tx) error {
			if e.State == spec.Absent {
				return tx.Bucket(t.bucket).Delete([]byte(e.ID))
			}
			return tx.Bucket(t.bucket).Put([]byte(e.ID), data)
		})
	}
	if err != nil {
		return fmt.Errorf("ledger: %s %q: %w", t.life.Object, e.ID, err)
	}
	return nil
}

// drop forgets an object; t.mu is held.
func (t *Table[T]) drop(o *object[T]) {
	delete(t.objs, o.ID)
	if t.keys[o.Key] == o.ID {
		delete(t.keys, o.Key)
	}
}

// Begin records that a step of a plan begins. It is durable when it returns.
func (t *Table[T]) Begin(id, plan string, step spec.StepName) error {
	return t.edit(id, func(e *Entry[T]) {
		if e.Journal.Plan != plan {
			e.Journal = Journal{Plan: plan}
		}
		if !slices.Contains(e.Journal.Begun, step) {
			e.Journal.Begun = append(slices.Clone(e.Journal.Begun), step)
		}
	})
}

// Begun returns the steps that have begun.
func (t *Table[T]) Begun(id string) []spec.StepName {
	e, _ := t.Get(id)
	return e.Journal.Begun
}

// Forget closes the journal: the plan is fully taken back.
func (t *Table[T]) Forget(id string) error {
	return t.edit(id, func(e *Entry[T]) { e.Journal = Journal{} })
}

// Settle sets the state that a starting daemon has found an object in, before
// any call is served; Absent forgets it.
func (t *Table[T]) Settle(id string, s spec.State) error {
	return t.edit(id, func(e *Entry[T]) { e.State = s })
}
