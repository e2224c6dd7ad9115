package image

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/image/v5/pkg/sysregistriesv2"
)

// live is what Reload may change. A pull keeps what it began with.
type live struct {
	pinned *regexp.Regexp // nil pins nothing
	stall  time.Duration
}

func newLive(pinned []string, stall time.Duration) *live {
	l := &live{stall: stall}
	parts := make([]string, 0, len(pinned))
	for _, p := range pinned {
		parts = append(parts, strings.ReplaceAll(regexp.QuoteMeta(p), `\*`, `.*`))
	}
	if len(parts) > 0 {
		l.pinned = regexp.MustCompile(`^(?s:` + strings.Join(parts, "|") + `)$`)
	}
	return l
}

// Reload reads registries.conf and policy.json anew and takes the new values of
// the options Pinned and StallTimeout, for pulls and lists that begin later. On
// an error everything stays as it was.
func (i *Images) Reload(pinned []string, stall time.Duration) error {
	if _, err := i.policy(""); err != nil {
		return err
	}
	sys := i.sys
	if _, err := sysregistriesv2.TryUpdatingCache(&sys); err != nil {
		return fmt.Errorf("registries.conf: %w", err)
	}
	i.live.Store(newLive(pinned, stall))
	return nil
}

// pinned says whether the options pin the image: by its ID, a name, or the short
// form of a name.
func (i *Images) pinned(image *Image) bool {
	pattern := i.live.Load().pinned
	if pattern == nil {
		return false
	}
	if pattern.MatchString(image.ID) {
		return true
	}
	for _, name := range append(append([]string(nil), image.RepoTags...), image.RepoDigests...) {
		if pattern.MatchString(name) {
			return true
		}
		named, err := reference.ParseNormalizedNamed(name)
		if err == nil && pattern.MatchString(reference.FamiliarString(named)) {
			return true
		}
	}
	return false
}
