package target

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// A StorageContainer is a container record of containers/storage, as its JSON
// files hold it. Sandboxes are container records too.
type StorageContainer struct {
	ID       string           `json:"id"`
	Names    []string         `json:"names"`
	Image    string           `json:"image"`
	Layer    string           `json:"layer"`
	Metadata string           `json:"metadata"`
	Created  time.Time        `json:"created"`
	Data     map[string]int64 `json:"big-data-sizes"` // big data items and their bytes
	Dir      string           `json:"-"`              // where the record stands
}

// A StorageLayer is a layer record.
type StorageLayer struct {
	ID     string   `json:"id"`
	Names  []string `json:"names"`
	Parent string   `json:"parent"`
}

// A StorageImage is an image record.
type StorageImage struct {
	ID    string   `json:"id"`
	Names []string `json:"names"`
}

// A LayerMount is a layer that containers/storage holds mounted.
type LayerMount struct {
	ID    string `json:"id"`
	Path  string `json:"path"`
	Count int    `json:"count"`
}

// Storage is everything that containers/storage has on record.
type Storage struct {
	Containers []StorageContainer
	Layers     []StorageLayer
	Images     []StorageImage
	Mounted    []LayerMount
}

// Storage reads the records without a lock; the files are replaced by rename.
func (o *Observer) Storage() (Storage, error) {
	var s Storage
	var errs []error
	for _, root := range o.at.Storage {
		errs = append(errs,
			records(root, "containers", []string{"containers.json", "volatile-containers.json"}, func(c StorageContainer, dir string) {
				c.Dir = filepath.Join(dir, c.ID)
				s.Containers = append(s.Containers, c)
			}),
			records(root, "layers", []string{"layers.json", "volatile-layers.json"}, func(l StorageLayer, _ string) {
				s.Layers = append(s.Layers, l)
			}),
			records(root, "images", []string{"images.json"}, func(i StorageImage, _ string) {
				s.Images = append(s.Images, i)
			}),
			records(root, "layers", []string{"mountpoints.json"}, func(m LayerMount, _ string) {
				s.Mounted = append(s.Mounted, m)
			}))
	}
	return s, errors.Join(errs...)
}

// records reads the files of one sort of record: root/DRIVER-sort/file.
func records[R any](root, sort string, files []string, use func(record R, dir string)) error {
	dirs, err := filepath.Glob(filepath.Join(root, "*-"+sort))
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		for _, file := range files {
			data, err := os.ReadFile(filepath.Join(dir, file))
			if errors.Is(err, fs.ErrNotExist) || err == nil && len(data) == 0 {
				continue
			}
			if err != nil {
				return err
			}
			var list []R
			if err := json.Unmarshal(data, &list); err != nil {
				return fmt.Errorf("%s: %w", filepath.Join(dir, file), err)
			}
			for _, r := range list {
				use(r, dir)
			}
		}
	}
	return nil
}

func (o *Observer) snapStorage(s Snapshot) error {
	if len(o.at.Storage) == 0 {
		return nil
	}
	for _, kind := range []Kind{Containers, Layers, ImageCount, LayerMounts} {
		s.add(kind)
	}
	all, err := o.Storage()
	for _, c := range all.Containers {
		s.add(Containers, fmt.Sprintf("%s %v", c.ID, c.Names))
	}
	for _, l := range all.Layers {
		s.add(Layers, fmt.Sprintf("%s %v", l.ID, l.Names))
	}
	for _, i := range all.Images {
		s.add(ImageCount, fmt.Sprintf("%s %v", i.ID, i.Names))
	}
	for _, m := range all.Mounted {
		s.add(LayerMounts, fmt.Sprintf("%s, %d times", m.ID, m.Count))
	}
	return err
}
