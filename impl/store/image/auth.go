package image

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/image/v5/types"
)

// Auth are the credentials of one request, with the fields of the CRI's
// AuthConfig. The first that is set counts: RegistryToken, IdentityToken,
// Username and Password, Auth.
type Auth struct {
	Username      string
	Password      string
	Auth          string // base64 of "user:password"
	ServerAddress string // when set, the only registry that gets the credentials
	IdentityToken string
	RegistryToken string
}

// PullRequest says what to pull and with whose credentials.
type PullRequest struct {
	Ref  string
	Auth *Auth // nil: those of the auth file, if any
	// Namespace is that of the pod the image is for, "" if nobody knows. It must
	// be the name of a file.
	Namespace string
}

// apply puts the credentials into sys, if they are meant for the registry of
// named.
func (a *Auth) apply(sys *types.SystemContext, named reference.Named) error {
	if a == nil || !a.meant(reference.Domain(named)) {
		return nil
	}
	config := &types.DockerAuthConfig{Username: a.Username, Password: a.Password}
	switch {
	case a.RegistryToken != "":
		// The library keeps a token from mirrors only if there is a DockerAuthConfig.
		sys.DockerBearerRegistryToken, sys.DockerAuthConfig = a.RegistryToken, &types.DockerAuthConfig{}
		return nil
	case a.IdentityToken != "":
		config = &types.DockerAuthConfig{Username: a.Username, IdentityToken: a.IdentityToken}
	case a.Username == "" && a.Auth != "":
		// Docker fills up the decoded value with NUL bytes.
		text, err := base64.StdEncoding.DecodeString(a.Auth)
		user, password, ok := strings.Cut(strings.TrimRight(string(text), "\x00"), ":")
		if err != nil || !ok {
			return fmt.Errorf("%w: auth is not the base64 of user:password", ErrInvalidAuth)
		}
		config.Username, config.Password = user, password
	case a.Username == "" && a.Password == "":
		return nil
	}
	sys.DockerAuthConfig = config
	return nil
}

// meant says whether the credentials are for the registry.
func (a *Auth) meant(registry string) bool {
	if a.ServerAddress == "" {
		return true
	}
	host := a.ServerAddress
	if u, err := url.Parse(host); err == nil && u.Host != "" {
		host = u.Host
	}
	host, _, _ = strings.Cut(host, "/")
	return host == registry || registry == "docker.io" && strings.HasSuffix(host, ".docker.io")
}

// key names the transfer of these candidates for this request. Credentials and
// namespace are part of it: nobody gets an image by the rights of somebody else.
func key(candidates []reference.Named, r PullRequest) string {
	names := make([]string, 0, len(candidates))
	for _, c := range candidates {
		names = append(names, c.String())
	}
	data, err := json.Marshal(struct {
		Names     []string
		Auth      *Auth
		Namespace string
	}{names, r.Auth, r.Namespace})
	if err != nil { // strings only
		panic(err)
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
