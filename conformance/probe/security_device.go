package probe

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"ocid/conformance/target"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func itoa(n int) string { return strconv.Itoa(n) }

func ignoreVanished(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// device asks for a device of the node.
func device(host, container, permissions string) target.ContainerOption {
	return target.WithContainer(func(c *runtimeapi.ContainerConfig) {
		c.Devices = append(c.Devices, &runtimeapi.Device{HostPath: host, ContainerPath: container, Permissions: permissions})
	})
}

// openable is a character device of the node that root can open and that no
// container has by itself.
func openable() (major, minor string) {
	GinkgoHelper()
	for _, path := range openables() {
		var stat unix.Stat_t
		if f, err := os.OpenFile(path, os.O_RDWR, 0); err == nil && f.Close() == nil && unix.Stat(path, &stat) == nil {
			return itoa(int(unix.Major(stat.Rdev))), itoa(int(unix.Minor(stat.Rdev)))
		}
	}
	Fail("this node has none of " + strings.Join(openables(), ", "))
	return "", ""
}

func openables() []string {
	return []string{"/dev/fuse", "/dev/loop-control", "/dev/net/tun", "/dev/kmsg"}
}

// node makes a device node in a directory of the probe.
func node(dir, name, major, minor string, mode uint32) string {
	GinkgoHelper()
	ma, err := strconv.ParseUint(major, 10, 32)
	Expect(err).NotTo(HaveOccurred())
	mi, err := strconv.ParseUint(minor, 10, 32)
	Expect(err).NotTo(HaveOccurred())
	path := filepath.Join(dir, name)
	Expect(os.MkdirAll(filepath.Dir(path), 0o755)).To(Succeed())
	Expect(unix.Mknod(path, unix.S_IFCHR|mode, int(unix.Mkdev(uint32(ma), uint32(mi))))).To(Succeed())
	return path
}

// "Device specifies a host device to mount into a container. container_path: Path
// of the device within the container. host_path: Path of the device on the host.
// permissions: Cgroups permissions of the device, candidates are one or more of
// r - allows container to read from the specified device, w - allows container to
// write to the specified device, m - allows container to create device files that
// do not yet exist." (cri-api v1)
var _ = Describe("A device of a container", func() {
	It("is where it is asked for", target.Covers("security.devices.nodes"), containerLimit, func(ctx SpecContext) {
		dir := hostDir("no-device")
		one := node(dir, "one", "1", "7", 0o600)
		Expect(os.Chown(one, 12, 34)).To(Succeed())
		node(dir, "sub/two", "1", "5", 0o666)
		link := filepath.Join(GinkgoT().TempDir(), "link")
		Expect(os.Symlink(one, link)).To(Succeed())
		c := target.Current().Pod(ctx).Run(ctx, device(one, "/dev/deep/one", "rw"), device(link, "/dev/linked", ""), device(dir, "/dev/all", "r"))
		stat := func(path string) string { return c.Output(ctx, "stat", "-c", "%F %t:%T %a %u:%g", path) }
		for _, path := range []string{"/dev/deep/one", "/dev/linked", "/dev/all/one"} {
			Expect(stat(path)).To(MatchRegexp(`^character special file 1:7 \d+ 12:34$`), path)
		}
		Expect(stat("/dev/all/sub/two")).To(HavePrefix("character special file 1:5 "))
		fails(ctx, c, "stat", "/dev/all/no-device")
		c.Output(ctx, "/bin/sh", "-c", ": < /dev/deep/one")
	})
	It("has the permissions that are asked for", target.Covers("security.devices.permissions"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureHostFiles)
		major, minor := openable()
		host := node(hostDir("none"), "node", major, minor, 0o666)
		p := t.Pod(ctx)
		for permissions, may := range map[string][2]bool{"": {true, true}, "rw": {true, true}, "r": {true, false}, "w": {false, true}, "m": {false, false}, "mwr": {true, true}} {
			c := p.Run(ctx, device(host, "/dev/it", permissions))
			for i, way := range []string{"<", ">"} {
				_, _, code, err := c.Exec(ctx, "/bin/sh", "-c", ": "+way+" /dev/it")
				Expect(err).NotTo(HaveOccurred())
				Expect(code == 0).To(Equal(may[i]), "permissions %q, %s /dev/it", permissions, way)
			}
		}
	})
	It("is refused if it is none", target.Covers("security.devices.refused"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		p := t.Pod(ctx)
		before := t.Now(ctx)
		refused := func(field string, opts ...target.ContainerOption) {
			GinkgoHelper()
			_, err := p.TryCreate(ctx, append(opts, device("/dev/null", "/dev/fine", ""))...)
			expectInvalid(t, err, "security.devices.refused", field)
		}
		refused("config.devices[0].host_path", device("/dev/no/such", "/dev/x", ""))
		refused("config.devices[0].host_path", device("/etc/hostname", "/dev/x", "r"))
		refused("config.devices[1].host_path", device("/dev/zero", "/dev/x", ""), device("/dev/no-such", "/dev/y", ""))
		for _, permissions := range []string{"x", "rwx", "r w", "RW", "a"} {
			refused("config.devices[0].permissions", device("/dev/zero", "/dev/x", permissions))
		}
		t.ExpectNothingLeft(ctx, before)
	})
})

const cdiKind = "criconform.test/thing"

// cdiDevice is a device of a CDI spec: its name and its containerEdits.
type cdiDevice struct {
	Name  string         `json:"name"`
	Edits map[string]any `json:"containerEdits"`
}

// writeCDI makes these the devices of the kind until the end of the case.
func writeCDI(t *target.T, edits map[string]any, devices ...cdiDevice) {
	GinkgoHelper()
	data, err := json.Marshal(map[string]any{"cdiVersion": "0.7.0", "kind": cdiKind, "devices": devices, "containerEdits": edits})
	Expect(err).NotTo(HaveOccurred())
	writeCDIFile(t, "criconform.json", string(data))
}

func writeCDIFile(t *target.T, name, content string) {
	GinkgoHelper()
	dir := t.NeedVariable(target.VarCDIDir)
	Expect(os.MkdirAll(dir, 0o755)).To(Succeed())
	path := filepath.Join(dir, name)
	Expect(os.WriteFile(path, []byte(content), 0o644)).To(Succeed())
	DeferCleanup(func() error { return ignoreVanished(os.Remove(path)) })
}

// cdiDevices names CDI devices of the kind as the kubelet does.
func cdiDevices(names ...string) target.ContainerOption {
	return target.WithContainer(func(c *runtimeapi.ContainerConfig) {
		for _, n := range names {
			c.CDIDevices = append(c.CDIDevices, &runtimeapi.CDIDevice{Name: n})
		}
	})
}

// "CDI_devices: CDI devices for the container." (cri-api v1) "Container Device
// Interface: injects devices, environment variables, mounts and hooks." What the
// edits mean stands in the specification of CDI.
var _ = Describe("A CDI device", func() {
	env := func(entry string) map[string]any { return map[string]any{"env": []string{entry}} }

	It("brings what its spec lists", target.Covers("security.cdi.edits"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureHostFiles)
		dir, hooked := hostDir("from-cdi"), filepath.Join(GinkgoT().TempDir(), "hooked")
		major, minor := openable()
		host := node(hostDir("none"), "node", major, minor, 0o666)
		writeCDI(t, env("CDI_ALL=all"), cdiDevice{"one", map[string]any{
			"env":            []string{"CDI_ONE=1", "PATH=/bin:/from-cdi"},
			"deviceNodes":    []any{map[string]any{"path": "/dev/from-cdi", "hostPath": host, "permissions": "rw"}},
			"mounts":         []any{map[string]any{"hostPath": dir, "containerPath": "/deep/cdi", "options": []string{"rbind", "ro"}}},
			"hooks":          []any{map[string]any{"hookName": "createRuntime", "path": "/bin/touch", "args": []string{"touch", hooked}}},
			"additionalGids": []int{4242},
		}}, cdiDevice{"two", env("CDI_TWO=2")})
		p := t.Pod(ctx)
		c := p.Run(ctx, cdiDevices(cdiKind+"=one", cdiKind+"=one"))
		Expect(strings.Split(c.Output(ctx, "env"), "\n")).To(And(ContainElements("CDI_ALL=all", "CDI_ONE=1", "PATH=/bin:/from-cdi"), Not(ContainElement("CDI_TWO=2"))))
		c.Output(ctx, "/bin/sh", "-c", ": <> /dev/from-cdi")
		Expect(c.Output(ctx, "cat", "/deep/cdi/from-cdi")).To(Equal("from-cdi"))
		fails(ctx, c, "touch", "/deep/cdi/new")
		Expect(hooked).To(BeAnExistingFile())
		if t.Has(target.FeatureHostNamespaces) {
			Expect(strings.Fields(hostStatus(c.Init().PID).line("Groups"))).To(ContainElement("4242"))
		}
		Expect(c.Status(ctx).GetUser().GetLinux().GetSupplementalGroups()).To(ContainElement(BeEquivalentTo(4242)))
		Expect(p.Run(ctx).Output(ctx, "env")).NotTo(ContainSubstring("CDI_"), "a container that asks for none")
	})
	It("may be named in an annotation", target.Covers("security.cdi.edits"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		writeCDI(t, env("CDI_ALL=all"), cdiDevice{"one", env("CDI_ONE=1")}, cdiDevice{"two", env("CDI_TWO=2")}, cdiDevice{"three", env("CDI_THREE=3")})
		c := t.Pod(ctx).Run(ctx, cdiDevices(cdiKind+"=three", cdiKind+"=one"), target.ContainerAnnotations(map[string]string{
			"cdi.k8s.io/plugin": cdiKind + "=one," + cdiKind + "=two", "other.io/cdi": "none",
		}))
		Expect(strings.Split(c.Output(ctx, "env"), "\n")).To(ContainElements("CDI_ALL=all", "CDI_ONE=1", "CDI_TWO=2", "CDI_THREE=3"))
	})
	It("is as its spec is now", target.Covers("security.cdi.edits"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		p := t.Pod(ctx)
		writeCDIFile(t, "bad.json", "{")
		for _, value := range []string{"old", "new"} {
			writeCDI(t, map[string]any{}, cdiDevice{"one", env("CDI=" + value)})
			Expect(p.Run(ctx, cdiDevices(cdiKind+"=one")).Output(ctx, "/bin/sh", "-c", `echo "$CDI"`)).To(Equal(value))
		}
	})
	It("is a privileged container's too", target.Covers("security.cdi.edits"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		writeCDI(t, map[string]any{}, cdiDevice{"one", map[string]any{"deviceNodes": []any{map[string]any{"path": "/dev/null"}, map[string]any{"path": "/dev/from-cdi", "hostPath": "/dev/full"}}}})
		c := elevated(ctx, t, cdiDevices(cdiKind+"=one"))
		Expect(c.Output(ctx, "stat", "-c", "%t:%T", "/dev/from-cdi", "/dev/null")).To(Equal("1:7\n1:3"))
	})

	It("is refused if nothing describes it", target.Covers("security.cdi.refused"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		writeCDI(t, map[string]any{}, cdiDevice{"one", env("CDI_ONE=1")},
			cdiDevice{"missing", map[string]any{"deviceNodes": []any{map[string]any{"path": "/dev/no-such", "hostPath": "/dev/no/such"}}}})
		p := t.Pod(ctx)
		before := t.Now(ctx)
		for _, name := range []string{cdiKind + "=two", cdiKind + "=missing", "other.test/thing=one", "one", "", "a/b/c=d=e"} {
			_, err := p.TryCreate(ctx, cdiDevices(cdiKind+"=one", name))
			expectInvalid(t, err, "security.cdi.refused", "config.CDI_devices")
		}
		for _, value := range []string{cdiKind + "=two", "thing", "", cdiKind + "=one " + cdiKind + "=one"} {
			_, err := p.TryCreate(ctx, cdiDevices(cdiKind+"=one"), target.ContainerAnnotations(map[string]string{"cdi.k8s.io/plugin": value}))
			expectInvalid(t, err, "security.cdi.refused", "config.annotations")
		}
		t.ExpectNothingLeft(ctx, before)
	})
	It("is refused if its spec is broken, and the reason is told", target.Covers("security.cdi.refused"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		p := t.Pod(ctx)
		writeCDIFile(t, "broken.json", `{"cdiVersion": "0.7.0", "kind": "`+cdiKind+`", "devices": [{"name": "one"`)
		_, err := p.TryCreate(ctx, cdiDevices(cdiKind+"=one"))
		expectInvalid(t, err, "security.cdi.refused", "broken.json")
	})
})
