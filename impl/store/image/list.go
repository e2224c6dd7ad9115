package image

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	imgspecv1 "github.com/opencontainers/image-spec/specs-go/v1"
	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/image/v5/manifest"
	istorage "go.podman.io/image/v5/storage"
	"go.podman.io/storage"
	"go.podman.io/storage/pkg/stringid"
)

// An Image is an image in the storage.
type Image struct {
	ID          string   // 64 hexadecimal digits: the digest of the configuration
	RepoTags    []string // repository:tag, sorted
	RepoDigests []string // repository@digest, sorted
	Size        uint64   // bytes of the unpacked layers and the metadata
	User        string   // as the configuration has it: user, uid, user:group, …
	Labels      map[string]string
	Config      *imgspecv1.Image  // nil if the image has no configuration that can be read
	Digest      digest.Digest     // of the manifest
	Annotations map[string]string // of the manifest
	Pinned      bool
}

// minPrefix is the length from which on a string may be taken for an ID prefix.
const minPrefix = 3

// List returns all images.
func (i *Images) List(ctx context.Context) ([]Image, error) {
	back, release, err := i.store.Hold()
	if err != nil {
		return nil, err
	}
	defer release()
	records, err := back.Images()
	if err != nil {
		return nil, fmt.Errorf("list images: %w", err)
	}
	images := make([]Image, 0, len(records))
	for n := range records {
		images = append(images, i.describe(ctx, back, &records[n]))
	}
	i.facts.keep(images)
	return images, nil
}

// Status returns the image that ref means: a full ID, else a name (short names
// included), else an ID prefix of three digits or more. nil without an error if
// there is none; ErrAmbiguous if a prefix fits several.
func (i *Images) Status(ctx context.Context, ref string) (*Image, error) {
	back, release, err := i.store.Hold()
	if err != nil {
		return nil, err
	}
	defer release()
	record, err := i.find(back, ref)
	if err != nil || record == nil {
		return nil, err
	}
	image := i.describe(ctx, back, record)
	return &image, nil
}

// find returns the record that ref means, nil if there is none.
func (i *Images) find(back storage.Store, ref string) (*storage.Image, error) {
	id := strings.TrimPrefix(ref, "sha256:")
	if stringid.ValidateID(id) == nil {
		record, err := back.Image(id)
		if err == nil && record.ID == id {
			return record, nil
		}
		if err != nil && !errors.Is(err, storage.ErrImageUnknown) {
			return nil, fmt.Errorf("image %s: %w", ref, err)
		}
		return nil, nil
	}
	names, err := i.localCandidates(ref)
	if err != nil && !isHex(id) {
		return nil, fmt.Errorf("image %q: %w", ref, err)
	}
	for _, named := range names {
		sref, err := istorage.Transport.NewStoreReference(back, named, "")
		if err != nil {
			return nil, fmt.Errorf("image %q: %w", ref, err)
		}
		_, record, err := istorage.ResolveReference(sref)
		if err == nil {
			return record, nil
		}
		if !errors.Is(err, istorage.ErrNoSuchImage) && !errors.Is(err, storage.ErrImageUnknown) {
			return nil, fmt.Errorf("image %q: %w", ref, err)
		}
	}
	return byPrefix(back, id)
}

// byPrefix returns the only image whose ID begins with prefix.
func byPrefix(back storage.Store, prefix string) (*storage.Image, error) {
	if len(prefix) < minPrefix || !isHex(prefix) {
		return nil, nil
	}
	records, err := back.Images()
	if err != nil {
		return nil, fmt.Errorf("list images: %w", err)
	}
	var found *storage.Image
	for n := range records {
		if !strings.HasPrefix(records[n].ID, prefix) {
			continue
		}
		if found != nil {
			return nil, fmt.Errorf("%q fits %s and %s: %w", prefix, found.ID, records[n].ID, ErrAmbiguous)
		}
		found = &records[n]
	}
	return found, nil
}

func isHex(s string) bool {
	return s != "" && strings.Trim(s, "0123456789abcdef") == ""
}

// describe turns a record into an Image.
func (i *Images) describe(ctx context.Context, back storage.Store, record *storage.Image) Image {
	image := Image{ID: record.ID, Digest: record.Digest}
	if d, ok := record.BigDataDigests[storage.ImageDigestBigDataKey]; ok {
		image.Digest = d
	}
	image.RepoTags, image.RepoDigests = split(record.Names, image.Digest)
	image.Pinned = i.pinned(&image)
	f, err := i.facts.get(record.ID, func() (fact, error) { return i.read(ctx, back, record.ID) })
	if err != nil {
		i.log.Warn("image can't be read", "id", record.ID, "err", err)
	}
	image.Size, image.Config, image.Annotations = f.size, f.config, f.annotations
	if f.config != nil {
		image.User, image.Labels = f.config.Config.User, f.config.Config.Labels
	}
	return image
}

// split sorts names into tags and digests. A repository known only by a tag gets
// the digest of the manifest.
func split(names []string, d digest.Digest) (tags, digests []string) {
	lacking := make(map[string]reference.Named)
	have := make(map[string]bool)
	for _, name := range names {
		named, err := reference.ParseNormalizedNamed(name)
		if err != nil {
			continue
		}
		if _, ok := named.(reference.Digested); ok {
			digests = append(digests, canonical(named).String())
			have[named.Name()] = true
			continue
		}
		if reference.IsNameOnly(named) {
			continue
		}
		tags = append(tags, named.String())
		lacking[named.Name()] = reference.TrimNamed(named)
	}
	for repo, named := range lacking {
		if have[repo] || d == "" {
			continue
		}
		if full, err := reference.WithDigest(named, d); err == nil {
			digests = append(digests, full.String())
		}
	}
	slices.Sort(tags)
	slices.Sort(digests)
	return tags, slices.Compact(digests)
}

// nameDigest names an image pulled by tag by its digest too, so that it can be
// found by it and still has a name when the tag moves on. It is the digest of
// the index the image came with, if any, which is what the registry calls it.
func nameDigest(back storage.Store, img *storage.Image, named reference.Named, pulled []byte) error {
	if _, ok := named.(reference.Digested); ok {
		return nil
	}
	instance, err := manifest.Digest(pulled)
	if err != nil {
		return fmt.Errorf("digest of the pulled manifest: %w", err)
	}
	name, err := reference.WithDigest(reference.TrimNamed(named), indexOf(back, img, instance))
	if err != nil {
		return fmt.Errorf("name of the pulled image: %w", err)
	}
	if err := back.AddNames(img.ID, []string{name.String()}); err != nil {
		return fmt.Errorf("name the pulled image %s: %w", name, err)
	}
	return nil
}

// indexOf returns the digest of an index stored with img that lists instance,
// else instance.
func indexOf(back storage.Store, img *storage.Image, instance digest.Digest) digest.Digest {
	for _, d := range img.Digests {
		if d == instance {
			continue
		}
		data, err := back.ImageBigData(img.ID, storage.ImageDigestManifestBigDataNamePrefix+"-"+d.String())
		if err != nil {
			continue
		}
		kind := manifest.GuessMIMEType(data)
		if !manifest.MIMETypeIsMultiImage(kind) {
			continue
		}
		if list, err := manifest.ListFromBlob(data, kind); err == nil && slices.Contains(list.Instances(), instance) {
			return d
		}
	}
	return instance
}
