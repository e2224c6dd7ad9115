package runtime

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// requireNoExecFiles fails if an Exec left a temporary file.
func (l *lab) requireNoExecFiles(id string) {
	l.t.Helper()
	left, err := filepath.Glob(filepath.Join(l.rt.dir(id), "exec-*"))
	require.NoError(l.t, err)
	require.Empty(l.t, left)
}

// inside lists the command lines of a container's processes.
func (l *lab) inside(id string) string {
	procs, err := os.ReadFile("/sys/fs/cgroup/pids" + l.cgroup + "/" + id + "/cgroup.procs")
	require.NoError(l.t, err)
	var all strings.Builder
	for pid := range strings.FieldsSeq(string(procs)) {
		args, _ := os.ReadFile("/proc/" + pid + "/cmdline")
		all.Write(bytes.ReplaceAll(args, []byte{0}, []byte(" ")))
		all.WriteByte('\n')
	}
	return all.String()
}

func TestExecCodes(t *testing.T) {
	l := newLab(t)
	l.running("c", "sleep 1000")
	for text, want := range map[string]ExecResult{
		"echo out; echo err >&2": {Stdout: []byte("out\n"), Stderr: []byte("err\n")},
		"exit 9":                 {ExitCode: 9},
		"exit 126":               {ExitCode: 126},
		"exit 127":               {ExitCode: 127},
		"exit 255":               {ExitCode: 255},
		"kill -9 $$":             {ExitCode: 137},
		"cat; echo eof":          {Stdout: []byte("eof\n")},
	} {
		res, err := l.rt.Exec(l.ctx(), "c", Exec{Process: script(text)})
		require.NoError(t, err, text)
		require.Equal(t, want.ExitCode, res.ExitCode, text)
		require.Equal(t, string(want.Stdout), string(res.Stdout), text)
		require.Equal(t, string(want.Stderr), string(res.Stderr), text)
	}
	l.requireNoExecFiles("c")
}

func TestExecMissingCommand(t *testing.T) {
	l := newLab(t)
	l.running("c", "sleep 1000")
	for _, command := range []string{"nope", "/bin/nope", "/tmp"} {
		_, err := l.rt.Exec(l.ctx(), "c", Exec{Process: process(command)})
		require.ErrorIs(t, err, ErrExecFailed)
		require.NotErrorIs(t, err, ErrNotRunning)
		var e *Error
		require.ErrorAs(t, err, &e)
		require.NotEmpty(t, e.Message)
		require.Positive(t, e.ExitCode)
	}
	_, err := l.rt.Exec(l.ctx(), "c", Exec{Process: process("true"), Timeout: time.Nanosecond})
	require.ErrorIs(t, err, ErrTimeout)
	l.requireNoExecFiles("c")
}

func TestExecNotRunning(t *testing.T) {
	l := newLab(t)
	p := l.running("c", "exit 0")
	l.watch("c", p)
	_, err := l.rt.Exec(l.ctx(), "c", Exec{Process: process("true")})
	require.ErrorIs(t, err, ErrExecFailed)
	require.ErrorIs(t, err, ErrNotRunning)
	_, err = l.rt.Exec(l.ctx(), "absent", Exec{Process: process("true")})
	require.ErrorIs(t, err, ErrNotFound)
}

func TestExecTimeoutKillsTheTree(t *testing.T) {
	l := newLab(t)
	l.running("c", "sleep 1000")
	// 4001 is a child, 4002 a session of its own, 4003 an orphan in the command's session.
	text := `echo before; sleep 4001 & setsid sleep 4002 & (sleep 4003 &); sleep 4004`
	for _, timeout := range []time.Duration{400 * time.Millisecond, 1500 * time.Millisecond} {
		began := time.Now()
		res, err := l.rt.Exec(l.ctx(), "c", Exec{Process: script(text), Timeout: timeout})
		require.ErrorIs(t, err, ErrTimeout)
		require.Equal(t, "before\n", string(res.Stdout))
		require.Less(t, time.Since(began), timeout+2*time.Second)
		require.NotContains(t, l.inside("c"), "sleep 400")
		require.Contains(t, l.inside("c"), "sleep 1000")
	}
	ctx, cancel := context.WithTimeout(l.ctx(), 300*time.Millisecond)
	defer cancel()
	_, err := l.rt.Exec(ctx, "c", Exec{Process: script(text)})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NotErrorIs(t, err, ErrTimeout)
	require.NotContains(t, l.inside("c"), "sleep 400")
	l.requireNoExecFiles("c")
}

func TestExecLeavesAnOutputHolder(t *testing.T) {
	l := newLab(t)
	l.running("c", "sleep 1000")
	for name, c := range map[string]struct {
		text, out string
	}{
		"silent":  {"sleep 4005 & echo out; exit 9", "out\n"},
		"talking": {"(while echo y; do sleep 0.2; done) & echo out; exit 9", "out\n"},
		"late":    {"sleep 4006 & sleep 0.8; echo out; exit 9", "out\n"},
	} {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			res, err := l.rt.Exec(l.ctx(), "c", Exec{Process: script(c.text)})
			require.NoError(t, err)
			require.Equal(t, int32(9), res.ExitCode)
			require.Contains(t, string(res.Stdout), c.out)
			require.Less(t, time.Since(began), 3*time.Second)
		})
	}
	require.Contains(t, l.inside("c"), "sleep 4005", "what the command left behind was harmed")
	l.requireNoExecFiles("c")
}

func TestExecKeepsUpToTheLimit(t *testing.T) {
	l := newLab(t)
	l.running("c", "sleep 1000")
	res, err := l.rt.Exec(l.ctx(), "c", Exec{Process: script("i=0; while [ $i -lt 12 ]; do cat /bin/busybox; cat /bin/busybox >&2; i=$((i+1)); done; exit 3")})
	require.NoError(t, err)
	require.Equal(t, int32(3), res.ExitCode)
	require.Len(t, res.Stdout, DefaultLimit)
	require.Len(t, res.Stderr, DefaultLimit)
	res, err = l.rt.Exec(l.ctx(), "c", Exec{Process: script("echo 0123456789; echo abc >&2"), Limit: 5})
	require.NoError(t, err)
	require.Equal(t, "01234", string(res.Stdout))
	require.Equal(t, "abc\n", string(res.Stderr))
}

func TestExecWithBrokenRuntimes(t *testing.T) {
	for name, c := range map[string]struct {
		body, want string
		is         error
	}{
		"error":       {`[ $op = exec ] && { echo "no exec today" >&2; exit 1; }; exit 1`, "no exec today", ErrExecFailed},
		"hangs":       {`[ $op = exec ] && sleep 1000; exit 0`, "timed out", ErrTimeout},
		"dies":        {`[ $op = exec ] && kill -9 $$; exit 0`, "signal: killed", ErrNoExit},
		"foreign pid": {`while [ "$1" != --pid-file ]; do shift; done; echo 1 > "$2"; sleep 1000`, "timed out", ErrTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLabWith(t, fakeRuntime(t, c.body))
			require.NoError(t, os.Mkdir(l.rt.dir("c"), 0o700))
			_, err := l.rt.Exec(l.ctx(), "c", Exec{Process: process("true"), Timeout: 800 * time.Millisecond})
			require.ErrorIs(t, err, c.is)
			require.ErrorContains(t, err, c.want)
			require.NoError(t, os.Remove(l.rt.dir("c")))
			l.requireNothing()
		})
	}
}
