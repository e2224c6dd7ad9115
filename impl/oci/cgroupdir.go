package oci

import (
	"fmt"
	"path"
	"strings"

	"github.com/opencontainers/cgroups/systemd"
)

// CgroupDir gives where the cgroup of a container is below the mount point of a
// hierarchy, for the form that CgroupsPath returns.
func CgroupDir(cgroupsPath string) (string, error) {
	slice, name, ok := strings.Cut(cgroupsPath, ":")
	if !ok {
		return cgroupsPath, nil
	}
	dir, err := systemd.ExpandSlice(slice)
	if err != nil {
		return "", fmt.Errorf("cgroup %q: %w", cgroupsPath, err)
	}
	return path.Join(dir, strings.ReplaceAll(name, ":", "-")+".scope"), nil
}

// PodCgroupDir gives where the cgroup of a pod is, which the pod names as the
// parent of its containers' (cri-api v1 LinuxPodSandboxConfig.cgroup_parent);
// "" if it names none.
func PodCgroupDir(driver, parent string) (string, error) {
	if parent == "" || driver == Cgroupfs {
		return parent, nil
	}
	dir, err := systemd.ExpandSlice(path.Base(parent))
	if err != nil {
		return "", fmt.Errorf("cgroup %q: %w", parent, err)
	}
	return dir, nil
}
