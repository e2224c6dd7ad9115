package runtime

import (
	"fmt"
	"os"
	goruntime "runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
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
	require.Eventually(t, func() bool { return goruntime.NumGoroutine() <= routines }, 5*time.Second, 10*time.Millisecond, "goroutines")
	require.LessOrEqual(t, openFiles(t), fds)
	var mem goruntime.MemStats
	goruntime.GC()
	goruntime.ReadMemStats(&mem)
	t.Logf("%d commands in %v, %v each; %d descriptors, %d goroutines, heap %d KiB", n, took, took/time.Duration(n), fds, routines, mem.HeapAlloc>>10)
}
