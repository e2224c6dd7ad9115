package keeper_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"ocid/impl/keeper"
)

// runtime is a runtime in a shell script: the container is a directory, in which
// "state" is what it says it is, and "end" the exit status that wait waits for.
const runtime = `#!/bin/sh
dir=${1#--root=}; shift
echo "$@" >>"$dir/calls"
case $1 in
create)
	[ ! -e "$dir/refuse" ] || { echo "no container" >&2; exit 3; }
	echo created >"$dir/state"; echo 1 >"$5" ;;
state)
	[ -e "$dir/state" ] || exit 1
	echo "{\"ociVersion\": \"1.0\", \"id\": \"$2\", \"status\": \"$(cat "$dir/state")\"}" ;;
wait)
	if [ -e "$dir/late" ]; then # it has been started and has ended meanwhile
		rm "$dir/late"
		echo stopped >"$dir/state"
		exit 1
	fi
	[ ! -e "$dir/status" ] || { echo "{\"exitStatus\": $(cat "$dir/status")}"; exit; }
	grep -q running "$dir/state" || exit 1
	exec 3<"$dir/fifo"; read -r status <&3
	echo "{\"id\": \"$2\", \"exitStatus\": $status}" ;;
esac
`

// TestMain lets this program be the keeper.
func TestMain(m *testing.M) {
	if os.Getenv("KEEPER") != "" {
		os.Exit(keeper.Main(os.Args))
	}
	os.Exit(m.Run())
}

type lab struct {
	t   *testing.T
	dir string
}

func newLab(t *testing.T) *lab {
	// What a keeper leaves is this process's to reap, as it would be a monitor's.
	require.NoError(t, unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
	l := &lab{t: t, dir: t.TempDir()}
	require.NoError(t, os.WriteFile(l.path("runtime"), []byte(runtime), 0o755))
	require.NoError(t, unix.Mkfifo(l.path("fifo"), 0o600))
	return l
}

func (l *lab) path(name string) string { return filepath.Join(l.dir, name) }

func (l *lab) say(name, text string) {
	l.t.Helper()
	require.NoError(l.t, os.WriteFile(l.path(name), []byte(text), 0o600))
}

// create runs the keeper as a monitor does.
func (l *lab) create() (output string, code int) {
	l.t.Helper()
	cmd := exec.Command("/proc/self/exe", l.path("runtime"), "--root="+l.dir, "create", "--bundle", "/b", "--pid-file", l.path("pid"), "c1")
	cmd.Env = append(os.Environ(), "KEEPER=1")
	file, err := os.Create(l.path("output")) // a pipe would be the keeper's too
	require.NoError(l.t, err)
	defer file.Close()
	cmd.Stdout, cmd.Stderr = file, file
	_ = cmd.Run()
	text, err := os.ReadFile(l.path("output"))
	require.NoError(l.t, err)
	return string(text), cmd.ProcessState.ExitCode()
}

func (l *lab) keeper() int {
	l.t.Helper()
	text, err := os.ReadFile(l.path("pid"))
	require.NoError(l.t, err)
	pid, err := strconv.Atoi(string(text))
	require.NoError(l.t, err)
	return pid
}

// status reaps the keeper.
func (l *lab) status(pid int) int {
	l.t.Helper()
	var ws unix.WaitStatus
	require.Eventually(l.t, func() bool {
		got, err := unix.Wait4(pid, &ws, unix.WNOHANG, nil)
		return err == nil && got == pid
	}, 10*time.Second, 5*time.Millisecond, "the keeper does not end")
	return ws.ExitStatus()
}

func (l *lab) calls() string {
	text, err := os.ReadFile(l.path("calls"))
	require.NoError(l.t, err)
	return string(text)
}

func TestKeeperEndsAsItsContainer(t *testing.T) {
	l := newLab(t)
	out, code := l.create()
	require.Zero(t, code, out)
	pid := l.keeper()
	assert.NotEqual(t, 1, pid, "the runtime's own number")
	require.NoError(t, syscall.Kill(pid, syscall.SIGUSR1))
	require.Eventually(t, func() bool { return strings.Contains(l.calls(), "state c1") }, 10*time.Second, 5*time.Millisecond)
	l.say("state", "running")
	require.NoError(t, syscall.Kill(pid, syscall.SIGUSR1), "it waits for a container that is not started")
	l.say("fifo", "42\n")
	assert.Equal(t, 42, l.status(pid))
}

func TestKeeperAsksAgainForAContainerThatHasEndedMeanwhile(t *testing.T) {
	l := newLab(t)
	l.say("late", "")
	l.say("status", "7")
	_, code := l.create()
	require.Zero(t, code)
	pid := l.keeper()
	require.NoError(t, syscall.Kill(pid, syscall.SIGUSR1))
	assert.Equal(t, 7, l.status(pid))
}

func TestKeeperPassesSignalsOn(t *testing.T) {
	l := newLab(t)
	_, code := l.create()
	require.Zero(t, code)
	pid := l.keeper()
	require.NoError(t, syscall.Kill(pid, syscall.SIGTERM))
	require.Eventually(t, func() bool { return strings.Contains(l.calls(), "kill c1 15\n") }, 10*time.Second, 5*time.Millisecond)
	l.say("state", "stopped")
	require.NoError(t, syscall.Kill(pid, syscall.SIGUSR1))
	assert.Equal(t, 137, l.status(pid), "nobody knows how it ended")
}

func TestKeeperOfAContainerThatIsGone(t *testing.T) {
	l := newLab(t)
	_, code := l.create()
	require.Zero(t, code)
	require.NoError(t, os.Remove(l.path("state")))
	pid := l.keeper()
	require.NoError(t, syscall.Kill(pid, syscall.SIGUSR1))
	assert.Equal(t, 137, l.status(pid))
}

func TestFailedCreateLeavesNoKeeper(t *testing.T) {
	l := newLab(t)
	l.say("refuse", "")
	out, code := l.create()
	assert.Equal(t, 3, code)
	assert.Equal(t, "no container\n", out)
	assert.NoFileExists(t, l.path("pid"))
}

func TestRuntimeThatMakesNothing(t *testing.T) {
	l := newLab(t)
	require.NoError(t, os.WriteFile(l.path("runtime"), []byte("#!/bin/sh\necho garbage\n"), 0o755))
	out, code := l.create()
	assert.NotZero(t, code)
	assert.Contains(t, out, "runtime made no container")
	assert.NoFileExists(t, l.path("pid"))
}

func TestBadArguments(t *testing.T) {
	for _, args := range [][]string{{}, {"runc", "start", "c1"}, {"create", "--pid-file", "p", "c1"}, {"runc", "create", "c1"}, {"runc", "create", "--pid-file"}} {
		cmd := exec.Command("/proc/self/exe", args...)
		cmd.Env = append(os.Environ(), "KEEPER=1")
		out, err := cmd.CombinedOutput()
		require.Error(t, err, args)
		assert.Contains(t, string(out), "not the arguments of a monitor", args)
	}
}
