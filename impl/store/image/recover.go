package image

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/storage"
	"go.podman.io/storage/pkg/ioutils"
	"golang.org/x/sys/unix"

	"ocid/impl/store"
)

// pullsDir holds a directory for each pull in flight.
func (i *Images) pullsDir() string { return filepath.Join(i.store.Root(), "pulls") }

// markFile is the file in a pull's directory that holds its mark.
const markFile = "pull.json"

// A mark says what is being pulled, and which images were there before.
type mark struct {
	Name  string
	Known []string // image IDs
}

// blobPrefix begins the names of our directories in Options.BlobDir.
const blobPrefix = "ocid-pull-"

// markPull writes down, on disk, that named is being pulled: until the mark is
// gone, what the storage newly holds under that name is not known to be on disk.
func (i *Images) markPull(back storage.Store, named reference.Named) (string, error) {
	images, err := back.Images()
	if err != nil {
		return "", fmt.Errorf("list images: %w", err)
	}
	m := mark{Name: named.String()}
	for n := range images {
		m.Known = append(m.Known, images[n].ID)
	}
	data, err := json.Marshal(m)
	if err != nil {
		return "", fmt.Errorf("mark the pull: %w", err)
	}
	dir, err := os.MkdirTemp(i.pullsDir(), blobPrefix)
	if err != nil {
		return "", fmt.Errorf("mark the pull: %w", err)
	}
	err = ioutils.AtomicWriteFile(filepath.Join(dir, markFile), data, 0o600)
	if err == nil {
		err = errors.Join(syncDir(dir), syncDir(i.pullsDir()))
	}
	if err != nil {
		return "", errors.Join(fmt.Errorf("mark the pull: %w", err), os.RemoveAll(dir))
	}
	return dir, nil
}

// blobDir returns the directory for the blobs of one pull.
func (i *Images) blobDir(mark string) (dir string, cleanup func(), err error) {
	if i.o.BlobDir == "" {
		return mark, func() {}, nil
	}
	dir, err = os.MkdirTemp(i.o.BlobDir, blobPrefix)
	if err != nil {
		return "", nil, fmt.Errorf("directory for blobs: %w", err)
	}
	return dir, func() { _ = os.RemoveAll(dir) }, nil
}

// recoverPulls removes what pulls that broke off with the process left: blobs,
// the image if it was there already but perhaps not yet on disk, layers. Images
// in use are kept.
func (i *Images) recoverPulls() error {
	if i.o.BlobDir != "" {
		left, _ := filepath.Glob(filepath.Join(i.o.BlobDir, blobPrefix+"*"))
		for _, dir := range left {
			_ = os.RemoveAll(dir)
		}
	}
	marks, err := os.ReadDir(i.pullsDir())
	if err != nil {
		return fmt.Errorf("pulls that broke off: %w", err)
	}
	if len(marks) == 0 {
		return nil
	}
	back, release, err := i.store.Hold()
	if err != nil {
		return err
	}
	defer release()
	for _, mark := range marks {
		dir := filepath.Join(i.pullsDir(), mark.Name())
		if err := i.undoPull(back, dir); err != nil {
			return err
		}
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("pulls that broke off: %w", err)
		}
	}
	return store.SweepLayers(back)
}

// undoPull removes the image that the pull which left the directory made: one
// that was not there before and has the name it pulls or, when the crash came
// before the naming, none.
func (i *Images) undoPull(back storage.Store, dir string) error {
	data, err := os.ReadFile(filepath.Join(dir, markFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it had not begun
	}
	if err != nil {
		return fmt.Errorf("pull that broke off: %w", err)
	}
	var m mark
	if err := json.Unmarshal(data, &m); err != nil {
		return fmt.Errorf("pull that broke off: %s: %w", dir, err)
	}
	images, err := back.Images()
	if err != nil {
		return fmt.Errorf("list images: %w", err)
	}
	for n := range images {
		image := &images[n]
		if slices.Contains(m.Known, image.ID) || len(image.Names) > 0 && !slices.Contains(image.Names, m.Name) {
			continue
		}
		i.log.Info("pull broke off; image removed", "image", m.Name, "id", image.ID)
		_, err := back.DeleteImage(image.ID, true)
		if err != nil && !errors.Is(err, storage.ErrImageUsedByContainer) {
			return fmt.Errorf("remove the image of a pull that broke off: %w", err)
		}
	}
	return nil
}

// syncfs flushes the filesystem that holds dir.
func syncfs(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("flush the image: %w", err)
	}
	defer f.Close()
	if err := unix.Syncfs(int(f.Fd())); err != nil {
		return fmt.Errorf("flush the image: %w", err)
	}
	return nil
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
