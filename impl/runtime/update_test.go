package runtime

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"
)

func (l *lab) limit(id string, p Process, name string) string {
	l.t.Helper()
	dirs, err := cgroupsOf(id, p.PID)
	require.NoError(l.t, err)
	controller, _, _ := strings.Cut(name, ".")
	data, err := os.ReadFile(filepath.Join(dirs[controller], name))
	require.NoError(l.t, err)
	return strings.TrimSpace(string(data))
}

func ref[T any](v T) *T { return &v }

func score(t *testing.T, pid int) string {
	data, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "oom_score_adj"))
	require.NoError(t, err)
	return strings.TrimSpace(string(data))
}

func limits(memory int64, shares uint64) Limits {
	return Limits{Resources: &specs.LinuxResources{
		CPU:    &specs.LinuxCPU{Shares: &shares, Period: ref(uint64(50000)), Quota: ref(int64(25000)), Cpus: "0", Mems: "0"},
		Memory: &specs.LinuxMemory{Limit: &memory, Swap: &memory},
	}, OOMScoreAdj: ref(700)}
}

func TestUpdate(t *testing.T) {
	for _, start := range []bool{false, true} {
		l := newLab(t)
		p := l.created(l.bundle("c", "sleep 1000"))
		if start {
			require.NoError(t, l.rt.Start(l.ctx(), "c"))
		}
		names := []string{"cpu.shares", "cpu.cfs_period_us", "cpu.cfs_quota_us", "cpuset.cpus", "memory.limit_in_bytes", "memory.memsw.limit_in_bytes"}
		read := func() (all []string) {
			for _, n := range names {
				all = append(all, l.limit("c", p, n))
			}
			return append(all, score(t, p.PID))
		}
		before := read()
		u, err := l.rt.Update(l.ctx(), "c", p, limits(64<<20, 77))
		require.NoError(t, err)
		require.Equal(t, []string{"77", "50000", "25000", "0", "67108864", "67108864", "700"}, read())
		require.NoError(t, u.Undo())
		require.Equal(t, before, read())
		found, err := l.rt.UndoUpdate("c")
		require.NoError(t, err)
		require.False(t, found)

		_, err = l.rt.Update(l.ctx(), "c", p, limits(64<<20, 77))
		require.NoError(t, err)
		found, err = l.open().UndoUpdate("c") // as after a crash
		require.NoError(t, err)
		require.True(t, found)
		require.Equal(t, before[:6], read()[:6])

		u, err = l.rt.Update(l.ctx(), "c", p, limits(64<<20, 77))
		require.NoError(t, err)
		require.NoError(t, u.Keep())
		after := read()
		bad := limits(128<<20, 88)
		bad.Resources.CPU.Cpus = "0-4000"
		_, err = l.rt.Update(l.ctx(), "c", p, bad)
		require.ErrorContains(t, err, "cpuset")
		require.Equal(t, after, read())
		bad = limits(128<<20, 88)
		bad.OOMScoreAdj = ref(5000)
		_, err = l.rt.Update(l.ctx(), "c", p, bad)
		require.ErrorContains(t, err, "oom_score_adj")
		require.Equal(t, after, read())

		use, err := l.rt.MemoryUse("c", p)
		require.NoError(t, err)
		require.Positive(t, use)
		require.Less(t, use, int64(64<<20))
	}
}

func TestUpdateOfNobody(t *testing.T) {
	l := newLab(t)
	c := l.bundle("c", "exit 0")
	p := l.created(c)
	require.NoError(t, l.rt.Start(l.ctx(), "c"))
	l.watch("c", p)
	_, err := l.rt.Update(l.ctx(), "c", p, limits(64<<20, 77))
	require.ErrorIs(t, err, ErrNotRunning)
}

func TestOutOfMemory(t *testing.T) {
	const eat = `exec tail /dev/zero`
	for name, c := range map[string]struct {
		script string
		oom    bool
	}{
		"first process": {eat, true},
		"a child":       {`tail /dev/zero; sleep 0.1; exit 3`, true},
		"nobody":        {`kill -9 $$`, false},
	} {
		for range 3 {
			t.Run(name, func(t *testing.T) {
				l := newLab(t)
				p := l.running("c", c.script, func(s *specs.Spec) {
					s.Linux.Resources = &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ref(int64(16 << 20)), Swap: ref(int64(16 << 20))}}
				})
				e := l.watch("c", p)
				_, err := os.Stat(filepath.Join(l.rt.dir("c"), oomFile))
				t.Logf("code %d, monitor's word: %v", e.Code, err == nil)
				require.Equal(t, c.oom, e.OOM)
			})
		}
	}
}

func TestUpTo(t *testing.T) {
	for path, want := range map[string]string{
		"/pods/abc": "/pods/abc", "/pods/abc/own/abc": "/pods/abc", "/a.slice/ocid-abc.scope/init.scope": "/a.slice/ocid-abc.scope",
	} {
		got, ok := upTo(path, "abc")
		require.True(t, ok)
		require.Equal(t, want, got)
	}
	for _, path := range []string{"", "/", "/elsewhere", "/abcd"} {
		_, ok := upTo(path, "abc")
		require.False(t, ok, path)
	}
}

func TestUnfinished(t *testing.T) {
	for tail, want := range map[string]bool{
		"":                             false,
		"T stdout F a\n":               false,
		"T stdout P a\n":               true,
		"T stdout P a\nT stdout F b\n": false,
		"T stdout P a\nT stderr F b\n": true,
		"T stdout F a\nT stdout F b":   true,
		"ut of a line\nT stdout F \n":  false,
	} {
		require.Equal(t, want, unfinished(tail), "%q", tail)
	}
}

// What the options of a handler make of the monitor's arguments.
func TestMonitorIsToldTheCgroupDriverAndTheLogSize(t *testing.T) {
	l := newLab(t)
	c := l.bundle("c", "exit 0")
	plain := l.rt.monitorArgs(c)
	require.NotContains(t, plain, "--systemd-cgroup")
	require.NotContains(t, strings.Join(plain, " "), "--log-size-max")
	l.o.SystemdCgroup, l.o.LogSizeMax = true, 9000
	args := l.open().monitorArgs(c)
	require.Contains(t, args, "--systemd-cgroup")
	require.Contains(t, args, "--log-size-max=9000")
}
