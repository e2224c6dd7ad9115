package image

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/image/v5/types"
)

// FuzzReference takes anything as the name of an image. A name is refused as
// invalid, or stands for references that have a tag or a digest, never both,
// and that are read again as what they are.
func FuzzReference(f *testing.F) {
	dir := f.TempDir()
	conf := filepath.Join(dir, "registries.conf")
	text := "unqualified-search-registries = ['one.example', 'two.example']\nshort-name-mode = 'permissive'\n[aliases]\nalias = 'three.example/real'\n"
	require.NoError(f, os.WriteFile(conf, []byte(text), 0o600))
	i := &Images{sys: types.SystemContext{
		SystemRegistriesConfPath: conf, SystemRegistriesConfDirPath: filepath.Join(dir, "none"), UserShortNameAliasConfPath: filepath.Join(dir, "aliases"),
	}}
	const digest = "@sha256:9700f9a2f5bf2c45f2f605a0bd3bce7cf37420ec9d3ed50ac2758413308766bf"
	for _, ref := range []string{
		"busybox", "busybox:1", "alias", "library/busybox", "one.example/a/b:tag", "localhost:5000/a" + digest, "a:b" + digest, "127.0.0.1/a", "[::1]:5000/a",
		"", ":", "@", "UPPER", "sha256:9700f9a2f5bf", digest, "docker://a", "a//b", "a:", "http://a/b", "9700f9a2f5bf2c45f2f605a0bd3bce7cf37420ec9d3ed50ac2758413308766bf",
	} {
		f.Add(ref)
	}
	f.Fuzz(func(t *testing.T, ref string) {
		for what, resolve := range map[string]func(string) ([]reference.Named, error){"pull": i.pullCandidates, "local": i.localCandidates} {
			candidates, err := resolve(ref)
			if err != nil {
				require.ErrorIs(t, err, ErrInvalidReference, what)
				continue
			}
			require.NotEmpty(t, candidates, what)
			for _, c := range candidates {
				_, tagged := c.(reference.Tagged)
				_, digested := c.(reference.Digested)
				require.True(t, tagged != digested, "%s: %s", what, c)
				again, err := reference.ParseNamed(c.String())
				require.NoError(t, err, "%s: %s", what, c)
				require.Equal(t, c.String(), canonical(again).String())
			}
		}
	})
}
