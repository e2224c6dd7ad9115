package image

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	imgspecv1 "github.com/opencontainers/image-spec/specs-go/v1"
	istorage "go.podman.io/image/v5/storage"
	"go.podman.io/storage"
)

// A fact is what is costly to find out about an image and never changes.
type fact struct {
	size        uint64
	config      *imgspecv1.Image
	annotations map[string]string // of the manifest
}

// facts remembers facts by image ID.
type facts struct {
	mu   sync.Mutex
	byID map[string]fact
}

// get returns what is known of the image, reading it the first time.
func (f *facts) get(id string, read func() (fact, error)) (fact, error) {
	f.mu.Lock()
	known, ok := f.byID[id]
	f.mu.Unlock()
	if ok {
		return known, nil
	}
	known, err := read()
	if err != nil {
		return known, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.byID == nil {
		f.byID = make(map[string]fact)
	}
	f.byID[id] = known
	return known, nil
}

// keep forgets the images that are not in list.
func (f *facts) keep(list []Image) {
	there := make(map[string]bool, len(list))
	for n := range list {
		there[list[n].ID] = true
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for id := range f.byID {
		if !there[id] {
			delete(f.byID, id)
		}
	}
}

// read finds out size and configuration; what could be found is returned with
// an error too.
func (i *Images) read(ctx context.Context, back storage.Store, id string) (fact, error) {
	var f fact
	size, err := back.ImageSize(id)
	if err != nil {
		return f, fmt.Errorf("size of image %s: %w", id, err)
	}
	f.size = uint64(max(size, 0))
	ref, err := istorage.Transport.NewStoreReference(back, nil, id)
	if err != nil {
		return f, fmt.Errorf("image %s: %w", id, err)
	}
	img, err := ref.NewImage(ctx, &i.sys)
	if err != nil {
		return f, fmt.Errorf("image %s: %w", id, err)
	}
	defer img.Close()
	f.config, err = img.OCIConfig(ctx)
	if err != nil {
		return f, fmt.Errorf("configuration of image %s: %w", id, err)
	}
	data, _, err := img.Manifest(ctx)
	if err != nil {
		return f, fmt.Errorf("manifest of image %s: %w", id, err)
	}
	var manifest struct {
		Annotations map[string]string `json:"annotations"`
	}
	if err := json.Unmarshal(data, &manifest); err != nil {
		return f, fmt.Errorf("manifest of image %s: %w", id, err)
	}
	f.annotations = manifest.Annotations
	return f, nil
}
