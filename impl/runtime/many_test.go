package runtime

import (
	"fmt"
	"os"
	"path/filepath"
	goruntime "runtime"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// openFiles counts this process's open files.
func openFiles(t *testing.T) int {
	fds, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	return len(fds)
}

// zombies counts dead children that nobody has waited for.
func zombies(t *testing.T) (n int) {
	all, err := processes()
	require.NoError(t, err)
	for _, st := range all {
		if st.parent == os.Getpid() && st.dead() {
			n++
		}
	}
	return n
}

// Many commands, four at a time, of all kinds; nothing of them is left.
// OCID_SOAK_EXECS is how many, 400 without it.
func TestManyExecs(t *testing.T) {
	n := 400
	if text := os.Getenv("OCID_SOAK_EXECS"); text != "" {
		var err error
		n, err = strconv.Atoi(text)
		require.NoError(t, err)
	}
	l := newLab(t)
	l.running("c", "while :; do sleep 1000; done", withDevpts)
	one := func(i int) error {
		switch {
		case i%100 == 7:
			_, err := l.rt.Exec(t.Context(), "c", Exec{Process: script("sleep 4031 & sleep 4032"), Timeout: 50 * time.Millisecond})
			if err == nil {
				return fmt.Errorf("command %d has not timed out", i)
			}
			return nil
		case i%10 == 3:
			p := script("read line; echo $line")
			p.Terminal = i%20 == 3
			var out sink
			code, err := l.rt.ExecStream(t.Context(), "c", p, Streams{Stdin: strings.NewReader("hello\n"), Stdout: &out})
			if err == nil && (code != 0 || !strings.Contains(out.String(), "hello")) {
				err = fmt.Errorf("command %d: code %d, %q", i, code, out.String())
			}
			return err
		}
		res, err := l.rt.Exec(t.Context(), "c", Exec{Process: script(fmt.Sprintf("echo %d; exit %d", i, i%200))})
		if err == nil && (res.ExitCode != int32(i%200) || string(res.Stdout) != fmt.Sprintf("%d\n", i)) {
			err = fmt.Errorf("command %d: code %d, %q", i, res.ExitCode, res.Stdout)
		}
		return err
	}
	require.NoError(t, one(0))
	fds, routines, began := openFiles(t), goruntime.NumGoroutine(), time.Now()
	errs := make(chan error, 4)
	var group sync.WaitGroup
	for w := range 4 {
		group.Go(func() {
			for i := w; i < n; i += 4 {
				if err := one(i); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	group.Wait()
	close(errs)
	require.NoError(t, <-errs)
	took := time.Since(began)
	require.Zero(t, zombies(t))
	require.NotContains(t, l.inside("c"), "sleep 403")
	l.requireNoExecFiles("c")
	requireRoutines(t, routines)
	require.LessOrEqual(t, openFiles(t), fds)
	var mem goruntime.MemStats
	goruntime.GC()
	goruntime.ReadMemStats(&mem)
	t.Logf("%d commands in %v, %v each; %d descriptors, %d goroutines, heap %d KiB", n, took, took/time.Duration(n), fds, routines, mem.HeapAlloc>>10)
}

// requireRoutines waits until there are no more goroutines than that. It looks
// from the test's own: require.Eventually has some besides.
func requireRoutines(t *testing.T, most int) {
	settled := func() bool { return goruntime.NumGoroutine() <= most }
	for end := time.Now().Add(5 * time.Second); !settled() && time.Now().Before(end); {
		<-time.After(10 * time.Millisecond)
	}
	if !settled() {
		var text strings.Builder
		require.NoError(t, pprof.Lookup("goroutine").WriteTo(&text, 1))
		t.Fatalf("%d goroutines, %d before:\n%s", goruntime.NumGoroutine(), most, &text)
	}
}

// A runc that is killed as it begins leaves a mount of itself in the container's
// state directory.
func TestDeleteAfterKilledRuntime(t *testing.T) {
	l := newLab(t)
	l.created(l.bundle("c", "sleep 1000"))
	clone := filepath.Join(l.h.Root, "c", "runc.AbCdEf")
	require.NoError(t, os.WriteFile(clone, nil, 0o600))
	require.NoError(t, unix.Mount("/bin/true", clone, "", unix.MS_BIND, ""))
	t.Cleanup(func() { _ = unix.Unmount(clone, unix.MNT_DETACH) })
	require.NoError(t, l.rt.Delete(t.Context(), "c"))
	require.NoDirExists(t, filepath.Dir(clone))
}
