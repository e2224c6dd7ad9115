package store

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.podman.io/storage"
	"golang.org/x/sys/unix"
)

// childRoot names the variable that makes this executable open a root and wait.
const childRoot = "STORE_TEST_CHILD_ROOT"

func TestMain(m *testing.M) {
	if Reexec() {
		return
	}
	if root := os.Getenv(childRoot); root != "" {
		own, err := own(root)
		if err != nil {
			os.Exit(1)
		}
		os.Stdout.WriteString("locked\n")
		_, _ = os.Stdin.Read(make([]byte, 1))
		_ = own.Close()
		return
	}
	os.Exit(m.Run())
}

// id returns a valid ID that ends in the given hexadecimal digits.
func id(end string) string { return strings.Repeat("0", 64-len(end)) + end }

func dirs(t testing.TB) Options {
	base := t.TempDir()
	return Options{Root: filepath.Join(base, "root"), RunRoot: filepath.Join(base, "run")}
}

// opened opens a store that is shut down, with nothing mounted, at the end.
func opened(t testing.TB, o Options) *Store {
	t.Helper()
	s, err := Open(o)
	require.NoError(t, err)
	t.Cleanup(func() { wipe(t, s) })
	return s
}

// wipe deletes all records and shuts s down, unless the test did.
func wipe(t testing.TB, s *Store) {
	records, err := s.Containers()
	if errors.Is(err, ErrClosed) {
		return
	}
	require.NoError(t, err)
	for _, r := range records {
		require.NoError(t, s.Delete(r.ID))
	}
	clean, err := s.Shutdown()
	require.NoError(t, err)
	require.True(t, clean)
	assert.False(t, isMounted(filepath.Join(s.root, "overlay")), "driver home stays mounted")
}

func someMetadata() Metadata {
	return Metadata{Name: "web", Namespace: "default", UID: "u1", Attempt: 3}
}

func TestSandboxAndContainerRecords(t *testing.T) {
	s := opened(t, dirs(t))
	image, err := s.back.CreateImage(id("1111"), nil, "", "", nil)
	require.NoError(t, err)
	pod, ctr := id("a"), id("b")
	require.NoError(t, s.CreateSandbox(pod, someMetadata()))
	m := Metadata{PodID: pod, Name: "app", Image: "busybox", ImageRef: image.ID, Attempt: 1}
	require.NoError(t, s.CreateContainer(ctr, image.ID, m))
	assert.ErrorIs(t, s.CreateContainer(ctr, image.ID, m), ErrExists)
	assert.ErrorIs(t, s.CreateSandbox(pod, someMetadata()), ErrExists)

	got, err := s.Record(pod)
	require.NoError(t, err)
	want := someMetadata()
	want.Pod, want.PodID = true, pod
	assert.Equal(t, want, got.Metadata)
	assert.Empty(t, got.ImageID)
	assert.WithinDuration(t, time.Now(), got.Created, time.Minute)
	got, err = s.Record(ctr)
	require.NoError(t, err)
	assert.Equal(t, m, got.Metadata)
	assert.Equal(t, image.ID, got.ImageID)
}

func TestBadArguments(t *testing.T) {
	s := opened(t, dirs(t))
	for _, bad := range []string{"", "abc", "../../etc", strings.Repeat("A", 64), id("") + "0"} {
		assert.ErrorIs(t, s.CreateSandbox(bad, Metadata{}), ErrInvalidID, bad)
		assert.ErrorIs(t, s.Delete(bad), ErrInvalidID, bad)
		_, _, err := s.Dirs(bad)
		assert.ErrorIs(t, err, ErrInvalidID, bad)
	}
	pod := id("a")
	assert.ErrorIs(t, s.CreateContainer(id("b"), id("c"), Metadata{PodID: pod}), ErrNoImage)
	assert.ErrorIs(t, s.CreateContainer(id("b"), "busybox", Metadata{PodID: pod}), ErrNoImage)
	assert.ErrorIs(t, s.CreateContainer(id("b"), id("c"), Metadata{}), ErrInvalidID)
	_, err := s.Mount(id("b"))
	assert.ErrorIs(t, err, ErrNoRecord)
	layers, err := s.back.Layers()
	require.NoError(t, err)
	assert.Empty(t, layers, "a refused create leaves a layer")
}

func TestForeignRecordsAreReportedNotTouched(t *testing.T) {
	o := dirs(t)
	s := opened(t, o)
	require.NoError(t, s.CreateSandbox(id("a"), someMetadata()))
	for i, text := range []string{"", "not json", `{"pod-id":"x","name":"y"}`} {
		_, err := s.back.CreateContainer(id("f"+string(rune('0'+i))), []string{"other" + string(rune('0'+i))}, "", "", text, nil)
		require.NoError(t, err)
	}
	require.NoError(t, s.GarbageCollect())
	records, err := s.Containers()
	require.NoError(t, err)
	foreign := 0
	for _, r := range records {
		if r.Foreign != nil {
			foreign++
			assert.Equal(t, Metadata{}, r.Metadata)
		}
	}
	assert.Len(t, records, 4)
	assert.Equal(t, 3, foreign)
}

func TestMountUnmountAreIdempotent(t *testing.T) {
	s := opened(t, dirs(t))
	pod := id("a")
	require.NoError(t, s.CreateSandbox(pod, someMetadata()))
	path, err := s.Mount(pod)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(path, "file"), []byte("kept"), 0o600))
	again, err := s.Mount(pod)
	require.NoError(t, err)
	assert.Equal(t, path, again)
	_, err = s.back.Mount(pod, "") // somebody else's count
	require.NoError(t, err)

	require.NoError(t, s.Unmount(pod))
	assert.False(t, isMounted(path), "one Unmount undoes all Mounts")
	mounted, err := s.Mounted(pod)
	require.NoError(t, err)
	assert.False(t, mounted)
	require.NoError(t, s.Unmount(pod))
	require.NoError(t, s.Unmount(id("cafe")), "no record")

	path, err = s.Mount(pod)
	require.NoError(t, err)
	data, err := os.ReadFile(filepath.Join(path, "file"))
	require.NoError(t, err)
	assert.Equal(t, "kept", string(data))
	// Unmounted behind our back: the next Mount mounts again.
	require.NoError(t, unix.Unmount(path, 0))
	mounted, err = s.Mounted(pod)
	require.NoError(t, err)
	assert.False(t, mounted)
	path, err = s.Mount(pod)
	require.NoError(t, err)
	assert.True(t, isMounted(path))
	require.NoError(t, s.Unmount(pod))
	assert.False(t, isMounted(path))
}

func TestDeleteToleratesHalves(t *testing.T) {
	s := opened(t, dirs(t))
	pod := id("a")
	require.NoError(t, s.Delete(pod), "nothing at all")

	require.NoError(t, s.CreateSandbox(pod, someMetadata()))
	path, err := s.Mount(pod)
	require.NoError(t, err)
	ctrDir, runDir, err := s.Dirs(pod)
	require.NoError(t, err)
	require.NoError(t, s.Delete(pod), "mounted")
	assert.False(t, isMounted(path))
	assert.NoDirExists(t, filepath.Dir(path))
	assert.NoDirExists(t, filepath.Dir(ctrDir))
	assert.NoDirExists(t, filepath.Dir(runDir))
	require.NoError(t, s.Delete(pod), "again")

	// A create that broke off between layer and record.
	_, err = s.back.CreateLayer(pod, "", nil, "", true, nil)
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(ctrDir, 0o700))
	require.NoError(t, s.Delete(pod), "layer only")
	assert.NoDirExists(t, filepath.Dir(path))
	assert.NoDirExists(t, filepath.Dir(ctrDir))

	// A record whose layer is gone.
	require.NoError(t, s.CreateSandbox(pod, someMetadata()))
	require.NoError(t, os.RemoveAll(filepath.Dir(path)))
	require.NoError(t, s.Delete(pod), "record only")
	records, err := s.Containers()
	require.NoError(t, err)
	assert.Empty(t, records)
}

func TestConfigIsInBothDirectories(t *testing.T) {
	s := opened(t, dirs(t))
	pod := id("a")
	assert.ErrorIs(t, s.WriteConfig(pod, []byte("{}")), ErrNoRecord)
	require.NoError(t, s.CreateSandbox(pod, someMetadata()))
	_, err := s.ReadConfig(pod)
	assert.ErrorIs(t, err, fs.ErrNotExist)
	for _, text := range []string{`{"ociVersion":"1"}`, `{"ociVersion":"2"}`} {
		require.NoError(t, s.WriteConfig(pod, []byte(text)))
		got, err := s.ReadConfig(pod)
		require.NoError(t, err)
		assert.Equal(t, text, string(got))
		ctrDir, runDir, err := s.Dirs(pod)
		require.NoError(t, err)
		assert.True(t, strings.HasPrefix(ctrDir, s.root) && strings.HasPrefix(runDir, s.runRoot))
		for _, dir := range []string{ctrDir, runDir} {
			data, err := os.ReadFile(filepath.Join(dir, "config.json"))
			require.NoError(t, err)
			assert.Equal(t, text, string(data))
			entries, err := os.ReadDir(dir)
			require.NoError(t, err)
			assert.Len(t, entries, 1, "temporary files stay")
		}
	}
}

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

func TestConcurrentUse(t *testing.T) {
	s := opened(t, dirs(t))
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() {
			pod := id(string("0123456789abcdef"[i]) + "77")
			for range 2 {
				assert.NoError(t, s.CreateSandbox(pod, someMetadata()))
				_, err := s.Mount(pod)
				assert.NoError(t, err)
				assert.NoError(t, s.WriteConfig(pod, []byte("{}")))
				_, err = s.Containers()
				assert.NoError(t, err)
				assert.NoError(t, s.Unmount(pod))
				assert.NoError(t, s.Delete(pod))
			}
		})
	}
	wg.Wait()
	layers, err := s.back.Layers()
	require.NoError(t, err)
	assert.Empty(t, layers)
}

func TestMetadataIsStable(t *testing.T) {
	text, err := encode(Metadata{Pod: true, PodID: "p", Name: "n"})
	require.NoError(t, err)
	var fields map[string]any
	require.NoError(t, json.Unmarshal([]byte(text), &fields))
	assert.Equal(t, map[string]any{
		"ocid": 1.0, "pod": true, "podID": "p", "name": "n", "namespace": "", "uid": "", "attempt": 0.0,
	}, fields, "records of older versions must stay readable")
}

// BenchmarkRecord measures create and delete of one record, flushed and not, and
// is the reason of the choice in CreateSandbox.
func BenchmarkRecord(b *testing.B) {
	for _, volatile := range []bool{false, true} {
		name := map[bool]string{false: "flushed", true: "volatile"}[volatile]
		b.Run(name, func(b *testing.B) {
			s := opened(b, dirs(b))
			for b.Loop() {
				_, err := s.back.CreateContainer(id("a"), nil, "", id("a"), "{}", &storage.ContainerOptions{Volatile: volatile})
				require.NoError(b, err)
				require.NoError(b, s.back.DeleteContainer(id("a")))
			}
		})
	}
}

// BenchmarkMount measures mount and unmount of one root filesystem.
func BenchmarkMount(b *testing.B) {
	s := opened(b, dirs(b))
	require.NoError(b, s.CreateSandbox(id("a"), someMetadata()))
	for b.Loop() {
		_, err := s.Mount(id("a"))
		require.NoError(b, err)
		require.NoError(b, s.Unmount(id("a")))
	}
}
