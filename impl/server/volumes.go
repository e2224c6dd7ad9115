package server

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"ocid/impl/config"
	"ocid/impl/namespace"
	"ocid/impl/store"
	"ocid/spec"
)

// A container's volumes are what the daemon itself mounts for it: images, and
// paths of the node with other owners. An image volume is a storage record on the
// image, so that the storage counts its users, across crashes too, and keeps the
// image; nobody ever writes to its layer. A path with other owners is a mount
// below the run root. Both are found by the container's ID and the number of the
// mount in its config.

// volumeID is the ID of the record of an image volume.
func volumeID(container string, i int) string {
	sum := sha256.Sum256([]byte(container + "/" + strconv.Itoa(i)))
	return hex.EncodeToString(sum[:])
}

func (s *Server) volumesPath(container string) string {
	return filepath.Join(s.Config.RunRoot, "volumes", container)
}

func (s *Server) mappedPath(container string, i int) string {
	return filepath.Join(s.volumesPath(container), strconv.Itoa(i))
}

// volumeImage finds the image of a mount.
func (s *Server) volumeImage(ctx context.Context, i int, m *runtimeapi.Mount) (string, error) {
	img, err := s.Images.Status(ctx, m.Image.Image)
	if err != nil {
		return "", &volumeError{spec.InvalidArgument, "volume.image.missing", fmt.Errorf("%s: %w", mountField(i, "image"), err)}
	}
	if img == nil {
		return "", &volumeError{spec.NotFound, "volume.image.missing", fmt.Errorf("%s: %.200q is not on this node", mountField(i, "image.image"), m.Image.Image)}
	}
	return img.ID, nil
}

// openVolumes mounts the volumes of a container.
func (s *Server) openVolumes(id string, c *Container) error {
	pod, _ := s.sandboxes.Get(c.PodID)
	for i, m := range c.Config.M.Mounts {
		var err error
		switch {
		case m.GetImage() != nil:
			err = s.openImageVolume(id, i, c, &pod.Data)
		case len(m.GetUidMappings()) > 0:
			err = s.openMapped(id, i, c)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Server) openImageVolume(id string, i int, c *Container, pod *Sandbox) error {
	meta := pod.Config.M.GetMetadata()
	err := s.Store.CreateContainer(volumeID(id, i), c.VolumeImages[i], store.Metadata{
		PodID: c.PodID, Name: c.Config.M.Metadata.Name, Namespace: meta.GetNamespace(), UID: meta.GetUid(), Attempt: c.Config.M.Metadata.Attempt,
		Image: c.Config.M.Mounts[i].Image.Image, ImageRef: c.VolumeImages[i], Runtime: c.Handler, IDs: storeIDs(userns(pod.Config.M)),
	})
	if err != nil && !errors.Is(err, store.ErrExists) {
		return err
	}
	_, err = s.imageVolume(id, i, c.Config.M.Mounts[i])
	return err
}

// imageVolume mounts an image volume, if it is not, and returns the path of what
// the container sees of it.
func (s *Server) imageVolume(id string, i int, m *runtimeapi.Mount) (string, error) {
	root, err := s.Store.Mount(volumeID(id, i))
	if err != nil || m.GetImageSubPath() == "" {
		return root, err
	}
	sub, err := store.Inside(root, m.GetImageSubPath())
	if err != nil {
		return "", &volumeError{spec.InvalidArgument, "volume.image.sub-path", fmt.Errorf("%s: %w", mountField(i, "image_sub_path"), err)}
	}
	return sub, nil
}

func (s *Server) openMapped(id string, i int, c *Container) error {
	source, err := filepath.EvalSymlinks(c.Config.M.Mounts[i].HostPath)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(s.volumesPath(id), 0o711); err != nil {
		return err
	}
	return namespace.BindMapped(source, s.mappedPath(id, i), s.userPath(c.PodID))
}

// closeVolumes unmounts the volumes of a container; their records stay.
func (s *Server) closeVolumes(id string, c *Container) error {
	var errs []error
	for i, m := range c.Config.M.Mounts {
		switch {
		case m.GetImage() != nil:
			errs = append(errs, s.Store.Unmount(volumeID(id, i)))
		case len(m.GetUidMappings()) > 0:
			errs = append(errs, namespace.Unbind(s.mappedPath(id, i)))
		}
	}
	if err := os.Remove(s.volumesPath(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// deleteVolumes unmounts the volumes of a container and deletes their records.
func (s *Server) deleteVolumes(id string, c *Container) error {
	errs := []error{s.closeVolumes(id, c)}
	for i, m := range c.Config.M.Mounts {
		if m.GetImage() != nil {
			errs = append(errs, s.Store.Delete(volumeID(id, i)))
		}
	}
	return errors.Join(errs...)
}

// placeVolumes puts the paths of a container's volumes into a config that the
// runtime's is made of, as if they were the node's.
func (s *Server) placeVolumes(id string, c *runtimeapi.ContainerConfig, mapped bool) error {
	for i, m := range c.Mounts {
		switch {
		case m.GetImage() != nil:
			at, err := s.imageVolume(id, i, m)
			if err != nil {
				return err
			}
			m.Image, m.ImageSubPath, m.HostPath, m.Readonly = nil, "", at, true
			m.Propagation = runtimeapi.MountPropagation_PROPAGATION_PRIVATE
			m.MountOptions = []string{"noexec", "nosuid", "nodev"}
		case len(m.GetUidMappings()) > 0:
			m.HostPath = s.mappedPath(id, i)
		}
		m.UidMappings, m.GidMappings = nil, nil
		if mapped {
			if err := keepFlags(m); err != nil {
				return err
			}
		}
	}
	return nil
}

// imageMounts makes the volumes that an image declares, but for those that the
// config mounts something else on: directories of the container's own, or of its
// root filesystem.
func (s *Server) imageMounts(id string, c *Container, declared map[string]struct{}) (mounts []specs.Mount, err error) {
	if s.Config.Image.Volumes == config.VolumesIgnore {
		return nil, nil
	}
	for _, name := range slices.Sorted(maps.Keys(declared)) {
		at := path.Join("/", name)
		replaced := slices.ContainsFunc(c.Config.M.Mounts, func(m *runtimeapi.Mount) bool { return path.Join("/", m.ContainerPath) == at })
		switch {
		case at == "/" || replaced:
		case s.Config.Image.Volumes == config.VolumesMkdir:
			if err := store.MakeDir(c.RootFS, at); err != nil {
				return nil, err
			}
		default:
			source, err := s.Store.Volume(id, c.RootFS, at)
			if err != nil {
				return nil, err
			}
			mounts = append(mounts, specs.Mount{Destination: at, Type: "bind", Source: source, Options: []string{"rbind", "rprivate", "rw"}})
		}
	}
	return mounts, nil
}
