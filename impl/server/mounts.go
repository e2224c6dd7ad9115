package server

import (
	"context"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	crierrors "k8s.io/cri-api/pkg/errors"

	"ocid/impl/gate"
	"ocid/spec"
)

// mountField is the path of a field of the i-th mount in the request.
func mountField(i int, field string) string { return fmt.Sprintf("config.mounts[%d].%s", i, field) }

// refuseMounts refuses mounts that can't be made, before anything is made, and
// tells which images are to be mounted.
func (s *Server) refuseMounts(ctx context.Context, c *runtimeapi.ContainerConfig, pod *Sandbox) (images map[int]string, err error) {
	resolved := proto.CloneOf(c)
	if err := s.resolveMounts(resolved); err != nil {
		return nil, err
	}
	images = map[int]string{}
	for i, m := range resolved.Mounts {
		if err := s.refuseMount(i, m, pod); err != nil {
			return nil, err
		}
		if m.GetImage() == nil {
			continue
		}
		if images[i], err = s.volumeImage(ctx, i, m); err != nil {
			return nil, err
		}
	}
	return images, nil
}

func (s *Server) refuseMount(i int, m *runtimeapi.Mount, pod *Sandbox) error {
	if path.Join("/", m.GetContainerPath()) == "/" {
		return s.refusal("mount.root", spec.InvalidArgument, mountField(i, "container_path"), errors.New("is the root, where the image is"))
	}
	for _, o := range m.GetMountOptions() {
		if !slices.Contains([]string{"noexec", "nodev", "nosuid"}, o) {
			return s.refusal("mount.options", spec.InvalidArgument, mountField(i, "mount_options"), fmt.Errorf("has %.80q, not only noexec, nodev and nosuid", o))
		}
	}
	if err := mappedAsPod(m, pod); err != nil {
		return s.refusal("mount.mapping", spec.InvalidArgument, mountField(i, "uidMappings"), err)
	}
	if m.GetRecursiveReadOnly() && !s.handlerFeatures(pod.Handler).RecursiveReadOnlyMounts {
		return s.refusal("mount.rro-handler", spec.FailedPrecondition, mountField(i, "recursive_read_only"),
			fmt.Errorf("%w: is set, and the runtime handler %q has no recursive read-only mounts", crierrors.ErrRROUnsupported, pod.Handler))
	}
	if m.GetImage() != nil || m.GetPropagation() == runtimeapi.MountPropagation_PROPAGATION_PRIVATE {
		return nil
	}
	if err := checkShared(m.GetHostPath(), m.GetPropagation()); err != nil {
		return s.refusal("mount.shared", spec.InvalidArgument, mountField(i, "propagation"), err)
	}
	return nil
}

// mappedAsPod says whether a mount's IDs are not mapped, or mapped as those of
// the sandbox.
func mappedAsPod(m *runtimeapi.Mount, pod *Sandbox) error {
	if len(m.GetUidMappings())+len(m.GetGidMappings()) == 0 {
		return nil
	}
	u := userns(pod.Config.M)
	equal := func(a, b *runtimeapi.IDMapping) bool { return proto.Equal(a, b) }
	if u == nil || !slices.EqualFunc(m.GetUidMappings(), u.GetUids(), equal) || !slices.EqualFunc(m.GetGidMappings(), u.GetGids(), equal) {
		return errors.New("or gidMappings are not those of the sandbox's user namespace")
	}
	return nil
}

// checkShared says whether mounts can come from, or go to, the place of the node
// that holds a path.
func checkShared(at string, p runtimeapi.MountPropagation) error {
	around, err := mountinfo.GetMounts(mountinfo.ParentsFilter(at))
	if err != nil {
		return fmt.Errorf("mounts of the node: %w", err)
	}
	var nearest mountinfo.Info
	for _, m := range around {
		if len(m.Mountpoint) >= len(nearest.Mountpoint) {
			nearest = *m
		}
	}
	for _, tag := range strings.Fields(nearest.Optional) {
		if strings.HasPrefix(tag, "shared:") || p == runtimeapi.MountPropagation_PROPAGATION_HOST_TO_CONTAINER && strings.HasPrefix(tag, "master:") {
			return nil
		}
	}
	return fmt.Errorf("is %s, and %s is on the mount %q, which is not shared", p, at, nearest.Mountpoint)
}

// resolveMounts replaces each host path by what it leads to.
func (s *Server) resolveMounts(c *runtimeapi.ContainerConfig) error {
	for i, m := range c.Mounts {
		if m.GetImage() != nil || m.HostPath == "" {
			continue
		}
		real, err := filepath.EvalSymlinks(m.HostPath)
		if err != nil {
			return s.refusal("container.create.mount-missing", spec.InvalidArgument, mountField(i, "host_path"), err)
		}
		m.HostPath = real
	}
	return nil
}

// keepFlags adds the restrictions that a path's own mount has to the options of
// a mount of it. A mount in a user namespace can't be without them, and a runtime
// that makes it read-only has to name them.
func keepFlags(m *runtimeapi.Mount) error {
	var st unix.Statfs_t
	if err := unix.Statfs(m.HostPath, &st); err != nil {
		return fmt.Errorf("statfs %s: %w", m.HostPath, err)
	}
	for flag, option := range map[int64]string{unix.ST_NOSUID: "nosuid", unix.ST_NODEV: "nodev", unix.ST_NOEXEC: "noexec"} {
		if st.Flags&flag != 0 && !slices.Contains(m.MountOptions, option) {
			m.MountOptions = append(m.MountOptions, option)
		}
	}
	return nil
}

// A volumeError says that an image volume can't be made, and which rule asks for
// the refusal.
type volumeError struct {
	code spec.Code
	rule spec.ID
	err  error
}

func (e *volumeError) Error() string { return string(e.rule) + ": " + e.err.Error() }

func (e *volumeError) Unwrap() error { return e.err }

// ledByVolume gives an error about an image volume its code, and the words that
// kubelet looks for at the beginning of the message.
func ledByVolume(err error) error {
	var volume *volumeError
	if !errors.As(err, &volume) {
		return err
	}
	return &gate.Coded{Code: volume.code, Rule: volume.rule, Err: fmt.Errorf("%w: %w", crierrors.ErrImageVolumeMountFailed, err)}
}
