package runtime

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestWatchAfterARestart(t *testing.T) {
	l := newLab(t)
	p := l.running("c", "exit 7")
	first := l.watch("c", p)
	// Only the ID and the saved Process are left.
	data, err := json.Marshal(p)
	require.NoError(t, err)
	var saved Process
	require.NoError(t, json.Unmarshal(data, &saved))
	again, err := l.open().Watch(l.ctx(), "c", saved)
	require.NoError(t, err)
	require.Equal(t, first, again)
}

func TestWatchManyAtOnce(t *testing.T) {
	l := newLab(t)
	p := l.running("c", "sleep 1000")
	before := threads(t)
	var wg sync.WaitGroup
	exits := make([]Exit, 200)
	for i := range exits {
		wg.Go(func() { exits[i], _ = l.rt.Watch(l.ctx(), "c", p) })
	}
	require.Eventually(t, func() bool { return openPidfds(t) >= 2*len(exits) }, 10*time.Second, 5*time.Millisecond)
	require.Less(t, threads(t)-before, len(exits)/2, "watching pins threads")
	require.NoError(t, l.rt.Kill(l.ctx(), "c", syscall.SIGKILL, false))
	wg.Wait()
	for _, e := range exits {
		require.Equal(t, int32(137), e.Code)
		require.True(t, e.Known)
	}
	require.Zero(t, openPidfds(t))
}

func openPidfds(t *testing.T) int {
	fds, err := filepath.Glob("/proc/self/fd/*")
	require.NoError(t, err)
	n := 0
	for _, fd := range fds {
		if target, _ := os.Readlink(fd); target == "anon_inode:[pidfd]" || len(target) > 6 && target[:6] == "pidfd:" {
			n++
		}
	}
	return n
}

func TestWatchEndsWithItsContext(t *testing.T) {
	l := newLab(t)
	p := l.running("c", "sleep 1000")
	ctx, cancel := context.WithTimeout(l.ctx(), 50*time.Millisecond)
	defer cancel()
	_, err := l.rt.Watch(ctx, "c", p)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestMonitorKilled(t *testing.T) {
	l := newLab(t)
	p := l.running("c", "while [ ! -e /tmp/go ]; do sleep 0.01; done; exit 5")
	done := make(chan Exit, 1)
	go func() {
		e, _ := l.rt.Watch(l.ctx(), "c", p)
		done <- e
	}()
	require.Eventually(t, func() bool { return openPidfds(t) >= 2 }, 10*time.Second, time.Millisecond)
	kill9(t, p.MonitorPID, p.MonitorStart)
	select {
	case e := <-done:
		require.Fail(t, "the container lives", "%+v", e)
	case <-time.After(100 * time.Millisecond):
	}
	require.NoError(t, os.WriteFile(l.path("rootfs/tmp/go"), nil, 0o644))
	e := <-done
	if e.Known { // the kernel told, Linux 6.15
		require.Equal(t, int32(5), e.Code)
	} else {
		require.Equal(t, int32(UnknownCode), e.Code)
	}
	require.WithinDuration(t, time.Now(), e.At, 10*time.Second)
	// Nobody was there and no file is: lost.
	require.Eventually(t, func() bool { _, err := readStat(p.PID); return err != nil }, 10*time.Second, 10*time.Millisecond)
	e, err := l.open().Watch(l.ctx(), "c", p)
	require.NoError(t, err)
	require.Equal(t, int32(UnknownCode), e.Code)
	require.False(t, e.Known)
}

func TestMonitorStuck(t *testing.T) {
	l := newLab(t)
	l.rt.grace = 200 * time.Millisecond
	p := l.running("c", "sleep 1000")
	mon, err := openProcess(p.MonitorPID, p.MonitorStart)
	require.NoError(t, err)
	defer mon.close()
	stopped := func() bool {
		s, err := readStat(p.MonitorPID)
		return err == nil && s.state == 'T'
	}
	require.NoError(t, mon.signal(unix.SIGSTOP))
	require.Eventually(t, stopped, 5*time.Second, time.Millisecond)
	seen := make(chan Exit, 1)
	go func() {
		e, err := l.rt.Watch(l.ctx(), "c", p)
		assert.NoError(t, err)
		seen <- e
	}()
	// Watch wakes a monitor that a dead process has left asleep; one that
	// sleeps again after that is stuck.
	require.Eventually(t, func() bool { return !stopped() }, 5*time.Second, time.Millisecond)
	require.NoError(t, mon.signal(unix.SIGSTOP))
	require.NoError(t, l.rt.Kill(l.ctx(), "c", syscall.SIGKILL, false))
	select {
	case e := <-seen:
		require.False(t, e.Known)
	case <-time.After(5 * time.Second):
		t.Fatal("the watch waits for a monitor that is stuck")
	}
}

func TestWatchAfterAReboot(t *testing.T) {
	l := newLab(t)
	self, err := readStat(os.Getpid())
	require.NoError(t, err)
	for name, p := range map[string]Process{
		"numbers free":   {PID: 1 << 22, StartTime: 1, MonitorPID: 1<<22 + 1, MonitorStart: 1},
		"numbers reused": {PID: self.pid, StartTime: self.start - 1, MonitorPID: 1, MonitorStart: 1 << 60},
		"nothing saved":  {},
	} {
		e := l.watch("c", p)
		require.False(t, e.Known, name)
		require.Equal(t, int32(UnknownCode), e.Code, name)
	}
}

func TestBadExitFile(t *testing.T) {
	l := newLab(t)
	p := l.running("c", "exit 0")
	l.watch("c", p)
	require.NoError(t, os.WriteFile(filepath.Join(l.rt.dir("c"), exitFile), []byte("zero"), 0o600))
	require.False(t, l.watch("c", p).Known)
}

func TestOOM(t *testing.T) {
	l := newLab(t)
	limit := int64(8 << 20)
	// The shell's variable outgrows the limit; the kernel kills the shell, which is init.
	p := l.running("c", `x=0123456789; while :; do x=$x$x; done`, func(s *specs.Spec) {
		s.Linux.Resources = &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: &limit, Swap: &limit}}
	})
	e := l.watch("c", p)
	require.True(t, e.Known)
	require.Equal(t, int32(137), e.Code)
	require.True(t, e.OOM)
}

// In the host's PID namespace a child outlives init and keeps the log's pipe.
func TestChildOutlivesInit(t *testing.T) {
	l := newLab(t)
	p := l.running("c", "sleep 4007 & echo out; exit 6", func(s *specs.Spec) {
		s.Linux.Namespaces = []specs.LinuxNamespace{{Type: specs.MountNamespace}}
	})
	began := time.Now()
	e := l.watch("c", p)
	require.Equal(t, int32(6), e.Code)
	require.Less(t, time.Since(began), 5*time.Second)
	require.Contains(t, l.inside("c"), "sleep 4007")
	// Delete's end of the test kills it.
}

func TestCreatedNeverStartedIsWatched(t *testing.T) {
	l := newLab(t)
	p, err := l.rt.Create(l.ctx(), l.bundle("c", "exit 0"))
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() {
		e, err := l.rt.Watch(l.ctx(), "c", p)
		if err == nil && e.Code != 137 && e.Code != UnknownCode {
			err = fmt.Errorf("%+v", e)
		}
		done <- err
	}()
	require.NoError(t, l.rt.Delete(l.ctx(), "c"))
	require.NoError(t, <-done)
}
