package dirwatch

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestConcerns(t *testing.T) {
	const dir = "/etc/cni/net.d"
	for name, want := range map[string]bool{
		"//etc": true, "/etc/cni": true, dir: true, dir + "/10.conflist": true, dir + "/sub/x": true,
		"/etc/passwd": false, dir + "x": false, "/etc/cn": false, "//tmp": false,
	} {
		require.Equal(t, want, concerns(name, dir), name)
	}
	require.Equal(t, []string{"/", "/etc", "/etc/cni", dir}, lineage(dir))
}

// A file and a directory that do not exist at first, made, replaced and
// removed: each is told, other files are not.
func TestWatchFilesAndDirectories(t *testing.T) {
	root := t.TempDir()
	file, dir := filepath.Join(root, "etc", "a.toml"), filepath.Join(root, "etc", "a.d")
	told := make(chan struct{}, 100)
	w, err := Watch([]string{file, dir}, func() { told <- struct{}{} }, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	expect := func(what string) {
		t.Helper()
		select {
		case <-told:
		case <-time.After(5 * time.Second):
			t.Fatal("not told of " + what)
		}
		for quiet := false; !quiet; { // one action is several events
			select {
			case <-told:
			case <-time.After(100 * time.Millisecond):
				quiet = true
			}
		}
	}
	require.NoError(t, os.Mkdir(filepath.Join(root, "etc"), 0o755))
	expect("the directory above")
	require.NoError(t, os.WriteFile(file, []byte("1"), 0o644))
	expect("the file")
	require.NoError(t, os.WriteFile(file+".next", []byte("2"), 0o644))
	require.NoError(t, os.Rename(file+".next", file))
	expect("its replacement")
	require.NoError(t, os.Mkdir(dir, 0o755))
	expect("the directory")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "x"), []byte("1"), 0o644))
	expect("a file in the directory")
	require.NoError(t, os.RemoveAll(dir))
	expect("its removal")
	require.NoError(t, os.WriteFile(filepath.Join(root, "other"), nil, 0o644))
	select {
	case <-told:
		t.Fatal("told of a file that nobody asked for")
	case <-time.After(100 * time.Millisecond):
	}
	require.NoError(t, w.Close())
}
