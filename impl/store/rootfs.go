package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"go.podman.io/storage"
	"go.podman.io/storage/pkg/ioutils"
)

// configName is the name of the OCI configuration in a record's directories.
const configName = "config.json"

// Mount mounts the root filesystem of the record and returns its path. Mounting
// what is mounted returns the same path; one Unmount undoes any number of Mounts.
func (s *Store) Mount(id string) (string, error) {
	back, release, err := s.Hold()
	if err != nil {
		return "", err
	}
	defer release()
	c, err := record(back, id)
	if err != nil {
		return "", err
	}
	layer, err := back.Layer(c.LayerID)
	if err != nil {
		return "", fmt.Errorf("layer of %s: %w", id, err)
	}
	if layer.MountCount > 0 && isMounted(layer.MountPoint) {
		return layer.MountPoint, nil
	}
	path, err := back.Mount(id, "")
	if err != nil {
		return "", fmt.Errorf("mount %s: %w", id, err)
	}
	return path, nil
}

// Unmount unmounts the root filesystem of the record, however often it was
// mounted. It is no error when it is not mounted or there is no record.
func (s *Store) Unmount(id string) error {
	back, release, err := s.Hold()
	if err != nil {
		return err
	}
	defer release()
	if _, err := record(back, id); err != nil {
		return ignoreMissing(err)
	}
	return unmount(back, id)
}

func unmount(back storage.Store, id string) error {
	_, err := back.Unmount(id, true)
	if err == nil || errors.Is(err, storage.ErrLayerUnknown) || errors.Is(err, storage.ErrLayerNotMounted) {
		return nil
	}
	return fmt.Errorf("unmount %s: %w", id, err)
}

// Mounted says whether the root filesystem is mounted, on record and in the
// kernel. It is false when there is no record.
func (s *Store) Mounted(id string) (bool, error) {
	back, release, err := s.Hold()
	if err != nil {
		return false, err
	}
	defer release()
	c, err := record(back, id)
	if err != nil {
		return false, ignoreMissing(err)
	}
	layer, err := back.Layer(c.LayerID)
	if errors.Is(err, storage.ErrLayerUnknown) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("layer of %s: %w", id, err)
	}
	return layer.MountCount > 0 && isMounted(layer.MountPoint), nil
}

// Delete unmounts and removes the record, its layer and its directories. It
// tolerates that there is no record, or only the layer or the directories of a
// create that broke off.
func (s *Store) Delete(id string) error {
	back, release, err := s.Hold()
	if err != nil {
		return err
	}
	defer release()
	_, err = record(back, id)
	switch {
	case errors.Is(err, ErrNoRecord):
		return s.deleteHalf(back, id)
	case err != nil:
		return err
	}
	if err := unmount(back, id); err != nil {
		return err
	}
	err = back.DeleteContainer(id)
	if err != nil && !errors.Is(err, storage.ErrNotAContainer) && !errors.Is(err, storage.ErrContainerUnknown) {
		return fmt.Errorf("delete storage record %s: %w", id, err)
	}
	return s.deleteHalf(back, id)
}

// deleteHalf removes what may be there of id without a record.
func (s *Store) deleteHalf(back storage.Store, id string) error {
	layer, err := back.Layer(id)
	if err == nil && layer.ID == id {
		err = back.DeleteLayer(id)
	}
	if err != nil && !errors.Is(err, storage.ErrLayerUnknown) && !errors.Is(err, storage.ErrNotALayer) {
		return fmt.Errorf("delete layer %s: %w", id, err)
	}
	kind := back.GraphDriverName() + "-containers"
	for _, root := range []string{s.root, s.runRoot} {
		if err := os.RemoveAll(filepath.Join(root, kind, id)); err != nil {
			return fmt.Errorf("delete directory of %s: %w", id, err)
		}
	}
	return nil
}

// Dirs returns the directories of the record: containerDir lives as long as the
// record, runDir until a reboot at most. Both exist when it returns.
func (s *Store) Dirs(id string) (containerDir, runDir string, err error) {
	back, release, err := s.Hold()
	if err != nil {
		return "", "", err
	}
	defer release()
	if _, err := record(back, id); err != nil {
		return "", "", err
	}
	containerDir, err = back.ContainerDirectory(id)
	if err != nil {
		return "", "", fmt.Errorf("container directory of %s: %w", id, err)
	}
	runDir, err = back.ContainerRunDirectory(id)
	if err != nil {
		return "", "", fmt.Errorf("run directory of %s: %w", id, err)
	}
	return containerDir, runDir, nil
}

// WriteConfig stores the OCI configuration as config.json in both directories
// of the record. Each file is there whole or not at all; the one in containerDir
// is flushed to disk.
func (s *Store) WriteConfig(id string, data []byte) error {
	containerDir, runDir, err := s.Dirs(id)
	if err != nil {
		return err
	}
	if err := ioutils.AtomicWriteFile(filepath.Join(containerDir, configName), data, 0o600); err != nil {
		return fmt.Errorf("write configuration of %s: %w", id, err)
	}
	noSync := &ioutils.AtomicFileWriterOptions{NoSync: true}
	if err := ioutils.AtomicWriteFileWithOpts(filepath.Join(runDir, configName), data, 0o600, noSync); err != nil {
		return fmt.Errorf("write configuration of %s: %w", id, err)
	}
	return nil
}

// ReadConfig returns the OCI configuration from containerDir, the copy that
// survives a reboot. fs.ErrNotExist if none was written, ErrNoRecord if there is
// no record.
func (s *Store) ReadConfig(id string) ([]byte, error) {
	containerDir, _, err := s.Dirs(id)
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(filepath.Join(containerDir, configName))
	if err != nil {
		return nil, fmt.Errorf("read configuration of %s: %w", id, err)
	}
	return data, nil
}

// ignoreMissing returns nil for an error that says there is nothing.
func ignoreMissing(err error) error {
	if errors.Is(err, ErrNoRecord) || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
