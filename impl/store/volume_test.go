package store

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func ownerOf(t *testing.T, path string) uint32 {
	t.Helper()
	info, err := os.Lstat(path)
	require.NoError(t, err)
	return info.Sys().(*syscall.Stat_t).Uid
}

func TestVolumeBeginsAsACopy(t *testing.T) {
	s := opened(t, dirs(t))
	require.NoError(t, s.CreateSandbox(id("a"), someMetadata()))
	root, err := s.Mount(id("a"))
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(filepath.Join(root, "real/below"), 0o750))
	require.NoError(t, os.WriteFile(filepath.Join(root, "real/file"), []byte("text"), 0o640))
	require.NoError(t, os.Chown(filepath.Join(root, "real/file"), 1000, 1000))
	require.NoError(t, os.Symlink("/real", filepath.Join(root, "link")))

	volume, err := s.Volume(id("a"), root, "/link")
	require.NoError(t, err)
	text, err := os.ReadFile(filepath.Join(volume, "file"))
	require.NoError(t, err)
	assert.Equal(t, "text", string(text))
	assert.EqualValues(t, 1000, ownerOf(t, filepath.Join(volume, "file")))
	assert.DirExists(t, filepath.Join(volume, "below"))

	require.NoError(t, os.Remove(filepath.Join(volume, "file")))
	again, err := s.Volume(id("a"), root, "/link")
	require.NoError(t, err)
	assert.Equal(t, volume, again)
	assert.NoFileExists(t, filepath.Join(again, "file"), "what the container has deleted stays deleted")

	for _, name := range []string{"/nothing", "/real/file"} {
		empty, err := s.Volume(id("a"), root, name)
		require.NoError(t, err, name)
		assert.NotEqual(t, volume, empty)
		entries, err := os.ReadDir(empty)
		require.NoError(t, err)
		assert.Empty(t, entries, name)
	}
	require.NoError(t, s.Delete(id("a")))
	assert.NoDirExists(t, volume)
}

func TestMakeDirStaysInside(t *testing.T) {
	root := t.TempDir()
	require.NoError(t, os.Chown(root, 1000, 1000))
	require.NoError(t, os.Symlink("/", filepath.Join(root, "up")))
	require.NoError(t, MakeDir(root, "/up/../../some/dir"))
	require.NoError(t, MakeDir(root, "/some/dir"), "twice")
	assert.EqualValues(t, 1000, ownerOf(t, filepath.Join(root, "some/dir")))
	assert.EqualValues(t, 1000, ownerOf(t, filepath.Join(root, "some")))
}

func TestInside(t *testing.T) {
	root := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(root, "a/b"), 0o755))
	require.NoError(t, os.Symlink("../../../../a", filepath.Join(root, "a/climbs")))
	require.NoError(t, os.Symlink("/etc/passwd", filepath.Join(root, "a/absolute")))
	for name, want := range map[string]string{"a/b": "a/b", "a/climbs/b": "a/b", ".": ""} {
		got, err := Inside(root, name)
		require.NoError(t, err, name)
		assert.Equal(t, filepath.Join(root, want), got)
	}
	for _, name := range []string{"a/absolute", "no/such"} {
		_, err := Inside(root, name)
		require.ErrorIs(t, err, fs.ErrNotExist, name)
	}
	for _, name := range []string{"../a", "/a", "a/../..", ""} {
		_, err := Inside(root, name)
		require.Error(t, err, name)
	}
}

func TestMappedOwners(t *testing.T) {
	s := opened(t, dirs(t))
	m := someMetadata()
	m.IDs = &IDs{UIDs: Range{Host: 100000, Size: 65536}, GIDs: Range{Host: 100000, Size: 65536}}
	require.NoError(t, s.CreateSandbox(id("a"), m))
	root, err := s.Mount(id("a"))
	require.NoError(t, err)
	assert.EqualValues(t, 100000, ownerOf(t, filepath.Dir(root)), "who is root inside can pass")
	for dir := filepath.Dir(filepath.Dir(root)); dir != filepath.Dir(s.root); dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		require.NoError(t, err)
		assert.Equal(t, fs.FileMode(0o711), info.Mode().Perm(), dir)
	}
	r, err := s.Record(id("a"))
	require.NoError(t, err)
	assert.Equal(t, m.IDs, r.Metadata.IDs)
}
