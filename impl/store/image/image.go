// Package image pulls, lists and removes the images of a storage root. Images
// come from registries only, by the rules of containers-registries.conf(5),
// containers-policy.json(5) and containers-auth.json(5).
//
// It refuses to decide when to pull, which image a container gets, and what an
// error means to a client; it never asks a question on a terminal, and never
// holds a lock during a transfer. A Store takes one Images: two would sweep away
// the layers of each other's pulls.
package image

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"go.podman.io/image/v5/types"

	"ocid/impl/store"
)

// Errors a caller can ask for with errors.Is. An error of Pull may match more
// than one, when a short name stands for several images.
var (
	// ErrRegistryUnavailable: the registry can't be reached, does not answer in
	// time, breaks off, or answers with a server error.
	ErrRegistryUnavailable = errors.New("registry unavailable")
	// ErrSignature: policy.json rejects the image.
	ErrSignature = errors.New("image rejected by signature policy")
	// ErrNotFound: the registry answers that it has no such image.
	ErrNotFound = errors.New("image not found in the registry")
	// ErrUnauthorized: the registry wants credentials, or other ones.
	ErrUnauthorized = errors.New("registry refused the credentials")
	// ErrInvalidReference: the reference can't be parsed or stands for no image.
	ErrInvalidReference = errors.New("invalid image reference")
	// ErrInvalidAuth: the credentials of the request can't be parsed.
	ErrInvalidAuth = errors.New("invalid registry credentials")
	// ErrAmbiguous: an ID prefix fits more than one image.
	ErrAmbiguous = errors.New("ambiguous image ID prefix")
	// ErrInUse: a container or an image volume uses the image.
	ErrInUse = errors.New("image is in use")
	// ErrEnforced: registries.conf wants short names to stand for one image only.
	ErrEnforced = errors.New("short name stands for several images")
	// ErrPlatform: the registry has the image, but not for this machine.
	ErrPlatform = errors.New("no image for this platform")
	// ErrUnusable: what the registry has is no image that containers can run of.
	ErrUnusable = errors.New("not an image for containers")
	// ErrDigest: content is not what its digest promises.
	ErrDigest = errors.New("content does not match its digest")
	// ErrNoSpace: the disk has no room for the image.
	ErrNoSpace = errors.New("no room for the image")
)

// Flights shares one run among the callers that use equal keys at the same time.
// A caller whose context ends gets its error at once; when none is left, the
// context of the run is cancelled. Group of package flight is one.
type Flights interface {
	Do(ctx context.Context, key string, fn func(context.Context) (string, error)) (string, error)
}

// Options configure Images. The zero value of each field but Flights is the
// default of the containers-* manual pages.
type Options struct {
	Flights Flights // mandatory

	RegistriesConf    string // registries.conf; "" is the system's
	RegistriesConfDir string // drop-in directory of registries.conf; "" is the system's
	RegistriesDir     string // registries.d: where signatures are kept; "" is the system's
	CertsDir          string // per-host certificates; "" is the system's
	// PolicyPath is a policy.json; "" is the system's and, when the machine has
	// none, a policy that accepts every image.
	PolicyPath string
	PolicyDir  string // <namespace>.json is the policy of a pod's namespace; "" is none
	AuthFile   string // used when the request has no credentials; "" is the system's
	AuthDir    string // <namespace>.json comes before AuthFile; "" is none

	BlobDir      string        // for compressed layers in transfer; "" is in the storage root
	StallTimeout time.Duration // a pull without a byte for so long fails; 0 never
	ParallelBlob uint          // blobs of one image in transfer at a time; 0 is the library's choice
	Pinned       []string      // images garbage collection must keep: names, in which * stands for any text
	UserAgent    string
	Log          *slog.Logger // nil discards
}

// Images are the images of one Store. Methods are safe for concurrent use.
type Images struct {
	store *store.Store
	o     Options
	log   *slog.Logger
	sys   types.SystemContext // never changed; copied for each use
	gate  gate
	facts facts
	live  atomic.Pointer[live]
	pulls pulls
	// removals counts the images removed, or about to be.
	removals atomic.Uint64
}

// New returns the images of s and clears up after pulls that a crash or a power
// loss broke off: what they may have left unflushed is removed. A policy that
// can't be read is an error here already.
func New(s *store.Store, o Options) (*Images, error) {
	if o.Flights == nil {
		return nil, errors.New("images: Flights is missing")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	i := &Images{store: s, o: o, log: o.Log, sys: systemContext(s, o)}
	if _, err := i.policy(""); err != nil {
		return nil, err
	}
	i.live.Store(newLive(o.Pinned, o.StallTimeout))
	for _, dir := range []string{i.pullsDir(), o.BlobDir} {
		if dir == "" {
			continue
		}
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("directory for pulls: %w", err)
		}
	}
	return i, i.recoverPulls()
}

// systemContext is how the libraries hear of the options. Caches they would put
// under /var go to the storage root, so that several daemons don't meet there.
func systemContext(s *store.Store, o Options) types.SystemContext {
	return types.SystemContext{
		SystemRegistriesConfPath:    o.RegistriesConf,
		SystemRegistriesConfDirPath: o.RegistriesConfDir,
		RegistriesDirPath:           o.RegistriesDir,
		DockerPerHostCertDirPath:    o.CertsDir,
		SignaturePolicyPath:         o.PolicyPath,
		AuthFilePath:                o.AuthFile,
		BlobInfoCacheDir:            filepath.Join(s.Root(), "cache"),
		UserShortNameAliasConfPath:  filepath.Join(s.Root(), "cache", "short-name-aliases.conf"),
		DockerRegistryUserAgent:     o.UserAgent,
	}
}
