package target

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

func below(dir, p string) bool {
	return p == dir || strings.HasPrefix(p, strings.TrimSuffix(dir, "/")+"/")
}

// Mounts returns the mounts at or below the daemon's directories.
func (o *Observer) Mounts() ([]*mountinfo.Info, error) {
	places := slices.Concat([]string{o.work}, o.at.Mounts, o.at.Netns, o.at.Files)
	return mountinfo.GetMounts(func(m *mountinfo.Info) (skip, stop bool) {
		return !slices.ContainsFunc(places, func(p string) bool { return below(p, m.Mountpoint) }), false
	})
}

func (o *Observer) snapMounts(s Snapshot) error {
	s.add(Mounts)
	mounts, err := o.Mounts()
	for _, m := range mounts {
		if ignored, _ := o.ignored(m.Mountpoint); !ignored {
			s.add(Mounts, m.FSType+" at "+m.Mountpoint)
		}
	}
	return err
}

// A PinnedNetns is an entry of a directory of network namespaces.
type PinnedNetns struct {
	Path  string
	NSFS  bool   // a live namespace is mounted there; else it is an empty file
	Inode uint64 // as in net:[inode]; 0 unless NSFS
}

// Netns returns the entries of the network namespace directories.
func (o *Observer) Netns() ([]PinnedNetns, error) {
	var all []PinnedNetns
	for _, dir := range o.at.Netns {
		entries, err := os.ReadDir(dir)
		if err != nil && !vanished(err) {
			return nil, err
		}
		for _, e := range entries {
			n, err := lookAtNetns(filepath.Join(dir, e.Name()))
			if err != nil && !vanished(err) {
				return nil, err
			}
			if err == nil {
				all = append(all, n)
			}
		}
	}
	return all, nil
}

func lookAtNetns(name string) (PinnedNetns, error) {
	n := PinnedNetns{Path: name}
	var fsStat unix.Statfs_t
	if err := unix.Statfs(name, &fsStat); err != nil {
		return n, fmt.Errorf("statfs %s: %w", name, err)
	}
	if n.NSFS = fsStat.Type == unix.NSFS_MAGIC; !n.NSFS {
		return n, nil
	}
	var stat unix.Stat_t
	if err := unix.Stat(name, &stat); err != nil {
		return n, fmt.Errorf("stat %s: %w", name, err)
	}
	n.Inode = stat.Ino
	return n, nil
}

func (o *Observer) snapNetns(s Snapshot) error {
	if len(o.at.Netns) == 0 {
		return nil
	}
	s.add(Netns)
	all, err := o.Netns()
	for _, n := range all {
		what := "pinned at "
		if !n.NSFS {
			what = "file without a namespace at "
		}
		s.add(Netns, what+n.Path)
	}
	return err
}

// cgroupRoots returns the mount points of all cgroup hierarchies, v1 and v2.
func cgroupRoots() ([]string, error) {
	mounts, err := mountinfo.GetMounts(mountinfo.FSTypeFilter("cgroup", "cgroup2"))
	if err != nil {
		return nil, fmt.Errorf("find cgroups: %w", err)
	}
	roots := make([]string, 0, len(mounts))
	for _, m := range mounts {
		roots = append(roots, m.Mountpoint)
	}
	return roots, nil
}

// Cgroups returns the directories below the pods' cgroup parent, in every
// hierarchy; the parent itself is not among them.
func (o *Observer) Cgroups() ([]string, error) {
	parent, _ := o.state()
	if parent == "" {
		return nil, nil
	}
	var all []string
	for _, root := range o.cgroups {
		top := filepath.Join(root, parent)
		err := filepath.WalkDir(top, func(p string, e fs.DirEntry, err error) error {
			switch {
			case err != nil && vanished(err):
				return nil
			case err == nil && e.IsDir() && p != top:
				all = append(all, p)
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("look at cgroups: %w", err)
		}
	}
	return all, nil
}

func (o *Observer) snapCgroups(s Snapshot) error {
	s.add(Cgroups)
	all, err := o.Cgroups()
	s.add(Cgroups, all...)
	return err
}

// Files returns the names below the observed directories, but for what the
// profile ignores.
func (o *Observer) Files() ([]string, error) {
	var all []string
	for _, top := range o.at.Files {
		err := filepath.WalkDir(top, func(p string, e fs.DirEntry, err error) error {
			if err != nil {
				if vanished(err) {
					return nil
				}
				return err
			}
			ignored, skip := o.ignored(p)
			if !ignored && p != top {
				all = append(all, p)
			}
			if skip && e.IsDir() {
				return fs.SkipDir
			}
			return nil
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("look at files: %w", err)
		}
	}
	return all, nil
}

// ignored reports whether the path is ignored, and whether all below it is.
func (o *Observer) ignored(p string) (ignored, skip bool) {
	for _, pattern := range o.at.Ignore {
		if dir, tree := strings.CutSuffix(pattern, "/**"); tree {
			if ok, _ := matchFile(dir, p); ok {
				skip = true
			}
			continue
		}
		if ok, _ := matchFile(pattern, p); ok {
			ignored = true
		}
	}
	return ignored, skip
}

func matchFile(pattern, p string) (bool, error) {
	return path.Match(strings.TrimSuffix(pattern, "/**"), p)
}

func (o *Observer) snapFiles(s Snapshot) error {
	if len(o.at.Files) == 0 {
		return nil
	}
	s.add(Files)
	all, err := o.Files()
	s.add(Files, all...)
	return err
}
