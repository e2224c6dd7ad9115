package oci

import (
	"fmt"
	"path"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// propagations says what a mode of CRI is in a mount and what it needs of the
// container's root: a mount cannot be more shared than the root it came
// through. "" leaves the root to the runtime.
var propagations = map[runtimeapi.MountPropagation]struct{ mount, root string }{
	runtimeapi.MountPropagation_PROPAGATION_PRIVATE:           {"rprivate", ""},
	runtimeapi.MountPropagation_PROPAGATION_HOST_TO_CONTAINER: {"rslave", "rslave"},
	runtimeapi.MountPropagation_PROPAGATION_BIDIRECTIONAL:     {"rshared", "rshared"},
}

// bindOptions are the values of mount_options that are obeyed: all that
// Kubernetes allows. Runtimes apply any other to a bind mount by themselves or
// drop it without a word, so it is refused.
var bindOptions = []string{"noexec", "nodev", "nosuid"}

// criMounts turns a container's mounts into bind mounts, in the given order,
// and says which propagation of the root they need together.
func criMounts(mounts []*runtimeapi.Mount) ([]specs.Mount, string, error) {
	var out []specs.Mount
	var root string
	for i, m := range mounts {
		field := fmt.Sprintf("config.mounts[%d].", i)
		if err := checkMount(field, m); err != nil {
			return nil, "", err
		}
		p := propagations[m.GetPropagation()]
		if root != "rshared" && p.root != "" {
			root = p.root
		}
		options := append([]string{"rbind", p.mount, accessOption(m)}, m.GetMountOptions()...)
		out = append(out, specs.Mount{
			Destination: inRoot(m.GetContainerPath()), Type: "bind", Source: path.Clean(m.GetHostPath()), Options: options,
		})
	}
	return out, root, nil
}

// accessOption gives the option for the three degrees of writability.
func accessOption(m *runtimeapi.Mount) string {
	switch {
	case m.GetRecursiveReadOnly():
		return "rro"
	case m.GetReadonly():
		return "ro"
	}
	return "rw"
}

// checkMount refuses a mount that contradicts itself or cannot be made yet.
// field is the path of the mount, with its dot.
func checkMount(field string, m *runtimeapi.Mount) error {
	if err := checkMountKind(field, m); err != nil {
		return err
	}
	if m.GetContainerPath() == "" || inRoot(m.GetContainerPath()) == "/" {
		return invalid(field+"container_path", "%q is no place for a mount", m.GetContainerPath())
	}
	if !strings.HasPrefix(m.GetHostPath(), "/") {
		return invalid(field+"host_path", "%q is not an absolute path", m.GetHostPath())
	}
	if _, ok := propagations[m.GetPropagation()]; !ok {
		return invalid(field+"propagation", "%d is not defined", m.GetPropagation())
	}
	if m.GetRecursiveReadOnly() && !m.GetReadonly() {
		return invalid(field+"recursive_read_only", "readonly is not set")
	}
	if m.GetRecursiveReadOnly() && m.GetPropagation() != runtimeapi.MountPropagation_PROPAGATION_PRIVATE {
		return invalid(field+"recursive_read_only", "propagation is %s, not PROPAGATION_PRIVATE", m.GetPropagation())
	}
	for _, o := range m.GetMountOptions() {
		if !slices.Contains(bindOptions, o) {
			return &UnsupportedError{Field: field + "mount_options", What: fmt.Sprintf("option %q", o)}
		}
	}
	return nil
}

// checkMountKind lets only mounts of host paths with unchanged IDs pass: the
// caller has put paths in the place of images and of mapped IDs.
func checkMountKind(field string, m *runtimeapi.Mount) error {
	switch {
	case m.GetImage() != nil && m.GetHostPath() != "":
		return invalid(field+"host_path", "an image is given too")
	case m.GetImage() != nil:
		return &UnsupportedError{Field: field + "image", What: "an image that is not mounted"}
	case len(m.GetUidMappings()) > 0:
		return &UnsupportedError{Field: field + "uidMappings", What: "a mapping that is not made"}
	case len(m.GetGidMappings()) > 0:
		return &UnsupportedError{Field: field + "gidMappings", What: "a mapping that is not made"}
	}
	return nil
}
