package probe

import (
	"context"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"ocid/conformance/target"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// heldOf returns the daemon's open files whose path holds the text, by number.
func heldOf(t *target.T, text string) map[string]string {
	GinkgoHelper()
	all := t.OpenFiles()
	maps.DeleteFunc(all, func(_, to string) bool { return !strings.Contains(to, text) })
	return all
}

// heldSockets counts the daemon's open sockets.
func heldSockets(t *target.T) int {
	GinkgoHelper()
	return len(heldOf(t, "socket:"))
}

// "One sampler that keeps its files open" (issue): opening a cgroup file costs
// more than reading it. A file kept too long keeps the memory of a dead cgroup,
// a socket kept too long the network namespace of a dead pod.
var _ = Describe("The files of a sampler", target.Covers("stats.open"), func() {
	It("stay open as long as the container lives", containerLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureHostCgroups)
		c := t.Running(ctx)
		fresh(ctx, c)
		first := heldOf(t, c.ID)
		Expect(slices.Collect(maps.Values(first))).To(ContainElement(HaveSuffix("/memory.stat")))
		fresh(ctx, c)
		Expect(heldOf(t, c.ID)).To(Equal(first), "the same files under the same numbers")
		Expect(c.Stop(ctx, 0)).To(Succeed())
		Eventually(ctx, func() map[string]string { return heldOf(t, c.ID) }).WithTimeout(happensIn()).Should(BeEmpty(), "after the exit")
		c.Stats(ctx)
		Expect(heldOf(t, c.ID)).To(BeEmpty(), "stats of an exited container")
	})

	It("are closed when the sandbox stops", target.Needs(target.FeatureHostNamespaces), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		cgroup, own := ownCgroup(t)
		before := heldSockets(t)
		pod := t.Pod(ctx, own)
		c := pod.Run(ctx)
		pod.Stats(ctx)
		Expect(heldOf(t, "/"+cgroup+"/")).NotTo(BeEmpty(), "of the pod's cgroup")
		Expect(heldSockets(t)).To(BeNumerically(">", before), "in its network namespace")
		pid := c.Init().PID
		inode := t.NamespaceOf(pid, "net")
		Expect(pod.Stop(ctx)).To(Succeed())
		Eventually(ctx, func() map[string]string { return heldOf(t, "/"+cgroup+"/") }).WithTimeout(happensIn()).Should(BeEmpty())
		Eventually(ctx, func() int { return heldSockets(t) }).WithTimeout(happensIn()).Should(BeNumerically("<=", before), "sockets; namespace %s", inode)
	})
})

// A daemon that is restarted, by an update for instance, leaves containers
// running; the kubelet reads their stats every ten seconds.
var _ = Describe("A restarted daemon", target.Covers("stats.restart"), func() {
	for _, sig := range ends {
		It("has the stats of what lives after "+unix.SignalName(sig), target.Needs(target.FeatureHostCgroups), restartLimit, func(ctx SpecContext) {
			t := target.Current()
			cgroup, own := ownCgroup(t)
			pod := t.Pod(ctx, own)
			c := pod.Run(ctx, target.Shell(busy))
			old := c.Stats(ctx)
			endDaemon(ctx, t, sig)
			startDaemon(ctx, t)
			expectBetween("cpu", cpuTime(t, c.ID), 0, func() uint64 { return fresh(ctx, c).GetCpu().GetUsageCoreNanoSeconds().GetValue() })
			st := c.Stats(ctx)
			Expect(st.GetCpu().GetTimestamp()).To(BeNumerically(">", old.GetCpu().GetTimestamp()))
			Expect(st.GetMemory().GetUsageBytes().GetValue()).To(BeNumerically(">", 0), "memory")
			Expect(st.GetWritableLayer().GetUsedBytes()).NotTo(BeNil(), "writable layer")
			Eventually(ctx, func() uint64 { return c.Stats(ctx).GetCpu().GetUsageNanoCores().GetValue() }).WithTimeout(happensIn()).
				Should(BeNumerically(">", time.Second/50), "rate")
			use := pod.Stats(ctx)
			Expect(use.GetContainers()).To(HaveLen(1))
			Expect(use.GetNetwork().GetDefaultInterface().GetName()).To(Equal(defaultInterface))
			expectBetween("cpu of the pod", cpuTime(t, cgroup), 0, func() uint64 {
				return freshPod(ctx, pod).GetCpu().GetUsageCoreNanoSeconds().GetValue()
			})
		})
	}
})

// opened watches a directory for being opened, until the end of the case.
func opened(dir string) func() int {
	GinkgoHelper()
	fd, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(unix.Close, fd)
	_, err = unix.InotifyAddWatch(fd, dir, unix.IN_OPEN)
	Expect(err).NotTo(HaveOccurred())
	return func() int {
		n, err := unix.Read(fd, make([]byte, 1<<16))
		if err != nil {
			return 0
		}
		return n
	}
}

// "ImageFSInfo returns information of the filesystem that is used to store
// images" (cri-api v1); the kubelet asks every ten seconds, and images may have
// millions of files.
var _ = Describe("ImageFsInfo", func() {
	fsInfo := func(ctx context.Context, t *target.T) (image, container *runtimeapi.FilesystemUsage) {
		GinkgoHelper()
		resp, err := t.Images.ImageFsInfo(ctx, &runtimeapi.ImageFsInfoRequest{})
		Expect(err).NotTo(HaveOccurred())
		Expect(resp.GetImageFilesystems()).To(HaveLen(1))
		Expect(resp.GetContainerFilesystems()).To(HaveLen(1))
		return resp.GetImageFilesystems()[0], resp.GetContainerFilesystems()[0]
	}

	It("counts blocks", target.Covers("image.fs.blocks"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		now := time.Now().UnixNano()
		Eventually(ctx, func() int64 { _, before := fsInfo(ctx, t); return before.GetTimestamp() }).WithTimeout(happensIn()).
			Should(BeNumerically(">", now), "what was removed before is counted no more")
		_, before := fsInfo(ctx, t)
		c := t.Pod(ctx).Run(ctx, target.Shell(writes))
		awaitLog(ctx, c, "ready")
		Eventually(ctx, func(g Gomega) {
			_, now := fsInfo(ctx, t)
			bytes, inodes := before.GetUsedBytes().GetValue(), before.GetInodesUsed().GetValue()
			g.Expect(now.GetUsedBytes().GetValue()).To(And(BeNumerically(">", bytes+4*mib), BeNumerically("<", bytes+6*mib)))
			g.Expect(now.GetInodesUsed().GetValue()).To(BeNumerically(">", inodes+20))
		}).WithTimeout(happensIn()).Should(Succeed())
		image, _ := fsInfo(ctx, t)
		var bytes, inodes uint64
		for _, dir := range imageLayers(t) {
			b, i := onDisk(dir)
			bytes, inodes = bytes+b, inodes+i
		}
		Expect(image.GetUsedBytes().GetValue()).To(Equal(bytes), "images")
		Expect(image.GetInodesUsed().GetValue()).To(Equal(inodes), "images")
	})

	It("does not look through an image again", target.Covers("image.fs.walk"), restartLimit, func(ctx SpecContext) {
		t := target.Current()
		measured := func(rounds int) *runtimeapi.FilesystemUsage {
			last, _ := fsInfo(ctx, t)
			for range rounds {
				from := last.GetTimestamp()
				Eventually(ctx, func() int64 { last, _ = fsInfo(ctx, t); return last.GetTimestamp() }).WithTimeout(happensIn()).
					Should(BeNumerically(">", from), "measured again")
			}
			return last
		}
		first := measured(2) // of which the second has begun after the case
		Expect(first.GetUsedBytes().GetValue()).To(BeNumerically(">", 0))
		layers := imageLayers(t)
		Expect(layers).NotTo(BeEmpty())
		for _, when := range []string{"the daemon goes on", "it is restarted"} {
			looks := opened(layers[0])
			if when == "it is restarted" {
				crash(ctx, t)
			}
			again := measured(3)
			Expect(looks()).To(BeZero(), when)
			Expect(again.GetUsedBytes().GetValue()).To(Equal(first.GetUsedBytes().GetValue()))
		}
	})
})

// imageLayers returns the directories of the layers that no container writes to.
func imageLayers(t *target.T) (dirs []string) {
	GinkgoHelper()
	written := map[string]bool{}
	for _, c := range t.Storage().Containers {
		written[c.Layer] = true
	}
	all, err := filepath.Glob(filepath.Join(t.Var("ROOT"), "storage", "overlay", "*", "diff"))
	Expect(err).NotTo(HaveOccurred())
	for _, dir := range all {
		if !written[filepath.Base(filepath.Dir(dir))] {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}
