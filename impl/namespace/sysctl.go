package namespace

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// KindOfSysctl tells which kind of namespace a sysctl belongs to (namespaces(7),
// ipc_namespaces(7), uts_namespaces(7)); ok is false for one that is the whole
// machine's and for a name that is not well-formed. Names are those of
// sysctl(8): "net.ipv4.ip_forward" or "net/ipv4/ip_forward".
func KindOfSysctl(name string) (kind Kind, ok bool) {
	path, ok := sysctlPath(name)
	if !ok {
		return "", false
	}
	switch {
	case strings.HasPrefix(path, "net/"):
		return Net, true
	case strings.HasPrefix(path, "kernel/shm"),
		strings.HasPrefix(path, "kernel/msg"),
		path == "kernel/sem",
		strings.HasPrefix(path, "fs/mqueue/"):
		return IPC, true
	case path == "kernel/hostname", path == "kernel/domainname":
		return UTS, true
	}
	return "", false
}

// sysctlPath turns a name into a path below /proc/sys. As in sysctl(8) the first
// separator decides: after a slash a dot is a dot ("net/ipv4/conf/eth0.1/mtu"),
// after a dot a slash stands for one.
func sysctlPath(name string) (string, bool) {
	if i := strings.IndexAny(name, "./"); i >= 0 && name[i] == '.' {
		name = strings.NewReplacer(".", "/", "/", ".").Replace(name)
	}
	return name, filepath.IsLocal(name) && filepath.Clean(name) == name
}

// writeSysctl writes on the calling thread: the kernel looks the entry up in the
// namespaces of the task that opens it.
func writeSysctl(name, value string) error {
	path, ok := sysctlPath(name)
	if !ok {
		return fmt.Errorf("sysctl name %q is not well-formed", name)
	}
	f, err := os.OpenFile(filepath.Join("/proc/sys", path), os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("sysctl %q: %w", name, err)
	}
	_, err = f.WriteString(value)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("sysctl %q = %q: %w", name, value, err)
	}
	return nil
}
