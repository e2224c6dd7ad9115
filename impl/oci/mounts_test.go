package oci_test

import (
	"slices"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"ocid/impl/oci"
)

const (
	private       = runtimeapi.MountPropagation_PROPAGATION_PRIVATE
	fromHost      = runtimeapi.MountPropagation_PROPAGATION_HOST_TO_CONTAINER
	bidirectional = runtimeapi.MountPropagation_PROPAGATION_BIDIRECTIONAL
)

// destinations lists them in order.
func destinations(spec *specs.Spec) []string {
	var out []string
	for _, m := range spec.Mounts {
		out = append(out, m.Destination)
	}
	return out
}

func TestMountOrderAndReplacement(t *testing.T) {
	in := plain()
	in.ExtraMounts = []specs.Mount{{Destination: "/vol/b", Type: "bind", Source: "/image/b"}}
	in.Config.Mounts = []*runtimeapi.Mount{
		{ContainerPath: "/vol/a/deep/er", HostPath: "/h/deep"},
		{ContainerPath: "/vol/a/", HostPath: "/h/a"},
		{ContainerPath: "etc/resolv.conf", HostPath: "/h/resolv"},
		{ContainerPath: "/x/../sys/fs/cgroup", HostPath: "/h/cgroup"},
		{ContainerPath: "/../../dev/shm", HostPath: "/h/shm/"},
		{ContainerPath: "/data", HostPath: "/h/data"},
	}
	spec := build(t, in)
	require.Equal(t, []string{
		"/proc", "/dev", "/sys", "/data", "/dev/pts", "/dev/mqueue", "/etc/hostname",
		"/vol/a", "/etc/resolv.conf", "/dev/shm", "/vol/b", "/sys/fs/cgroup", "/vol/a/deep/er",
	}, destinations(spec))
	for dest, source := range map[string]string{
		"/vol/a": "/h/a", "/vol/b": "/image/b", "/etc/resolv.conf": "/h/resolv", "/sys/fs/cgroup": "/h/cgroup", "/dev/shm": "/h/shm",
	} {
		require.Equal(t, source, mountAt(t, spec, dest).Source, dest)
	}
}

func TestMountOnDevReplacesAllUnderIt(t *testing.T) {
	in := plain()
	in.Config.Mounts = []*runtimeapi.Mount{
		{ContainerPath: "/dev", HostPath: "/dev"}, {ContainerPath: "/dev/mine", HostPath: "/h/mine"},
	}
	require.Equal(t, []string{"/proc", "/sys", "/dev", "/etc/resolv.conf", "/etc/hostname", "/dev/mine", "/sys/fs/cgroup"},
		destinations(build(t, in)))
}

func TestHostsStaysTheImages(t *testing.T) {
	require.NotContains(t, destinations(build(t, plain())), "/etc/hosts")
}

func TestPodFiles(t *testing.T) {
	options := func(access string) []string {
		return []string{"rbind", "rprivate", "nosuid", "noexec", "nodev", access}
	}
	spec := build(t, plain())
	require.Equal(t, specs.Mount{Destination: "/dev/shm", Type: "bind", Source: "/pod/shm", Options: options("rw")}, mountAt(t, spec, "/dev/shm"))
	require.Equal(t, specs.Mount{Destination: "/etc/resolv.conf", Type: "bind", Source: "/pod/resolv.conf", Options: options("rw")}, mountAt(t, spec, "/etc/resolv.conf"))
	require.Equal(t, "/pod/hostname", mountAt(t, spec, "/etc/hostname").Source)

	in := plain()
	security(in).ReadonlyRootfs = true
	spec = build(t, in)
	require.Equal(t, options("ro"), mountAt(t, spec, "/etc/resolv.conf").Options)
	require.Equal(t, options("ro"), mountAt(t, spec, "/etc/hostname").Options)
	require.Equal(t, options("rw"), mountAt(t, spec, "/dev/shm").Options, "shared memory stays writable")

	in = plain()
	in.Files = oci.PodFiles{}
	spec = build(t, in)
	require.Equal(t, "tmpfs", mountAt(t, spec, "/dev/shm").Type)
	require.NotContains(t, destinations(spec), "/etc/resolv.conf")
	require.NotContains(t, destinations(spec), "/etc/hostname")
	in.Namespaces.IPC = oci.HostNamespace
	require.Equal(t, "/dev/shm", mountAt(t, build(t, in), "/dev/shm").Source)
}

func TestSysAndCgroupWritableOnlyIfPrivileged(t *testing.T) {
	for _, dest := range []string{"/sys", "/sys/fs/cgroup"} {
		for _, privileged := range []bool{true, false} {
			in := plain()
			in.Privileged = privileged
			options := mountAt(t, build(t, in), dest).Options
			require.Equal(t, privileged, slices.Contains(options, "rw"), dest)
			require.Equal(t, !privileged, slices.Contains(options, "ro"), dest)
		}
	}
}

func TestBindOptions(t *testing.T) {
	for _, c := range []struct {
		name  string
		mount *runtimeapi.Mount
		want  []string
	}{
		{"plain", &runtimeapi.Mount{}, []string{"rbind", "rprivate", "rw"}},
		{"readonly", &runtimeapi.Mount{Readonly: true}, []string{"rbind", "rprivate", "ro"}},
		{"recursive", &runtimeapi.Mount{Readonly: true, RecursiveReadOnly: true}, []string{"rbind", "rprivate", "rro"}},
		{"slave", &runtimeapi.Mount{Propagation: fromHost}, []string{"rbind", "rslave", "rw"}},
		{"shared", &runtimeapi.Mount{Propagation: bidirectional}, []string{"rbind", "rshared", "rw"}},
		{"options", &runtimeapi.Mount{Readonly: true, MountOptions: []string{"noexec", "nodev", "nosuid"}},
			[]string{"rbind", "rprivate", "ro", "noexec", "nodev", "nosuid"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := plain()
			c.mount.ContainerPath, c.mount.HostPath = "/data", "/h"
			in.Config.Mounts = []*runtimeapi.Mount{c.mount}
			require.Equal(t, specs.Mount{Destination: "/data", Type: "bind", Source: "/h", Options: c.want}, mountAt(t, build(t, in), "/data"))
		})
	}
}

func TestRootPropagation(t *testing.T) {
	for _, c := range []struct {
		modes []runtimeapi.MountPropagation
		want  string
	}{
		{nil, ""},
		{[]runtimeapi.MountPropagation{private, private}, ""},
		{[]runtimeapi.MountPropagation{fromHost, private}, "rslave"},
		{[]runtimeapi.MountPropagation{bidirectional, fromHost, private}, "rshared"},
		{[]runtimeapi.MountPropagation{fromHost, bidirectional}, "rshared"},
	} {
		in := plain()
		for _, m := range c.modes {
			in.Config.Mounts = append(in.Config.Mounts, &runtimeapi.Mount{ContainerPath: "/data", HostPath: "/h", Propagation: m})
		}
		require.Equal(t, c.want, build(t, in).Linux.RootfsPropagation, "%v", c.modes)
	}
}

func TestMountRefused(t *testing.T) {
	ids := []*runtimeapi.IDMapping{{Length: 1}}
	for _, c := range []struct {
		mount       *runtimeapi.Mount
		field       string
		unsupported bool
	}{
		{&runtimeapi.Mount{HostPath: "/h"}, "container_path", false},
		{&runtimeapi.Mount{HostPath: "/h", ContainerPath: "/a/.."}, "container_path", false},
		{&runtimeapi.Mount{ContainerPath: "/c"}, "host_path", false},
		{&runtimeapi.Mount{ContainerPath: "/c", HostPath: "h"}, "host_path", false},
		{&runtimeapi.Mount{ContainerPath: "/c", HostPath: "/h", Propagation: 7}, "propagation", false},
		{&runtimeapi.Mount{ContainerPath: "/c", HostPath: "/h", RecursiveReadOnly: true}, "recursive_read_only", false},
		{&runtimeapi.Mount{ContainerPath: "/c", HostPath: "/h", RecursiveReadOnly: true, Readonly: true, Propagation: fromHost}, "recursive_read_only", false},
		{&runtimeapi.Mount{ContainerPath: "/c", HostPath: "/h", Readonly: true, MountOptions: []string{"noexec", "rw"}}, "mount_options", true},
		{&runtimeapi.Mount{ContainerPath: "/c", Image: &runtimeapi.ImageSpec{Image: "i"}}, "image", true},
		{&runtimeapi.Mount{ContainerPath: "/c", HostPath: "/h", Image: &runtimeapi.ImageSpec{}}, "host_path", false},
		{&runtimeapi.Mount{ContainerPath: "/c", HostPath: "/h", UidMappings: ids}, "uidMappings", true},
		{&runtimeapi.Mount{ContainerPath: "/c", HostPath: "/h", GidMappings: ids}, "gidMappings", true},
	} {
		in := plain()
		in.Config.Mounts = []*runtimeapi.Mount{{ContainerPath: "/ok", HostPath: "/ok"}, c.mount}
		_, err := oci.Container(in)
		requireField(t, err, "config.mounts[1]."+c.field, c.unsupported)
	}
}
