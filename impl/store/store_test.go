package store

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moby/sys/mountinfo"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
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
	mounts, err := mountinfo.GetMounts(mountinfo.SingleEntryFilter(path))
	require.NoError(t, err)
	require.Len(t, mounts, 1)
	assert.Contains(t, mounts[0].VFSOptions, "volatile")
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
