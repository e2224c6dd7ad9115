package store

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	securejoin "github.com/cyphar/filepath-securejoin"
	"go.podman.io/storage/drivers/copy"
)

// volumesDir is where a record's volumes stand, in its container directory.
const volumesDir = "volumes"

// Volume returns a directory of the record's that begins as a copy of one in
// its root filesystem, mounted at root: content, owners, modes, times. Links on
// the way to name are followed inside of root. What is no directory there, or
// nothing, begins as an empty directory of the root's owner. The volume goes
// with the record, and a second call returns it as it is.
func (s *Store) Volume(id, root, name string) (string, error) {
	source, err := securejoin.SecureJoin(root, name)
	if err != nil {
		return "", fmt.Errorf("volume %s of %s: %w", name, id, err)
	}
	dir, _, err := s.Dirs(id)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(name))
	volume := filepath.Join(dir, volumesDir, hex.EncodeToString(sum[:8]))
	switch _, err := os.Stat(volume); {
	case err == nil:
		return volume, nil
	case !errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("volume %s of %s: %w", name, id, err)
	}
	if err := fill(volume, source, root); err != nil {
		return "", fmt.Errorf("volume %s of %s: %w", name, id, err)
	}
	return volume, nil
}

// fill makes a volume beside its place and moves it there when it is whole.
func fill(volume, source, root string) error {
	half := volume + ".half"
	if err := errors.Join(os.RemoveAll(half), os.MkdirAll(half, 0o755)); err != nil {
		return err
	}
	from := source
	if info, err := os.Stat(source); err != nil || !info.IsDir() {
		from = ""
	}
	if from == "" {
		owner, err := os.Stat(root)
		if err != nil {
			return err
		}
		if err := chownAs(half, owner); err != nil {
			return err
		}
	} else if err := copy.DirCopy(from, half, copy.Content, true); err != nil {
		return err
	}
	return os.Rename(half, volume)
}

// MakeDir makes a directory in a root filesystem mounted at root, of the root's
// owner, unless something is there. Links on the way are followed inside of root.
func MakeDir(root, name string) error {
	dir, err := securejoin.SecureJoin(root, name)
	if err != nil {
		return fmt.Errorf("directory %s: %w", name, err)
	}
	if _, err := os.Lstat(dir); err == nil {
		return nil
	}
	owner, err := os.Stat(root)
	if err != nil {
		return err
	}
	return makeOwned(dir, owner)
}

// makeOwned is MkdirAll that gives what it makes an owner.
func makeOwned(dir string, owner fs.FileInfo) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := makeOwned(filepath.Dir(dir), owner); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	return chownAs(dir, owner)
}

// chownAs gives a file the owner of another.
func chownAs(path string, owner fs.FileInfo) error {
	st, ok := owner.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Errorf("owner of %s is not known", owner.Name())
	}
	return os.Lchown(path, int(st.Uid), int(st.Gid))
}

// Inside resolves a relative path below a root filesystem mounted at root, with
// links that never lead out of it. fs.ErrNotExist if nothing is there.
func Inside(root, name string) (string, error) {
	if !filepath.IsLocal(name) {
		return "", fmt.Errorf("%.200q leaves its directory", name)
	}
	path, err := securejoin.SecureJoin(root, name)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%.200q: %w", name, fs.ErrNotExist)
	}
	return path, nil
}
