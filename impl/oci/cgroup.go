package oci

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// The two cgroup drivers.
const (
	Cgroupfs = "cgroupfs"
	Systemd  = "systemd"
)

// The parents used when the pod names none.
const (
	defaultCgroupfsParent = "/ocid"
	defaultSystemdParent  = "system.slice"
	cgroupParentField     = "config.linux.cgroup_parent"
)

// CgroupsPath gives the cgroup of a container in the form the OCI runtime wants
// for the driver: "/parent/id" for cgroupfs, "parent.slice:ocid:id" for
// systemd. parent is linux.cgroup_parent of the pod, which is always written as
// a path (cri-api v1 LinuxPodSandboxConfig); systemd wants only its last
// element. A parent that cannot belong to the driver gives a FieldError.
func CgroupsPath(driver, parent, id string) (string, error) {
	if id == "" || strings.Contains(id, "/") {
		return "", fmt.Errorf("cgroup of container %q: not a name", id)
	}
	if slices.Contains(strings.Split(parent, "/"), "..") {
		return "", invalid(cgroupParentField, "is %.80q, which contains \"..\"", parent)
	}
	slice := strings.HasSuffix(path.Clean(parent), ".slice")
	switch driver {
	case Cgroupfs:
		if parent == "" {
			parent = defaultCgroupfsParent
		}
		if slice {
			return "", invalid(cgroupParentField, "is %.80q, a systemd slice, but the cgroup driver is cgroupfs", parent)
		}
		return path.Join("/", parent, id), nil
	case Systemd:
		if parent == "" {
			parent, slice = defaultSystemdParent, true
		}
		if !slice {
			return "", invalid(cgroupParentField, "is %.80q, no systemd slice, but the cgroup driver is systemd", parent)
		}
		return path.Base(parent) + ":ocid:" + id, nil
	}
	return "", fmt.Errorf("cgroup driver %q is neither cgroupfs nor systemd", driver)
}
