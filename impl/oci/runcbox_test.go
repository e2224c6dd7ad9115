package oci_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/moby/sys/capability"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"

	"ocid/impl/oci"
)

// A runcBox runs configurations with the real runc on a busybox root.
type runcBox struct {
	t          *testing.T
	root       string // runc's state
	bundle, id string
}

func newRuncBox(t *testing.T) *runcBox {
	t.Helper()
	box := &runcBox{t: t, root: t.TempDir(), bundle: t.TempDir()}
	box.id = "ocid-oci-" + strconv.Itoa(os.Getpid()) + "-" + filepath.Base(filepath.Dir(box.bundle))
	rootfs := box.rootfs()
	for _, dir := range []string{"bin", "etc", "data", "tmp"} {
		require.NoError(t, os.MkdirAll(filepath.Join(rootfs, dir), 0o755))
	}
	// t.TempDir is 0700, and containers here run as other users too.
	for dir := box.bundle; strings.HasPrefix(dir, os.TempDir()+"/"); dir = filepath.Dir(dir) {
		require.NoError(t, os.Chmod(dir, 0o755))
	}
	busybox, err := exec.LookPath("busybox")
	require.NoError(t, err)
	copyFile(t, busybox, filepath.Join(rootfs, "bin/busybox"))
	require.NoError(t, os.Symlink("busybox", filepath.Join(rootfs, "bin/sh")))
	t.Cleanup(func() { _ = exec.Command("runc", "--root", box.root, "delete", "-f", box.id).Run() })
	return box
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(to, data, 0o755))
}

func (b *runcBox) rootfs() string { return filepath.Join(b.bundle, "rootfs") }

// container is plain on this machine, with a shell script as its command.
func (b *runcBox) container(script string) oci.ContainerInput {
	b.t.Helper()
	in := plain()
	in.ID, in.RootFS, in.Host, in.Namespaces = b.id, b.rootfs(), thisHost(b.t), oci.Namespaces{}
	in.Config.Command, in.Config.Args = []string{"/bin/sh", "-c", "PATH=/bin; " + script}, nil
	in.Image.Config.WorkingDir = "/data"
	path, err := oci.CgroupsPath(oci.Cgroupfs, "/", b.id)
	require.NoError(b.t, err)
	in.CgroupsPath = path
	shm := b.t.TempDir()
	resolv := filepath.Join(b.t.TempDir(), "resolv.conf")
	require.NoError(b.t, os.WriteFile(resolv, []byte("nameserver 192.0.2.1\n"), 0o644))
	in.Files = oci.PodFiles{Shm: shm, ResolvConf: resolv}
	return in
}

// thisHost looks up the facts.
func thisHost(t *testing.T) oci.Host {
	t.Helper()
	self, err := capability.NewPid2(0)
	require.NoError(t, err)
	require.NoError(t, self.Load())
	host := oci.Host{Hostname: "node", DefaultCapabilities: defaultCaps}
	for _, c := range capability.ListKnown() {
		if self.Get(capability.BOUNDING, c) {
			host.Capabilities = append(host.Capabilities, "CAP_"+strings.ToUpper(c.String()))
		}
	}
	adj, err := os.ReadFile("/proc/self/oom_score_adj")
	require.NoError(t, err)
	host.MinOOMScoreAdj, err = strconv.Atoi(strings.TrimSpace(string(adj)))
	require.NoError(t, err)
	_, err = os.Stat("/sys/fs/cgroup/cgroup.controllers")
	host.CgroupV2 = err == nil
	_, err = os.Stat("/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes")
	host.SwapLimit = err == nil
	return host
}

// write puts the configuration into the bundle.
func (b *runcBox) write(spec *specs.Spec) {
	b.t.Helper()
	data, err := json.Marshal(spec)
	require.NoError(b.t, err)
	require.NoError(b.t, os.WriteFile(filepath.Join(b.bundle, "config.json"), data, 0o644))
}

// runc runs a command and gives what it printed and its exit code. The output
// goes to a file: a container that is left running would keep a pipe open.
func (b *runcBox) runc(args ...string) (string, int) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), time.Minute)
	defer cancel()
	out, err := os.CreateTemp(b.t.TempDir(), "stdout")
	require.NoError(b.t, err)
	defer out.Close()
	errs, err := os.CreateTemp(b.t.TempDir(), "stderr")
	require.NoError(b.t, err)
	defer errs.Close()
	cmd := exec.CommandContext(ctx, "runc", append([]string{"--root", b.root}, args...)...)
	cmd.Stdout, cmd.Stderr = out, errs
	if err := cmd.Run(); err != nil {
		var exited *exec.ExitError
		require.ErrorAs(b.t, err, &exited)
		require.NoError(b.t, ctx.Err(), "runc %v", args)
	}
	if said, err := os.ReadFile(errs.Name()); err == nil && len(said) > 0 {
		b.t.Logf("runc %v: %s", args, said)
	}
	printed, err := os.ReadFile(out.Name())
	require.NoError(b.t, err)
	return string(printed), cmd.ProcessState.ExitCode()
}

// run runs a container to its end; its output must be lines of key=value.
func (b *runcBox) run(in oci.ContainerInput) (map[string]string, int) {
	b.t.Helper()
	b.write(build(b.t, in))
	out, code := b.runc("run", "--bundle", b.bundle, b.id)
	facts := map[string]string{}
	for _, line := range strings.Split(out, "\n") {
		if key, value, ok := strings.Cut(line, "="); ok {
			facts[key] = value
		}
	}
	return facts, code
}

// report prints what a process can see of itself.
const report = `
busybox awk -F'\t' '/^(Cap|NoNewPrivs|Groups)/ { sub(":", "=", $1); sub(" $", "", $2); print $1 $2 }' /proc/self/status
echo "uid=$(busybox id -u)"; echo "gid=$(busybox id -g)"; echo "pwd=$(pwd)"; echo "hostname=$(busybox hostname)"
echo "oom=$(busybox cat /proc/self/oom_score_adj)"; echo "lang=$LANG"; echo "self=$$"
echo "resolv=$(busybox cat /etc/resolv.conf)"
while read -r _ at _ opts _; do echo "mount:$at=${opts%%,*}"; done < /proc/mounts
busybox touch /probe 2>/dev/null && echo root=rw || echo root=ro
busybox touch /dev/shm/probe 2>/dev/null && echo shm=rw || echo shm=ro
(echo x > /proc/sys/kernel/domainname) 2>/dev/null && echo procsys=rw || echo procsys=ro
`

func capMask(names ...string) string {
	var mask uint64
	for _, c := range capability.ListKnown() {
		if slices.Contains(names, "CAP_"+strings.ToUpper(c.String())) {
			mask |= 1 << uint(c)
		}
	}
	return strings.Repeat("0", 16-len(strconv.FormatUint(mask, 16))) + strconv.FormatUint(mask, 16)
}

// cgroupMount is the fact that tells whether cgroups can be written. On cgroup
// v1 runc puts the controllers on a tmpfs that is writable in any case.
func cgroupMount(host oci.Host) string {
	if host.CgroupV2 {
		return "mount:/sys/fs/cgroup"
	}
	return "mount:/sys/fs/cgroup/memory"
}

func requireFacts(t *testing.T, want, got map[string]string) {
	t.Helper()
	for key, value := range want {
		require.Equal(t, value, got[key], "%s of %v", key, got)
	}
}
