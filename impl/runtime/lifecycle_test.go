package runtime

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"
)

func TestExitCodeAndLog(t *testing.T) {
	l := newLab(t)
	p := l.created(l.bundle("c", "echo out; echo err >&2; printf part; exit 7"))
	st, err := l.rt.State(l.ctx(), "c")
	require.NoError(t, err)
	require.Equal(t, specs.StateCreated, st.Status)
	require.Equal(t, p.PID, st.Pid)
	before := time.Now().Add(-time.Second)
	require.NoError(t, l.rt.Start(l.ctx(), "c"))

	e := l.watch("c", p)
	require.Equal(t, int32(7), e.Code)
	require.True(t, e.Known)
	require.False(t, e.OOM)
	require.WithinRange(t, e.At, before, time.Now())
	// The log is complete when Watch returns.
	data, err := os.ReadFile(l.path("c.log"))
	require.NoError(t, err)
	line := regexp.MustCompile(`^(\S+) (stdout|stderr) ([FP]) (.*)$`)
	var got []string
	for text := range strings.Lines(string(data)) {
		m := line.FindStringSubmatch(strings.TrimSuffix(text, "\n"))
		require.NotNil(t, m, text)
		_, err := time.Parse(time.RFC3339Nano, m[1])
		require.NoError(t, err)
		got = append(got, strings.Join(m[2:], " "))
	}
	require.ElementsMatch(t, []string{"stdout F out", "stderr F err", "stdout P part"}, got)
}

func TestNoLog(t *testing.T) {
	l := newLab(t)
	c := l.bundle("c", "echo lost")
	c.LogPath = ""
	p := l.created(c)
	require.NoError(t, l.rt.Start(l.ctx(), "c"))
	require.Equal(t, Exit{Known: true, At: l.watch("c", p).At}, l.watch("c", p))
	require.NoFileExists(t, l.path("c.log"))
}

func TestKill(t *testing.T) {
	l := newLab(t)
	p := l.running("c", `trap "exit 3" TERM; echo ready; while :; do sleep 0.01; done`)
	l.logLines("c", 1)
	require.NoError(t, l.rt.Kill(l.ctx(), "c", syscall.SIGTERM, false))
	require.Equal(t, int32(3), l.watch("c", p).Code)
	err := l.rt.Kill(l.ctx(), "c", syscall.SIGTERM, false)
	require.ErrorIs(t, err, ErrNotRunning)
	require.NotErrorIs(t, err, ErrNotFound)
	err = l.rt.Kill(l.ctx(), "absent", syscall.SIGTERM, false)
	require.ErrorIs(t, err, ErrNotRunning)
	require.ErrorIs(t, err, ErrNotFound)
}

func TestKillAll(t *testing.T) {
	l := newLab(t)
	p := l.running("c", "sleep 1000 & sleep 1000 & echo ready; wait; echo over; exit 5")
	l.logLines("c", 1)
	require.NoError(t, l.rt.Kill(l.ctx(), "c", syscall.SIGKILL, true))
	require.Equal(t, int32(137), l.watch("c", p).Code)
}

func TestDeleteInEveryState(t *testing.T) {
	l := newLab(t)
	for _, state := range []string{"absent", "created", "running", "stopped", "foreign"} {
		t.Run(state, func(t *testing.T) {
			l.inState(state)
			require.NoError(t, l.rt.Delete(l.ctx(), state))
			require.NoError(t, l.rt.Delete(l.ctx(), state), "again")
			l.requireNothing()
			_, err := l.rt.State(l.ctx(), state)
			require.ErrorIs(t, err, ErrNotFound)
			for _, f := range bundleFiles {
				require.NoFileExists(t, l.path("bundle", state, f))
			}
		})
	}
}

// inState makes a container named after the state it is in.
func (l *lab) inState(state string) {
	if state == "absent" {
		return
	}
	c := l.bundle(state, map[string]string{"stopped": "exit 0; "}[state]+"sleep 1000")
	if state == "foreign" { // the runtime knows it, we don't
		require.NoError(l.t, l.raw(nil, "create", "--bundle", c.Bundle, state))
		return
	}
	p, err := l.rt.Create(l.ctx(), c)
	require.NoError(l.t, err)
	if state != "created" {
		require.NoError(l.t, l.rt.Start(l.ctx(), state))
	}
	if state == "stopped" {
		l.watch(state, p)
	}
}

func TestCreateAgainInTheSameBundle(t *testing.T) {
	l := newLab(t)
	c := l.bundle("c", "exit 0")
	_, err := l.rt.Create(l.ctx(), c)
	require.NoError(t, err)
	_, err = l.rt.Create(l.ctx(), c)
	require.ErrorIs(t, err, ErrExists)
	st, err := l.rt.State(l.ctx(), "c")
	require.NoError(t, err, "the first one was harmed")
	require.Equal(t, specs.StateCreated, st.Status)
	require.NoError(t, l.rt.Delete(l.ctx(), "c"))
	l.created(c)
}

func TestTerminalAndStdin(t *testing.T) {
	l := newLab(t)
	c := l.bundle("c", "[ -t 1 ] && echo tty; exit 4", func(s *specs.Spec) {
		s.Process.Terminal = true
		s.Mounts = append(s.Mounts, specs.Mount{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"newinstance", "ptmxmode=0666"}})
	})
	c.Terminal, c.Stdin = true, true
	p := l.created(c)
	require.NoError(t, l.rt.Start(l.ctx(), "c"))
	require.Equal(t, int32(4), l.watch("c", p).Code)
	require.Contains(t, l.logLines("c", 1)[0], "stdout F tty")
}

func TestMonitorIsOnItsOwn(t *testing.T) {
	l := newLab(t)
	leaked, err := os.Open("/dev/zero")
	require.NoError(t, err)
	defer leaked.Close()
	_, _, errno := syscall.Syscall(syscall.SYS_FCNTL, leaked.Fd(), syscall.F_SETFD, 0) // as if inherited
	require.Zero(t, errno)
	l.rt = l.open()
	p := l.running("c", "sleep 1000")
	st, err := readStat(p.MonitorPID)
	require.NoError(t, err)
	require.Equal(t, p.MonitorPID, st.session)
	require.NotEqual(t, os.Getpid(), st.parent)
	for _, pid := range []int{p.MonitorPID, p.PID} {
		fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
		require.NoError(t, err)
		for _, fd := range fds {
			target, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%s", pid, fd.Name()))
			require.NotEqual(t, "/dev/zero", target)
			n, _ := strconv.Atoi(fd.Name())
			require.False(t, pid == p.MonitorPID && n < 3 && target != "/dev/null", "%d -> %s", n, target)
		}
	}
}

func TestMonitorCgroup(t *testing.T) {
	l := newLab(t)
	dir := "/sys/fs/cgroup/pids" + l.cgroup + "-monitor"
	require.NoError(t, os.Mkdir(dir, 0o755))
	t.Cleanup(func() { require.NoError(t, os.Remove(dir)) })
	c := l.bundle("c", "sleep 1000")
	c.MonitorCgroup = []string{dir}
	p, err := l.rt.Create(l.ctx(), c)
	require.NoError(t, err)
	procs, err := os.ReadFile(dir + "/cgroup.procs")
	require.NoError(t, err)
	require.Equal(t, fmt.Sprintln(p.MonitorPID), string(procs))
	require.NoError(t, l.rt.Delete(l.ctx(), "c"))
}

func TestConcurrent(t *testing.T) {
	l := newLab(t)
	const n = 50
	var wg sync.WaitGroup
	errs := make([]error, n)
	for i := range n {
		c := l.bundle(fmt.Sprintf("c%d", i), fmt.Sprintf("exit %d", i))
		wg.Go(func() { errs[i] = l.wholeLife(c, int32(i)) })
	}
	wg.Wait()
	require.NoError(t, errors.Join(errs...))
	l.requireNothing()
}

func (l *lab) wholeLife(c Create, code int32) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	p, err := l.rt.Create(ctx, c)
	if err != nil {
		return err
	}
	if err := l.rt.Start(ctx, c.ID); err != nil {
		return err
	}
	e, err := l.rt.Watch(ctx, c.ID, p)
	if err == nil && (!e.Known || e.Code != code) {
		err = fmt.Errorf("%s: %+v", c.ID, e)
	}
	return errors.Join(err, l.rt.Delete(ctx, c.ID))
}

// A start that is killed between the command's begin and the runtime's own
// bookkeeping leaves the runtime in the belief that nothing was started. Here
// its mark of that is put back by hand.
func TestStartedWhateverTheRuntimeSays(t *testing.T) {
	l := newLab(t)
	p := l.created(l.bundle("c", "echo up; exec sleep 1000"))
	require.NotEmpty(t, p.Program)
	require.False(t, p.Started(), "created")
	require.NoError(t, l.rt.Start(l.ctx(), "c"))
	l.logLines("c", 1)
	require.NoError(t, syscall.Mkfifo(filepath.Join(l.h.Root, "c", "exec.fifo"), 0o600))
	s, err := l.rt.State(l.ctx(), "c")
	require.NoError(t, err)
	require.Equal(t, specs.StateCreated, s.Status)
	require.True(t, p.Started())

	require.NoError(t, l.rt.Kill(l.ctx(), "c", syscall.SIGKILL, false))
	l.watch("c", p)
	require.False(t, p.Started(), "ended")
}
