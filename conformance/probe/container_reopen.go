package probe

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"ocid/conformance/target"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"google.golang.org/grpc/codes"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// rotate does what the kubelet does with a log that has become too large: it
// renames the file and calls ReopenContainerLog. (kubelet v1.37.2,
// container_log_manager.go, rotateLatestLog)
func rotate(ctx context.Context, c *target.Container, n int) (moved string, err error) {
	GinkgoHelper()
	path := logFile(c)
	moved = fmt.Sprintf("%s.%04d", path, n)
	Expect(os.Rename(path, moved)).To(Succeed())
	return moved, c.ReopenLog(ctx)
}

func logFile(c *target.Container) string { return c.Pod.LogPath(c.Config.GetLogPath()) }

// expectNoLog fails unless no file of the name is there, whole or half made.
func expectNoLog(c *target.Container) {
	GinkgoHelper()
	found, err := filepath.Glob(logFile(c) + "*")
	Expect(err).NotTo(HaveOccurred())
	Expect(found).To(BeEmpty(), "log files")
}

// "ReopenContainerLog asks runtime to reopen the stdout/stderr log file for the
// container. This is often called after the log file has been rotated. If the
// container is not running, container runtime can choose to either create a new
// log file and return nil, or return an error. Once it returns error, new
// container log file MUST NOT be created." (cri-api v1)
var _ = Describe("ReopenContainerLog", func() {
	const talks = "i=0; while :; do echo $i; i=$((i+1)); sleep 0.02; done"

	It("is there for a container that runs or is being stopped", target.Covers("container.reopen-log.running"), containerLimit, func(ctx SpecContext) {
		c := target.Current().Running(ctx)
		Expect(c.ReopenLog(ctx)).To(Succeed())
		stop, release := stopStalled(ctx, c)
		Expect(answerOf(rotate(ctx, c, 0))).To(Succeed())
		Expect(logFile(c)).To(BeARegularFile())
		release()
		_, err := stop.result(ctx)
		Expect(err).NotTo(HaveOccurred())
	})

	It("is refused by a container that does not run, and makes no file", target.Covers("container.reopen-log.idle"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		c := t.Pod(ctx).Create(ctx)
		refused := func(state string) {
			GinkgoHelper()
			if _, err := os.Stat(logFile(c)); err == nil {
				Expect(os.Remove(logFile(c))).To(Succeed())
			}
			err := c.ReopenLog(ctx)
			Expect(err).To(HaveOccurred(), state)
			t.ExpectCode(err, codes.FailedPrecondition)
			t.ExpectRule(err, "container.reopen-log.idle")
			expectNoLog(c)
		}
		refused("CREATED")
		Expect(c.Start(ctx)).To(Succeed())
		Expect(c.Stop(ctx, 0)).To(Succeed())
		refused("EXITED")
	})

	It("is refused while the container is being started or removed", target.Covers("container.reopen-log.idle"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		c, start, release := startStalled(ctx, t.Pod(ctx))
		t.ExpectCode(c.ReopenLog(ctx), codes.FailedPrecondition)
		release()
		_, err := start.result(ctx)
		Expect(err).NotTo(HaveOccurred())
		remove, release := removeStalled(ctx, c)
		t.ExpectCode(c.ReopenLog(ctx), codes.FailedPrecondition)
		release()
		_, err = remove.result(ctx)
		Expect(err).NotTo(HaveOccurred())
	})

	It("is refused for an unknown or half-made container", target.Covers("container.reopen-log.absent"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		err := nobody(t).ReopenLog(ctx)
		t.ExpectCode(err, codes.NotFound)
		t.ExpectRule(err, "container.reopen-log.absent")
		h := makeHalf(ctx, t.Pod(ctx))
		t.ExpectCode(h.ReopenLog(ctx), codes.NotFound)
		h.release()
		_, err = h.call.result(ctx)
		Expect(err).NotTo(HaveOccurred())
	})

	It("has the output go to a new file", target.Covers("container.log.reopen"), containerLimit, func(ctx SpecContext) {
		c := target.Current().Pod(ctx).Run(ctx, target.Shell("echo before; while [ ! -e /go ]; do sleep 0.01; done; echo after; sleep 1000"))
		awaitLog(ctx, c, "before")
		moved, err := rotate(ctx, c, 0)
		Expect(err).NotTo(HaveOccurred())
		Expect(logFile(c)).To(BeARegularFile(), "when the call returns")
		Expect(logOf(c)).To(BeEmpty())
		c.Output(ctx, "touch", "/go")
		awaitLog(ctx, c, "after")
		Expect(textOf(criLines(logOf(c)), "stdout")).To(Equal("after\n"))
		old, err := os.ReadFile(moved)
		Expect(err).NotTo(HaveOccurred())
		Expect(textOf(criLines(string(old)), "stdout")).To(Equal("before\n"))
	})

	It("returns when the new file is there, each time", target.Covers("container.log.reopen"), containerLimit, func(ctx SpecContext) {
		c := target.Current().Pod(ctx).Run(ctx, target.Shell("while :; do echo line; done"))
		awaitLog(ctx, c, "line")
		for n := range 30 {
			Expect(answerOf(rotate(ctx, c, n))).To(Succeed())
			Expect(logFile(c)).To(BeARegularFile(), "after rotation %d", n)
		}
		Expect(c.Stop(ctx, 0)).To(Succeed())
	})

	for _, sig := range ends {
		It("works after a restart of the daemon by "+sig.String(), target.Covers("container.log.reopen"), restartLimit, func(ctx SpecContext) {
			t := target.Current()
			c := t.Pod(ctx).Run(ctx, target.Shell(talks))
			awaitLog(ctx, c, "\n")
			Expect(t.Restart(ctx, sig)).To(Succeed())
			Expect(answerOf(rotate(ctx, c, 0))).To(Succeed())
			awaitLog(ctx, c, "\n")
		})
	}

	// Own: who did not move the log does not want to lose it.
	It("leaves a log that nobody has moved", target.Covers("container.log.unmoved"), containerLimit, func(ctx SpecContext) {
		c := target.Current().Pod(ctx).Run(ctx, target.Shell("echo before; while [ ! -e /go ]; do sleep 0.01; done; echo after; sleep 1000"))
		awaitLog(ctx, c, "before")
		Expect(c.ReopenLog(ctx)).To(Succeed())
		c.Output(ctx, "touch", "/go")
		awaitLog(ctx, c, "after")
		Expect(textOf(criLines(logOf(c)), "stdout")).To(Equal("before\nafter\n"))
	})

	It("makes a directory that has vanished", target.Covers("container.log.directory"), containerLimit, func(ctx SpecContext) {
		c := target.Current().Pod(ctx).Run(ctx, target.Shell(talks), target.WithContainer(func(c *runtimeapi.ContainerConfig) { c.LogPath = "dir/0.log" }))
		awaitLog(ctx, c, "\n")
		Expect(os.RemoveAll(filepath.Dir(logFile(c)))).To(Succeed())
		Expect(c.ReopenLog(ctx)).To(Succeed())
		awaitLog(ctx, c, "\n")
		Expect(c.State(ctx)).To(Equal(isRunning))
	})

	It("that can't make the file is refused, and the container goes on", target.Covers("container.log.reopen-fails"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		c := t.Pod(ctx).Run(ctx, target.Shell(talks), target.WithContainer(func(c *runtimeapi.ContainerConfig) { c.LogPath = "dir/0.log" }))
		awaitLog(ctx, c, "\n")
		dir := filepath.Dir(logFile(c))
		Expect(os.Rename(dir, dir+".moved")).To(Succeed())
		Expect(os.WriteFile(dir, nil, 0o600)).To(Succeed())
		err := c.ReopenLog(ctx)
		t.ExpectCode(err, codes.FailedPrecondition)
		t.ExpectRule(err, "container.log.reopen-fails")
		Expect(err.Error()).To(ContainSubstring(logFile(c)))
		Expect(c.State(ctx)).To(Equal(isRunning))
		moved := func() int64 {
			info, err := os.Stat(filepath.Join(dir+".moved", "0.log"))
			Expect(err).NotTo(HaveOccurred())
			return info.Size()
		}
		Eventually(ctx, moved).WithTimeout(happensIn()).Should(BeNumerically(">", moved()), "the log where it was")
		Expect(os.Remove(dir)).To(Succeed())
		Expect(os.Rename(dir+".moved", dir)).To(Succeed())
		Expect(answerOf(rotate(ctx, c, 0))).To(Succeed())
	})

	It("is nothing for a container without a log", target.Covers("container.reopen-log.running"), containerLimit, func(ctx SpecContext) {
		c := target.Current().Pod(ctx).Run(ctx, withoutLog())
		Expect(c.ReopenLog(ctx)).To(Succeed())
	})
})

// Own: readers of logs take the last line of a file for a whole one, and the
// kubelet shows the first of the next as one of its own.
var _ = Describe("A log that is rotated again and again", func() {
	for what, script := range map[string]string{
		"lines":               `i=0; while [ $i -lt 20000 ]; do echo "line $i of the many that stand in a log, one behind the other"; i=$((i+1)); done`,
		"lines in pieces":     `i=0; while [ $i -lt 8000 ]; do echo -n "line "; echo -n $i; echo " of the many"; i=$((i+1)); done`,
		"lines on both sides": `i=0; while [ $i -lt 8000 ]; do echo "line $i of the many"; echo "error $i" >&2; i=$((i+1)); done`,
		"very long lines":     `l=$(printf '%06000d' 0); i=0; while [ $i -lt 1000 ]; do echo "line $i of the many $l"; i=$((i+1)); done`,
	} {
		It("has all "+what+", whole", target.Covers("container.log.whole-lines"), containerLimit, func(ctx SpecContext) {
			c := target.Current().Pod(ctx).Run(ctx, target.Shell(script+"; echo end; sleep 1000"))
			var files []string
			for done := false; !done; {
				moved, err := rotate(ctx, c, len(files))
				Expect(err).NotTo(HaveOccurred())
				files = append(files, moved)
				data, err := os.ReadFile(moved)
				Expect(err).NotTo(HaveOccurred())
				done = strings.Contains(string(data), " end\n")
			}
			var text strings.Builder
			for _, f := range append(files, logFile(c)) {
				data, err := os.ReadFile(f)
				Expect(err).NotTo(HaveOccurred())
				lines := criLines(string(data))
				for _, stream := range []string{"stdout", "stderr"} {
					expectWhole(f, lines, stream)
				}
				text.WriteString(textOf(lines, "stdout"))
			}
			all := strings.Split(strings.TrimSuffix(text.String(), "\n"), "\n")
			for i, line := range all[:len(all)-1] {
				Expect(line).To(HavePrefix(fmt.Sprintf("line %d of the many", i)))
			}
			Expect(all[len(all)-1]).To(Equal("end"))
		})
	}
})

// expectWhole fails if a file ends inside a line of a stream.
func expectWhole(file string, lines []criLine, stream string) {
	GinkgoHelper()
	last := "F"
	for _, l := range lines {
		if l.stream == stream {
			last = l.tag
		}
	}
	Expect(last).To(Equal("F"), "tag of the last record of %s in %s", stream, file)
}

var _ = Describe("A container's log", func() {
	It("that can't be written is told, and nothing is left", target.Covers("container.log.unwritable"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		p := t.Pod(ctx)
		Expect(os.WriteFile(p.LogPath("file"), nil, 0o600)).To(Succeed())
		before := t.Now(ctx)
		_, err := p.TryCreate(ctx, target.WithContainer(func(c *runtimeapi.ContainerConfig) { c.LogPath = "file/0.log" }))
		Expect(err).To(HaveOccurred())
		Expect(err.Error()).To(ContainSubstring(p.LogPath("file")))
		t.ExpectNothingLeft(ctx, before)
	})

	It("grows no larger than the daemon's configuration says", target.Covers("container.log.max-size"), restartLimit, func(ctx SpecContext) {
		t := target.Current()
		const limit = 16384
		Expect(t.Reconfigure(ctx, map[string]string{target.VarLogSizeMax: fmt.Sprint(limit)})).To(Succeed())
		// Some 24 KB: more than the limit, and less than the limit twice.
		c := t.Pod(ctx).Run(ctx, target.Shell(`i=0; while [ $i -lt 450 ]; do echo "line $i"; i=$((i+1)); done; echo end; sleep 1000`))
		awaitLog(ctx, c, " end\n")
		log := logOf(c)
		Expect(len(log)).To(And(BeNumerically("<=", limit), BeNumerically(">", 0)))
		lines := criLines(log)
		Expect(lines[0].text).To(HavePrefix("line "))
	})
})
