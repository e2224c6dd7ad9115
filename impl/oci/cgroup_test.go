package oci_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"ocid/impl/oci"
)

func TestCgroupsPath(t *testing.T) {
	for _, c := range []struct{ driver, parent, want string }{
		{oci.Cgroupfs, "", "/ocid/c1"},
		{oci.Cgroupfs, "/kubepods/burstable/pod1", "/kubepods/burstable/pod1/c1"},
		{oci.Cgroupfs, "pods/", "/pods/c1"},
		{oci.Systemd, "", "system.slice:ocid:c1"},
		{oci.Systemd, "/kubepods.slice/kubepods-pod1.slice", "kubepods-pod1.slice:ocid:c1"},
		{oci.Systemd, "user.slice/", "user.slice:ocid:c1"},
	} {
		got, err := oci.CgroupsPath(c.driver, c.parent, "c1")
		require.NoError(t, err, "%+v", c)
		require.Equal(t, c.want, got, "%+v", c)
	}
}

func TestCgroupsPathRefused(t *testing.T) {
	for _, c := range []struct{ driver, parent string }{
		{oci.Cgroupfs, "/kubepods.slice/kubepods-pod1.slice"},
		{oci.Cgroupfs, "/kubepods/../.."},
		{oci.Systemd, "/kubepods/pod1"},
		{oci.Systemd, "/../x.slice"},
	} {
		_, err := oci.CgroupsPath(c.driver, c.parent, "c1")
		requireField(t, err, "config.linux.cgroup_parent", false)
		require.ErrorContains(t, err, c.parent)
	}
	_, err := oci.CgroupsPath("cgroups", "", "c1")
	require.ErrorContains(t, err, `"cgroups"`)
	for _, id := range []string{"", "a/b"} {
		_, err = oci.CgroupsPath(oci.Cgroupfs, "", id)
		require.Error(t, err)
	}
}
