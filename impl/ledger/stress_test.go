package ledger

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"ocid/spec"
)

const (
	stressCallers = 16
	stressCalls   = 40
	stressNames   = 3
	batched       = 1000 // writes that may share one way to the disk, as bbolt has it
)

// alone notices two operations on one object at once.
type alone struct {
	mu  sync.Mutex
	ids map[string]bool
	two []string
}

func (a *alone) work(random *rand.Rand) Work {
	fail, long := random.IntN(4) == 0, time.Duration(random.IntN(300))*time.Microsecond
	return func(ctx context.Context, id string) error {
		a.mu.Lock()
		if a.ids[id] {
			a.two = append(a.two, id)
		}
		a.ids[id] = true
		a.mu.Unlock()
		defer func() { a.mu.Lock(); delete(a.ids, id); a.mu.Unlock() }()
		select {
		case <-time.After(long): // work takes time; nothing depends on how much
		case <-ctx.Done():
			return ctx.Err()
		}
		if fail {
			return errWork
		}
		return nil
	}
}

// Many callers, few names: nobody hangs, no object has two operations, no name
// two objects, and the disk says what memory says.
func TestStress(t *testing.T) {
	for _, life := range lives() {
		t.Run(life.Object, func(t *testing.T) {
			l := newLab(t, life)
			l.db.MaxBatchSize = batched
			a := &alone{ids: map[string]bool{}}
			var callers sync.WaitGroup
			for n := range stressCallers {
				callers.Go(func() {
					random := rand.New(rand.NewPCG(uint64(n), 1))
					for i := range stressCalls {
						l.random(random, a, fmt.Sprintf("%d-%d", n, i))
					}
				})
			}
			callers.Wait()
			require.Eventually(t, l.idle, 20*time.Second, time.Millisecond, "an operation never ends")
			require.Empty(t, a.two)
			names := map[string]bool{}
			for _, e := range l.table.List() {
				require.False(t, names[e.Key], "two objects named %s", e.Key)
				names[e.Key] = true
				require.Equal(t, e.ID, l.table.keys[e.Key])
				for _, row := range life.Rows {
					require.False(t, row.Via == e.State && !row.Stays(), "%s has no operation any more", e.ID)
				}
			}
			require.Len(t, l.table.keys, len(names))
			l.durable()
		})
	}
}

// random makes one call that may lose its patience.
func (l *lab) random(random *rand.Rand, a *alone, id string) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if random.IntN(3) == 0 {
		ctx, cancel = context.WithTimeout(ctx, time.Duration(random.IntN(500))*time.Microsecond)
		defer cancel()
	}
	events := l.life.Events()
	e := events[random.IntN(len(events))]
	name := fmt.Sprint(random.IntN(stressNames))
	if isCreation(e) {
		c := creation(e, id, a.work(random))
		c.Key = name
		_, _ = l.table.StepNew(ctx, c)
		return
	}
	l.table.mu.Lock()
	holder := l.table.keys[name]
	l.table.mu.Unlock()
	_ = l.table.Change(holder, func(d *data) { d.Note = id })
	_ = l.table.Step(ctx, holder, e, Stay(random.IntN(3)), a.work(random))
	_, _ = l.table.Get(holder)
	_ = l.table.List()
}

func (l *lab) idle() bool {
	l.table.mu.Lock()
	defer l.table.mu.Unlock()
	for _, o := range l.table.objs {
		if o.op != nil {
			return false
		}
	}
	return true
}

// Concurrent changes of one object are all kept.
func TestNoChangeIsLost(t *testing.T) {
	l := newLab(t, spec.Default().Sandbox)
	l.db.MaxBatchSize = batched
	l.put(spec.Ready)
	var callers sync.WaitGroup
	for range stressCallers {
		callers.Go(func() {
			for range 10 {
				_ = l.table.Change(theID, func(d *data) { d.Note += "x" })
			}
		})
	}
	callers.Wait()
	e, _ := l.table.Get(theID)
	require.Len(t, e.Data.Note, stressCallers*10)
	l.durable()
}
