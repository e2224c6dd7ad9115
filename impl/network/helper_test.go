package network

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/containernetworking/plugins/pkg/ns"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

const pluginDir = "/usr/lib/cni"

// inPrivateHost moves the test's thread into a network namespace that plays the
// host, so that no bridge and no rule reaches the machine. Plugins are forked from
// the calling thread and find themselves there. The thread ends with the test.
func inPrivateHost(t *testing.T) {
	t.Helper()
	runtime.LockOSThread()
	require.NoError(t, unix.Unshare(unix.CLONE_NEWNET))
	require.NoError(t, loopbackUp("/proc/thread-self/ns/net"))
	// The bridge's IPv6 address is tentative for a second or two after the first
	// ADD; the pods' own are not. Spare the tests that wait.
	require.NoError(t, os.WriteFile("/proc/sys/net/ipv6/conf/default/accept_dad", []byte("0"), 0o644))
}

// newPod makes a pod with a network namespace that goes with the test, or before
// it by the returned function. A file descriptor serves for a pin.
func newPod(t *testing.T, id string) (Pod, ns.NetNS, func()) {
	t.Helper()
	netns, err := ns.TempNetNS()
	require.NoError(t, err)
	gone := false
	closeNS := func() {
		if !gone {
			gone = true
			require.NoError(t, netns.Close())
		}
	}
	t.Cleanup(closeNS)
	path := fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), netns.Fd())
	return Pod{ID: id, Name: "web", Namespace: "default", UID: "uid-" + id, NetNS: path}, netns, closeNS
}

// newManager uses the built-in network; leases is its lease directory.
func newManager(t *testing.T) (m *Manager, leases string) {
	t.Helper()
	leases = filepath.Join(t.TempDir(), "leases")
	list, err := DefaultConfList(leases)
	require.NoError(t, err)
	return managerOf(t, list, pluginDir), leases
}

func managerOf(t *testing.T, conflist []byte, binDirs ...string) *Manager {
	t.Helper()
	m, err := New(Config{BinDirs: binDirs, CacheDir: filepath.Join(t.TempDir(), "cache"), Default: conflist})
	require.NoError(t, err)
	return m
}

func selected(t *testing.T, m *Manager) Attachment {
	t.Helper()
	a, err := m.Select()
	require.NoError(t, err)
	return a
}

// leased lists the addresses that host-local holds.
func leased(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, "ocid"))
	if os.IsNotExist(err) {
		return nil
	}
	require.NoError(t, err)
	var ips []string
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), "last_reserved") && e.Name() != "lock" {
			ips = append(ips, e.Name())
		}
	}
	return ips
}

func cached(t *testing.T, m *Manager) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(m.cfg.CacheDir, "results", "*"))
	require.NoError(t, err)
	return files
}

// rules are the NAT rules of the private host that belong to a pod.
func rules(t *testing.T, id string) []string {
	t.Helper()
	var found []string
	for _, program := range []string{"iptables-save", "ip6tables-save"} {
		out, err := exec.Command(program, "-t", "nat").CombinedOutput()
		require.NoError(t, err, string(out))
		for line := range bytes.Lines(out) {
			if bytes.Contains(line, []byte(id)) {
				found = append(found, string(line))
			}
		}
	}
	return found
}

// requireNothingOf checks that a pod holds nothing any more.
func requireNothingOf(t *testing.T, m *Manager, leases, id string) {
	t.Helper()
	require.Empty(t, leased(t, leases))
	require.Empty(t, cached(t, m))
	require.Empty(t, rules(t, id))
	links, err := net.Interfaces()
	require.NoError(t, err)
	for _, l := range links {
		require.False(t, strings.HasPrefix(l.Name, "veth"), l.Name)
	}
}

// serve answers each connection to the port with the word, inside the namespace.
func serve(t *testing.T, netns ns.NetNS, port int, word string) {
	t.Helper()
	var l net.Listener
	require.NoError(t, netns.Do(func(ns.NetNS) (err error) {
		l, err = net.Listen("tcp", fmt.Sprintf(":%d", port))
		return err
	}))
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, word)
			c.Close()
		}
	}()
}

// fetch reads what an address says, from the calling thread's namespace.
func fetch(addr string) (string, error) {
	c, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		return "", err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return "", err
	}
	b, err := io.ReadAll(c)
	return string(b), err
}

// script writes a plugin in shell.
func script(t *testing.T, dir, name, body string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(dir, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+body), 0o755))
}

// running lists processes with the word in their command line.
func running(t *testing.T, word string) []string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	require.NoError(t, err)
	var found []string
	for _, f := range files {
		if b, err := os.ReadFile(f); err == nil && bytes.Contains(b, []byte(word)) {
			found = append(found, f)
		}
	}
	return found
}
