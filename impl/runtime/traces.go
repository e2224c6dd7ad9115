package runtime

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/moby/sys/mountinfo"
	"github.com/opencontainers/cgroups"
)

// cgroupMounts are the mount points of all cgroup hierarchies, v1 and v2.
func cgroupMounts() ([]string, error) {
	mounts, err := mountinfo.GetMounts(mountinfo.FSTypeFilter("cgroup", "cgroup2"))
	if err != nil {
		return nil, fmt.Errorf("cgroup mounts: %w", err)
	}
	points := make([]string, 0, len(mounts))
	for _, m := range mounts {
		points = append(points, m.Mountpoint)
	}
	return points, nil
}

// traces is what was there before a Create that an undo must not remove.
type traces struct {
	log     bool
	cgroups []string // directories the container's cgroup would have that were not there
}

func (r *OCI) footprint(c Create) traces {
	var t traces
	if c.LogPath != "" {
		_, err := os.Lstat(c.LogPath)
		t.log = err == nil
	}
	for _, dir := range r.cgroupDirs(c.Bundle) {
		if _, err := os.Lstat(dir); os.IsNotExist(err) {
			t.cgroups = append(t.cgroups, dir)
		}
	}
	return t
}

// restore removes what came since.
func (t traces) restore(c Create) error {
	err := removeCgroups(t.cgroups)
	if c.LogPath != "" && !t.log {
		if rmErr := os.Remove(c.LogPath); rmErr != nil && !os.IsNotExist(rmErr) {
			err = errors.Join(err, rmErr)
		}
	}
	return err
}

// removeCgroups removes a container's cgroup if its runtime has not. One that was
// killed before it wrote its state has no `delete` for it; and a `delete` that
// finds the cgroup busy, since what was killed in it has not ended yet, forgets
// the state all the same.
func removeCgroups(dirs []string) error {
	var err error
	for _, dir := range dirs {
		err = errors.Join(err, cgroups.RemovePath(dir))
	}
	return err
}

// cgroupDirs are the directories of a bundle's cgroup in all hierarchies. There
// are none for a path of the systemd driver, whose units end by themselves.
func (r *OCI) cgroupDirs(bundle string) []string {
	var spec struct {
		Linux struct{ CgroupsPath string }
	}
	data, err := os.ReadFile(filepath.Join(bundle, "config.json"))
	if err != nil || json.Unmarshal(data, &spec) != nil {
		return nil
	}
	path := filepath.Clean(spec.Linux.CgroupsPath)
	if !filepath.IsAbs(path) || path == "/" {
		return nil
	}
	dirs := make([]string, 0, len(r.hierarchies))
	for _, mountpoint := range r.hierarchies {
		dirs = append(dirs, filepath.Join(mountpoint, path))
	}
	return dirs
}
