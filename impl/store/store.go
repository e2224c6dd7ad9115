// Package store keeps the records and the root filesystems of sandboxes and
// containers in containers/storage, and lends the storage underneath to the
// package image.
//
// It refuses to know what a record means: which names are taken, what state an
// object is in and when it may go are decided elsewhere. It refuses to share its
// root with another process, and after Shutdown it refuses everything.
package store

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"go.podman.io/storage"
	"go.podman.io/storage/pkg/reexec"
)

// Errors a caller can ask for with errors.Is.
var (
	// ErrClosed is returned by every method after Shutdown.
	ErrClosed = errors.New("storage is shut down")
	// ErrLocked is returned by Open when another process owns the root.
	ErrLocked = errors.New("storage root is in use by another process")
	// ErrDriver is returned by Open when the storage driver can't be used.
	ErrDriver = errors.New("storage driver can't be used")
	// ErrExists is returned when a record with the ID exists.
	ErrExists = errors.New("storage record exists")
	// ErrNoRecord is returned when no record has the ID.
	ErrNoRecord = errors.New("no such storage record")
	// ErrNoImage is returned by CreateContainer when no image has the ID.
	ErrNoImage = errors.New("no such image")
	// ErrInvalidID is returned for an ID that is not 64 lower-case hexadecimal digits.
	ErrInvalidID = errors.New("invalid ID: want 64 hexadecimal digits")
)

// DefaultDriver is the storage driver used when Options names none.
const DefaultDriver = "overlay"

// Options says where the storage is.
type Options struct {
	Root    string // persistent directory; belongs to this Store alone
	RunRoot string // directory that may vanish with a reboot
	Driver  string // "" is DefaultDriver
	// DriverOptions are passed to the driver, such as "overlay.mountopt=nodev".
	// The driver's own "sync" option is better left off: it flushes the whole
	// filesystem at each create of a container too, with the storage locked.
	// Package image flushes once per pull, with nothing locked.
	DriverOptions []string
	Log           *slog.Logger // nil discards
}

// A Store owns one storage root. Its methods are safe for concurrent use, but
// calls about the same ID are the caller's to put in order.
type Store struct {
	back    storage.Store
	log     *slog.Logger
	root    string
	runRoot string
	driver  string
	lock    *os.File // held as long as the Store is open
	closing chan struct{}

	mu     sync.Mutex
	closed bool
	holds  sync.WaitGroup // Add only with mu held and closed false
}

// Reexec must be the first call of main (and of TestMain): storage unpacks
// layers in children of the same executable. It returns true in such a child,
// whose main must then return.
func Reexec() bool { return reexec.Init() }

// Open opens the storage, creating it when the root is empty. Only one process
// at a time may own a root: ErrLocked. A driver the kernel or the filesystem
// can't serve is ErrDriver. Opens and Shutdowns of one process must not overlap.
func Open(o Options) (*Store, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	for _, dir := range []string{o.Root, o.RunRoot} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("storage directory: %w", err)
		}
	}
	lock, err := own(o.Root)
	if err != nil {
		return nil, err
	}
	s, err := open(o, lock)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return s, nil
}

// complete checks the options and fills in what is missing.
func (o *Options) complete() error {
	for name, dir := range map[string]string{"root": o.Root, "run root": o.RunRoot} {
		if !filepath.IsAbs(dir) {
			return fmt.Errorf("storage %s %q: want an absolute path", name, dir)
		}
		if strings.ContainsAny(dir, ",:\"\\") {
			return fmt.Errorf("storage %s %q: the characters , : \" \\ can't stand in overlay mount options", name, dir)
		}
	}
	if o.Driver == "" {
		o.Driver = DefaultDriver
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return nil
}

// open opens the storage whose root the caller owns.
func open(o Options, lock *os.File) (*Store, error) {
	if err := dropTornRecords(o); err != nil {
		return nil, err
	}
	back, err := storage.GetStore(storage.StoreOptions{
		GraphRoot:          o.Root,
		RunRoot:            o.RunRoot,
		GraphDriverName:    o.Driver,
		GraphDriverOptions: o.DriverOptions,
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %s at %s: %w", ErrDriver, o.Driver, o.Root, err)
	}
	s := &Store{
		back: back, log: o.Log, root: o.Root, runRoot: o.RunRoot, driver: o.Driver,
		lock: lock, closing: make(chan struct{}),
	}
	if err := errors.Join(s.letThrough(), s.dropStaleMounts()); err != nil {
		back.Free()
		return nil, err
	}
	return s, nil
}

// letThrough lets everybody pass to the layers, but see nothing on the way: the
// root of a user namespace mounts its container's root filesystem by its path.
// Each layer's own directory is closed to all but its owner.
func (s *Store) letThrough() error {
	for _, dir := range []string{s.root, filepath.Join(s.root, s.back.GraphDriverName())} {
		if err := os.Chmod(dir, 0o711); err != nil {
			return fmt.Errorf("storage directory: %w", err)
		}
	}
	return nil
}

// Hold lends the storage underneath until release is called. Shutdown waits for
// it; a holder that may take long ends its work when Closing is closed.
func (s *Store) Hold() (back storage.Store, release func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, nil, ErrClosed
	}
	s.holds.Add(1)
	return s.back, sync.OnceFunc(s.holds.Done), nil
}

// Closing is closed when Shutdown begins.
func (s *Store) Closing() <-chan struct{} { return s.closing }

// Root returns the persistent directory.
func (s *Store) Root() string { return s.root }

// Driver returns the name of the storage driver.
func (s *Store) Driver() string { return s.driver }

// RunRoot returns the directory that may vanish with a reboot.
func (s *Store) RunRoot() string { return s.runRoot }

// Shutdown ends the use of the storage: new calls get ErrClosed, those in flight
// are waited for, holders are told through Closing. When no container filesystem
// is mounted the driver is shut down and clean is true; when one is, the mounts
// stay as they are for the containers that run on and clean is false. A second
// call returns ErrClosed.
func (s *Store) Shutdown() (clean bool, err error) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return false, ErrClosed
	}
	s.closed = true
	close(s.closing)
	s.mu.Unlock()
	s.holds.Wait()

	mounted, err := s.back.Shutdown(false)
	switch {
	case errors.Is(err, storage.ErrLayerUsedByContainer):
		s.log.Info("storage left mounted", "layers", len(mounted))
		err = nil
	case err != nil:
		err = fmt.Errorf("shut down storage at %s: %w", s.root, err)
	default:
		clean = true
	}
	s.back.Free()
	return clean, errors.Join(err, s.lock.Close())
}
