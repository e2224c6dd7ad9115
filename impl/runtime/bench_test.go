package runtime

import (
	"context"
	"encoding/json"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// times are durations by name of operation.
type times map[string][]time.Duration

func (ts times) take(b *testing.B, op string, f func() error) {
	began := time.Now()
	require.NoError(b, f())
	ts[op] = append(ts[op], time.Since(began))
}

func (ts times) report(b *testing.B) {
	for op, all := range ts {
		slices.Sort(all)
		b.ReportMetric(float64(all[len(all)/2].Microseconds())/1000, "p50-ms-"+op)
	}
	b.ReportMetric(0, "ns/op")
}

// BenchmarkLife takes a container through its life.
func BenchmarkLife(b *testing.B) {
	l := newLab(b)
	c := l.bundle("c", "sleep 1000")
	ctx := context.Background()
	ts := times{}
	for b.Loop() {
		var p Process
		ts.take(b, "create", func() (err error) { p, err = l.rt.Create(ctx, c); return })
		ts.take(b, "start", func() error { return l.rt.Start(ctx, "c") })
		ts.take(b, "exec", func() error { _, err := l.rt.Exec(ctx, "c", Exec{Process: process("true")}); return err })
		ts.take(b, "kill", func() error { return l.rt.Kill(ctx, "c", syscall.SIGKILL, false) })
		ts.take(b, "exit", func() error { _, err := l.rt.Watch(ctx, "c", p); return err })
		ts.take(b, "delete", func() error { return l.rt.Delete(ctx, "c") })
		_, err := l.rt.Create(ctx, c)
		require.NoError(b, err)
		require.NoError(b, l.rt.Start(ctx, "c"))
		ts.take(b, "delete-running", func() error { return l.rt.Delete(ctx, "c") })
	}
	ts.report(b)
}

// BenchmarkRawLife does the same with nothing but runc.
func BenchmarkRawLife(b *testing.B) {
	l := newLab(b)
	c := l.bundle("c", "sleep 1000")
	data, err := json.Marshal(process("true"))
	require.NoError(b, err)
	spec := l.path("process.json")
	require.NoError(b, os.WriteFile(spec, data, 0o600))
	ts := times{}
	for b.Loop() {
		ts.take(b, "create", func() error { return l.raw(nil, "create", "--bundle", c.Bundle, "c") })
		ts.take(b, "start", func() error { return l.raw(nil, "start", "c") })
		ts.take(b, "exec", func() error { return l.raw(nil, "exec", "--process", spec, "c") })
		ts.take(b, "kill", func() error { return l.raw(nil, "kill", "c", "9") })
		ts.take(b, "delete", func() error {
			for l.raw(nil, "delete", "c") != nil {
			}
			return nil
		})
		require.NoError(b, l.raw(nil, "create", "--bundle", c.Bundle, "c"))
		require.NoError(b, l.raw(nil, "start", "c"))
		ts.take(b, "delete-running", func() error { return l.raw(nil, "delete", "--force", "c") })
	}
	ts.report(b)
}
