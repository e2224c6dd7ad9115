package runtime

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// lab is a place for containers of one test. Its end fails the test if anything
// is left: a process, a state, a cgroup, a run file.
type lab struct {
	t      testing.TB
	dir    string // in the arguments or the environment of every process made here
	cgroup string // parent of all containers' cgroups
	h      Handler
	o      Options
	rt     *OCI
}

func newLab(t testing.TB) *lab { return newLabWith(t, "runc") }

// newLabWith makes a lab for a runtime, given by path or name.
func newLabWith(t testing.TB, runtime string) *lab {
	t.Helper()
	dir := t.TempDir()
	l := &lab{t: t, dir: dir, cgroup: "/ocid-runtime-" + strings.ReplaceAll(strings.TrimPrefix(dir, os.TempDir()), "/", "_")}
	l.h = Handler{Name: "runc", Path: runtime, Root: filepath.Join(dir, "root"), Env: []string{"OCID_TEST=" + dir}}
	l.o = Options{RunDir: filepath.Join(dir, "run")}
	l.rt = l.open()
	l.makeRootfs()
	t.Cleanup(l.audit)
	return l
}

// open returns a fresh adapter, as a restarted program would.
func (l *lab) open() *OCI {
	rt, err := New(l.h, l.o)
	require.NoError(l.t, err)
	return rt
}

func (l *lab) path(elem ...string) string { return filepath.Join(append([]string{l.dir}, elem...)...) }

func (l *lab) makeRootfs() {
	for _, d := range []string{"bin", "proc", "dev", "tmp"} {
		require.NoError(l.t, os.MkdirAll(l.path("rootfs", d), 0o755))
	}
	box, err := os.ReadFile("/bin/busybox")
	require.NoError(l.t, err)
	require.NoError(l.t, os.WriteFile(l.path("rootfs/bin/busybox"), box, 0o755))
	for _, name := range []string{"sh", "sleep", "echo", "cat", "head", "true", "setsid", "kill", "tail", "dd"} {
		require.NoError(l.t, os.Symlink("busybox", l.path("rootfs/bin", name)))
	}
}

func process(args ...string) specs.Process {
	return specs.Process{
		Args: args, Cwd: "/", Env: []string{"PATH=/bin"},
		Capabilities: &specs.LinuxCapabilities{},
	}
}

func script(text string) specs.Process { return process("/bin/sh", "-c", text) }

// bundle writes a bundle that runs a shell script and returns what creates it.
func (l *lab) bundle(id, text string, edit ...func(*specs.Spec)) Create {
	p := script(text)
	spec := &specs.Spec{
		Version: "1.0.2", Process: &p, Root: &specs.Root{Path: l.path("rootfs")},
		Mounts: []specs.Mount{
			{Destination: "/proc", Type: "proc", Source: "proc"},
			{Destination: "/dev", Type: "tmpfs", Source: "tmpfs"},
		},
		Linux: &specs.Linux{
			CgroupsPath: l.cgroup + "/" + id,
			Namespaces:  []specs.LinuxNamespace{{Type: specs.PIDNamespace}, {Type: specs.MountNamespace}},
		},
	}
	for _, f := range edit {
		f(spec)
	}
	data, err := json.Marshal(spec)
	require.NoError(l.t, err)
	dir := l.path("bundle", id)
	require.NoError(l.t, os.MkdirAll(dir, 0o700))
	require.NoError(l.t, os.WriteFile(filepath.Join(dir, "config.json"), data, 0o600))
	return Create{ID: id, Bundle: dir, LogPath: l.path(id + ".log")}
}

// running creates and starts a container, and deletes it at the end.
func (l *lab) running(id, text string, edit ...func(*specs.Spec)) Process {
	p := l.created(l.bundle(id, text, edit...))
	require.NoError(l.t, l.rt.Start(l.ctx(), id))
	return p
}

func (l *lab) created(c Create) Process {
	p, err := l.rt.Create(l.ctx(), c)
	require.NoError(l.t, err)
	l.t.Cleanup(func() { require.NoError(l.t, l.rt.Delete(context.Background(), c.ID)) })
	return p
}

func (l *lab) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	l.t.Cleanup(cancel)
	return ctx
}

func (l *lab) watch(id string, p Process) Exit {
	l.t.Helper()
	e, err := l.rt.Watch(l.ctx(), id, p)
	require.NoError(l.t, err)
	return e
}

// logLines waits until the log holds n lines.
func (l *lab) logLines(id string, n int) []string {
	var lines []string
	require.Eventually(l.t, func() bool {
		data, _ := os.ReadFile(l.path(id + ".log"))
		lines = strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
		return len(lines) >= n && lines[0] != ""
	}, 10*time.Second, 5*time.Millisecond, "%s has not logged %d lines", id, n)
	return lines
}

// ours lists the live processes that carry the lab's directory in their
// arguments or environment, or are in one of its cgroups.
func (l *lab) ours() []string {
	all, err := processes()
	require.NoError(l.t, err)
	var found []string
	for _, st := range all {
		if st.dead() || st.pid == os.Getpid() {
			continue
		}
		var text []byte
		for _, f := range []string{"cmdline", "environ", "cgroup"} {
			data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/%s", st.pid, f))
			text = append(text, data...)
		}
		if bytes.Contains(text, []byte(l.dir)) || bytes.Contains(text, []byte(l.cgroup)) {
			args, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", st.pid))
			found = append(found, fmt.Sprintf("%d: %s", st.pid, bytes.ReplaceAll(args, []byte{0}, []byte(" "))))
		}
	}
	return found
}

// cgroups lists the cgroup directories of containers.
func (l *lab) cgroups() []string {
	var found []string
	for _, h := range l.rt.hierarchies {
		dirs, err := filepath.Glob(filepath.Join(h, l.cgroup, "*", "cgroup.procs"))
		require.NoError(l.t, err)
		found = append(found, dirs...)
	}
	return found
}

// requireNothing fails if any trace of a container is left.
func (l *lab) requireNothing() {
	l.t.Helper()
	require.Eventually(l.t, func() bool { return len(l.ours()) == 0 }, 5*time.Second, 5*time.Millisecond, "processes are left: %v", l.ours())
	for _, dir := range []string{l.h.Root, l.o.RunDir} {
		entries, err := os.ReadDir(dir)
		if !os.IsNotExist(err) {
			require.NoError(l.t, err)
		}
		require.Empty(l.t, entries, dir)
	}
	require.Empty(l.t, l.cgroups())
}

func (l *lab) audit() {
	defer l.removeCgroups()
	l.requireNothing()
}

// removeCgroups removes the parent cgroup, which runc has made and keeps, and
// what a failed test has left in it.
func (l *lab) removeCgroups() {
	for _, dir := range l.cgroups() {
		_ = os.Remove(filepath.Dir(dir))
	}
	for _, h := range l.rt.hierarchies {
		_ = os.Remove(filepath.Join(h, l.cgroup))
	}
}

// fakeRuntime writes a shell script that gets the subcommand in $op and all
// arguments in $@.
func fakeRuntime(t *testing.T, body string) string {
	path := filepath.Join(t.TempDir(), "runtime.sh")
	head := "#!/bin/sh\nop=\nfor a; do case $a in --version|create|start|state|kill|delete|exec) op=$a; break;; esac; done\n" +
		"[ $op = --version ] && exit 0\n"
	require.NoError(t, os.WriteFile(path, []byte(head+body), 0o755))
	return path
}

func threads(t *testing.T) int {
	tasks, err := os.ReadDir("/proc/self/task")
	require.NoError(t, err)
	return len(tasks)
}

func kill9(t *testing.T, pid int, start uint64) {
	p, err := openProcess(pid, start)
	require.NoError(t, err)
	defer p.close()
	require.NoError(t, p.signal(unix.SIGKILL))
	require.NoError(t, p.wait(context.Background()))
}

// raw runs runc without the adapter, for comparison.
func (l *lab) raw(stdout io.Writer, args ...string) error {
	cmd := exec.Command("runc", append([]string{"--root", l.h.Root}, args...)...)
	cmd.Stdout, cmd.Stderr = stdout, stdout
	return cmd.Run()
}
