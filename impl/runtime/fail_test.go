package runtime

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"
)

// requireFailedCreate creates a container, which must fail, and checks that
// nothing is left and that a second attempt is not in the way of the first.
func (l *lab) requireFailedCreate(ctx context.Context, c Create, want string) error {
	l.t.Helper()
	_, err := l.rt.Create(ctx, c)
	require.ErrorContains(l.t, err, want)
	require.NotContains(l.t, err.Error(), "undo")
	require.NoFileExists(l.t, c.LogPath)
	for _, f := range bundleFiles {
		require.NoFileExists(l.t, filepath.Join(c.Bundle, f))
	}
	l.requireNothing()
	return err
}

func TestCreateRefusedByRunc(t *testing.T) {
	l := newLab(t)
	c := l.bundle("c", "", func(s *specs.Spec) { s.Process.Args = []string{"/bin/nope"} })
	err := l.requireFailedCreate(l.ctx(), c, `runc create c: unable to start container process: exec: "/bin/nope": stat /bin/nope: no such file or directory`)
	var e *Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, "create", e.Op)

	c = l.bundle("d", "exit 0", func(s *specs.Spec) { s.Root.Path = l.path("nowhere") })
	l.requireFailedCreate(l.ctx(), c, "nowhere")
	require.NoError(t, os.WriteFile(filepath.Join(c.Bundle, "config.json"), []byte("{"), 0o600))
	l.requireFailedCreate(l.ctx(), c, "unexpected EOF")
	require.NoError(t, os.Remove(filepath.Join(c.Bundle, "config.json")))
	l.requireFailedCreate(l.ctx(), c, "config.json")
}

func TestCreateKeepsWhatWasThere(t *testing.T) {
	l := newLab(t)
	c := l.bundle("c", "", func(s *specs.Spec) { s.Process.Args = []string{"/bin/nope"} })
	dir := "/sys/fs/cgroup/pids" + l.cgroup + "/elsewhere"
	require.NoError(t, os.MkdirAll(dir, 0o755))
	require.NoError(t, os.WriteFile(c.LogPath, []byte("old\n"), 0o600))
	_, err := l.rt.Create(l.ctx(), c)
	require.Error(t, err)
	require.FileExists(t, c.LogPath)
	require.DirExists(t, dir)
	require.NoError(t, os.Remove(dir))
}

func TestCreateBadArguments(t *testing.T) {
	l := newLab(t)
	good := l.bundle("c", "exit 0")
	for _, id := range []string{"", "-x", "../c", "a/b", "a b", "a\x00"} {
		c := good
		c.ID = id
		l.requireFailedCreate(l.ctx(), c, "bad container ID")
		require.ErrorContains(t, l.rt.Delete(l.ctx(), id), "bad container ID")
		require.ErrorContains(t, l.rt.Start(l.ctx(), id), "bad container ID")
	}
	c := good
	c.Bundle = "relative"
	l.requireFailedCreate(l.ctx(), c, "not absolute")
	c = good
	c.LogPath = "relative.log"
	l.requireFailedCreate(l.ctx(), c, "not absolute")
	c.LogPath = l.path("no/such/dir/log")
	l.requireFailedCreate(l.ctx(), c, "log")
	ctx, cancel := context.WithCancel(l.ctx())
	cancel()
	require.ErrorIs(t, l.requireFailedCreate(ctx, good, "canceled"), context.Canceled)
}

func TestCreateWithBrokenRuntimes(t *testing.T) {
	for name, c := range map[string]struct{ body, want string }{
		"says why":        {`echo "no luck today" >&2; exit 1`, "runc create c: no luck today"},
		"says nothing":    {`exit 1`, noMessage},
		"garbage":         {`head -c 10000 /dev/urandom >&2; head -c 1000 /dev/urandom; exit 3`, "runc create c: "},
		"no pid file":     {`echo "what?"; exit 0`, noMessage},
		"garbage pid":     {`while [ "$1" != --pid-file ]; do shift; done; echo xyz > "$2"; exit 0`, "runtime failed"},
		"foreign pid":     {`while [ "$1" != --pid-file ]; do shift; done; echo 1 > "$2"; exit 0`, "not its child"},
		"child and error": {`[ $op = create ] && { sleep 1000 2>/dev/null >&2 & setsid sleep 1000 2>/dev/null & }; echo "half way" >&2; exit 1`, "half way"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLabWith(t, fakeRuntime(t, c.body))
			l.requireFailedCreate(l.ctx(), l.bundle("c", ""), c.want)
		})
	}
}

func TestCreateWithHangingRuntimes(t *testing.T) {
	for name, body := range map[string]string{
		"create only":    `[ $op = create ] && { sleep 1000 & setsid sleep 1000 & wait; }; exit 1`,
		"orphans":        `[ $op = create ] && { (setsid sh -c "sleep 1000 & sleep 1000" &) ; sleep 1000; }; exit 1`,
		"holds stderr":   `[ $op = create ] && { (sleep 1000 &) ; exit 1; }; exit 1`,
		"talks too much": `[ $op = create ] && head -c 100000 /dev/zero >&2; exit 1`,
		"ignores TERM":   `trap "" TERM INT HUP; [ $op = create ] && while :; do sleep 1; done; exit 1`,
		"whatever asked": `sleep 1000`,
	} {
		t.Run(name, func(t *testing.T) {
			l := newLabWith(t, fakeRuntime(t, body))
			ctx, cancel := context.WithTimeout(l.ctx(), 300*time.Millisecond)
			defer cancel()
			began := time.Now()
			err := l.requireFailedCreate(ctx, l.bundle("c", ""), "runc create c")
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.Less(t, time.Since(began), cleanupTimeout+3*time.Second)
		})
	}
}

// A real runc that hangs inside the container's creation, cut off, has made
// cgroups and perhaps a state.
func TestCreateCutOffInRunc(t *testing.T) {
	l := newLab(t)
	c := l.bundle("c", "exit 0", func(s *specs.Spec) {
		s.Hooks = &specs.Hooks{CreateRuntime: []specs.Hook{{Path: "/bin/sleep", Args: []string{"sleep", "1000"}}}}
	})
	ctx, cancel := context.WithCancel(l.ctx())
	done := make(chan error, 1)
	go func() {
		_, err := l.rt.Create(ctx, c)
		done <- err
	}()
	require.Eventually(t, func() bool { return len(l.cgroups()) > 0 }, 10*time.Second, time.Millisecond)
	cancel()
	require.ErrorIs(t, <-done, context.Canceled)
	l.requireNothing()
	for _, after := range []time.Duration{1, 2, 4, 6, 8, 10, 12, 15, 20, 30} {
		ctx, cancel := context.WithTimeout(l.ctx(), after*time.Millisecond)
		require.ErrorIs(t, l.requireFailedCreate(ctx, c, "deadline"), context.DeadlineExceeded)
		cancel()
	}
}

// A runtime that has died with us, after it had made the cgroup and before it
// wrote the state, can't delete anything.
func TestDeleteOfACgroupWithoutState(t *testing.T) {
	l := newLab(t)
	c := l.bundle("c", "exit 0")
	cgroups := l.rt.footprint(c).cgroups
	require.NotEmpty(t, cgroups)
	require.NoError(t, os.Mkdir(l.rt.dir(c.ID), 0o700))
	require.NoError(t, l.rt.saveRecord(c.ID, record{Bundle: c.Bundle, Cgroups: cgroups}))
	for _, dir := range cgroups {
		require.NoError(t, os.MkdirAll(dir, 0o755))
	}
	require.NotEmpty(t, l.cgroups())
	require.NoError(t, l.open().Delete(l.ctx(), c.ID))
	l.requireNothing()
}

func TestMonitorFails(t *testing.T) {
	l := newLab(t)
	c := l.bundle("c", "exit 0")
	for name, m := range map[string]struct{ body, want string }{
		"says why":  {`echo "no monitor today" >&2; exit 1`, "no monitor today"},
		"no report": {`exit 0`, noMessage},
		"hangs":     {`sleep 1000`, "deadline"},
	} {
		t.Run(name, func(t *testing.T) {
			l.o.Monitor = fakeRuntime(t, m.body)
			l.rt = l.open()
			ctx, cancel := context.WithTimeout(l.ctx(), 300*time.Millisecond)
			defer cancel()
			l.requireFailedCreate(ctx, c, m.want)
		})
	}
}

func TestNewRefuses(t *testing.T) {
	l := newLab(t)
	text := filepath.Join(t.TempDir(), "text")
	require.NoError(t, os.WriteFile(text, []byte("no program\x00"), 0o755))
	for name, c := range map[string]struct {
		runtime, monitor, want string
	}{
		"missing runtime": {l.path("nope"), "", "no such file"},
		"missing by name": {"ocid-no-such-runtime", "", "not found"},
		"not executable":  {l.path("rootfs"), "", ""},
		"no program":      {text, "", "exec format error"},
		"missing monitor": {"runc", l.path("nope"), "monitor"},
		"bad monitor":     {"runc", text, "exec format error"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := New(Handler{Name: "x", Path: c.runtime}, Options{RunDir: l.o.RunDir, Monitor: c.monitor})
			require.ErrorContains(t, err, "runtime x: ")
			require.ErrorContains(t, err, c.want)
		})
	}
	_, err := New(Handler{Name: "runc"}, Options{RunDir: "relative"})
	require.ErrorContains(t, err, "not absolute")
	require.Contains(t, l.rt.Info().Version, "runc version")
	require.Contains(t, l.rt.Info().MonitorVersion, "conmon version")
}

func TestRuntimeVanishes(t *testing.T) {
	path := fakeRuntime(t, "exit 0")
	l := newLabWith(t, path)
	require.NoError(t, os.Remove(path))
	l.requireFailedCreate(l.ctx(), l.bundle("c", ""), "is not valid")
	require.ErrorIs(t, l.rt.Start(l.ctx(), "c"), os.ErrNotExist)
}

func TestCommandsOfAHangingRuntime(t *testing.T) {
	l := newLabWith(t, fakeRuntime(t, "sleep 1000 & setsid sleep 1000 & (sleep 1000 &) ; sleep 1000"))
	for name, f := range map[string]func(context.Context) error{
		"start": func(ctx context.Context) error { return l.rt.Start(ctx, "c") },
		"kill":  func(ctx context.Context) error { return l.rt.Kill(ctx, "c", 15, false) },
		"state": func(ctx context.Context) error { _, err := l.rt.State(ctx, "c"); return err },
	} {
		ctx, cancel := context.WithTimeout(l.ctx(), 100*time.Millisecond)
		began := time.Now()
		err := f(ctx)
		cancel()
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "runc "+name+" c")
		require.Less(t, time.Since(began), 2*time.Second)
		l.requireNothing()
	}
}

// A runtime command whose child keeps its output open is over when it exits.
func TestCommandLeavesAnOutputHolder(t *testing.T) {
	l := newLabWith(t, fakeRuntime(t, "sleep 3 & exit 0"))
	began := time.Now()
	require.NoError(t, l.rt.Start(l.ctx(), "c"))
	require.Less(t, time.Since(began), 2*time.Second)
}

// Recovery of a creation whose program died: its monitor goes on.
func TestDeleteHalfCreated(t *testing.T) {
	l := newLabWith(t, fakeRuntime(t, `[ $op = create ] && { setsid sleep 1000 & sleep 1000; }; exit 1`))
	c := l.bundle("c", "")
	require.NoError(t, os.Mkdir(l.rt.dir("c"), 0o700))
	require.NoError(t, l.rt.saveRecord("c", record{Bundle: c.Bundle}))
	ctx, cancel := context.WithTimeout(l.ctx(), 200*time.Millisecond)
	defer cancel()
	_, err := l.rt.launch(ctx, c)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NotEmpty(t, l.ours())
	require.NoError(t, l.open().Delete(l.ctx(), "c"))
	require.NoFileExists(t, filepath.Join(c.Bundle, "ctl"))
}

// The same, but the container had been created.
func TestDeleteCreatedButNotRecorded(t *testing.T) {
	l := newLab(t)
	c := l.bundle("c", "exit 0")
	_, err := l.rt.Create(l.ctx(), c)
	require.NoError(t, err)
	require.NoError(t, l.rt.saveRecord("c", record{Bundle: c.Bundle}))
	require.NoError(t, l.open().Delete(l.ctx(), "c"))
}
