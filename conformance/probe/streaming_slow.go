package probe

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"ocid/conformance/target"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// stuckWriter takes the first write and no more until it is released, which is
// at the end of the case at the latest.
type stuckWriter struct {
	first   chan struct{} // closed by the first write
	free    chan struct{}
	release func()
	n       int // bytes; not to be read before the writer has ended
}

func newStuckWriter() *stuckWriter {
	s := &stuckWriter{first: make(chan struct{}), free: make(chan struct{})}
	s.release = sync.OnceFunc(func() { close(s.free) })
	DeferCleanup(s.release)
	return s
}

func (s *stuckWriter) Write(p []byte) (int, error) {
	select {
	case <-s.first:
		<-s.free
	default:
		close(s.first)
	}
	s.n += len(p)
	return len(p), nil
}

// awaitBlocked waits until a program in the container can't write any more and
// returns it with the number of bytes that it has written.
func awaitBlocked(ctx context.Context, c *target.Container, program string) (writer target.Process, written int) {
	GinkgoHelper()
	same := 0
	Eventually(ctx, func() error {
		all := c.Processes()
		i := slices.IndexFunc(all, func(p target.Process) bool { return len(p.Args) > 0 && p.Args[0] == program })
		if i < 0 {
			return errors.New("does not run")
		}
		n, err := all[i].Written()
		if err != nil {
			return err
		}
		if same++; n != written || n == 0 {
			same = 0
		}
		if writer, written = all[i], n; same < 10 {
			return errors.New("still writes")
		}
		return nil
	}).WithTimeout(2*happensIn()).WithPolling(25*time.Millisecond).Should(Succeed(), program)
	return writer, written
}

// runs says whether a process of the container has just these arguments.
func runs(c *target.Container, args ...string) bool {
	GinkgoHelper()
	if !c.T.Has(target.FeatureHostProcesses) {
		all, _, _, err := c.Exec(context.Background(), "/bin/sh", "-c", "cat /proc/[0-9]*/cmdline")
		Expect(err).NotTo(HaveOccurred())
		return strings.Contains("\x00"+all, "\x00"+strings.Join(args, "\x00")+"\x00")
	}
	return slices.ContainsFunc(c.Processes(), func(p target.Process) bool { return slices.Equal(p.Args, args) })
}
