package store

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestShutdownAndReopen(t *testing.T) {
	o := dirs(t)
	s := opened(t, o)
	pod := id("a")
	require.NoError(t, s.CreateSandbox(pod, someMetadata()))
	path, err := s.Mount(pod)
	require.NoError(t, err)
	require.NoError(t, s.WriteConfig(pod, []byte("{}")))
	clean, err := s.Shutdown()
	require.NoError(t, err)
	assert.False(t, clean, "a container filesystem is in use")
	assert.True(t, isMounted(path), "it is left alone")
	_, err = s.Shutdown()
	assert.ErrorIs(t, err, ErrClosed)
	_, err = s.Mount(pod)
	assert.ErrorIs(t, err, ErrClosed)
	assert.ErrorIs(t, s.CreateSandbox(id("b"), someMetadata()), ErrClosed)

	s = opened(t, o)
	require.NoError(t, s.GarbageCollect())
	mounted, err := s.Mounted(pod)
	require.NoError(t, err)
	assert.True(t, mounted, "adopted")
	r, err := s.Record(pod)
	require.NoError(t, err)
	assert.Equal(t, "web", r.Metadata.Name)
	require.NoError(t, s.Unmount(pod))
	assert.False(t, isMounted(path))
	clean, err = s.Shutdown()
	require.NoError(t, err)
	assert.True(t, clean)
	assert.False(t, isMounted(filepath.Join(o.Root, "overlay")), "driver home stays mounted")

	s = opened(t, o)
	data, err := s.ReadConfig(pod)
	require.NoError(t, err)
	assert.Equal(t, "{}", string(data))
}

func TestShutdownWaitsForHolders(t *testing.T) {
	s := opened(t, dirs(t))
	_, release, err := s.Hold()
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() {
		_, err := s.Shutdown()
		done <- err
	}()
	<-s.Closing()
	_, _, err = s.Hold()
	assert.ErrorIs(t, err, ErrClosed)
	assert.Empty(t, done, "Shutdown did not wait")
	release()
	release() // harmless
	require.NoError(t, <-done)
}

func TestRebootWithRunRootGoneOrStale(t *testing.T) {
	for _, gone := range []bool{true, false} {
		o := dirs(t)
		s := opened(t, o)
		pod := id("a")
		require.NoError(t, s.CreateSandbox(pod, someMetadata()))
		path, err := s.Mount(pod)
		require.NoError(t, err)
		_, err = s.Shutdown()
		require.NoError(t, err)
		require.NoError(t, unix.Unmount(path, 0))
		require.NoError(t, unix.Unmount(filepath.Join(o.Root, "overlay"), 0))
		if gone {
			require.NoError(t, os.RemoveAll(o.RunRoot))
		}
		s = opened(t, o)
		mounted, err := s.Mounted(pod)
		require.NoError(t, err)
		assert.False(t, mounted)
		clean, err := s.Shutdown()
		require.NoError(t, err)
		assert.True(t, clean, "a mount of before the reboot keeps the storage from a clean shutdown")
		s = opened(t, o)
		require.NoError(t, s.Delete(pod))
	}
}

func TestTornVolatileRecordsDoNotBlockOpen(t *testing.T) {
	o := dirs(t)
	s := opened(t, o)
	require.NoError(t, s.CreateSandbox(id("a"), someMetadata()))
	_, err := s.Shutdown()
	require.NoError(t, err)
	for _, kind := range []string{"containers", "layers"} {
		file := filepath.Join(o.Root, "overlay-"+kind, "volatile-"+kind+".json")
		require.FileExists(t, file)
		require.NoError(t, os.WriteFile(file, make([]byte, 512), 0o600))
	}
	s = opened(t, o)
	require.NoError(t, s.GarbageCollect())
	records, err := s.Containers()
	require.NoError(t, err)
	assert.Empty(t, records)
	assert.NoDirExists(t, filepath.Join(o.Root, "overlay", id("a")), "garbage stays")
	require.NoError(t, s.CreateSandbox(id("a"), someMetadata()))
}

func TestGarbageCollectAfterUncleanEnd(t *testing.T) {
	s := opened(t, dirs(t))
	require.NoError(t, s.CreateSandbox(id("a"), someMetadata()))
	parent := ""
	for _, end := range []string{"e1", "e2", "e3"} {
		layer, err := s.back.CreateLayer(id(end), parent, nil, "", false, nil)
		require.NoError(t, err)
		parent = layer.ID
	}
	stale := filepath.Join(s.runRoot, "overlay-containers", id("dead"), "userdata")
	require.NoError(t, os.MkdirAll(stale, 0o700))
	require.NoError(t, s.GarbageCollect())
	layers, err := s.back.Layers()
	require.NoError(t, err)
	require.Len(t, layers, 1)
	assert.Equal(t, id("a"), layers[0].ID)
	assert.NoDirExists(t, stale)
}

func TestOpenRefuses(t *testing.T) {
	o := dirs(t)
	_, err := Open(Options{Root: "relative", RunRoot: o.RunRoot})
	assert.ErrorContains(t, err, "absolute")
	_, err = Open(Options{Root: o.Root + ",x", RunRoot: o.RunRoot})
	assert.ErrorContains(t, err, "mount options")
	o.Driver = "nosuch"
	_, err = Open(o)
	assert.ErrorIs(t, err, ErrDriver)
	assert.ErrorContains(t, err, "nosuch")
	o.Driver, o.DriverOptions = "", []string{"overlay.nosuch=1"}
	_, err = Open(o)
	assert.ErrorIs(t, err, ErrDriver)

	o = dirs(t)
	require.NoError(t, os.MkdirAll(o.Root, 0o700))
	require.NoError(t, unix.Mount("tmpfs", o.Root, "tmpfs", unix.MS_RDONLY, "size=1m"))
	t.Cleanup(func() { require.NoError(t, unix.Unmount(o.Root, 0)) })
	_, err = Open(o)
	assert.ErrorIs(t, err, unix.EROFS)
}

func TestRootOfAnotherProcessIsRefused(t *testing.T) {
	o := dirs(t)
	require.NoError(t, os.MkdirAll(o.Root, 0o700))
	child := exec.Command("/proc/self/exe")
	child.Env = append(os.Environ(), childRoot+"="+o.Root)
	in, err := child.StdinPipe()
	require.NoError(t, err)
	out, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	_, err = out.Read(make([]byte, 16))
	require.NoError(t, err)
	_, err = Open(o)
	assert.ErrorIs(t, err, ErrLocked)
	require.NoError(t, in.Close())
	require.NoError(t, child.Wait())
	opened(t, o)
}

func TestRunRootGoneUnderLiveMount(t *testing.T) {
	o := dirs(t)
	s := opened(t, o)
	pod, other := id("a"), id("b")
	var paths []string
	for _, p := range []string{pod, other} {
		require.NoError(t, s.CreateSandbox(p, someMetadata()))
		path, err := s.Mount(p)
		require.NoError(t, err)
		paths = append(paths, path)
	}
	_, err := s.Shutdown()
	require.NoError(t, err)
	require.NoError(t, os.RemoveAll(o.RunRoot))
	s = opened(t, o)
	require.NoError(t, s.Unmount(pod))
	require.NoError(t, s.Delete(other))
	for _, path := range paths {
		assert.False(t, isMounted(path))
	}
}
