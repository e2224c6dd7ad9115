package probe

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"ocid/conformance/target"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func parseUint(text string) (uint64, bool) {
	v, err := strconv.ParseUint(strings.TrimSpace(text), 10, 64)
	return v, err == nil
}

// ownCgroup gives a pod a cgroup of its own, as kubelet does, and returns its
// name. It is removed at the end of the case: nobody else does.
func ownCgroup(t *target.T) (name string, opt target.PodOption) {
	name = t.Fresh("pod-cgroup")
	t.Cleanup("cgroup "+name, func(context.Context) error {
		var errs []error
		for _, dir := range t.Cgroups(name) {
			if strings.HasSuffix(dir, "/"+name) {
				errs = append(errs, unix.Rmdir(dir))
			}
		}
		return errors.Join(errs...)
	})
	return name, target.WithPod(func(c *runtimeapi.PodSandboxConfig) {
		c.Linux.CgroupParent = path.Join(c.GetLinux().GetCgroupParent(), name)
	})
}

// "LinuxPodSandboxStats provides the resource usage statistics for a pod sandbox
// on linux: CPU usage, memory usage gathered for the pod sandbox, stats of
// containers in the measured pod sandbox." (cri-api v1). cgroup_parent: "Parent
// cgroup of the PodSandbox".
var _ = Describe("The stats of a sandbox", func() {
	It("are those of its cgroup and of its running containers", target.Needs(target.FeatureHostCgroups), target.Covers("stats.pod"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		cgroup, own := ownCgroup(t)
		pod := t.Pod(ctx, own)
		a, b := pod.Run(ctx, target.Shell(busy)), pod.Run(ctx)
		Expect(pod.Create(ctx)).NotTo(BeNil())
		other := t.Running(ctx)
		Eventually(ctx, func() uint64 { return cpuTime(t, cgroup).now() }).WithTimeout(happensIn()).Should(BeNumerically(">", 50*time.Millisecond))
		reading := func() *runtimeapi.LinuxPodSandboxStats {
			fresh(ctx, a)
			return pod.Stats(ctx)
		}
		expectBetween("cpu", cpuTime(t, cgroup), 0, func() uint64 { return reading().GetCpu().GetUsageCoreNanoSeconds().GetValue() })
		expectBetween("memory", memoryUsage(t, cgroup), mib, func() uint64 { return reading().GetMemory().GetUsageBytes().GetValue() })
		expectBetween("working set", workingSet(t, cgroup), mib, func() uint64 { return reading().GetMemory().GetWorkingSetBytes().GetValue() })
		Expect(reading().GetCpu().GetUsageNanoCores().GetValue()).To(BeNumerically(">", time.Second/50), "rate")
		ids := []string{}
		for _, c := range reading().GetContainers() {
			Expect(c.GetCpu().GetUsageCoreNanoSeconds().GetValue()).To(BeNumerically(">", 0), "cpu of a container")
			Expect(c.GetMemory().GetWorkingSetBytes().GetValue()).To(BeNumerically(">", 0), "memory of a container")
			ids = append(ids, c.GetAttributes().GetId())
		}
		Expect(ids).To(ConsistOf(a.ID, b.ID), "those that run, and no other sandbox's (%s)", other.ID)
	})

	It("count processes", target.Covers("stats.pod.processes"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureHostProcesses)
		pod := t.Pod(ctx)
		t.Running(ctx) // another sandbox
		Expect(pod.Stats(ctx).GetProcess().GetProcessCount().GetValue()).To(BeEquivalentTo(len(pod.Processes())), "no container")
		a := pod.Run(ctx, target.Shell("sleep 1000 & sleep 1000 & wait"))
		b := pod.Run(ctx)
		Eventually(ctx, a.Processes).WithTimeout(happensIn()).Should(HaveLen(3))
		want := len(a.Processes()) + len(b.Processes()) + len(pod.Processes())
		Eventually(ctx, func() uint64 { return pod.Stats(ctx).GetProcess().GetProcessCount().GetValue() }).WithTimeout(happensIn()).
			Should(BeEquivalentTo(want))
		shared := t.Pod(ctx, target.SharedPID())
		Expect(shared.Stats(ctx).GetProcess().GetProcessCount().GetValue()).To(BeEquivalentTo(len(shared.Processes())), "the sandbox's own")
	})
})

// traffic is the kernel's count for an interface as a process sees it: the
// columns of /proc/PID/net/dev.
func traffic(pid int, name string, column int) count {
	return func() (uint64, bool) {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/dev", pid))
		Expect(err).NotTo(HaveOccurred())
		for line := range strings.Lines(string(data)) {
			if rest, ok := strings.CutPrefix(strings.TrimSpace(line), name+":"); ok {
				return parseUint(strings.Fields(rest)[column])
			}
		}
		return 0, false
	}
}

const (
	rxBytes, rxErrors  = 0, 2
	txBytes, txErrors  = 8, 10
	defaultInterface   = "eth0"
	secondInterface    = "extra0"
	secondInterfaceEnd = "extra1"

	datagrams, datagram = 40, 500 // sent, and bytes of each; some are lost until the neighbour is known
)

// sendTo sends datagrams to a port that nobody listens on.
func sendTo(ip string) {
	GinkgoHelper()
	conn, err := net.Dial("udp", net.JoinHostPort(ip, "9"))
	Expect(err).NotTo(HaveOccurred())
	defer conn.Close()
	for range datagrams {
		_, _ = conn.Write(make([]byte, datagram)) // an answer that nobody listens is no failure
	}
}

// addInterfaces puts a pair of links into a pod's network namespace.
func addInterfaces(pid int) {
	GinkgoHelper()
	ns, err := netns.GetFromPid(pid)
	Expect(err).NotTo(HaveOccurred())
	defer ns.Close()
	h, err := netlink.NewHandleAt(ns, unix.NETLINK_ROUTE)
	Expect(err).NotTo(HaveOccurred())
	defer h.Close()
	link := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: secondInterface}, PeerName: secondInterfaceEnd}
	Expect(h.LinkAdd(link)).To(Succeed())
}

// "default_interface: Stats for the default network interface. interfaces: Stats
// for all found network interfaces, excluding the default." (cri-api v1)
var _ = Describe("The network stats of a sandbox", func() {
	It("are the kernel's", target.Needs(target.FeatureHostNamespaces), target.Covers("stats.pod.network"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		c := t.Running(ctx)
		pid := c.Init().PID
		before := traffic(pid, defaultInterface, rxBytes).now()
		sendTo(c.Pod.Status(ctx).GetNetwork().GetIp())
		Eventually(ctx, func() uint64 { return traffic(pid, defaultInterface, rxBytes).now() }).WithTimeout(happensIn()).Should(BeNumerically(">", before+datagrams/2*datagram))
		addInterfaces(pid)
		network := func() *runtimeapi.NetworkUsage { return newNetwork(ctx, c.Pod) }
		Expect(network().GetDefaultInterface().GetName()).To(Equal(defaultInterface))
		names := []string{}
		for _, i := range network().GetInterfaces() {
			Expect(i.GetRxBytes()).NotTo(BeNil())
			names = append(names, i.GetName())
		}
		Expect(names).To(ConsistOf(secondInterface, secondInterfaceEnd), "the others")
		eth := func() *runtimeapi.NetworkInterfaceUsage { return network().GetDefaultInterface() }
		expectBetween("rx_bytes", traffic(pid, defaultInterface, rxBytes), 0, func() uint64 { return eth().GetRxBytes().GetValue() })
		expectBetween("tx_bytes", traffic(pid, defaultInterface, txBytes), 0, func() uint64 { return eth().GetTxBytes().GetValue() })
		expectBetween("rx_errors", traffic(pid, defaultInterface, rxErrors), 0, func() uint64 { return eth().GetRxErrors().GetValue() })
		expectBetween("tx_errors", traffic(pid, defaultInterface, txErrors), 0, func() uint64 { return eth().GetTxErrors().GetValue() })
	})

	It("do not exist on the host network", target.Covers("stats.pod.host-network"), podTime, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureHostNetwork)
		t.Pod(ctx) // the host has an interface at least: that pod's
		Expect(t.Pod(ctx, target.HostNetwork()).Stats(ctx).GetNetwork()).To(BeNil())
	})
})

// newNetwork waits for a new reading.
func newNetwork(ctx context.Context, p *target.Pod) *runtimeapi.NetworkUsage {
	GinkgoHelper()
	now := time.Now().UnixNano()
	var u *runtimeapi.NetworkUsage
	Eventually(ctx, func() int64 { u = p.Stats(ctx).GetNetwork(); return u.GetTimestamp() }).WithTimeout(happensIn()).WithPolling(5*time.Millisecond).
		Should(BeNumerically(">=", now), "a new reading")
	return u
}

// onDisk adds up a directory as du does: blocks, and inodes once each.
func onDisk(dir string) (bytes, inodes uint64) {
	GinkgoHelper()
	seen := map[uint64]bool{}
	Expect(filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		if st := info.Sys().(*syscall.Stat_t); !seen[st.Ino] {
			seen[st.Ino] = true
			bytes, inodes = bytes+uint64(st.Blocks)*512, inodes+1
		}
		return nil
	})).To(Succeed())
	return bytes, inodes
}

// writtenTo returns the directory of what a container has written.
func writtenTo(t *target.T, id string) string {
	GinkgoHelper()
	record, found := t.Storage().Record(id)
	Expect(found).To(BeTrue(), "storage record")
	return filepath.Join(t.Var("ROOT"), "storage", "overlay", record.Layer, "diff")
}

// writes has 4 MiB in files, twice as many names, and a file of which almost
// nothing is there.
const writes = `dd if=/dev/zero of=/big bs=1M count=4 2>/dev/null; ln /big /big2; mkdir /many; for i in 1 2 3 4 5 6 7 8 9; do echo $i > /many/$i; ln -s $i /many/l$i; done; dd if=/dev/zero of=/sparse bs=1 count=1 seek=900M 2>/dev/null; sync; echo ready; while :; do sleep 1000; done`

// "writable_layer: Usage of the writable layer." "fs_id: The unique identifier of
// the filesystem." (cri-api v1). The kubelet evicts pods by it.
var _ = Describe("The writable layer of a container", target.Covers("stats.layer"), func() {
	It("is what it has written", containerLimit, func(ctx SpecContext) {
		t := target.Current()
		c := t.Pod(ctx).Run(ctx, target.Shell(writes))
		layer := c.Stats(ctx).GetWritableLayer()
		Expect(layer.GetUsedBytes()).NotTo(BeNil(), "used_bytes of the first answer")
		Expect(layer.GetFsId().GetMountpoint()).To(And(HavePrefix(t.Var("ROOT")), BeADirectory()), "fs_id")
		awaitLog(ctx, c, "ready")
		bytes, inodes := onDisk(writtenTo(t, c.ID))
		Expect(bytes).To(And(BeNumerically(">", 4*mib), BeNumerically("<", 6*mib)))
		Eventually(ctx, func() []uint64 {
			layer := c.Stats(ctx).GetWritableLayer()
			return []uint64{layer.GetUsedBytes().GetValue(), layer.GetInodesUsed().GetValue()}
		}).WithTimeout(happensIn()).Should(Equal([]uint64{bytes, inodes}), "used_bytes and inodes_used")
	})
})
