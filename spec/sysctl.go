package spec

import (
	"io/fs"
	"strings"
)

// A NamespaceKind is a kind of namespace in the kernel's words, as in
// /proc/self/ns.
type NamespaceKind string

// The kinds of namespaces that have sysctls of their own.
const (
	NetNamespace NamespaceKind = "net"
	IPCNamespace NamespaceKind = "ipc"
	UTSNamespace NamespaceKind = "uts"
)

// namespaceSysctls says what a namespace has for itself (namespaces(7),
// ipc_namespaces(7), uts_namespaces(7)), by the beginning of its path or, if
// whole is set, by all of it.
var namespaceSysctls = []struct {
	path  string
	whole bool
	kind  NamespaceKind
}{
	{"net/", false, NetNamespace},
	{"fs/mqueue/", false, IPCNamespace},
	{"kernel/msg", false, IPCNamespace},
	{"kernel/shm", false, IPCNamespace},
	{"kernel/sem", true, IPCNamespace},
	{"kernel/domainname", true, UTSNamespace},
	{"kernel/hostname", true, UTSNamespace},
}

// SysctlPath turns the name of a sysctl into its path below /proc/sys; ok is
// false if it is none. As in sysctl(8) the first separator decides: after a
// slash a dot is a dot ("net/ipv4/conf/eth0.1/mtu"), after a dot a slash stands
// for one.
func SysctlPath(name string) (path string, ok bool) {
	if i := strings.IndexAny(name, "./"); i >= 0 && name[i] == '.' {
		name = strings.NewReplacer(".", "/", "/", ".").Replace(name)
	}
	return name, fs.ValidPath(name) && name != "." && !strings.Contains(name, "\x00")
}

// SysctlNamespace tells which kind of namespace a sysctl belongs to; "" is the
// whole machine, and what is no name of a sysctl.
func SysctlNamespace(name string) NamespaceKind {
	path, ok := SysctlPath(name)
	if !ok {
		return ""
	}
	for _, row := range namespaceSysctls {
		if path == row.path || !row.whole && strings.HasPrefix(path, row.path) {
			return row.kind
		}
	}
	return ""
}
