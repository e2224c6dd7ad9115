package runtime

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"
)

// sink is an output that a test may read meanwhile.
type sink struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *sink) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *sink) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func (s *sink) await(t *testing.T, text string) {
	t.Helper()
	require.Eventually(t, func() bool { return strings.Contains(s.String(), text) }, 5*time.Second, 5*time.Millisecond, "%q", s.String())
}

func TestExecStreamTerminal(t *testing.T) {
	l := newLab(t)
	l.running("c", "sleep 1000", withDevpts)
	p := script("echo hello; read line; echo got $line; cat; exit 5")
	p.Terminal = true
	var out sink
	sizes := make(chan WinSize, 1)
	sizes <- WinSize{Width: 101, Height: 37}
	code, err := l.rt.ExecStream(l.ctx(), "c", p, Streams{Stdin: strings.NewReader("line\nmore"), Stdout: &out, Resize: sizes})
	require.NoError(t, err)
	require.Equal(t, int32(5), code)
	require.Contains(t, out.String(), "hello\r") // runc sets the terminal up while the command writes: "\r\r\n" comes first
	require.Contains(t, out.String(), "got line\r")
	require.Contains(t, out.String(), "more")
	l.requireNoExecFiles("c")
}

func withDevpts(s *specs.Spec) {
	s.Mounts = append(s.Mounts, specs.Mount{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"newinstance", "ptmxmode=0666", "mode=0620"}})
}

func TestExecStreamEndsWithItsContext(t *testing.T) {
	l := newLab(t)
	l.running("c", "sleep 1000", withDevpts)
	for _, terminal := range []bool{false, true} {
		ctx, cancel := context.WithCancel(l.ctx())
		p := script("trap '' HUP TERM; echo ready; sleep 4011 & setsid sleep 4012 & wait")
		p.Terminal = terminal
		var out sink
		r, w := io.Pipe()
		done := make(chan error, 1)
		go func() {
			_, err := l.rt.ExecStream(ctx, "c", p, Streams{Stdin: r, Stdout: &out})
			done <- err
		}()
		out.await(t, "ready")
		cancel()
		require.ErrorIs(t, <-done, context.Canceled)
		require.NoError(t, w.Close())
		require.NotContains(t, l.inside("c"), "sleep 401")
	}
}

// An earlier program's commands are ended, whether their runtime lives or not.
func TestEndExecs(t *testing.T) {
	l := newLab(t)
	p := l.running("c", "sleep 1000")
	for _, orphan := range []bool{false, true} {
		done := make(chan error, 1)
		go func() {
			_, err := l.rt.Exec(l.ctx(), "c", Exec{Process: script("trap '' HUP TERM; sleep 4021 & setsid sleep 4022 & wait")})
			done <- err
		}()
		require.Eventually(t, func() bool {
			return strings.Contains(l.inside("c"), "setsid sleep 4022") || strings.Count(l.inside("c"), "sleep 402") >= 3
		}, 5*time.Second, 5*time.Millisecond)
		if orphan {
			all, err := processes()
			require.NoError(t, err)
			for _, st := range all {
				if dirs, _ := filepath.Glob(filepath.Join(l.rt.dir("c"), execPrefix+"*")); len(dirs) == 1 && procHas(st.pid, "cmdline", filepath.Join(dirs[0], processFile)) {
					kill9(t, st.pid, st.start)
				}
			}
			require.Error(t, <-done)
			require.Contains(t, l.inside("c"), "sleep 4021", "the command outlives its runtime")
			dir := filepath.Join(l.rt.dir("c"), execPrefix+"left")
			require.NoError(t, os.Mkdir(dir, 0o700))
			pid := l.pidOf("c", "sleep 4021")
			require.NoError(t, os.WriteFile(filepath.Join(dir, pidFile), fmt.Append(nil, pid), 0o600))
		}
		require.NoError(t, l.rt.EndExecs("c", p))
		if !orphan {
			require.Error(t, <-done)
		}
		require.NotContains(t, l.inside("c"), "sleep 402", "orphan: %t", orphan)
		require.Contains(t, l.inside("c"), "sleep 1000")
		l.requireNoExecFiles("c")
	}
	dir := filepath.Join(l.rt.dir("c"), execPrefix+"foreign")
	require.NoError(t, os.Mkdir(dir, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, pidFile), []byte("1"), 0o600))
	require.NoError(t, l.rt.EndExecs("c", p), "a number that is another process's by now")
	l.requireNoExecFiles("c")
}

// pidOf finds the session leader of a container's process.
func (l *lab) pidOf(id, args string) int {
	procs, err := os.ReadFile("/sys/fs/cgroup/pids" + l.cgroup + "/" + id + "/cgroup.procs")
	require.NoError(l.t, err)
	for text := range strings.FieldsSeq(string(procs)) {
		line, _ := os.ReadFile("/proc/" + text + "/cmdline")
		if strings.HasPrefix(string(bytes.ReplaceAll(line, []byte{0}, []byte(" "))), args) {
			var pid int
			_, err := fmt.Sscan(text, &pid)
			require.NoError(l.t, err)
			st, err := readStat(pid)
			require.NoError(l.t, err)
			return st.session
		}
	}
	l.t.Fatalf("no process %q", args)
	return 0
}

// The bundle's path is longer than a socket's address may be.
func TestAttachLongPath(t *testing.T) {
	l := newLab(t)
	id := strings.Repeat("a", 120)
	c := l.bundle(id, "read line; echo got $line; echo err >&2")
	c.Stdin, c.StdinOnce = true, true
	p := l.created(c)
	var out, errs sink
	done := make(chan error, 1)
	go func() {
		done <- l.rt.Attach(l.ctx(), id, Attach{Streams: Streams{Stdin: strings.NewReader("hello\n"), Stdout: &out, Stderr: &errs}, Once: true})
	}()
	require.NoError(t, l.rt.Start(l.ctx(), id))
	require.NoError(t, <-done)
	require.Equal(t, "got hello\n", out.String())
	require.Equal(t, "err\n", errs.String())
	l.watch(id, p)
	require.ErrorIs(t, l.rt.Attach(l.ctx(), id, Attach{}), ErrNotRunning)
	require.ErrorIs(t, l.rt.Attach(l.ctx(), "absent", Attach{}), ErrNotRunning)
}

func TestBacklog(t *testing.T) {
	r, w := net.Pipe()
	b := newBacklog(w)
	chunk := make([]byte, 64<<10)
	var err error
	for range 4 * maxBacklog / len(chunk) {
		if err = b.put(chunk); err != nil {
			break
		}
	}
	require.ErrorIs(t, err, ErrSlow)
	b.end()
	require.NoError(t, r.Close())
	<-b.done
}
