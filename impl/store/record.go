package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"go.podman.io/storage"
	"go.podman.io/storage/pkg/idtools"
	"go.podman.io/storage/pkg/stringid"
	"go.podman.io/storage/types"
)

// Metadata is what a record says about its object, kept as JSON in the storage
// record. A sandbox's record has Pod set and an ID equal to PodID; a container's
// record has its pod's ID in PodID.
type Metadata struct {
	Pod       bool   `json:"pod,omitempty"`
	PodID     string `json:"podID"`
	Name      string `json:"name"`      // CRI metadata.name of the sandbox or container
	Namespace string `json:"namespace"` // of the pod
	UID       string `json:"uid"`       // of the pod
	Attempt   uint32 `json:"attempt"`
	Image     string `json:"image,omitempty"`    // as the request named it
	ImageRef  string `json:"imageRef,omitempty"` // image ID, as PullImage returned it
	Runtime   string `json:"runtime,omitempty"`  // runtime handler of the sandbox
	IDs       *IDs   `json:"ids,omitempty"`      // owners of the image's files in the root filesystem; nil as they are
}

// IDs is how the owners of a root filesystem's files are mapped: what belongs to
// user 0 in the image belongs to UIDs.Host on this machine, and so on.
type IDs struct {
	UIDs Range `json:"uids"`
	GIDs Range `json:"gids"`
}

// A Range are Size IDs: from 0 on in an image, from Host on on this machine.
type Range struct {
	Host uint32 `json:"host"`
	Size uint32 `json:"size"`
}

func (r Range) storage() []idtools.IDMap {
	return []idtools.IDMap{{HostID: int(r.Host), Size: int(r.Size)}}
}

// metadataVersion marks metadata as ours. Storage is shared between programs
// often enough that any JSON object can't be taken for one of our records.
const metadataVersion = 1

// envelope is Metadata as it stands in the storage record.
type envelope struct {
	Version int `json:"ocid"`
	Metadata
}

// A Record is a sandbox or container as the storage knows it.
type Record struct {
	ID       string
	ImageID  string // "" for a sandbox
	LayerID  string
	Created  time.Time
	Metadata Metadata // zero when Foreign is set
	Foreign  error    // why the record is not ours, nil when it is
}

func encode(m Metadata) (string, error) {
	data, err := json.Marshal(envelope{Version: metadataVersion, Metadata: m})
	if err != nil {
		return "", fmt.Errorf("encode metadata: %w", err)
	}
	return string(data), nil
}

func decode(text string) (Metadata, error) {
	var e envelope
	if err := json.Unmarshal([]byte(text), &e); err != nil {
		return Metadata{}, fmt.Errorf("metadata is not ours: %w", err)
	}
	if e.Version != metadataVersion || e.PodID == "" {
		return Metadata{}, fmt.Errorf("metadata is not ours: version %d, pod %q", e.Version, e.PodID)
	}
	return e.Metadata, nil
}

// CreateSandbox makes the record of the sandbox with this ID: an empty
// read-write layer, no image. m.Pod and m.PodID are set to fit. ErrExists if the
// ID has a record.
//
// Records are volatile: neither they nor what a container writes to its root
// filesystem are flushed to disk. A container does not outlive a power loss, and
// kubelet makes new ones after a reboot, so the flushes would protect nothing: a
// power loss loses the record at worst, Open copes with a file torn by it, and
// GarbageCollect removes what the record pointed at. Images are never volatile.
// Create and delete of one record is about a fifth faster so (BenchmarkRecord),
// but what counts is the container: its fsync does not wait for the disk, and
// unmounting its filesystem does not flush it.
func (s *Store) CreateSandbox(id string, m Metadata) error {
	m.Pod, m.PodID = true, id
	return s.create(id, "", m)
}

// CreateContainer makes the record of the container with this ID, its layer on
// top of the image with the full ID imageID. m.PodID must be the ID of its pod.
// ErrExists if the ID has a record, ErrNoImage if the image is unknown. See
// CreateSandbox about durability.
func (s *Store) CreateContainer(id, imageID string, m Metadata) error {
	if err := stringid.ValidateID(m.PodID); err != nil {
		return fmt.Errorf("container %q: pod %q: %w", id, m.PodID, ErrInvalidID)
	}
	if err := stringid.ValidateID(imageID); err != nil {
		return fmt.Errorf("container %q: image %q: %w", id, imageID, ErrNoImage)
	}
	m.Pod = false
	return s.create(id, imageID, m)
}

// create makes a record whose layer has the ID of the record, so that Delete
// finds the layer of a record that was never written. It gives no names: names
// would have to be unique in the storage, and uniqueness is decided elsewhere.
func (s *Store) create(id, imageID string, m Metadata) error {
	if stringid.ValidateID(id) != nil {
		return fmt.Errorf("create %q: %w", id, ErrInvalidID)
	}
	text, err := encode(m)
	if err != nil {
		return err
	}
	back, release, err := s.Hold()
	if err != nil {
		return err
	}
	defer release()
	options := &storage.ContainerOptions{Volatile: true}
	if m.IDs != nil && imageID != "" {
		options.IDMappingOptions = types.IDMappingOptions{UIDMap: m.IDs.UIDs.storage(), GIDMap: m.IDs.GIDs.storage()}
	}
	_, err = back.CreateContainer(id, nil, imageID, id, text, options)
	switch {
	case errors.Is(err, storage.ErrDuplicateID):
		return fmt.Errorf("create %s: %w", id, ErrExists)
	case errors.Is(err, storage.ErrImageUnknown):
		return fmt.Errorf("create %s: image %s: %w", id, imageID, ErrNoImage)
	case err != nil:
		return fmt.Errorf("create storage record %s: %w", id, err)
	}
	return s.handOver(id, m.IDs)
}

// handOver gives the directory around a layer to whom the layer's root belongs.
// The storage leaves it to this machine's root, who alone can pass it then.
func (s *Store) handOver(id string, ids *IDs) error {
	if ids == nil {
		return nil
	}
	dir := filepath.Join(s.root, s.back.GraphDriverName(), id)
	if err := os.Chown(dir, int(ids.UIDs.Host), int(ids.GIDs.Host)); err != nil {
		return errors.Join(fmt.Errorf("layer of %s: %w", id, err), s.Delete(id))
	}
	return nil
}

// record returns the storage record with exactly this ID. The storage's own
// lookup also takes prefixes, layer IDs and names.
func record(back storage.Store, id string) (*storage.Container, error) {
	if stringid.ValidateID(id) != nil {
		return nil, fmt.Errorf("record %q: %w", id, ErrInvalidID)
	}
	c, err := back.Container(id)
	if errors.Is(err, storage.ErrContainerUnknown) || err == nil && c.ID != id {
		return nil, fmt.Errorf("record %s: %w", id, ErrNoRecord)
	}
	if err != nil {
		return nil, fmt.Errorf("record %s: %w", id, err)
	}
	return c, nil
}

// Containers returns all records, sandboxes and containers, for recovery.
// Records that are not ours are among them, with Foreign set; nothing here
// touches those.
func (s *Store) Containers() ([]Record, error) {
	back, release, err := s.Hold()
	if err != nil {
		return nil, err
	}
	defer release()
	list, err := back.Containers()
	if err != nil {
		return nil, fmt.Errorf("list storage records at %s: %w", s.root, err)
	}
	records := make([]Record, 0, len(list))
	for i := range list {
		records = append(records, toRecord(&list[i]))
	}
	return records, nil
}

// Record returns the record with the ID, or ErrNoRecord.
func (s *Store) Record(id string) (Record, error) {
	back, release, err := s.Hold()
	if err != nil {
		return Record{}, err
	}
	defer release()
	c, err := record(back, id)
	if err != nil {
		return Record{}, err
	}
	return toRecord(c), nil
}

func toRecord(c *storage.Container) Record {
	m, err := decode(c.Metadata)
	return Record{ID: c.ID, ImageID: c.ImageID, LayerID: c.LayerID, Created: c.Created, Metadata: m, Foreign: err}
}
