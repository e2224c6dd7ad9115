package namespace

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moby/sys/mountinfo"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// newDir gives a directory for pins; the test fails if a mount is left below it.
func newDir(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "netns")
	t.Cleanup(func() {
		require.NoError(t, ReleaseDir(dir))
		mounts, err := mountinfo.GetMounts(mountinfo.PrefixFilter(dir))
		require.NoError(t, err)
		require.Empty(t, mounts)
	})
	return dir
}

func threePins(dir string) []Pin {
	return []Pin{
		{Net, filepath.Join(dir, "a-net")},
		{IPC, filepath.Join(dir, "a-ipc")},
		{UTS, filepath.Join(dir, "a-uts")},
	}
}

// inode tells namespaces apart.
func inode(t *testing.T, path string) uint64 {
	t.Helper()
	var st unix.Stat_t
	require.NoError(t, unix.Stat(path, &st))
	return st.Ino
}

func isOpen(t *testing.T, path string) bool {
	t.Helper()
	open, err := State(path)
	require.NoError(t, err)
	return open
}

// inside runs fn on a thread that joined the pins, and throws the thread away.
func inside(pins []Pin, fn func() error) error {
	return onDoomedThread(func() error {
		for _, p := range pins {
			fd, err := unix.Open(p.Path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				return err
			}
			err = unix.Setns(fd, p.Kind.flag())
			unix.Close(fd)
			if err != nil {
				return err
			}
		}
		return fn()
	})
}

func requireNoStrayThread(t *testing.T) {
	t.Helper()
	for _, kind := range []string{"net", "ipc", "uts"} {
		want := inode(t, "/proc/self/ns/"+kind)
		require.Eventually(t, func() bool {
			tasks, err := filepath.Glob("/proc/self/task/*/ns/" + kind)
			if err != nil || len(tasks) == 0 {
				return false
			}
			for _, task := range tasks {
				var st unix.Stat_t
				if unix.Stat(task, &st) == nil && st.Ino != want {
					return false
				}
			}
			return true
		}, 5*time.Second, 5*time.Millisecond, "a thread stayed in another %s namespace", kind)
	}
}

func TestCreateAndRemove(t *testing.T) {
	dir := newDir(t)
	pins := threePins(dir)
	require.NoError(t, Create(t.Context(), Spec{Pins: pins}))
	for _, p := range pins {
		require.True(t, isOpen(t, p.Path), p.Kind)
		require.NotEqual(t, inode(t, "/proc/self/ns/"+string(p.Kind)), inode(t, p.Path), p.Kind)
	}
	requireNoStrayThread(t)
	for range 2 {
		for _, p := range pins {
			require.NoError(t, Remove(p.Path))
			require.False(t, isOpen(t, p.Path))
			require.NoFileExists(t, p.Path)
		}
	}
}

func TestCreateOnlyWhatIsAsked(t *testing.T) {
	dir := newDir(t)
	pin := Pin{IPC, filepath.Join(dir, "b-ipc")}
	var uts, net uint64
	err := Create(t.Context(), Spec{Pins: []Pin{pin}, Setup: func() error {
		uts, net = inode(t, "/proc/thread-self/ns/uts"), inode(t, "/proc/thread-self/ns/net")
		return nil
	}})
	require.NoError(t, err)
	require.Equal(t, inode(t, "/proc/self/ns/uts"), uts)
	require.Equal(t, inode(t, "/proc/self/ns/net"), net)
	require.NoError(t, Remove(pin.Path))
}

func TestHostnameAndSysctlsStayInside(t *testing.T) {
	byKind := map[Kind]Sysctls{
		Net: {"net/ipv4/ip_unprivileged_port_start": "77", "net/ipv4/conf/lo/rp_filter": "2"},
		IPC: {"kernel/shmmni": "4001", "kernel/msgmax": "8193", "kernel/sem": "251\t32001\t33\t129", "fs/mqueue/msg_max": "11"},
		UTS: {"kernel/domainname": "pods.example"},
	}
	sysctls := map[string]string{}
	for _, all := range byKind {
		maps.Copy(sysctls, all)
	}
	read := func(name string) string {
		b, err := os.ReadFile("/proc/sys/" + name)
		if err != nil {
			return err.Error()
		}
		return strings.TrimSpace(string(b))
	}
	host := map[string]string{}
	for name := range sysctls {
		host[name] = read(name)
	}
	hostname, err := os.Hostname()
	require.NoError(t, err)

	pins := threePins(newDir(t))
	require.NoError(t, Create(t.Context(), Spec{Pins: pins, Hostname: "pod-one", Sysctls: byKind}))
	got := map[string]string{}
	require.NoError(t, inside(pins, func() error {
		for name := range sysctls {
			got[name] = read(name)
		}
		name, err := os.Hostname()
		got["hostname"] = name
		return err
	}))
	require.Equal(t, "pod-one", got["hostname"])
	for name, value := range sysctls {
		require.Equal(t, value, got[name], name)
		require.Equal(t, host[name], read(name), "%s of the host", name)
		require.NotEqual(t, value, host[name], "%s: the test needs another value", name)
	}
	after, err := os.Hostname()
	require.NoError(t, err)
	require.Equal(t, hostname, after)
	require.NoError(t, removeAll(pins))
}

func TestSetupFailureTakesAllBack(t *testing.T) {
	boom := errors.New("boom")
	for name, spec := range map[string]Spec{
		"setup":      {Setup: func() error { return boom }},
		"goexit":     {Setup: func() error { runtime.Goexit(); return nil }},
		"no sysctl":  {Sysctls: map[Kind]Sysctls{Net: {"net/ipv4/no_such_thing": "1"}}},
		"bad sysctl": {Sysctls: map[Kind]Sysctls{Net: {"net/ipv4/ip_forward": "many"}}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := newDir(t)
			spec.Pins = threePins(dir)
			err := Create(t.Context(), spec)
			require.Error(t, err)
			if name == "setup" {
				require.ErrorIs(t, err, boom)
			}
			entries, err := os.ReadDir(dir)
			require.NoError(t, err)
			require.Empty(t, entries)
		})
	}
	requireNoStrayThread(t)
}

func TestRefusals(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "never")
	net, uts := Pin{Net, dir + "/n"}, Pin{UTS, dir + "/u"}
	for want, spec := range map[string]Spec{
		"no namespace to create": {},
		"is unknown":             {Pins: []Pin{{"mnt", dir + "/m"}}},
		"not absolute and clean": {Pins: []Pin{{Net, dir + "/../n"}}},
		"named twice":            {Pins: []Pin{net, {Net, dir + "/o"}}},
		"no uts namespace":       {Pins: []Pin{net}, Hostname: "x"},
		"no net namespace":       {Pins: []Pin{uts}, Sysctls: map[Kind]Sysctls{Net: {"net/ipv4/ip_forward": "1"}}},
		"is not below /proc/sys": {Pins: []Pin{net}, Sysctls: map[Kind]Sysctls{Net: {"../kernel/core_pattern": "1"}}},
	} {
		require.ErrorContains(t, Create(t.Context(), spec), want)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, Create(ctx, Spec{Pins: []Pin{net}}), context.Canceled)
	require.NoDirExists(t, dir)
}

func TestManyAtOnce(t *testing.T) {
	const n = 24
	for range 5 { // each time the directory has yet to become a mount
		dir := newDir(t)
		start, errs := make(chan struct{}), make([]error, n)
		var wg sync.WaitGroup
		for i := range n {
			spec := Spec{Pins: []Pin{{Net, filepath.Join(dir, fmt.Sprint(i))}}}
			wg.Go(func() {
				<-start
				errs[i] = Create(t.Context(), spec)
			})
		}
		close(start)
		wg.Wait()
		require.NoError(t, errors.Join(errs...))
		mounts, err := mountinfo.GetMounts(mountinfo.SingleEntryFilter(dir))
		require.NoError(t, err)
		seen := map[uint64]bool{}
		for i := range n {
			path := filepath.Join(dir, fmt.Sprint(i))
			seen[inode(t, path)] = isOpen(t, path)
			require.NoError(t, Remove(path))
		}
		require.Len(t, mounts, 1, "the directory is mounted once")
		require.Len(t, seen, n)
		require.NotContains(t, slices.Collect(maps.Values(seen)), false)
	}
	requireNoStrayThread(t)
}

func TestMainThreadIsSpared(t *testing.T) {
	// Called while goroutines crowd all threads, the main one included.
	pin := Pin{UTS, filepath.Join(newDir(t), "u")}
	for range 50 {
		err := Create(t.Context(), Spec{Pins: []Pin{pin}, Setup: func() error {
			if unix.Gettid() == unix.Getpid() {
				return errors.New("setup ran on the main thread")
			}
			return nil
		}})
		require.NoError(t, err)
		require.NoError(t, Remove(pin.Path))
	}
	requireNoStrayThread(t)
}
