package oci

import (
	"path"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// baseMounts are in every container. A privileged container has those marked
// "ro" writable.
var baseMounts = []specs.Mount{
	{Destination: "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid", "noexec", "nodev"}},
	{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "strictatime", "mode=755", "size=65536k"}},
	{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}},
	{Destination: "/dev/mqueue", Type: "mqueue", Source: "mqueue", Options: []string{"nosuid", "noexec", "nodev"}},
	{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: []string{"nosuid", "noexec", "nodev", "ro"}},
}

// cgroupMount is in every container but the infra container. The runtime turns
// it into what the host's cgroup version needs.
var cgroupMount = specs.Mount{
	Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup",
	Options: []string{"nosuid", "noexec", "nodev", "relatime", "ro"},
}

// privateShm stands in for the pod's /dev/shm where there is none.
var privateShm = specs.Mount{
	Destination: shmPath, Type: "tmpfs", Source: "shm",
	Options: []string{"nosuid", "noexec", "nodev", "mode=1777", "size=65536k"},
}

const shmPath = "/dev/shm"

// podFileOptions are those of the pod's files and of its /dev/shm.
var podFileOptions = []string{"rbind", "rprivate", "nosuid", "noexec", "nodev"}

// containerMounts gives all mounts of a container in the order to make them,
// and the propagation of its root that they need.
func containerMounts(in ContainerInput) ([]specs.Mount, string, error) {
	own, propagation, err := criMounts(in.Config.GetMounts())
	if err != nil {
		return nil, "", err
	}
	readonly := in.Config.GetLinux().GetSecurityContext().GetReadonlyRootfs()
	defaults := append(slices.Clone(baseMounts), cgroupMount)
	if in.Privileged {
		defaults = writable(defaults)
	}
	defaults = append(defaults, in.Files.mounts(in.Namespaces.IPC, readonly)...)
	return merge(merge(defaults, own), in.ExtraMounts), propagation, nil
}

// infraMounts gives all mounts of a sandbox's own process.
func infraMounts(in InfraInput) []specs.Mount {
	return merge(baseMounts, in.Files.mounts(in.Namespaces.IPC, true))
}

// writable turns "ro" into "rw".
func writable(mounts []specs.Mount) []specs.Mount {
	out := cloneMounts(mounts)
	for _, m := range out {
		if i := slices.Index(m.Options, "ro"); i >= 0 {
			m.Options[i] = "rw"
		}
	}
	return out
}

// mounts gives what the pod's files become in a container. The files are
// read-only in a container whose root is; /dev/shm never is.
func (f PodFiles) mounts(ipc string, readonlyRoot bool) []specs.Mount {
	access := "rw"
	if readonlyRoot {
		access = "ro"
	}
	shm := f.Shm
	if shm == "" && ipc == HostNamespace {
		shm = shmPath
	}
	var out []specs.Mount
	for _, row := range []struct{ destination, source, access string }{
		{shmPath, shm, "rw"},
		{"/etc/resolv.conf", f.ResolvConf, access},
		{"/etc/hostname", f.Hostname, access},
	} {
		switch {
		case row.source != "":
			out = append(out, specs.Mount{
				Destination: row.destination, Type: "bind", Source: row.source,
				Options: append(slices.Clone(podFileOptions), row.access),
			})
		case row.destination == shmPath:
			out = append(out, privateShm)
		}
	}
	return out
}

// merge puts mounts over others: one with the same destination replaces, one on
// /dev replaces all that is under /dev too. Shallow destinations come first, so
// that no mount hides another; among equals the given order stays.
func merge(under, over []specs.Mount) []specs.Mount {
	taken := make(map[string]bool, len(over))
	for _, m := range over {
		taken[inRoot(m.Destination)] = true
	}
	var out []specs.Mount
	for _, m := range under {
		dest := inRoot(m.Destination)
		if !taken[dest] && !(taken["/dev"] && strings.HasPrefix(dest, "/dev/")) {
			out = append(out, m)
		}
	}
	out = cloneMounts(append(out, over...))
	slices.SortStableFunc(out, func(a, b specs.Mount) int { return depth(a.Destination) - depth(b.Destination) })
	return out
}

// depth counts the elements of a path.
func depth(p string) int { return strings.Count(inRoot(p), "/") }

// inRoot makes a path of a container absolute and clean; it cannot climb out.
func inRoot(p string) string { return path.Join("/", p) }

// cloneMounts copies mounts so that nobody writes into the tables above.
func cloneMounts(mounts []specs.Mount) []specs.Mount {
	out := slices.Clone(mounts)
	for i := range out {
		out[i].Options = slices.Clone(out[i].Options)
	}
	return out
}
