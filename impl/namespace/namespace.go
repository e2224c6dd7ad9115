// Package namespace makes Linux network, IPC, UTS and user namespaces that live
// without a process: each is pinned by a bind mount on a file (namespaces(7)). A
// user namespace owns those that are made with it. It also mounts directories
// whose owners are seen through such a user namespace.
//
// The caller names the files and writes the names down before it calls Create:
// Remove and State need nothing but the path, so what a crash left behind is
// found and taken away.
//
// The package refuses to choose paths, to keep a list of what it made, to leave
// a helper process behind, and to write a sysctl that is not the namespace's own.
// PID and mount namespaces are not its matter: they cannot outlive or precede
// their processes the same way.
package namespace

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// A Kind of namespace, by its name under /proc/PID/ns.
type Kind string

// The kinds that can be pinned.
const (
	Net  Kind = "net"
	IPC  Kind = "ipc"
	UTS  Kind = "uts"
	User Kind = "user"
)

// flag returns the kind's clone(2) flag, 0 for an unknown kind.
func (k Kind) flag() int {
	switch k {
	case Net:
		return unix.CLONE_NEWNET
	case IPC:
		return unix.CLONE_NEWIPC
	case UTS:
		return unix.CLONE_NEWUTS
	case User:
		return unix.CLONE_NEWUSER
	}
	return 0
}

// A Pin is one namespace and the absolute path of the file that holds it.
type Pin struct {
	Kind Kind   `json:"kind"`
	Path string `json:"path"`
}

// A Range maps the IDs of a user namespace from 0 on, Size of them, to those of
// the machine from Host on.
type Range struct{ Host, Size uint32 }

// Sysctls are values by their paths below /proc/sys: "net/ipv4/ip_forward".
type Sysctls map[string]string

// A Spec says which namespaces to make and what to set inside them. All of them
// are made by one thread, so Setup sees all of them at once; a user namespace is
// their owner, and the thread stays outside of it.
type Spec struct {
	Pins     []Pin            // at least one; at most one of each kind
	UIDs     Range            // of the user namespace, if one is pinned
	GIDs     Range            // as UIDs
	Hostname string           // "" leaves the inherited one; else needs a UTS pin
	Sysctls  map[Kind]Sysctls // by the kind of namespace that they are of, which needs a pin
	Setup    func() error     // optional; runs inside, on the thread, before anything is mounted
}

// A PinnedError says that a path already holds a live namespace.
type PinnedError struct{ Path string }

func (e *PinnedError) Error() string {
	return fmt.Sprintf("%s already holds a namespace", e.Path)
}

// Create makes the namespaces of the spec and pins them. On error nothing of it
// is left: no mount and no file.
//
// The directory of a pin is made if it is missing, and becomes a shared mount,
// as ip-netns(8) wants it of /run/netns; it stays one (see ReleaseDir). So give
// many pins one directory, not each pod its own.
//
// An empty file without a mount, as a crash between the two leaves it, is taken
// over. A path that holds a live namespace gives a *PinnedError and is not
// touched. Two calls for one path at the same time are the caller's to prevent.
//
// The context is looked at once, before anything is made: what follows takes
// milliseconds and is not left half done.
func Create(ctx context.Context, spec Spec) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := spec.check(); err != nil {
		return err
	}
	var claimed []Pin
	for _, p := range spec.Pins {
		if err := claim(p); err != nil {
			return errors.Join(err, removeAll(claimed))
		}
		claimed = append(claimed, p)
	}
	build := spec.build
	if spec.has(User) {
		build = spec.buildOwned
	}
	if err := onDoomedThread(build); err != nil {
		return errors.Join(err, removeAll(claimed))
	}
	return nil
}

// check refuses a spec that would set something outside the new namespaces.
func (s Spec) check() error {
	if len(s.Pins) == 0 {
		return errors.New("no namespace to create")
	}
	kinds, paths := map[Kind]bool{}, map[string]bool{}
	for _, p := range s.Pins {
		switch {
		case p.Kind.flag() == 0:
			return fmt.Errorf("namespace kind %q is unknown", p.Kind)
		case !filepath.IsAbs(p.Path) || filepath.Clean(p.Path) != p.Path:
			return fmt.Errorf("%s namespace: path %q is not absolute and clean", p.Kind, p.Path)
		case kinds[p.Kind] || paths[p.Path]:
			return fmt.Errorf("%s namespace: kind or path %q is named twice", p.Kind, p.Path)
		}
		kinds[p.Kind], paths[p.Path] = true, true
	}
	if kinds[User] != (s.UIDs.Size > 0 && s.GIDs.Size > 0) {
		return errors.New("a user namespace and its ID ranges need one another")
	}
	if s.Hostname != "" && !kinds[UTS] {
		return fmt.Errorf("hostname %q: no uts namespace to set it in", s.Hostname)
	}
	for kind, all := range s.Sysctls {
		for path := range all {
			if !kinds[kind] {
				return fmt.Errorf("sysctl %q: no %s namespace to set it in", path, kind)
			}
			if !filepath.IsLocal(path) {
				return fmt.Errorf("sysctl %q is not below /proc/sys", path)
			}
		}
	}
	return nil
}

// build runs on a thread that ends afterwards: it leaves the thread inside the
// new namespaces.
func (s Spec) build() error {
	flags := 0
	for _, p := range s.Pins {
		flags |= p.Kind.flag()
	}
	if err := unix.Unshare(flags); err != nil {
		return fmt.Errorf("unshare %v: %w", s.kinds(), err)
	}
	if err := s.inside(); err != nil {
		return err
	}
	return s.pin("/proc/thread-self/ns")
}

// inside sets what the spec wants to have set, on a thread that is in the new
// namespaces.
func (s Spec) inside() error {
	if s.Hostname != "" {
		if err := unix.Sethostname([]byte(s.Hostname)); err != nil {
			return fmt.Errorf("set hostname %q: %w", s.Hostname, err)
		}
	}
	for kind, all := range s.Sysctls {
		for _, path := range slices.Sorted(maps.Keys(all)) {
			if err := s.writeSysctl(kind, path, all[path]); err != nil {
				return err
			}
		}
	}
	if s.Setup != nil {
		if err := s.Setup(); err != nil {
			return fmt.Errorf("set up %v namespaces: %w", s.kinds(), err)
		}
	}
	return nil
}

// pin pins the namespaces whose links are in a directory of /proc.
func (s Spec) pin(links string) error {
	for _, p := range s.Pins {
		if err := p.mount(links); err != nil {
			return err
		}
	}
	return nil
}

func (s Spec) has(kind Kind) bool { return slices.Contains(s.kinds(), kind) }

func (s Spec) kinds() []Kind {
	var kinds []Kind
	for _, p := range s.Pins {
		kinds = append(kinds, p.Kind)
	}
	return kinds
}

func removeAll(pins []Pin) error {
	var errs []error
	for _, p := range slices.Backward(pins) {
		errs = append(errs, Remove(p.Path))
	}
	return errors.Join(errs...)
}
