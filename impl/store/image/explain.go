package image

import (
	"cmp"
	"fmt"
	"strings"

	"go.podman.io/image/v5/pkg/docker/config"
	"go.podman.io/image/v5/pkg/sysregistriesv2"
)

// A Candidate is a full reference that a name may stand for, and where it would
// be pulled from.
type Candidate struct {
	Name        string
	Sources     []Place // mirrors first, in the order they would be tried
	Credentials bool    // the auth files have some for it
	Blocked     bool    // registries.conf forbids it
}

// A Place is where an image may be pulled from.
type Place struct {
	Location string
	Insecure bool // without TLS, or with a certificate that nobody checks
}

// Explain says what Pull would do with a reference. It asks no registry.
func (i *Images) Explain(ref string) ([]Candidate, error) {
	names, err := i.pullCandidates(ref)
	if err != nil {
		return nil, fmt.Errorf("image %q: %w", ref, err)
	}
	var all []Candidate
	for _, named := range names {
		c := Candidate{Name: named.String()}
		registry, err := sysregistriesv2.FindRegistry(&i.sys, named.Name())
		if err != nil {
			return nil, fmt.Errorf("image %q: registries.conf: %w", ref, err)
		}
		if registry == nil {
			registry = &sysregistriesv2.Registry{Endpoint: sysregistriesv2.Endpoint{Location: named.Name()}, Prefix: named.Name()}
		}
		c.Blocked = registry.Blocked
		sources, err := registry.PullSourcesFromReference(named)
		if err != nil {
			return nil, fmt.Errorf("image %q: registries.conf: %w", ref, err)
		}
		for _, s := range sources {
			c.Sources = append(c.Sources, Place{Location: s.Reference.String(), Insecure: s.Endpoint.Insecure})
		}
		auth, err := config.GetCredentialsForRef(&i.sys, named)
		if err != nil {
			return nil, fmt.Errorf("image %q: credentials: %w", ref, err)
		}
		c.Credentials = auth.Username != "" || auth.IdentityToken != ""
		all = append(all, c)
	}
	return all, nil
}

// Registries says in words what registries.conf configures: where unqualified
// names are looked for, and each registry with its mirrors.
func (i *Images) Registries() ([]string, error) {
	search, origin, err := sysregistriesv2.UnqualifiedSearchRegistriesWithOrigin(&i.sys)
	if err != nil {
		return nil, fmt.Errorf("registries.conf: %w", err)
	}
	lines := []string{"unqualified names mean docker.io"}
	if len(search) > 0 {
		lines[0] = fmt.Sprintf("unqualified names are looked for in %s (%s)", strings.Join(search, ", "), origin)
	}
	all, err := sysregistriesv2.GetRegistries(&i.sys)
	if err != nil {
		return nil, fmt.Errorf("registries.conf: %w", err)
	}
	for _, r := range all {
		line := "registry " + r.Prefix
		for _, m := range r.Mirrors {
			line += ", mirror " + m.Location
		}
		lines = append(lines, line)
	}
	return lines, nil
}

// Where containers/image looks for registries when nothing else is said. Its
// own function that tells is deprecated, without another that gives paths.
const (
	registriesConf    = "/etc/containers/registries.conf"
	registriesConfDir = "/etc/containers/registries.conf.d"
)

// ConfigPaths are the files and directories that say where images come from.
func (i *Images) ConfigPaths() []string {
	return []string{
		cmp.Or(i.sys.SystemRegistriesConfPath, registriesConf),
		cmp.Or(i.sys.SystemRegistriesConfDirPath, registriesConfDir),
	}
}
