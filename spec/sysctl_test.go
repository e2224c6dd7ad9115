package spec

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSysctlNamespace(t *testing.T) {
	for name, want := range map[string]NamespaceKind{
		"net.core.somaxconn": NetNamespace, "net/ipv4/conf/eth0.1/forwarding": NetNamespace,
		"kernel.shm_rmid_forced": IPCNamespace, "kernel.msgmnb": IPCNamespace, "kernel.sem": IPCNamespace,
		"kernel/shmmax": IPCNamespace, "fs.mqueue.queues_max": IPCNamespace,
		"kernel.domainname": UTSNamespace, "kernel.hostname": UTSNamespace,
		"vm.overcommit_memory": "", "kernel.panic": "", "fs.file-max": "", "net": "", "": "", "net..x": "", "network.not": "",
		"net/../kernel/panic": "", "/net/core/somaxconn": "", "kernel.semx": "", "kernel.hostnames": "", "net.ipv4.": "",
	} {
		require.Equal(t, want, SysctlNamespace(name), name)
	}
}

func TestSysctlPath(t *testing.T) {
	for name, want := range map[string]string{
		"net.ipv4.conf.eth0/1.forwarding": "net/ipv4/conf/eth0.1/forwarding",
		"net/ipv4/conf/eth0.1/forwarding": "net/ipv4/conf/eth0.1/forwarding",
		"vm.swappiness":                   "vm/swappiness",
		"a..b/c":                          "", "a.//.b": "", "/a": "", "a/": "", ".a": "", "a/../b": "", "a/./b": "", ".": "", "..": "", "": "", "a\x00b": "",
	} {
		path, ok := SysctlPath(name)
		require.Equal(t, want != "", ok, name)
		if ok {
			require.Equal(t, want, path, name)
		}
	}
}
