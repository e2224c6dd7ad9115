package network

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/containernetworking/plugins/pkg/ns"
	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"
)

func TestAddGivesBothFamilies(t *testing.T) {
	inPrivateHost(t)
	m, leases := newManager(t)
	require.NoError(t, m.Status())
	a := selected(t, m)
	require.Equal(t, "ocid", a.Network)
	pod, netns, _ := newPod(t, "pod-both")

	began := time.Now()
	res, err := m.Add(t.Context(), a, pod)
	require.NoError(t, err)
	t.Logf("ADD took %s", time.Since(began))
	require.Len(t, res.IPs, 2)
	require.True(t, netip.MustParsePrefix("10.231.0.0/16").Contains(res.IPs[0]), res.IPs)
	require.True(t, netip.MustParsePrefix("fd6f:6369:64e7::/64").Contains(res.IPs[1]), res.IPs)
	require.ElementsMatch(t, []string{res.IPs[0].String(), res.IPs[1].String()}, leased(t, leases))
	require.Contains(t, string(res.Raw), res.IPs[0].String())
	require.NotEmpty(t, rules(t, pod.ID), "masquerading rules")

	serve(t, netns, 8080, "from the pod")
	for _, ip := range res.IPs {
		word, err := fetch(netip.AddrPortFrom(ip, 8080).String())
		require.NoError(t, err)
		require.Equal(t, "from the pod", word)
	}
	require.NoError(t, netns.Do(func(ns.NetNS) error { // lo is up
		serve(t, netns, 8081, "self")
		word, err := fetch("127.0.0.1:8081")
		require.Equal(t, "self", word)
		return err
	}))

	began = time.Now()
	require.NoError(t, m.Del(t.Context(), a, pod))
	t.Logf("DEL took %s", time.Since(began))
	requireNothingOf(t, m, leases, pod.ID)
	require.NoError(t, m.Del(t.Context(), a, pod), "a second time")
}

func TestAttachmentAndPodSurviveJSON(t *testing.T) {
	inPrivateHost(t)
	m, leases := newManager(t)
	pod, _, _ := newPod(t, "pod-json")
	pod.Ports = []PortMapping{{HostPort: 18080, ContainerPort: 8080}}
	_, err := m.Add(t.Context(), selected(t, m), pod)
	require.NoError(t, err)

	journal, err := json.Marshal(map[string]any{"a": selected(t, m), "p": pod})
	require.NoError(t, err)
	var back struct {
		A Attachment
		P Pod
	}
	require.NoError(t, json.Unmarshal(journal, &back))
	require.Equal(t, pod, back.P)
	// Another daemon, another configuration by now, the same cache.
	other, err := New(Config{BinDirs: []string{pluginDir}, CacheDir: m.cfg.CacheDir})
	require.NoError(t, err)
	require.Error(t, other.Status())
	require.NoError(t, other.Del(t.Context(), back.A, back.P))
	requireNothingOf(t, m, leases, pod.ID)
}

func TestHostPort(t *testing.T) {
	inPrivateHost(t)
	m, leases := newManager(t)
	a := selected(t, m)
	pod, netns, _ := newPod(t, "pod-ports")
	pod.Ports = []PortMapping{
		{HostPort: 18080, ContainerPort: 8080, Protocol: "TCP"},
		{ContainerPort: 8081, Protocol: "TCP"},
	}
	_, err := m.Add(t.Context(), a, pod)
	require.NoError(t, err)
	serve(t, netns, 8080, "mapped")
	for _, addr := range []string{"127.0.0.1:18080", "10.231.0.1:18080", "[fd6f:6369:64e7::1]:18080"} {
		word, err := fetch(addr)
		require.NoError(t, err, addr)
		require.Equal(t, "mapped", word, addr)
	}
	require.NoError(t, m.Del(t.Context(), a, pod))
	requireNothingOf(t, m, leases, pod.ID)
	_, err = fetch("127.0.0.1:18080")
	require.Error(t, err)
}

func TestDelWithoutNamespace(t *testing.T) {
	file := filepath.Join(t.TempDir(), "half-made")
	require.NoError(t, os.WriteFile(file, nil, 0o444))
	for name, path := range map[string]string{"empty": "", "missing": "/no/such/netns", "no mount": file, "closed": "as it is"} {
		t.Run(name, func(t *testing.T) {
			inPrivateHost(t)
			m, leases := newManager(t)
			a := selected(t, m)
			pod, _, closeNS := newPod(t, "pod-gone")
			pod.Ports = []PortMapping{{HostPort: 18081, ContainerPort: 8080}}
			_, err := m.Add(t.Context(), a, pod)
			require.NoError(t, err)
			closeNS()
			if name != "closed" {
				pod.NetNS = path
			}
			require.NoError(t, m.Del(t.Context(), a, pod))
			require.Empty(t, leased(t, leases))
			require.Empty(t, cached(t, m))
			_, err = fetch("127.0.0.1:18081")
			require.Error(t, err, "the host port is gone")
		})
	}
}

func TestDelWithoutCachedResult(t *testing.T) {
	for name, spoil := range map[string]func(file string) error{
		"missing": os.Remove,
		"garbage": func(file string) error { return os.WriteFile(file, []byte("{"), 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			inPrivateHost(t)
			m, leases := newManager(t)
			a := selected(t, m)
			pod, _, _ := newPod(t, "pod-cache")
			_, err := m.Add(t.Context(), a, pod)
			require.NoError(t, err)
			for _, f := range cached(t, m) {
				require.NoError(t, spoil(f))
			}
			require.NoError(t, m.Del(t.Context(), a, pod))
			requireNothingOf(t, m, leases, pod.ID)
		})
	}
}

// As VM runtimes leave a namespace: a device of their own in it, the addresses
// taken off the interface.
func TestDelAfterVMRuntime(t *testing.T) {
	inPrivateHost(t)
	m, leases := newManager(t)
	a := selected(t, m)
	pod, netns, _ := newPod(t, "pod-vm")
	_, err := m.Add(t.Context(), a, pod)
	require.NoError(t, err)
	require.NoError(t, netns.Do(func(ns.NetNS) error {
		tap := &netlink.Tuntap{LinkAttrs: netlink.LinkAttrs{Name: "tap0_kata"}, Mode: netlink.TUNTAP_MODE_TAP}
		if err := netlink.LinkAdd(tap); err != nil {
			return err
		}
		link, err := netlink.LinkByName(Interface)
		if err != nil {
			return err
		}
		addrs, err := netlink.AddrList(link, netlink.FAMILY_ALL)
		if err != nil {
			return err
		}
		for _, addr := range addrs {
			if err := netlink.AddrDel(link, &addr); err != nil {
				return err
			}
		}
		return nil
	}))
	require.NoError(t, m.Del(t.Context(), a, pod))
	requireNothingOf(t, m, leases, pod.ID)
}

func TestFailingAddIsTakenBackByDel(t *testing.T) {
	inPrivateHost(t)
	bin := t.TempDir()
	script(t, bin, "witness", `[ "$CNI_COMMAND" = ADD ] || exit 0
echo '{"cniVersion":"1.0.0","code":111,"msg":"out of luck","details":"today"}'
exit 1
`)
	leases := filepath.Join(t.TempDir(), "leases")
	list, err := DefaultConfList(leases)
	require.NoError(t, err)
	m := managerOf(t, withPlugin(t, list, `{"type":"witness"}`), bin, pluginDir)
	a := selected(t, m)
	pod, _, _ := newPod(t, "pod-fail")

	_, err = m.Add(t.Context(), a, pod)
	require.ErrorContains(t, err, `attach pod pod-fail to network "ocid"`)
	require.ErrorContains(t, err, "out of luck; today")
	require.Len(t, leased(t, leases), 2, "Add does not undo")

	require.NoError(t, m.Del(t.Context(), a, pod))
	requireNothingOf(t, m, leases, pod.ID)
}

func withPlugin(t *testing.T, list []byte, plugin string) []byte {
	t.Helper()
	raw := map[string]any{}
	require.NoError(t, json.Unmarshal(list, &raw))
	raw["plugins"] = append(raw["plugins"].([]any), json.RawMessage(plugin))
	out, err := json.Marshal(raw)
	require.NoError(t, err)
	return out
}

func TestDelPassesFailureOn(t *testing.T) {
	bin := t.TempDir()
	script(t, bin, "stuck", "echo no way >&2\nexit 3\n")
	m := managerOf(t, []byte(`{"cniVersion":"1.0.0","name":"n","plugins":[{"type":"stuck"}]}`), bin)
	a := selected(t, m)
	err := m.Del(t.Context(), a, Pod{ID: "p"})
	require.ErrorContains(t, err, `detach pod p from network "n"`)
	require.ErrorContains(t, err, "no way")
	require.ErrorContains(t, err, "exit status 3")

	require.NoError(t, os.Remove(filepath.Join(bin, "stuck")))
	require.ErrorContains(t, m.Del(t.Context(), a, Pod{ID: "p"}), `failed to find plugin "stuck"`)
}

func TestManyPodsAtOnce(t *testing.T) {
	inPrivateHost(t)
	host, err := ns.GetCurrentNS()
	require.NoError(t, err)
	t.Cleanup(func() { host.Close() })
	m, leases := newManager(t)
	a := selected(t, m)
	const n = 8
	var wg sync.WaitGroup
	errs, ips := make([]error, n), make([]netip.Addr, n)
	for i := range n {
		pod, _, _ := newPod(t, fmt.Sprintf("pod-many-%d", i))
		wg.Go(func() {
			errs[i] = host.Do(func(ns.NetNS) error {
				res, err := m.Add(t.Context(), a, pod)
				if err == nil {
					ips[i] = res.IPs[0]
				}
				return errors.Join(err, m.Del(t.Context(), a, pod))
			})
		})
	}
	wg.Wait()
	require.NoError(t, errors.Join(errs...))
	require.NotContains(t, ips, netip.Addr{})
	requireNothingOf(t, m, leases, "pod-many-")
	_, err = net.InterfaceByName("ocid0")
	require.NoError(t, err, "all of it happened in the private host")
}
