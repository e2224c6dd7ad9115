package image

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"

	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/image/v5/pkg/shortnames"
	"go.podman.io/image/v5/pkg/sysregistriesv2"
	"go.podman.io/image/v5/signature"
	"go.podman.io/image/v5/types"
	"go.podman.io/storage/pkg/configfile"
)

// policy reads policy.json, or the one of the namespace, anew each time so that
// an edit counts at once. A machine without one accepts everything, as the
// packaged default does.
func (i *Images) policy(namespace string) (*signature.Policy, error) {
	if own := ofNamespace(i.o.PolicyDir, namespace); own != "" {
		policy, err := signature.NewPolicyFromFile(own)
		if err != nil {
			return nil, fmt.Errorf("signature policy of namespace %s: %w", namespace, err)
		}
		return policy, nil
	}
	policy, err := signature.DefaultPolicy(&i.sys)
	if i.o.PolicyPath == "" && errors.Is(err, configfile.ErrConfigFileNotFound) {
		accept := signature.PolicyRequirements{signature.NewPRInsecureAcceptAnything()}
		return &signature.Policy{Default: accept}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("signature policy: %w", err)
	}
	return policy, nil
}

// ofNamespace returns the file of the namespace in dir, "" if there is none. One
// that can't be looked at is there: what it asks for must not be left out.
func ofNamespace(dir, namespace string) string {
	if dir == "" || namespace == "" {
		return ""
	}
	path := filepath.Join(dir, namespace+".json")
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	return path
}

// pullCandidates returns the full references that ref may stand for, in the
// order to try them. Where registries.conf says "enforcing", a short name that
// stands for several is refused, since nobody is there to ask.
func (i *Images) pullCandidates(ref string) ([]reference.Named, error) {
	mode, err := sysregistriesv2.GetShortNameMode(&i.sys)
	if err != nil {
		return nil, fmt.Errorf("registries.conf: %w", err)
	}
	if i.noSearchRegistries() && shortnames.IsShortName(ref) {
		if alias, _, err := i.alias(ref); err == nil && alias == nil {
			return i.dockerHub(ref)
		}
	}
	never := types.ShortNameModeDisabled
	sys := i.sys
	sys.ShortNameMode = &never
	resolved, err := shortnames.Resolve(&sys, ref)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalidReference, err)
	}
	if mode == types.ShortNameModeEnforcing && len(resolved.PullCandidates) > 1 {
		return nil, fmt.Errorf("%w: %q may be any of %d and registries.conf enforces one", ErrEnforced, ref, len(resolved.PullCandidates))
	}
	candidates := make([]reference.Named, 0, len(resolved.PullCandidates))
	for _, c := range resolved.PullCandidates {
		candidates = append(candidates, canonical(c.Value))
	}
	return candidates, nil
}

// localCandidates returns the names an image that ref means may have in the
// storage, best first.
func (i *Images) localCandidates(ref string) ([]reference.Named, error) {
	list, err := shortnames.ResolveLocally(&i.sys, ref)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalidReference, err)
	}
	if shortnames.IsShortName(ref) && i.noSearchRegistries() {
		hub, err := i.dockerHub(ref)
		if err != nil {
			return nil, err
		}
		list = append(list, hub...)
	}
	for n := range list {
		list[n] = canonical(list[n])
	}
	return list, nil
}

// noSearchRegistries says whether no registries.conf tells where unqualified
// names are looked for. They mean Docker Hub then, as they always did.
func (i *Images) noSearchRegistries() bool {
	registries, origin, err := sysregistriesv2.UnqualifiedSearchRegistriesWithOrigin(&i.sys)
	return err == nil && len(registries) == 0 && origin == ""
}

// alias returns the short-name alias of ref, nil if it has none.
func (i *Images) alias(ref string) (reference.Named, string, error) {
	parsed, err := reference.Parse(ref)
	if err != nil {
		return nil, "", err
	}
	named, ok := parsed.(reference.Named)
	if !ok {
		return nil, "", ErrInvalidReference
	}
	return sysregistriesv2.ResolveShortNameAlias(&i.sys, reference.TrimNamed(named).String())
}

func (i *Images) dockerHub(ref string) ([]reference.Named, error) {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return nil, fmt.Errorf("%w: %q: %w", ErrInvalidReference, ref, err)
	}
	return []reference.Named{canonical(named)}, nil
}

// canonical returns named with exactly one of tag and digest: a digest makes the
// tag mean nothing, and neither means "latest".
func canonical(named reference.Named) reference.Named {
	if digested, ok := named.(reference.Digested); ok {
		if only, err := reference.WithDigest(reference.TrimNamed(named), digested.Digest()); err == nil {
			return only
		}
	}
	return reference.TagNameOnly(named)
}

// onLoopback says whether a registry is on this machine's own interface: such
// a one needs no TLS, as users know it from other engines.
func onLoopback(registry string) bool {
	host, _, err := net.SplitHostPort(registry)
	if err != nil {
		host = registry
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip.IsLoopback()
}
