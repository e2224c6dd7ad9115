package namespace

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// ownedPins makes namespaces that a user namespace with the IDs from 100000 on
// owns.
func ownedPins(t *testing.T) []Pin {
	t.Helper()
	dir := newDir(t)
	pins := append(threePins(dir), Pin{User, filepath.Join(dir, "a-user")})
	require.NoError(t, Create(t.Context(), Spec{
		Pins: pins, UIDs: Range{Host: 100000, Size: 65536}, GIDs: Range{Host: 200000, Size: 1000}, Hostname: "owned",
		Sysctls: map[Kind]Sysctls{IPC: {"kernel/shmmax": "12345"}, Net: {"net/ipv4/ip_unprivileged_port_start": "0"}},
	}))
	t.Cleanup(func() { require.NoError(t, removeAll(pins)) })
	return pins
}

func TestUserNamespaceOwnsTheOthers(t *testing.T) {
	pins := ownedPins(t)
	user := inode(t, pins[3].Path)
	require.NotEqual(t, inode(t, "/proc/self/ns/user"), user)
	for _, p := range pins[:3] {
		f, err := os.Open(p.Path)
		require.NoError(t, err)
		owner, err := unix.IoctlRetInt(int(f.Fd()), unix.NS_GET_USERNS)
		require.NoError(t, err)
		var st unix.Stat_t
		require.NoError(t, unix.Fstat(owner, &st))
		require.Equal(t, user, st.Ino, "owner of the %s namespace", p.Kind)
		require.NoError(t, unix.Close(owner))
		require.NoError(t, f.Close())
	}
	require.NoError(t, inside(pins[:3], func() error {
		name, err := os.Hostname()
		require.NoError(t, err)
		require.Equal(t, "owned", name)
		for path, want := range map[string]string{"/proc/sys/kernel/shmmax": "12345", "/proc/thread-self/root/proc/sys/net/ipv4/ip_unprivileged_port_start": "0"} {
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, want, strings.TrimSpace(string(text)), path)
		}
		return nil
	}))
}

func TestUserNamespaceNeedsRanges(t *testing.T) {
	dir := newDir(t)
	pin := Pin{User, filepath.Join(dir, "a-user")}
	one := Range{Host: 1000, Size: 1}
	require.Error(t, Create(t.Context(), Spec{Pins: []Pin{pin}}))
	require.Error(t, Create(t.Context(), Spec{Pins: []Pin{pin}, UIDs: one}))
	require.Error(t, Create(t.Context(), Spec{Pins: threePins(dir), UIDs: one, GIDs: one}))
	require.NoFileExists(t, pin.Path)
}

func TestBindMappedShowsOwners(t *testing.T) {
	pins := ownedPins(t)
	source := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(source, "file"), []byte("text"), 0o600))
	for _, name := range []string{"", "file"} {
		target := filepath.Join(t.TempDir(), "target")
		require.NoError(t, BindMapped(filepath.Join(source, name), target, pins[3].Path))
		var st unix.Stat_t
		require.NoError(t, unix.Stat(target, &st))
		require.EqualValues(t, 100000, st.Uid)
		require.EqualValues(t, 200000, st.Gid)
		require.NoError(t, unix.Stat(filepath.Join(source, name), &st))
		require.Zero(t, st.Uid, "the source stays as it is")
		require.NoError(t, Unbind(target))
		require.NoError(t, Unbind(target), "twice")
		require.NoFileExists(t, target)
	}
	require.FileExists(t, filepath.Join(source, "file"))
}

func TestUnbindDeletesNothing(t *testing.T) {
	target := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(target, "precious"), nil, 0o600))
	require.Error(t, Unbind(target))
	require.FileExists(t, filepath.Join(target, "precious"))
}
