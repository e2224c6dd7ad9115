package target

import (
	"context"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// place is an observer of a daemon that is not there, and what it looks at.
type place struct {
	*Observer
	work   string
	cgroup string
	text   string // of the observed NAT rules
	bridge string
}

func newPlace(t *testing.T) place {
	t.Helper()
	work, id := t.TempDir(), strconv.Itoa(os.Getpid())
	p := place{work: work, cgroup: "/crit" + id, text: "criconform-test-" + id, bridge: "crit" + id}
	o, err := NewObserver(work, Observe{
		Files: []string{work + "/root"}, Ignore: []string{work + "/root/*.lock", work + "/root/cache/**"},
		Netns: []string{work + "/netns"}, Storage: []string{work + "/storage"}, Leases: []string{work + "/leases"},
		Bridges: []string{p.bridge}, IPTables: []string{p.text},
	}, p.cgroup)
	require.NoError(t, err)
	p.Observer = o
	return p
}

// sleep starts a process that lives until the test ends.
func sleep(t *testing.T, arg0 string, env ...string) int {
	t.Helper()
	cmd := exec.Command("sleep", "1000")
	cmd.Args[0], cmd.Env = arg0, env
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd.Process.Pid
}

func command(t *testing.T, args ...string) {
	t.Helper()
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	require.NoError(t, err, "%v: %s", args, out)
}

// A planting is one leak, and what the audit has to say of it.
type planting struct {
	plant func(*testing.T, place)
	kind  Kind
	text  string
}

// hostLeaks are in the kernel.
func hostLeaks() map[string]planting {
	return map[string]planting{
		"mount": {func(t *testing.T, p place) {
			at := filepath.Join(p.work, "m")
			require.NoError(t, os.Mkdir(at, 0o700))
			require.NoError(t, unix.Mount("x", at, "tmpfs", 0, ""))
			t.Cleanup(func() { require.NoError(t, unix.Unmount(at, 0)) })
		}, Mounts, "tmpfs at "},
		"process by command line": {func(t *testing.T, p place) { sleep(t, p.work+"/bin/x") }, Processes, "/bin/x 1000"},
		"process by environment":  {func(t *testing.T, p place) { sleep(t, "sleep", "DIR="+p.work) }, Processes, "sleep 1000"},
		"zombie of the daemon": {func(t *testing.T, p place) {
			p.exclude(os.Getpid())
			cmd := exec.Command("true")
			require.NoError(t, cmd.Start())
			t.Cleanup(func() { _ = cmd.Wait() })
			require.Eventually(t, func() bool {
				p, err := readProcess(cmd.Process.Pid)
				return err == nil && p.State == 'Z'
			}, 5*time.Second, time.Millisecond)
		}, Processes, "(zombie): [true]"},
		"link": {func(t *testing.T, p place) {
			bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: p.bridge}}
			require.NoError(t, netlink.LinkAdd(bridge))
			t.Cleanup(func() { require.NoError(t, netlink.LinkDel(bridge)) })
			port := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: p.bridge + "p", MasterIndex: bridge.Attrs().Index}, PeerName: p.bridge + "q"}
			require.NoError(t, netlink.LinkAdd(port))
			t.Cleanup(func() { require.NoError(t, netlink.LinkDel(port)) })
		}, Links, "crit"},
		"NAT rule": {func(t *testing.T, p place) {
			rule := []string{"POSTROUTING", "-s", "198.51.100.1/32", "-m", "comment", "--comment", p.text, "-j", "ACCEPT"}
			command(t, append([]string{"iptables", "-w", "-t", "nat", "-A"}, rule...)...)
			t.Cleanup(func() { command(t, append([]string{"iptables", "-w", "-t", "nat", "-D"}, rule...)...) })
		}, NATRules, "iptables -A POSTROUTING -s 198.51.100.1/32"},
	}
}

// fileLeaks are in files.
func fileLeaks() map[string]planting {
	return map[string]planting{
		"netns without a namespace": {func(t *testing.T, p place) {
			write(t, "", p.work, "netns", "a")
		}, Netns, "file without a namespace at "},
		"storage container": {func(t *testing.T, p place) {
			write(t, `[{"id":"c1","names":["k8s_x"]}]`, p.work, "storage", "overlay-containers", "volatile-containers.json")
		}, Containers, "c1 [k8s_x]"},
		"storage layer": {func(t *testing.T, p place) {
			write(t, `[{"id":"l1"}]`, p.work, "storage", "overlay-layers", "layers.json")
		}, Layers, "l1 []"},
		"storage layer in use": {func(t *testing.T, p place) {
			write(t, `[{"id":"l1","path":"/m","count":2}]`, p.work, "storage", "overlay-layers", "mountpoints.json")
		}, LayerMounts, "l1, 2 times"},
		"storage image": {func(t *testing.T, p place) {
			write(t, `[{"id":"i1","names":["a:1"]}]`, p.work, "storage", "overlay-images", "images.json")
		}, ImageCount, "i1 [a:1]"},
		"lease": {func(t *testing.T, p place) {
			write(t, "pod1\r\neth0", p.work, "leases", "10.1.2.3")
			write(t, "", p.work, "leases", "lock")
			write(t, "10.1.2.3", p.work, "leases", "last_reserved_ip.0")
		}, Leases, "10.1.2.3 for pod1"},
		"file": {func(t *testing.T, p place) {
			write(t, "", p.work, "root", "left")
			write(t, "", p.work, "root", "a.lock")
		}, Files, "/root/left"},
	}
}

// A leak of each kind is planted; the audit names it, and nothing else.
func TestAuditCatches(t *testing.T) {
	all := hostLeaks()
	maps.Copy(all, fileLeaks())
	for name, c := range all {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			before, err := p.Snapshot()
			require.NoError(t, err)
			c.plant(t, p)
			after, err := p.Snapshot()
			require.NoError(t, err)
			leaks := Diff(before, after)
			require.Len(t, leaks, 1, "%v", leaks)
			assert.Equal(t, c.kind, leaks[0].Kind)
			assert.False(t, leaks[0].Gone)
			assert.Contains(t, leaks[0].Thing, c.text)
			back := Diff(after, before)
			require.Len(t, back, 1)
			assert.True(t, back[0].Gone)
		})
	}
}

func TestAuditCatchesPinnedNetns(t *testing.T) {
	p := newPlace(t)
	at := write(t, "", p.work, "netns", "a")
	before, err := p.Snapshot()
	require.NoError(t, err)
	require.NoError(t, unix.Mount("/proc/self/ns/net", at, "", unix.MS_BIND, ""))
	t.Cleanup(func() { require.NoError(t, unix.Unmount(at, 0)) })
	after, err := p.Snapshot()
	require.NoError(t, err)
	assert.Equal(t, Leaks{
		{Kind: Mounts, Thing: "nsfs at " + at},
		{Kind: Netns, Thing: "file without a namespace at " + at, Gone: true},
		{Kind: Netns, Thing: "pinned at " + at},
	}, Diff(before, after))
	all, err := p.Netns()
	require.NoError(t, err)
	require.Len(t, all, 1)
	host, err := HostNamespace("net")
	require.NoError(t, err)
	assert.Equal(t, host, "net:["+strconv.FormatUint(all[0].Inode, 10)+"]")
}

func TestAuditCatchesCgroupsAndWhoIsInThem(t *testing.T) {
	p := newPlace(t)
	before, err := p.Snapshot()
	require.NoError(t, err)
	require.NotEmpty(t, p.cgroups, "no cgroup hierarchy on this host")
	parent := filepath.Join(p.cgroups[len(p.cgroups)-1], p.cgroup)
	dir := filepath.Join(parent, "pod1")
	require.NoError(t, os.MkdirAll(dir, 0o755))
	t.Cleanup(func() {
		assert.Eventually(t, func() bool {
			_, _ = os.Remove(dir), os.Remove(parent)
			_, err := os.Stat(parent)
			return os.IsNotExist(err)
		}, 5*time.Second, 10*time.Millisecond)
	})
	pid := sleep(t, "sleep")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0o600))
	after, err := p.Snapshot()
	require.NoError(t, err)
	leaks := Diff(before, after)
	require.Len(t, leaks, 2, "%v", leaks)
	assert.Equal(t, Leak{Kind: Cgroups, Thing: dir}, leaks[0])
	assert.Equal(t, Processes, leaks[1].Kind)
	assert.Contains(t, leaks[1].Thing, strconv.Itoa(pid))
}

func TestSettleWaitsAndGivesUp(t *testing.T) {
	p := newPlace(t)
	before, err := p.Snapshot()
	require.NoError(t, err)
	file := write(t, "", p.work, "root", "slow")

	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Millisecond)
	defer cancel()
	leaks, err := p.Settle(ctx, before)
	require.NoError(t, err)
	assert.Equal(t, Leaks{{Kind: Files, Thing: file}}, leaks)

	time.AfterFunc(40*time.Millisecond, func() { _ = os.Remove(file) })
	leaks, err = p.Settle(t.Context(), before)
	require.NoError(t, err)
	assert.Empty(t, leaks)
}

func TestBrokenRecordsAreTheSuitesTrouble(t *testing.T) {
	p := newPlace(t)
	write(t, `[{"id":`, p.work, "storage", "overlay-containers", "containers.json")
	_, err := p.Snapshot()
	var own *SuiteError
	require.ErrorAs(t, err, &own)
	assert.ErrorContains(t, err, "containers.json")
}

func TestSnapshotIsCheap(t *testing.T) {
	p := newPlace(t)
	for i := range 200 {
		write(t, "", p.work, "root", "d"+strconv.Itoa(i), "f")
	}
	const rounds = 10
	begin := time.Now()
	for range rounds {
		_, err := p.Snapshot()
		require.NoError(t, err)
	}
	each := time.Since(begin) / rounds
	t.Logf("one snapshot takes %v", each)
	assert.Less(t, each, 500*time.Millisecond)
}

func TestExcludeForgetsTheDead(t *testing.T) {
	p := newPlace(t)
	cmd := exec.Command("true")
	require.NoError(t, cmd.Run())
	p.exclude(cmd.Process.Pid)
	p.exclude(os.Getpid())
	_, excluded := p.state()
	assert.Equal(t, []int{os.Getpid()}, excluded)
	assert.ErrorIs(t, syscall.Kill(cmd.Process.Pid, 0), syscall.ESRCH)
}
