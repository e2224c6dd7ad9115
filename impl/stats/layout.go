package stats

import (
	"errors"
	"path/filepath"

	"github.com/opencontainers/cgroups"
	"golang.org/x/sys/unix"
)

// A layout says where the cgroup hierarchies of the machine are mounted: v1 ones
// by controller, and the unified one under "", which on a hybrid machine has no
// controllers but pressure.
type layout struct {
	mounts  map[string]string
	unified bool // cgroup v2 has the controllers
}

// The mount points that all who make cgroups go by.
const (
	unifiedMount = "/sys/fs/cgroup"
	hybridMount  = "/sys/fs/cgroup/unified"
)

func hostLayout() (layout, error) {
	if cgroups.IsCgroup2UnifiedMode() {
		return layout{mounts: map[string]string{"": unifiedMount}, unified: true}, nil
	}
	l := layout{mounts: map[string]string{}}
	mounts, err := cgroups.GetCgroupMounts(false)
	if err != nil {
		return l, err
	}
	for _, m := range mounts {
		for _, controller := range m.Subsystems {
			l.mounts[controller] = m.Mountpoint
		}
	}
	if cgroups.IsCgroup2HybridMode() {
		l.mounts[""] = hybridMount
	}
	return l, nil
}

// dir returns the directory of a cgroup in a controller's hierarchy, "" if the
// machine has no such controller.
func (l layout) dir(controller, cgroup string) string {
	if l.unified {
		controller = ""
	}
	mount, ok := l.mounts[controller]
	if !ok {
		return ""
	}
	return filepath.Join(mount, cgroup)
}

// exists says whether there is a cgroup: that of the CPU counter counts.
func (l layout) exists(cgroup string) bool {
	err := unix.Access(l.dir("cpuacct", cgroup), unix.F_OK)
	return !errors.Is(err, unix.ENOENT)
}
