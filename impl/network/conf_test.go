package network

import (
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	types100 "github.com/containernetworking/cni/pkg/types/100"
	"github.com/stretchr/testify/require"
)

func killFromFile(t *testing.T, file string) {
	t.Helper()
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	require.NoError(t, err)
	require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
}

func listNamed(name, plugin string) string {
	return `{"cniVersion": "1.0.0", "name": "` + name + `", "plugins": [ {"type": "` + plugin + `"} ]}`
}

func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
	}
}

func watching(t *testing.T, dir string, builtin []byte) *Manager {
	t.Helper()
	bin := t.TempDir()
	script(t, bin, "one", "")
	script(t, bin, "two", "")
	m, err := New(Config{ConfDir: dir, BinDirs: []string{bin, "/no/such/bin"}, CacheDir: t.TempDir(), Default: builtin})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	return m
}

func TestWhichFileWins(t *testing.T) {
	single := `{"cniVersion":"0.3.1","name":"single","type":"one","mtu":1400}`
	for name, c := range map[string]struct {
		files    map[string]string
		network  string
		problems int
	}{
		"first by name":        {map[string]string{"20.conflist": listNamed("b", "one"), "10.conflist": listNamed("a", "one")}, "a", 0},
		"any extension":        {map[string]string{"20.conflist": listNamed("b", "one"), "10.conf": single}, "single", 0},
		"json":                 {map[string]string{"10.json": single}, "single", 0},
		"other files":          {map[string]string{"05.conflist.bak": "x", "README": "x", "10.conflist": listNamed("a", "one")}, "a", 0},
		"broken first":         {map[string]string{"10.conflist": "{", "20.conflist": listNamed("b", "one")}, "b", 1},
		"built in":             {map[string]string{"README": "x"}, "builtin", 0},
		"list in .conf":        {map[string]string{"10.conf": listNamed("a", "one"), "20.conf": single}, "single", 1},
		"plugins in own files": {map[string]string{"10.conflist": `{"cniVersion":"1.1.0","name":"split"}`, "split/10.conf": `{"type":"two"}`}, "split", 0},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, c.files)
			m := watching(t, dir, []byte(listNamed("builtin", "one")))
			require.NoError(t, m.Status())
			a := selected(t, m)
			require.Equal(t, c.network, a.Network)
			require.Len(t, m.Problems(), c.problems)
			_, err := parseList(a.ConfList)
			require.NoError(t, err, "complete without the directory")
		})
	}
}

func TestConfListIsVerbatim(t *testing.T) {
	dir := t.TempDir()
	text := "{ \"name\":\t\"a\", \"cniVersion\": \"1.0.0\",\n \"x\": [1.0, 2e3], \"plugins\": [ {\"type\":\"one\"} ] }\n"
	write(t, dir, map[string]string{"10.conflist": text})
	require.Equal(t, text, string(selected(t, watching(t, dir, nil)).ConfList))
}

func TestBrokenFilesAreTold(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"not json":     {"{\n", "unexpected end of JSON input"},
		"empty":        {"", "unexpected end of JSON input"},
		"null":         {"null", "no name"},
		"no name":      {`{"plugins":[{"type":"one"}]}`, "no name"},
		"bad name":     {listNamed("../../etc", "one"), `name "../../etc"`},
		"no plugins":   {`{"name":"a","plugins":[]}`, "no plugins"},
		"no plugins 2": {`{"name":"a"}`, "no plugins"},
		"no type":      {`{"name":"a","plugins":[{}]}`, "missing 'type'"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, map[string]string{"10-x.conflist": c.text})
			m := watching(t, dir, []byte(listNamed("builtin", "one")))
			err := m.Status()
			require.ErrorContains(t, err, filepath.Join(dir, "10-x.conflist"))
			require.ErrorContains(t, err, c.want)
			_, serr := m.Select()
			require.Equal(t, err, serr, "the built-in network is not used")
		})
	}
}

func TestAllBrokenFilesAreNamedInOneLine(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"a.conflist": "{", "b.conf": "["})
	err := watching(t, dir, nil).Status()
	require.ErrorContains(t, err, "a.conflist")
	require.ErrorContains(t, err, "b.conf")
	require.NotContains(t, err.Error(), "\n")
}

func TestMissingPluginIsTold(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"10.conflist": `{"name":"a","plugins":[{"type":"one","ipam":{"type":"absent"}}]}`})
	m := watching(t, dir, nil)
	for _, want := range []string{`"absent"`, "/no/such/bin", m.cfg.BinDirs[0], "10.conflist"} {
		require.ErrorContains(t, m.Status(), want)
	}
	_, err := m.Select()
	require.Error(t, err)
	script(t, m.cfg.BinDirs[0], "absent", "")
	require.NoError(t, m.Status())
}

func TestNoNetwork(t *testing.T) {
	require.ErrorContains(t, watching(t, "/no/such/dir", nil).Status(), `no network configuration in "/no/such/dir"`)
	file := filepath.Join(t.TempDir(), "file")
	write(t, filepath.Dir(file), map[string]string{"file": ""})
	require.ErrorContains(t, watching(t, file, []byte(listNamed("builtin", "one"))).Status(), "not a directory")
	_, err := New(Config{CacheDir: "relative"})
	require.ErrorContains(t, err, "not absolute")
	_, err = New(Config{CacheDir: "/x", Default: []byte("{")})
	require.ErrorContains(t, err, "built-in")
}

func TestWatching(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "etc", "cni", "net.d")
	m := watching(t, dir, []byte(listNamed("builtin", "one")))
	uses := func(want string) {
		t.Helper()
		require.Eventually(t, func() bool {
			a, err := m.Select()
			return err == nil && a.Network == want
		}, 5*time.Second, time.Millisecond, want)
	}
	uses("builtin")
	write(t, dir, map[string]string{"20.conflist": listNamed("b", "one")}) // makes three directories
	uses("b")
	write(t, dir, map[string]string{"10.conflist": listNamed("a", "one")})
	uses("a")
	write(t, dir, map[string]string{"10.conflist": listNamed("a2", "one")})
	uses("a2")
	write(t, dir, map[string]string{"10.conflist": "{"})
	uses("b")
	require.Len(t, m.Problems(), 1)
	require.NoError(t, os.Rename(filepath.Join(dir, "20.conflist"), filepath.Join(dir, "20.off")))
	require.Eventually(t, func() bool { return m.Status() != nil }, 5*time.Second, time.Millisecond)
	require.NoError(t, os.RemoveAll(filepath.Join(root, "etc")))
	uses("builtin")

	write(t, dir, map[string]string{"10.conflist": listNamed("again", "one")})
	uses("again")
	require.NoError(t, os.Rename(filepath.Join(root, "etc"), filepath.Join(root, "old")))
	uses("builtin")
	write(t, dir, map[string]string{"10.conflist": listNamed("third", "one")})
	uses("third")
	staged := filepath.Join(root, "staged")
	write(t, staged, map[string]string{"10.conflist": listNamed("moved", "one")})
	require.NoError(t, os.Rename(dir, dir+".old"))
	require.NoError(t, os.Rename(staged, dir))
	uses("moved")
	write(t, dir, map[string]string{"10.conflist": `{"cniVersion":"1.1.0","name":"split"}`})
	write(t, dir, map[string]string{"split/10.conf": `{"type":"two"}`})
	uses("split")
	require.NoError(t, m.Close())
	require.NoError(t, m.Close())
	uses("split")
}

func TestDefaultConfList(t *testing.T) {
	for _, ipv6 := range []bool{true, false} {
		data, err := renderDefault(`/run/o "c/leases`, ipv6)
		require.NoError(t, err)
		c, err := parseList(data)
		require.NoError(t, err)
		require.Equal(t, "ocid", c.list.Name)
		require.Equal(t, []string{"bridge", "host-local", "portmap"}, c.plugins())
		require.Contains(t, string(data), `"dataDir": "/run/o \"c/leases"`)
		require.Equal(t, ipv6, strings.Contains(string(data), "fd6f:6369:64e7::/64"))
		require.Equal(t, ipv6, strings.Contains(string(data), "::/0"))
	}
	data, err := renderDefault("", false)
	require.NoError(t, err)
	require.Contains(t, string(data), `"dataDir": ""`, "the plugin takes its own place")
}

func TestPodArguments(t *testing.T) {
	pod := Pod{
		ID: "id", Name: "n", Namespace: "ns", UID: "u", NetNS: "/x",
		Ports:      []PortMapping{{HostPort: 0, ContainerPort: 1}, {HostPort: 53, ContainerPort: 54, Protocol: "UDP", HostIP: "::1"}},
		Bandwidth:  &Bandwidth{IngressRate: 1000, EgressRate: 5, EgressBurst: 7},
		DNS:        &DNS{Servers: []string{"1.2.3.4"}},
		CgroupPath: "/pods/x",
	}
	caps, err := json.Marshal(pod.runtimeConf().CapabilityArgs)
	require.NoError(t, err)
	require.JSONEq(t, `{
		"portMappings": [{"hostPort":53,"containerPort":54,"protocol":"udp","hostIP":"::1"}],
		"bandwidth": {"ingressRate":1000,"ingressBurst":4294967295,"egressRate":5,"egressBurst":7},
		"dns": {"servers":["1.2.3.4"]},
		"cgroupPath": "/pods/x"}`, string(caps))
	require.Contains(t, pod.args(), [2]string{"K8S_POD_INFRA_CONTAINER_ID", "id"})
	require.Empty(t, Pod{Ports: []PortMapping{{ContainerPort: 80}}}.capabilities())
}

func TestPortMappingsOverlap(t *testing.T) {
	of := func(port int32, protocol, ip string) PortMapping {
		return PortMapping{HostPort: port, ContainerPort: 1, Protocol: protocol, HostIP: ip}
	}
	for _, two := range [][2]PortMapping{
		{of(80, "TCP", ""), of(80, "", "")}, {of(80, "tcp", ""), of(80, "tcp", "::1")}, {of(80, "udp", "0.0.0.0"), of(80, "UDP", "127.0.0.2")},
		{of(80, "tcp", "::"), of(80, "tcp", "fd00::1")}, {of(80, "tcp", "::ffff:10.0.0.1"), of(80, "tcp", "10.0.0.1")},
	} {
		require.True(t, two[0].Overlaps(two[1]), "%v", two)
		require.True(t, two[1].Overlaps(two[0]), "%v", two)
	}
	for _, two := range [][2]PortMapping{
		{of(80, "tcp", ""), of(81, "tcp", "")}, {of(80, "tcp", ""), of(80, "udp", "")}, {of(0, "tcp", ""), of(0, "tcp", "")},
		{of(80, "tcp", "127.0.0.1"), of(80, "tcp", "127.0.0.2")}, {of(80, "tcp", "0.0.0.0"), of(80, "tcp", "::")}, {of(80, "tcp", "0.0.0.0"), of(80, "tcp", "::1")},
	} {
		require.False(t, two[0].Overlaps(two[1]), "%v", two)
		require.False(t, two[1].Overlaps(two[0]), "%v", two)
	}
}

// What would smuggle CNI arguments in is refused, and needs no plugin to undo.
func TestUnfitPod(t *testing.T) {
	bin := t.TempDir()
	script(t, bin, "one", "echo never; exit 1\n")
	m := managerOf(t, []byte(listNamed("n", "one")), bin)
	for _, pod := range []Pod{{ID: "a/../b"}, {}, {ID: "p", Name: "x;IP=10.0.0.1"}, {ID: "p", UID: "a=b"}} {
		netns, _, _ := newPod(t, "x")
		pod.NetNS = netns.NetNS
		_, err := m.Add(t.Context(), selected(t, m), pod)
		require.Error(t, err)
		require.NotContains(t, err.Error(), "never")
		require.NoError(t, m.Del(t.Context(), selected(t, m), pod))
	}
	_, err := m.Add(t.Context(), selected(t, m), Pod{ID: "p"})
	require.ErrorContains(t, err, "bring up lo")
}

func TestResultAddresses(t *testing.T) {
	res := &types100.Result{}
	require.NoError(t, json.Unmarshal([]byte(`{"cniVersion":"1.0.0",
		"interfaces":[{"name":"br"},{"name":"eth0","sandbox":"/n","mac":"02:00:00:00:00:01"},{"name":"net1","sandbox":"/n"}],
		"ips":[{"address":"10.0.0.1/24","interface":0},{"address":"fd00::7/64","interface":1},
			{"address":"10.0.0.7/24","interface":1},{"address":"10.1.0.7/24","interface":2},{"address":"10.0.0.6/24"}]}`), res))
	out, err := newResult(res)
	require.NoError(t, err)
	require.Equal(t, []netip.Addr{netip.MustParseAddr("10.0.0.7"), netip.MustParseAddr("10.0.0.6"), netip.MustParseAddr("fd00::7")}, out.IPs)
	require.Equal(t, NIC{Name: "eth0", MAC: "02:00:00:00:00:01", Sandbox: "/n"}, out.Interfaces[1])
}
