package server

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	imgspecv1 "github.com/opencontainers/image-spec/specs-go/v1"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"go.podman.io/common/pkg/seccomp"
	"golang.org/x/sys/unix"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"ocid/impl/oci"
	"ocid/spec"
)

// maxSeccompFile bounds what is read of a seccomp profile, in bytes.
const maxSeccompFile = 4 << 20

// apparmorProfiles is where the kernel lists the profiles that are loaded.
const apparmorProfiles = "/sys/kernel/security/apparmor/profiles"

// refuseProcess refuses what no process can be given, before anything is made.
// What stands in files is read again for the configuration, as it is then.
func (s *Server) refuseProcess(c *Container, pod *Sandbox, img *imgspecv1.Image) error {
	in := oci.ContainerInput{
		Sandbox: pod.Config.M, Hostname: pod.Hostname, Config: c.Config.M, Image: img, Privileged: c.Elevated, Host: s.Host,
	}
	err := s.confine(&in, c)
	if err == nil {
		_, err = hostDevices(c.Config.M.GetDevices())
	}
	if err == nil {
		err = oci.CheckProcess(in)
	}
	if err == nil {
		err = s.injectDevices(&specs.Spec{}, c.Config.M)
	}
	return s.fieldError(spec.CreateContainer, err)
}

// confine fills in what the process of a container may do, as far as it stands
// neither in the request itself nor in the image's files.
func (s *Server) confine(in *oci.ContainerInput, c *Container) (err error) {
	sc := c.Config.M.GetLinux().GetSecurityContext()
	if c.Elevated {
		return s.elevate(in, c)
	}
	if in.Host.AppArmor {
		if in.Host.AppArmorProfiles, err = loadedProfiles(); err != nil {
			return err
		}
	}
	wish, err := oci.SeccompOf(sc)
	if err != nil {
		return err
	}
	in.Seccomp, err = s.readSeccomp(wish, c.Handler)
	return err
}

// elevate gives a privileged container the devices that the host has now.
func (s *Server) elevate(in *oci.ContainerInput, c *Container) (err error) {
	if s.Config.Runtime.Handlers[c.Handler].PrivilegedWithoutHostDevices {
		in.PlainDevices = true
		return nil
	}
	in.Host.Devices, err = HostDevices()
	return err
}

// sandboxSeccomp gives the profile of a sandbox's own process.
func (s *Server) sandboxSeccomp(sb *Sandbox) (*seccomp.Seccomp, error) {
	sc := sb.Config.M.GetLinux().GetSecurityContext()
	if sc.GetPrivileged() {
		return nil, nil
	}
	wish, err := oci.SeccompOf(sc)
	if err != nil {
		return nil, err
	}
	return s.readSeccomp(wish, sb.Handler)
}

// readSeccomp gives the profile of a wish as it stands on the node now, for a
// runtime handler.
func (s *Server) readSeccomp(wish oci.SeccompWish, handler string) (*seccomp.Seccomp, error) {
	if wish.Path == "" {
		return wish.Profile(nil, nil)
	}
	f, err := openRegular(unix.AT_FDCWD, wish.Path, 0)
	if err != nil {
		return nil, &oci.FieldError{Field: wish.Field, Reason: err.Error()}
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSeccompFile))
	if err != nil {
		return nil, err
	}
	return wish.Profile(data, s.seccompFlags(handler))
}

// seccompFlags are what a handler's runtime can give to a filter, nil if it does
// not tell.
func (s *Server) seccompFlags(handler string) []string {
	rt, ok := s.Runtimes[handler]
	if !ok || rt.Info().Features == nil || rt.Info().Features.Linux == nil || rt.Info().Features.Linux.Seccomp == nil {
		return nil
	}
	return rt.Info().Features.Linux.Seccomp.SupportedFlags
}

// loadedProfiles names the AppArmor profiles that the kernel has now.
func loadedProfiles() ([]string, error) {
	text, err := os.ReadFile(apparmorProfiles)
	if err != nil {
		return nil, fmt.Errorf("apparmor: %w", err)
	}
	var names []string
	for line := range strings.Lines(string(text)) {
		if i := strings.LastIndex(line, " ("); i > 0 { // name (mode)
			names = append(names, line[:i])
		}
	}
	return names, nil
}

// resolveUser finds who a container runs as in the files of its image.
func resolveUser(root string, c *runtimeapi.ContainerConfig, img *imgspecv1.Image) (oci.User, error) {
	dir, err := os.Open(root)
	if err != nil {
		return oci.User{}, err
	}
	defer dir.Close()
	var readers [2]io.Reader
	for i, name := range []string{"etc/passwd", "etc/group"} {
		f, err := openRegular(int(dir.Fd()), name, unix.RESOLVE_IN_ROOT)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return oci.User{}, &oci.FieldError{Field: "config.image.image", Reason: "the image's files: " + err.Error()}
		}
		defer f.Close()
		readers[i] = f
	}
	return oci.ResolveUser(readers[0], readers[1], oci.UserRequestOf(c.GetLinux().GetSecurityContext(), img))
}

// openRegular opens a regular file for reading. Links are followed; with
// RESOLVE_IN_ROOT those that are absolute or climb begin again at dir, as they
// would inside a container.
func openRegular(dir int, path string, resolve uint64) (*os.File, error) {
	fd, err := unix.Openat2(dir, path, &unix.OpenHow{
		Flags: unix.O_RDONLY | unix.O_CLOEXEC | unix.O_NONBLOCK | unix.O_NOCTTY, Resolve: resolve | unix.RESOLVE_NO_MAGICLINKS,
	})
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	f := os.NewFile(uintptr(fd), filepath.Base(path))
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &os.PathError{Op: "open", Path: path, Err: errors.New("not a regular file")}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
