package runtime

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/cgroups"
)

// limitFiles are the files of a cgroup that an update changes: those of v1 and of
// v2, of which either are there. The controller is what stands before the dot.
func limitFiles() []string {
	return []string{
		"cpuset.cpus", "cpuset.mems",
		"memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "memory.max", "memory.swap.max",
		"cpu.shares", "cpu.cfs_period_us", "cpu.cfs_quota_us", "cpu.weight", "cpu.max",
	}
}

// cgroupsOf are the directories of a live container's cgroup by controller. A
// container that has made cgroups of its own below does not change them. A
// hierarchy in which it has none, but is in another's, is left out.
func cgroupsOf(id string, pid int) (map[string]string, error) {
	paths, err := cgroups.ParseCgroupFile(filepath.Join("/proc", strconv.Itoa(pid), "cgroup"))
	if err != nil {
		return nil, err
	}
	mounts, err := cgroups.GetCgroupMounts(true)
	if err != nil {
		return nil, err
	}
	unified := cgroups.IsCgroup2UnifiedMode()
	dirs := map[string]string{}
	for _, m := range mounts {
		for _, controller := range m.Subsystems {
			path := paths[controller]
			if unified {
				path = paths[""]
			}
			if own, ok := upTo(path, id); ok {
				dirs[controller] = filepath.Join(m.Mountpoint, own)
			}
		}
	}
	return dirs, nil
}

// upTo cuts a path behind its first element that ends with the name, as a
// directory or a scope of systemd's; ok is false if none does.
func upTo(path, name string) (cut string, ok bool) {
	elements := strings.Split(path, "/")
	for i, e := range elements {
		if strings.HasSuffix(strings.TrimSuffix(e, ".scope"), name) {
			return strings.Join(elements[:i+1], "/"), true
		}
	}
	return "", false
}

// A cgroupFile is a limit as it stands in a cgroup.
type cgroupFile struct{ Dir, Name, Value string }

// readLimits reads the limits in cgroups, more of them if more are named. A file
// that is not there is left out.
func readLimits(dirs, more map[string]string) ([]cgroupFile, error) {
	var all []cgroupFile
	for _, name := range slices.Concat(limitFiles(), slices.Sorted(maps.Keys(more))) {
		controller, _, _ := strings.Cut(name, ".")
		dir, ok := dirs[controller]
		if !ok {
			continue
		}
		value, err := cgroups.ReadFile(dir, name)
		switch {
		case err == nil:
			all = append(all, cgroupFile{dir, name, strings.TrimSpace(value)})
		case !errors.Is(err, os.ErrNotExist):
			return nil, err
		}
	}
	return all, nil
}

// restoreRounds is how often limits are written back: one may be in another's
// way, memory in that of memory plus swap, until both are right.
const restoreRounds = 3

// restoreLimits writes limits back until all of them are as they were.
func restoreLimits(files []cgroupFile) error {
	var errs []error
	for range restoreRounds {
		errs = nil
		for _, f := range files {
			now, err := cgroups.ReadFile(f.Dir, f.Name)
			if errors.Is(err, os.ErrNotExist) || err == nil && strings.TrimSpace(now) == f.Value {
				continue
			}
			if err == nil {
				err = cgroups.WriteFile(f.Dir, f.Name, f.Value+"\n")
			}
			if err != nil {
				errs = append(errs, fmt.Errorf("restore %s: %w", f.Name, err))
			}
		}
		if len(errs) == 0 {
			return nil
		}
	}
	return errors.Join(errs...)
}

// cgroupNumber finds a number in a file "name number\n…" of a cgroup; 0 if it
// is not there.
func cgroupNumber(text, name string) uint64 {
	for line := range strings.Lines(text) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), " "); ok && key == name {
			n, _ := strconv.ParseUint(value, 10, 64)
			return n
		}
	}
	return 0
}

// MemoryUse is how many bytes of memory a live container uses that the kernel
// can't take back without swapping: without files that it has only read.
func (r *OCI) MemoryUse(id string, p Process) (int64, error) {
	use, err := memoryUse(id, p)
	if err != nil {
		return 0, r.fail("memory use of", id, err)
	}
	return use, nil
}

func memoryUse(id string, p Process) (int64, error) {
	dirs, err := cgroupsOf(id, p.PID)
	if err != nil {
		return 0, err
	}
	usage, idle := "memory.usage_in_bytes", "total_inactive_file"
	if cgroups.IsCgroup2UnifiedMode() {
		usage, idle = "memory.current", "inactive_file"
	}
	text, err := cgroups.ReadFile(dirs["memory"], usage)
	if err != nil {
		return 0, err
	}
	used, err := strconv.ParseUint(strings.TrimSpace(text), 10, 63)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", usage, err)
	}
	stat, err := cgroups.ReadFile(dirs["memory"], "memory.stat")
	if err != nil {
		return 0, err
	}
	return int64(used - min(used, cgroupNumber(stat, idle))), nil
}

// outOfMemory says whether the kernel has killed a process of a container for
// want of memory: by the monitor's word, or by the count of the cgroup, which
// is there until Delete and misses nothing.
func (r *OCI) outOfMemory(id string) bool {
	if _, err := os.Stat(filepath.Join(r.dir(id), oomFile)); err == nil {
		return true
	}
	for _, dir := range r.cgroupDirs(r.loadRecord(id).Bundle) {
		for _, name := range []string{"memory.oom_control", "memory.events"} {
			if text, err := cgroups.ReadFile(dir, name); err == nil && cgroupNumber(text, "oom_kill") > 0 {
				return true
			}
		}
	}
	return false
}
