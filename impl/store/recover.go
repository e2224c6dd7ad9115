package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/moby/sys/mountinfo"
	"go.podman.io/storage"
	"go.podman.io/storage/pkg/stringid"
	"golang.org/x/sys/unix"
)

// lockName is the file in the root whose lock says that the root has an owner.
const lockName = "owner.lock"

// own locks the root for this process. The kernel gives the lock back when the
// process ends, however it ends.
func own(root string) (*os.File, error) {
	file, err := os.OpenFile(filepath.Join(root, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("storage root: %w", err)
	}
	err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		return file, nil
	}
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = ErrLocked
	}
	return nil, errors.Join(fmt.Errorf("storage root %s: %w", root, err), file.Close())
}

// dropTornRecords sets aside the files of volatile records that a power loss
// tore: they are written without fsync, and one that can't be parsed would keep
// the whole storage from opening. What they described is what ran before the
// power went; GarbageCollect removes the rest of it.
func dropTornRecords(o Options) error {
	for _, kind := range []string{"containers", "layers"} {
		path := filepath.Join(o.Root, o.Driver+"-"+kind, "volatile-"+kind+".json")
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) || err == nil && (len(data) == 0 || json.Valid(data)) {
			continue
		}
		if err != nil {
			return fmt.Errorf("volatile storage records: %w", err)
		}
		o.Log.Warn("volatile storage records are torn, as a power loss leaves them; set aside", "file", path)
		if err := os.Rename(path, path+".torn"); err != nil {
			return fmt.Errorf("set torn storage records aside: %w", err)
		}
	}
	return nil
}

// dropStaleMounts forgets mounts that are on record but not in the kernel: after
// a reboot with a run root that survived it, they would make every layer look in
// use for ever.
func (s *Store) dropStaleMounts() error {
	layers, err := s.back.Layers()
	if err != nil {
		return fmt.Errorf("list layers at %s: %w", s.root, err)
	}
	for i := range layers {
		layer := &layers[i]
		if layer.MountCount == 0 || layer.MountPoint == "" || isMounted(layer.MountPoint) {
			continue
		}
		s.log.Info("mount on record is not in the kernel; forgotten", "layer", layer.ID)
		if _, err := s.back.Unmount(layer.ID, true); err != nil {
			return fmt.Errorf("forget the mount of layer %s: %w", layer.ID, err)
		}
	}
	return nil
}

func isMounted(path string) bool {
	mounted, err := mountinfo.Mounted(path)
	return err == nil && mounted
}

// GarbageCollect removes what an unclean end left: layers that no image and no
// record uses (a pull or a create that broke off), and directories without a
// record. Call it after Open and before the first pull; later it would take away
// the layers of a pull in flight (package image sweeps after its own failures).
// It goes on after an error and returns the first ones joined.
func (s *Store) GarbageCollect() error {
	back, release, err := s.Hold()
	if err != nil {
		return err
	}
	defer release()
	errs := []error{SweepLayers(back)}
	if err := back.GarbageCollect(); err != nil {
		errs = append(errs, fmt.Errorf("garbage of storage at %s: %w", s.root, err))
	}
	errs = append(errs, s.sweepRunDirs(back))
	return errors.Join(errs...)
}

// SweepLayers deletes the layers of back that neither an image nor a container
// uses, directly or through a child.
func SweepLayers(back storage.Store) error {
	list, err := back.MultiList(storage.MultiListOptions{Layers: true, Images: true, Containers: true})
	if err != nil {
		return fmt.Errorf("list layers to sweep: %w", err)
	}
	parent := make(map[string]string, len(list.Layers))
	for i := range list.Layers {
		parent[list.Layers[i].ID] = list.Layers[i].Parent
	}
	used := make(map[string]bool, len(list.Layers))
	use := func(id string) {
		for ; id != "" && !used[id]; id = parent[id] {
			used[id] = true
		}
	}
	for i := range list.Images {
		use(list.Images[i].TopLayer)
		for _, id := range list.Images[i].MappedTopLayers {
			use(id)
		}
	}
	for i := range list.Containers {
		use(list.Containers[i].LayerID)
	}
	return deleteUnused(back, list.Layers, used)
}

// deleteUnused deletes layers that are not in used, children before parents. The
// storage checks again, under its lock, that a layer has no user.
func deleteUnused(back storage.Store, layers []storage.Layer, used map[string]bool) error {
	depth := make(map[string]int, len(layers))
	parent := make(map[string]string, len(layers))
	for i := range layers {
		parent[layers[i].ID] = layers[i].Parent
	}
	var doomed []string
	for id := range parent {
		if used[id] {
			continue
		}
		doomed = append(doomed, id)
		for up := parent[id]; up != "" && depth[id] <= len(layers); up = parent[up] {
			depth[id]++
		}
	}
	slices.SortFunc(doomed, func(a, b string) int { return depth[b] - depth[a] })
	var errs []error
	for _, id := range doomed {
		err := back.DeleteLayer(id)
		if err != nil && !errors.Is(err, storage.ErrNotALayer) && !errors.Is(err, storage.ErrLayerUnknown) {
			errs = append(errs, fmt.Errorf("delete unused layer %s: %w", id, err))
		}
	}
	return errors.Join(errs...)
}

// sweepRunDirs removes the run directories that have no record.
func (s *Store) sweepRunDirs(back storage.Store) error {
	dir := filepath.Join(s.runRoot, back.GraphDriverName()+"-containers")
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("run directories: %w", err)
	}
	var errs []error
	for _, entry := range entries {
		if stringid.ValidateID(entry.Name()) != nil {
			continue
		}
		if _, err := record(back, entry.Name()); errors.Is(err, ErrNoRecord) {
			errs = append(errs, os.RemoveAll(filepath.Join(dir, entry.Name())))
		}
	}
	return errors.Join(errs...)
}
