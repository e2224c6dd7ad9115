package probe

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"

	"ocid/conformance/target"
	"ocid/fixtures/images"
	"ocid/fixtures/witness"

	. "github.com/onsi/ginkgo/v2"
	"github.com/onsi/ginkgo/v2/types"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Where the users of the probes' user namespaces are on the host.
const (
	usersFrom = 200_000
	usersMany = 65_536
)

func ids(all ...*runtimeapi.IDMapping) []*runtimeapi.IDMapping { return all }

func someIDs() []*runtimeapi.IDMapping {
	return ids(&runtimeapi.IDMapping{HostId: usersFrom, Length: usersMany})
}

// "The Kubelet picks the user namespace configuration to use for the pod sandbox.
// The mappings are specified as part of the UserNamespace struct." (cri-api v1,
// NamespaceOption.userns_options)
var _ = Describe("A pod's user namespace", func() {
	It("is that of all its containers", target.Covers("userns.pod"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureUserNamespaces, target.FeatureHostNamespaces)
		p := t.Pod(ctx, target.UserNamespace(usersFrom, usersMany), target.SharedPID())
		a, b, other := p.Run(ctx), p.Run(ctx), t.Pod(ctx, target.UserNamespace(usersFrom, usersMany)).Run(ctx)
		ns := func(c *target.Container) string { return t.NamespaceOf(c.Init().PID, "user") }
		Expect(ns(a)).To(Equal(ns(b)), "two containers of one pod")
		Expect(ns(a)).NotTo(Equal(t.HostNamespace("user")))
		Expect(ns(a)).NotTo(Equal(ns(other)), "containers of two pods")
		for _, file := range []string{"/proc/self/uid_map", "/proc/self/gid_map"} {
			Expect(strings.Fields(a.Output(ctx, "cat", file))).To(Equal([]string{"0", "200000", "65536"}), file)
		}
		Expect(p.Processes()).To(HaveEach(WithTransform(func(p target.Process) string { return t.NamespaceOf(p.PID, "user") }, Equal(ns(a)))))
	})
	It("is the node's if the mode is NODE", target.Covers("userns.pod"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureUserNamespaces, target.FeatureHostNamespaces)
		c := t.Running(ctx, target.WithPod(func(c *runtimeapi.PodSandboxConfig) {
			c.GetLinux().GetSecurityContext().GetNamespaceOptions().UsernsOptions = &runtimeapi.UserNamespace{Mode: runtimeapi.NamespaceMode_NODE}
		}))
		Expect(t.NamespaceOf(c.Init().PID, "user")).To(Equal(t.HostNamespace("user")))
	})
	It("owns its other namespaces", target.Covers("userns.owner"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureUserNamespaces, target.FeatureHostNamespaces)
		c := t.Running(ctx, target.UserNamespace(usersFrom, usersMany), target.WithPod(func(c *runtimeapi.PodSandboxConfig) {
			c.GetLinux().Sysctls = map[string]string{"kernel.shmmax": "123456", "net.ipv4.ip_unprivileged_port_start": "99"}
		}))
		pid := c.Init().PID
		for _, kind := range []string{"net", "ipc", "uts"} {
			Expect(t.OwnerOf(pid, kind)).To(Equal(t.NamespaceOf(pid, "user")), kind)
		}
		Expect(c.Output(ctx, "hostname")).To(Equal(c.Pod.Config.GetHostname()))
		Expect(c.Output(ctx, "cat", "/proc/sys/kernel/shmmax", "/proc/sys/net/ipv4/ip_unprivileged_port_start")).To(Equal("123456\n99"))
		Expect(c.Output(ctx, "ip", "-o", "-4", "addr", "show", "scope", "global")).To(ContainSubstring(" " + c.Pod.Status(ctx).GetNetwork().GetIp() + "/"))
	})
	It("goes when the pod's network can't be made", target.Covers("userns.pod"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureWitness)
		req := t.PodRequest(target.UserNamespace(usersFrom, usersMany))
		before := t.Now(ctx)
		t.Witness.Fault(witness.Fault{Program: witness.CNI, Op: "ADD", Action: witness.Fail, Times: 1})
		_, err := t.RunPod(ctx, req)
		Expect(err).To(HaveOccurred())
		t.ExpectNothingLeft(ctx, before)
	})
	It("goes when the pod stops", target.Covers("userns.pod"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureUserNamespaces, target.FeatureHostNamespaces)
		p := t.Pod(ctx, target.UserNamespace(usersFrom, usersMany))
		Expect(pins(t, p.ID, "user")).NotTo(BeEmpty())
		Expect(p.Stop(ctx)).To(Succeed())
		Expect(t.Mounts(p.ID)).To(BeEmpty())
	})
})

var _ = Describe("Files in a user namespace", func() {
	It("belong to whom they belong without", target.Covers("userns.files"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureUserNamespaces, target.FeatureHostNamespaces)
		ref, id := volumeImage(ctx, t)
		c := t.Pod(ctx, target.UserNamespace(usersFrom, usersMany)).Run(ctx, target.Image(ref), mounts(imageMount(id, "data")))
		Expect(c.Output(ctx, "stat", "-c", "%u:%g", "/", "/bin/busybox", "/data", "/data/from-image", "/fresh", "/vol/from-image", "/dev/shm", "/etc/resolv.conf", "/etc/hostname")).
			To(Equal(strings.ReplaceAll("0:0 0:0 1000:1000 1000:1000 0:0 1000:1000 0:0 0:0 0:0", " ", "\n")))
		c.Output(ctx, "/bin/sh", "-c", "touch /etc/new /dev/shm/new /data/new /fresh/new && echo >> /etc/resolv.conf")
		Expect(c.Output(ctx, "stat", "-c", "%u:%g", "/etc/new")).To(Equal("0:0"))
		var st unix.Stat_t
		Expect(unix.Stat(fmt.Sprintf("/proc/%d/root/etc/new", c.Init().PID), &st)).To(Succeed())
		Expect(st.Uid).To(BeEquivalentTo(usersFrom), "on the host")
	})
	It("have users by name and by number", target.Covers("userns.files"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureUserNamespaces, target.FeatureHostNamespaces)
		ref, err := t.Image(ctx, images.UserName)
		Expect(err).NotTo(HaveOccurred())
		c := t.Pod(ctx, target.UserNamespace(usersFrom, usersMany)).Run(ctx, target.Image(ref))
		Expect(c.Output(ctx, "id", "-u")).To(Equal("33"))
		Expect(c.Output(ctx, "stat", "-c", "%u", "/proc/self/status")).To(Equal("33"))
	})

	// "UidMappings specifies the runtime UID mappings for the mount." (cri-api v1,
	// Mount) The kubelet gives a pod's volumes the mappings of the pod.
	It("of a mapped mount belong to the container's users", target.Covers("mount.mapped"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureUserNamespaces, target.FeatureHostNamespaces)
		dir := hostDir("of-root")
		Expect(os.WriteFile(filepath.Join(dir, "of-1000"), nil, 0o600)).To(Succeed())
		Expect(os.Chown(filepath.Join(dir, "of-1000"), 1000, 1000)).To(Succeed())
		link := filepath.Join(hostDir("x"), "link")
		Expect(os.Symlink(dir, link)).To(Succeed())
		p := t.Pod(ctx, target.UserNamespace(usersFrom, usersMany))
		before := t.Now(ctx)
		c := p.Run(ctx, target.WithContainer(func(c *runtimeapi.ContainerConfig) { c.LogPath = "" }), mounts(
			&runtimeapi.Mount{HostPath: link, ContainerPath: "/m", UidMappings: someIDs(), GidMappings: someIDs()},
			&runtimeapi.Mount{HostPath: filepath.Join(dir, "of-root"), ContainerPath: "/file", Readonly: true, UidMappings: someIDs(), GidMappings: someIDs()},
			&runtimeapi.Mount{HostPath: dir, ContainerPath: "/plain"}))
		Expect(c.Output(ctx, "stat", "-c", "%u:%g", "/m/of-root", "/m/of-1000", "/file", "/plain/of-root")).To(Equal("0:0\n1000:1000\n0:0\n65534:65534"))
		c.Output(ctx, "touch", "/m/new")
		fails(ctx, c, "touch", "/file")
		var st unix.Stat_t
		Expect(unix.Stat(filepath.Join(dir, "new"), &st)).To(Succeed())
		Expect(st.Uid).To(BeZero(), "on the host")
		Expect(c.Remove(ctx)).To(Succeed())
		t.ExpectNothingLeft(ctx, before)
		Expect(filepath.Join(dir, "of-root")).To(BeAnExistingFile())
	})
	It("of a mount with the restrictions of its filesystem can be read-only", target.Covers("mount.mapped"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureUserNamespaces, target.FeatureHostNamespaces)
		at := tmpfs(hostDir("x"), "restricted")
		Expect(unix.Mount("", at, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")).To(Succeed())
		c := t.Pod(ctx, target.UserNamespace(usersFrom, usersMany)).Run(ctx, mounts(
			&runtimeapi.Mount{HostPath: at, ContainerPath: "/m", Readonly: true, UidMappings: someIDs(), GidMappings: someIDs()},
			&runtimeapi.Mount{HostPath: at, ContainerPath: "/n", Readonly: true}))
		fails(ctx, c, "touch", "/m/new")
		fails(ctx, c, "touch", "/n/new")
	})
	It("of a mount with other mappings are refused", target.Covers("mount.mapping"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureUserNamespaces, target.FeatureHostNamespaces)
		p, plain := t.Pod(ctx, target.UserNamespace(usersFrom, usersMany)), t.Pod(ctx)
		other := ids(&runtimeapi.IDMapping{HostId: usersFrom, Length: usersMany - 1})
		for _, m := range []*runtimeapi.Mount{
			{UidMappings: other, GidMappings: other}, {UidMappings: someIDs()}, {GidMappings: someIDs()}, {UidMappings: someIDs(), GidMappings: other},
		} {
			m.HostPath, m.ContainerPath = "/usr", "/m"
			_, err := p.TryCreate(ctx, mounts(m))
			expectInvalid(t, err, "mount.mapping", "config.mounts[0].uidMappings")
		}
		_, err := plain.TryCreate(ctx, mounts(&runtimeapi.Mount{HostPath: "/usr", ContainerPath: "/m", UidMappings: someIDs(), GidMappings: someIDs()}))
		expectInvalid(t, err, "mount.mapping", "config.mounts[0].uidMappings")
	})
})

// badUserns is a row: user namespace options that nobody can obey.
func badUserns(what string, options ...*runtimeapi.UserNamespace) TableEntry {
	return Entry(what, target.Covers("userns.mapping"), requestLimit, types.NewCodeLocation(1), options)
}

func mapped(uids, gids []*runtimeapi.IDMapping) *runtimeapi.UserNamespace {
	return &runtimeapi.UserNamespace{Mode: runtimeapi.NamespaceMode_POD, Uids: uids, Gids: gids}
}

var _ = DescribeTable("RunPodSandbox refuses a user namespace",
	func(ctx SpecContext, all []*runtimeapi.UserNamespace) {
		t := target.Current()
		req := t.PodRequest()
		before := t.Now(ctx)
		for _, options := range all {
			req.GetConfig().GetLinux().GetSecurityContext().GetNamespaceOptions().UsernsOptions = options
			_, err := t.RunPod(ctx, req)
			expectInvalid(t, err, "userns.mapping", podContext+"namespace_options.userns_options")
		}
		t.ExpectNothingLeft(ctx, before)
	},
	badUserns("without mappings", mapped(nil, nil), mapped(someIDs(), nil), mapped(nil, someIDs())),
	badUserns("with several mappings", mapped(append(someIDs(), someIDs()...), someIDs()), mapped(someIDs(), append(someIDs(), someIDs()...))),
	badUserns("without a root", mapped(ids(&runtimeapi.IDMapping{ContainerId: 1, HostId: usersFrom, Length: 10}), someIDs())),
	badUserns("of no ID", mapped(ids(&runtimeapi.IDMapping{HostId: usersFrom}), someIDs())),
	badUserns("beyond the last ID", mapped(ids(&runtimeapi.IDMapping{HostId: math.MaxUint32 - 10, Length: 20}), someIDs())),
	badUserns("of the node with mappings", &runtimeapi.UserNamespace{Mode: runtimeapi.NamespaceMode_NODE, Uids: someIDs(), Gids: someIDs()}),
)

var _ = Describe("A user namespace", func() {
	It("has namespaces of its own", target.Covers("userns.own"), requestLimit, func(ctx SpecContext) {
		t := target.Current()
		for _, host := range []target.PodOption{target.HostNetwork(), target.HostIPC(), target.HostPID()} {
			_, err := t.TryPod(ctx, target.UserNamespace(usersFrom, usersMany), host)
			expectInvalid(t, err, "userns.own", podContext+"namespace_options.userns_options")
		}
	})
	It("is not of a pod with a kernel of its own", target.Covers("userns.kernel"), podTime, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureHandlers, target.FeatureRestart)
		Expect(t.Reconfigure(ctx, map[string]string{"NATIVE_VM": "true"})).To(Succeed())
		_, err := t.TryPod(ctx, target.UserNamespace(usersFrom, usersMany), target.Handler(t.Handlers()[1]))
		t.ExpectCode(err, codes.FailedPrecondition)
		t.ExpectRule(err, "userns.kernel")
	})
	It("of a container is its pod's", target.Covers("userns.other"), requestLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureUserNamespaces, target.FeatureHostNamespaces)
		p, plain := t.Pod(ctx, target.UserNamespace(usersFrom, usersMany)), t.Pod(ctx)
		with := func(u *runtimeapi.UserNamespace) target.ContainerOption {
			return target.WithContainer(func(c *runtimeapi.ContainerConfig) {
				c.GetLinux().GetSecurityContext().GetNamespaceOptions().UsernsOptions = u
			})
		}
		other := ids(&runtimeapi.IDMapping{HostId: usersFrom + 1, Length: usersMany})
		for _, u := range []*runtimeapi.UserNamespace{{Mode: runtimeapi.NamespaceMode_NODE}, mapped(other, other), mapped(nil, nil)} {
			_, err := p.TryCreate(ctx, with(u))
			expectInvalid(t, err, "userns.other", podContext+"namespace_options.userns_options")
		}
		_, err := plain.TryCreate(ctx, with(mapped(someIDs(), someIDs())))
		expectInvalid(t, err, "userns.other", podContext+"namespace_options.userns_options")
		p.Run(ctx, with(nil))
	})
})
