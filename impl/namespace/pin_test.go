package namespace

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/moby/sys/mountinfo"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestHalfMadePin(t *testing.T) {
	dir := newDir(t)
	path := filepath.Join(dir, "half")
	require.NoError(t, os.MkdirAll(dir, 0o755))
	half := func() { require.NoError(t, os.WriteFile(path, nil, 0o444)) }

	half()
	require.False(t, isOpen(t, path))
	require.NoError(t, Remove(path))
	require.NoFileExists(t, path)

	half()
	require.NoError(t, Create(t.Context(), Spec{Pins: []Pin{{Net, path}}}))
	require.True(t, isOpen(t, path))
	require.NoError(t, Remove(path))
}

func TestAlreadyPinned(t *testing.T) {
	dir := newDir(t)
	pins := threePins(dir)
	require.NoError(t, Create(t.Context(), Spec{Pins: pins[2:]}))
	before := inode(t, pins[2].Path)

	var pinned *PinnedError
	require.ErrorAs(t, Create(t.Context(), Spec{Pins: pins}), &pinned)
	require.Equal(t, pins[2].Path, pinned.Path)
	require.Equal(t, before, inode(t, pins[2].Path))
	require.NoFileExists(t, pins[0].Path)
	require.NoFileExists(t, pins[1].Path)
	require.NoError(t, Remove(pins[2].Path))
}

func TestRemoveTakesStackedMounts(t *testing.T) {
	dir := newDir(t)
	pin := Pin{Net, filepath.Join(dir, "stack")}
	require.NoError(t, Create(t.Context(), Spec{Pins: []Pin{pin}}))
	for range 3 {
		require.NoError(t, unix.Mount("/proc/self/ns/net", pin.Path, "", unix.MS_BIND, ""))
	}
	require.NoError(t, Remove(pin.Path))
	require.NoFileExists(t, pin.Path)
}

func TestRemoveLeavesOtherThingsAlone(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	link := filepath.Join(dir, "link")
	require.NoError(t, os.WriteFile(file, []byte("precious"), 0o600))
	require.NoError(t, os.Symlink(file, link))
	for _, path := range []string{dir, file, link} {
		require.ErrorContains(t, Remove(path), "is not a namespace file")
	}
	require.FileExists(t, file)
	require.FileExists(t, link)
	require.NoError(t, Remove(filepath.Join(dir, "no", "such", "file")))
}

func TestDirectoryIsShared(t *testing.T) {
	dir := newDir(t)
	pin := Pin{Net, filepath.Join(dir, "n")}
	require.NoError(t, Create(t.Context(), Spec{Pins: []Pin{pin}}))
	mounts, err := mountinfo.GetMounts(mountinfo.SingleEntryFilter(dir))
	require.NoError(t, err)
	require.Len(t, mounts, 1)
	require.Contains(t, mounts[0].Optional, "shared:")

	require.NoError(t, ReleaseDir(dir), "with a pin in it")
	require.True(t, isOpen(t, pin.Path))
	require.NoError(t, Remove(pin.Path))
	require.NoError(t, ReleaseDir(dir))
	mounted, err := mountinfo.Mounted(dir)
	require.NoError(t, err)
	require.False(t, mounted)
}

// Whoever makes the directory a mount holds its lock meanwhile; others wait and
// then find it done.
func TestDirectoryIsMountedOnce(t *testing.T) {
	dir := newDir(t)
	require.NoError(t, os.MkdirAll(dir, 0o755))
	f, err := os.Open(dir)
	require.NoError(t, err)
	defer f.Close()
	require.NoError(t, unix.Flock(int(f.Fd()), unix.LOCK_EX))
	done := make(chan error, 1)
	go func() { done <- shareDir(dir) }()
	waiter := fmt.Sprintf(":%d 0 EOF", inode(t, dir))
	require.Eventually(t, func() bool {
		locks, err := os.ReadFile("/proc/locks")
		for line := range strings.Lines(string(locks)) {
			if strings.Contains(line, "-> FLOCK") && strings.Contains(line, waiter) {
				return true
			}
		}
		return err != nil
	}, 5*time.Second, time.Millisecond)

	require.NoError(t, unix.Mount(dir, dir, "", unix.MS_BIND, ""))
	_, err = makeShared(dir)
	require.NoError(t, err)
	require.NoError(t, unix.Flock(int(f.Fd()), unix.LOCK_UN))
	require.NoError(t, <-done)
	mounts, err := mountinfo.GetMounts(mountinfo.SingleEntryFilter(dir))
	require.NoError(t, err)
	require.Len(t, mounts, 1)
}

// Another program may have pinned namespaces there without making the directory a
// mount first.
func TestForeignPinStaysInSight(t *testing.T) {
	dir := newDir(t)
	foreign, pin := filepath.Join(dir, "foreign"), Pin{Net, filepath.Join(dir, "ours")}
	require.NoError(t, os.MkdirAll(dir, 0o755))
	require.NoError(t, os.WriteFile(foreign, nil, 0o444))
	require.NoError(t, unix.Mount("/proc/self/ns/net", foreign, "", unix.MS_BIND, ""))
	t.Cleanup(func() { // the directory's mount hides the first of the two
		require.NoError(t, unix.Unmount(dir, unix.MNT_DETACH))
		require.NoError(t, Remove(foreign))
	})
	require.NoError(t, Create(t.Context(), Spec{Pins: []Pin{pin}}))
	require.True(t, isOpen(t, foreign))
	require.NoError(t, Remove(pin.Path))
}

func TestDo(t *testing.T) {
	dir := newDir(t)
	pin := Pin{Net, filepath.Join(dir, "n")}
	require.ErrorIs(t, Do(pin.Path, func() error { return nil }), os.ErrNotExist)
	require.NoError(t, Create(t.Context(), Spec{Pins: []Pin{pin}}))
	want := inode(t, pin.Path)
	boom := errors.New("boom")
	err := Do(pin.Path, func() error {
		var st unix.Stat_t
		if err := unix.Stat("/proc/thread-self/ns/net", &st); err != nil {
			return err
		}
		if st.Ino != want {
			return fmt.Errorf("in namespace %d, not %d", st.Ino, want)
		}
		return boom
	})
	require.ErrorIs(t, err, boom)
	require.NoError(t, Remove(pin.Path))
}
