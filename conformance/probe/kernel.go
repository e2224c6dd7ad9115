package probe

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"ocid/conformance/target"

	"github.com/containernetworking/plugins/pkg/ns"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/vishvananda/netlink"
)

// kernelLimit is the time limit of a case in which machines boot, possibly
// under emulation.
const kernelLimit = SpecTimeout(3 * time.Minute)

// bootID is the boot ID of the kernel that a container runs on.
func bootID(ctx context.Context, c *target.Container) string {
	GinkgoHelper()
	return c.Output(ctx, "cat", "/proc/sys/kernel/random/boot_id")
}

// hostBootID is the host's.
func hostBootID() string {
	GinkgoHelper()
	id, err := target.BootID()
	Expect(err).NotTo(HaveOccurred())
	return id
}

// machines are the processes that each are the kernel of a sandbox.
func machines(t *target.T, pod *target.Pod) []target.Process {
	GinkgoHelper()
	program := t.NeedVariable(target.VarMachine)
	return slices.DeleteFunc(t.Mentioning(pod.ID), func(p target.Process) bool { return !strings.HasPrefix(filepath.Base(p.Args[0]), program) })
}

// sameKernel expects two containers of a pod with a kernel of its own to share
// it: a server on the loopback interface of one, which the namespace on the host
// knows nothing of, answers the other.
func sameKernel(ctx context.Context, server, client *target.Container) {
	GinkgoHelper()
	server.Output(ctx, "sh", "-c", "(echo "+server.ID+" | nc -l -p 7071) >/dev/null 2>&1 &")
	Eventually(ctx, func() string {
		answer, _, _, _ := client.Exec(ctx, "nc", "127.0.0.1", "7071")
		return strings.TrimSpace(answer)
	}).WithTimeout(20 * time.Second).Should(Equal(server.ID))
}

// ownKernel skips the case on other daemons.
func ownKernel() *target.T {
	t := target.Current()
	t.Need(target.FeatureOwnKernel)
	return t
}

// "annotations on the OCI spec tell it the container type (sandbox or container)
// and the sandbox, so that it knows whether to boot a VM or to add to one"
// (design notes)
var _ = Describe("The kernel of a pod on a VM runtime", func() {
	It("is its own, and that of all its containers", target.Covers("kernel.own"), kernelLimit, func(ctx SpecContext) {
		t := ownKernel()
		one, other := t.Pod(ctx), t.Pod(ctx)
		first, second := one.Run(ctx), one.Run(ctx)
		id := bootID(ctx, first)
		Expect(id).NotTo(Equal(hostBootID()), "the host's kernel")
		sameKernel(ctx, first, second)
		Expect(bootID(ctx, other.Run(ctx))).NotTo(Or(Equal(id), Equal(hostBootID())), "another pod")
	})

	It("runs in one machine from the pod's start to its stop", target.Covers("kernel.one-machine"), kernelLimit, func(ctx SpecContext) {
		t := ownKernel()
		pod := t.Pod(ctx)
		Expect(machines(t, pod)).To(HaveLen(1), "after RunPodSandbox")
		c := pod.Run(ctx)
		pod.Run(ctx)
		Expect(machines(t, pod)).To(HaveLen(1), "with two containers")
		Expect(c.Stop(ctx, 0)).To(Succeed())
		Expect(c.Remove(ctx)).To(Succeed())
		Expect(machines(t, pod)).To(HaveLen(1), "after a container's removal")
		Expect(pod.Stop(ctx)).To(Succeed())
		Expect(machines(t, pod)).To(BeEmpty(), "after StopPodSandbox")
	})

	It("writes into the container's layer", target.Covers("kernel.files"), kernelLimit, func(ctx SpecContext) {
		t := ownKernel()
		c := t.Running(ctx)
		word := t.Fresh("word")
		c.Output(ctx, "sh", "-c", "echo "+word+" > /written && sync")
		found, err := filepath.Glob(filepath.Join(t.Var("ROOT"), "storage", "overlay", "*", "diff", "written"))
		Expect(err).NotTo(HaveOccurred())
		Expect(found).To(ContainElement(WithTransform(func(path string) string {
			text, _ := os.ReadFile(path)
			return strings.TrimSpace(string(text))
		}, Equal(word))))
	})
})

// "Each pod gets a persistent network namespace … passed to CNI before the
// sandbox is created, so that a VM runtime can scan its interfaces when it
// creates the VM." (design notes)
var _ = Describe("The network of a pod on a VM runtime", func() {
	It("leads to servers in the pod's kernel", target.Covers("kernel.network"), kernelLimit, func(ctx SpecContext) {
		t := ownKernel()
		pod := t.Pod(ctx)
		pod.Run(ctx, target.Shell(`while :; do echo from the pod | nc -l -p 7070; done`))
		ip := pod.Status(ctx).GetNetwork().GetIp()
		Eventually(ctx, func() (string, error) {
			conn, err := net.DialTimeout("tcp", net.JoinHostPort(ip, "7070"), time.Second)
			if err != nil {
				return "", err
			}
			defer conn.Close()
			text := make([]byte, 64)
			n, err := conn.Read(text)
			return string(text[:n]), err
		}).WithTimeout(30 * time.Second).Should(Equal("from the pod\n"))
		Expect(listeners(pinnedNetns(t, pod))).To(BeEmpty(), "in the namespace itself")
	})

	// "PortForward prepares a streaming endpoint to forward ports from a
	// PodSandbox" (cri-api v1)
	It("is what ports are forwarded to", target.Covers("stream.forward.vm"), kernelLimit, func(ctx SpecContext) {
		t := ownKernel()
		pod := t.Pod(ctx)
		pod.Run(ctx, target.Shell(`while :; do echo from the pod | nc -l -p 7070; done`))
		for _, via := range target.Transports() {
			f := forwarding(via, forwardURL(ctx, pod))
			Eventually(ctx, func() string { text, _ := heard(ctx, f, 7070, ""); return text }).WithTimeout(30*time.Second).Should(Equal("from the pod\n"), string(via))
		}
	})

	It("has the addresses, routes and link of CNI, and no others", target.Covers("kernel.addresses"), kernelLimit, func(ctx SpecContext) {
		t := ownKernel()
		t.Need(target.FeatureWitness)
		pod := t.Pod(ctx)
		c := pod.Run(ctx)
		attached := t.Witness.Network("ADD", pod.ID)[0].Network
		shown := c.Output(ctx, "ip", "addr", "show", "eth0")
		Expect(global(shown)).To(ConsistOf(attached.PrevIPs), "addresses")
		var link netlink.Link
		inNetns(pinnedNetns(t, pod), func() (err error) {
			link, err = netlink.LinkByName("eth0")
			return err
		})
		Expect(shown).To(ContainSubstring("link/ether " + link.Attrs().HardwareAddr.String()))
		Expect(shown).To(ContainSubstring(fmt.Sprintf(" mtu %d ", link.Attrs().MTU)))
		Expect(link.Attrs().MTU).NotTo(Equal(1500), "the default of any kernel tells nothing")
		Expect(gatewayRoutes(c.Output(ctx, "ip", "route")+"\n"+c.Output(ctx, "ip", "-6", "route"))).To(ConsistOf(attached.PrevRoutes), "routes")
	})

	It("is given up although interfaces are left in the namespace and addresses taken off it", target.Covers("kernel.cni-del"), kernelLimit, func(ctx SpecContext) {
		t := ownKernel()
		pod := t.Pod(ctx)
		pod.Run(ctx)
		ip := pod.Status(ctx).GetNetwork().GetIp()
		inNetns(pinnedNetns(t, pod), func() error {
			if err := netlink.LinkAdd(&netlink.Tuntap{LinkAttrs: netlink.LinkAttrs{Name: "foreign"}, Mode: netlink.TUNTAP_MODE_TAP}); err != nil {
				return err
			}
			link, err := netlink.LinkByName("eth0")
			if err != nil {
				return err
			}
			addrs, err := netlink.AddrList(link, netlink.FAMILY_V4)
			if err != nil {
				return err
			}
			for _, a := range addrs {
				if err := netlink.AddrDel(link, &a); err != nil {
					return err
				}
			}
			return nil
		})
		Expect(pod.Status(ctx).GetNetwork().GetIp()).To(Equal(ip), "the address is CNI's word")
		Expect(pod.Stop(ctx)).To(Succeed())
		Expect(pod.Remove(ctx)).To(Succeed())
	})
})

// global are the addresses that ip(8) shows, CIDR, without link-local ones.
func global(shown string) (all []string) {
	for _, m := range regexp.MustCompile(`inet6? (\S+)`).FindAllStringSubmatch(shown, -1) {
		if !strings.HasPrefix(m[1], "fe80:") {
			all = append(all, m[1])
		}
	}
	return all
}

// gatewayRoutes are the routes through a gateway that ip(8) shows, each once, as
// in "198.51.100.0/24 via 10.0.0.1".
func gatewayRoutes(shown string) (routes []string) {
	for _, m := range regexp.MustCompile(`(?m)^(\S+) via (\S+)`).FindAllStringSubmatch(shown, -1) {
		destination, gateway := m[1], m[2]
		switch {
		case destination != "default":
		case strings.Contains(gateway, ":"):
			destination = "::/0"
		default:
			destination = "0.0.0.0/0"
		}
		routes = append(routes, destination+" via "+gateway)
	}
	slices.Sort(routes)
	return slices.Compact(routes)
}

// inNetns does something inside a network namespace.
func inNetns(netns string, do func() error) {
	GinkgoHelper()
	Expect(ns.WithNetNSPath(netns, func(ns.NetNS) error { return do() })).To(Succeed())
}

// listeners are the TCP sockets that listen in a network namespace.
func listeners(netns string) (all []string) {
	GinkgoHelper()
	inNetns(netns, func() error {
		for _, table := range []string{"/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"} {
			text, err := os.ReadFile(table)
			if err != nil {
				return err
			}
			for line := range strings.Lines(string(text)) {
				if fields := strings.Fields(line); len(fields) > 3 && fields[3] == "0A" {
					all = append(all, fields[1])
				}
			}
		}
		return nil
	})
	return all
}

// "If a privileged runtime is configured, it runs exactly the privileged ones;
// the rest get the default (VM) runtime." (design notes)
var _ = Describe("A VM runtime beside a privileged one", func() {
	It("gets exactly the pods that are not privileged", target.Covers("kernel.privileged"), SpecTimeout(10*time.Minute), func(ctx SpecContext) {
		t := ownKernel()
		t.Need(target.FeatureRestart, target.FeatureHandlers)
		var pods []*target.Pod
		var first []*target.Container
		for n := range 16 {
			var opts []target.PodOption
			for bit, o := range []target.PodOption{target.Privileged(), target.HostNetwork(), target.HostPID(), target.HostIPC()} {
				if n&(1<<bit) != 0 {
					opts = append(opts, o)
				}
			}
			pod := t.Pod(ctx, opts...)
			pods, first = append(pods, pod), append(first, pod.Run(ctx))
		}
		Expect(t.Restart(ctx, syscall.SIGTERM)).To(Succeed())
		for n, pod := range pods {
			onHost := Equal(hostBootID())
			if n == 0 {
				onHost = Not(onHost)
			}
			Expect(bootID(ctx, first[n])).To(onHost, fmt.Sprintf("combination %04b", n))
			later := pod.Run(ctx)
			Expect(bootID(ctx, later)).To(onHost, "a later container")
			if n == 0 {
				sameKernel(ctx, first[n], later)
			}
		}
	})
})

var _ = Describe("The virtual machine of a pod", func() {
	It("takes the pod's readiness and its containers with it when it dies", target.Covers("kernel.dies"), kernelLimit, func(ctx SpecContext) {
		t := ownKernel()
		pod := t.Pod(ctx)
		c := pod.Run(ctx)
		all := machines(t, pod)
		Expect(all).To(HaveLen(1))
		Expect(syscall.Kill(all[0].PID, syscall.SIGKILL)).To(Succeed())
		Eventually(ctx, func() any { return c.State(ctx) }).WithTimeout(20 * time.Second).Should(Equal(isExited))
		Eventually(ctx, func() any { return pod.Status(ctx).GetState() }).WithTimeout(20 * time.Second).Should(Equal(notReady))
		Expect(c.Remove(ctx)).To(Succeed())
		Expect(pod.Stop(ctx)).To(Succeed())
		Expect(pod.Remove(ctx)).To(Succeed())
	})

	It("is no obstacle to a stop that comes at the moment of its death", target.Covers("kernel.dies"), kernelLimit, func(ctx SpecContext) {
		t := ownKernel()
		pod := t.Pod(ctx)
		c := pod.Run(ctx)
		for _, m := range machines(t, pod) {
			Expect(syscall.Kill(m.PID, syscall.SIGKILL)).To(Succeed())
		}
		Expect(pod.Stop(ctx)).To(Succeed())
		Expect(c.State(ctx)).To(Equal(isExited))
		Expect(pod.Remove(ctx)).To(Succeed())
	})

	It("lives through a restart of the daemon", target.Covers("kernel.restart"), kernelLimit, func(ctx SpecContext) {
		t := ownKernel()
		pod := t.Pod(ctx)
		c := pod.Run(ctx)
		before, id := machines(t, pod), bootID(ctx, c)
		for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
			Expect(t.Restart(ctx, sig)).To(Succeed())
			Expect(bootID(ctx, c)).To(Equal(id), "after "+sig.String())
			sameKernel(ctx, c, pod.Run(ctx))
		}
		Expect(machines(t, pod)).To(HaveLen(1))
		Expect(machines(t, pod)[0].PID).To(Equal(before[0].PID))
		Expect(c.Stop(ctx, 20)).To(Succeed())
		Expect(c.Status(ctx).GetExitCode()).To(BeZero())
	})
})
