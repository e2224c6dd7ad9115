package oci_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"ocid/impl/oci"
)

func TestRuncPlain(t *testing.T) {
	box := newRuncBox(t)
	in := box.container(report + "exit 7")
	in.User = oci.User{AdditionalGIDs: []uint32{0, 3000}}
	security(in).Capabilities = &runtimeapi.Capability{DropCapabilities: []string{"ALL"}, AddCapabilities: []string{"CHOWN", "NET_RAW"}}
	source := t.TempDir()
	in.Config.Mounts = []*runtimeapi.Mount{
		{ContainerPath: "/data/ro", HostPath: source, Readonly: true},
		{ContainerPath: "/data/rro", HostPath: source, Readonly: true, RecursiveReadOnly: true},
		{ContainerPath: "/data/rw", HostPath: source},
	}
	facts, code := box.run(in)
	require.Equal(t, 7, code)
	held := capMask("CAP_CHOWN", "CAP_NET_RAW")
	requireFacts(t, map[string]string{
		"uid": "0", "gid": "0", "Groups": "0 3000", "pwd": "/data", "hostname": "web", "oom": "968", "lang": "C", "self": "1",
		"CapBnd": held, "CapPrm": held, "CapEff": held, "CapInh": capMask(), "CapAmb": capMask(), "NoNewPrivs": "0",
		"resolv": "nameserver 192.0.2.1", "root": "rw", "shm": "rw", "procsys": "ro",
		"mount:/sys": "ro", cgroupMount(in.Host): "ro", "mount:/data/ro": "ro", "mount:/data/rro": "ro", "mount:/data/rw": "rw",
	}, facts)
}

// Somebody other than root keeps ambient capabilities only.
func TestRuncUser(t *testing.T) {
	box := newRuncBox(t)
	in := box.container(report)
	in.User = oci.User{UID: 1000, GID: 2000, AdditionalGIDs: []uint32{2000}}
	security(in).NoNewPrivs, security(in).ReadonlyRootfs = true, true
	security(in).Capabilities = &runtimeapi.Capability{AddAmbientCapabilities: []string{"NET_BIND_SERVICE"}, DropCapabilities: []string{"KILL"}}
	in.Files.Shm = ""
	facts, code := box.run(in)
	require.Equal(t, 0, code)
	ambient := capMask("CAP_NET_BIND_SERVICE")
	requireFacts(t, map[string]string{
		"uid": "1000", "gid": "2000", "Groups": "2000", "NoNewPrivs": "1", "root": "ro", "shm": "rw", "mount:/": "ro",
		"CapAmb": ambient, "CapInh": ambient, "CapPrm": ambient, "CapEff": ambient,
		"CapBnd": capMask("CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_SETGID", "CAP_SETUID", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE"),
	}, facts)
}

func TestRuncPrivileged(t *testing.T) {
	box := newRuncBox(t)
	in := box.container(report + `
busybox mknod /tmp/loop b 7 0 && busybox dd if=/dev/ocid-null of=/tmp/out count=1 2>/dev/null && echo device=usable`)
	in.Privileged = true
	in.User = oci.User{AdditionalGIDs: []uint32{0}}
	mode := os.FileMode(0o666)
	in.Host.Devices = []specs.LinuxDevice{{Path: "/dev/ocid-null", Type: "c", Major: 1, Minor: 3, FileMode: &mode}}
	facts, code := box.run(in)
	require.Equal(t, 0, code)
	all := capMask(in.Host.Capabilities...)
	requireFacts(t, map[string]string{
		"CapBnd": all, "CapPrm": all, "CapEff": all, "CapAmb": capMask(), "procsys": "rw",
		"mount:/sys": "rw", cgroupMount(in.Host): "rw", "device": "usable",
	}, facts)
}

// The device cgroup lets a container open the devices it was given, no others,
// even where it can make the node.
func TestRuncDevices(t *testing.T) {
	for _, given := range []bool{true, false} {
		box := newRuncBox(t)
		in := box.container(`busybox mknod /tmp/kmsg c 1 11 && echo made=yes; (: < /tmp/kmsg) 2>/dev/null && echo open=yes || echo open=no`)
		in.User = oci.User{AdditionalGIDs: []uint32{0}}
		security(in).Capabilities = &runtimeapi.Capability{AddCapabilities: []string{"MKNOD", "SYSLOG", "SYS_ADMIN"}}
		want := map[string]string{"made": "yes", "open": "no"}
		if given {
			in.Devices = []oci.Device{{LinuxDevice: specs.LinuxDevice{Path: "/dev/kmsg", Type: "c", Major: 1, Minor: 11}, Permissions: "r"}}
			want["open"] = "yes"
		}
		facts, code := box.run(in)
		require.Equal(t, 0, code)
		requireFacts(t, want, facts)
	}
}

// What a container mounts shows on the host if and only if its mount is shared.
func TestRuncPropagation(t *testing.T) {
	for mode, want := range map[runtimeapi.MountPropagation]string{private: "hidden", fromHost: "hidden", bidirectional: "seen"} {
		t.Run(mode.String(), func(t *testing.T) {
			source := t.TempDir()
			require.NoError(t, unix.Mount(source, source, "", unix.MS_BIND, ""))
			t.Cleanup(func() { _ = unix.Unmount(source, unix.MNT_DETACH) })
			require.NoError(t, unix.Mount("", source, "", unix.MS_SHARED, ""))
			inner := filepath.Join(source, "inner")
			require.NoError(t, os.Mkdir(inner, 0o755))
			box := newRuncBox(t)
			in := box.container(`busybox mount -t tmpfs none /data/v/inner && : > /data/v/inner/file`)
			in.Privileged, in.User = true, oci.User{AdditionalGIDs: []uint32{0}}
			in.Config.Mounts = []*runtimeapi.Mount{{ContainerPath: "/data/v", HostPath: source, Propagation: mode}}
			_, code := box.run(in)
			require.Equal(t, 0, code)
			got := "hidden"
			if _, err := os.Stat(filepath.Join(inner, "file")); err == nil {
				got = "seen"
				require.NoError(t, unix.Unmount(inner, unix.MNT_DETACH))
			}
			require.Equal(t, want, got)
		})
	}
}

// TestRuncExec runs a second process in a container, and stops the container
// with the signal that its configuration names.
func TestRuncExec(t *testing.T) {
	box := newRuncBox(t)
	in := box.container(`trap 'exit 9' USR1; echo up > /tmp/up; while :; do busybox sleep 0.1; done`)
	in.User = oci.User{GID: 2000, AdditionalGIDs: []uint32{2000}}
	in.Config.StopSignal = runtimeapi.Signal_SIGNAL_SIGUSR1
	spec := build(t, in)
	box.write(spec)
	first := exec.Command("runc", "--root", box.root, "run", "--bundle", box.bundle, box.id)
	require.NoError(t, first.Start())
	up := func() bool { _, err := os.Stat(filepath.Join(box.rootfs(), "tmp/up")); return err == nil }
	require.Eventually(t, up, 20*time.Second, 20*time.Millisecond)

	process, err := json.Marshal(oci.ExecProcess(spec, []string{"/bin/sh", "-c",
		`echo "$(busybox id -u) $(busybox id -g) $(pwd) $LANG $(busybox cat /proc/self/oom_score_adj)"; exit 3`}, false))
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "process.json")
	require.NoError(t, os.WriteFile(file, process, 0o600))
	out, code := box.runc("exec", "--process", file, box.id)
	require.Equal(t, 3, code)
	require.Equal(t, "0 2000 /data C 968\n", out)

	signal := oci.StopSignal(in.Config, in.Image)
	_, code = box.runc("kill", box.id, signal.Name)
	require.Equal(t, 0, code)
	var exit *exec.ExitError
	require.ErrorAs(t, first.Wait(), &exit)
	require.Equal(t, 9, exit.ExitCode())
}

func TestRuncInfra(t *testing.T) {
	box := newRuncBox(t)
	catatonit, err := exec.LookPath("catatonit")
	require.NoError(t, err)
	copyFile(t, catatonit, filepath.Join(box.rootfs(), "catatonit"))
	like := box.container("")
	in := infraInput()
	in.ID, in.RootFS, in.Namespaces, in.Files, in.Host, in.CgroupsPath = like.ID, like.RootFS, oci.Namespaces{}, like.Files, like.Host, like.CgroupsPath
	in.Sandbox.Linux.Sysctls = map[string]string{"net.ipv4.ip_unprivileged_port_start": "80", "kernel.shm_rmid_forced": "1"}
	spec := buildInfra(t, in)
	box.write(spec)
	_, code := box.runc("run", "--detach", "--bundle", box.bundle, box.id)
	require.Equal(t, 0, code)

	process, err := json.Marshal(oci.ExecProcess(spec, []string{"/bin/busybox", "sh", "-c", `
cd /proc/sys; busybox cat net/ipv4/ip_unprivileged_port_start kernel/shm_rmid_forced
busybox hostname; busybox cat /proc/1/comm; busybox touch /x 2>/dev/null || echo readonly; busybox grep CapBnd /proc/self/status`}, false))
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "process.json")
	require.NoError(t, os.WriteFile(file, process, 0o600))
	out, code := box.runc("exec", "--process", file, box.id)
	require.Equal(t, 0, code)
	require.Equal(t, "80\n1\nweb\ncatatonit\nreadonly\nCapBnd:\t0000000000000000\n", out)

	_, code = box.runc("kill", box.id, "KILL")
	require.Equal(t, 0, code)
	stopped := func() bool {
		out, code := box.runc("state", box.id)
		var state specs.State
		return code == 0 && json.Unmarshal([]byte(out), &state) == nil && state.Status == specs.StateStopped
	}
	require.Eventually(t, stopped, 20*time.Second, 20*time.Millisecond)
}
