package oci

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCgroupDir(t *testing.T) {
	for path, want := range map[string]string{
		"/kubepods/podx/id":                     "/kubepods/podx/id",
		"kubepods-burstable-podx.slice:ocid:id": "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podx.slice/ocid-id.scope",
	} {
		got, err := CgroupDir(path)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	_, err := CgroupDir("not a slice:ocid:id")
	require.ErrorContains(t, err, "not a slice")
}

func TestPodCgroupDir(t *testing.T) {
	for _, c := range []struct{ driver, parent, want string }{
		{Cgroupfs, "", ""},
		{Cgroupfs, "/kubepods/podx", "/kubepods/podx"},
		{Systemd, "/kubepods.slice/kubepods-podx.slice", "/kubepods.slice/kubepods-podx.slice"},
	} {
		got, err := PodCgroupDir(c.driver, c.parent)
		require.NoError(t, err)
		require.Equal(t, c.want, got)
	}
	_, err := PodCgroupDir(Systemd, "/x")
	require.Error(t, err)
}
