package image_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"ocid/impl/store"
	"ocid/impl/store/image"
)

func TestStalledPullFails(t *testing.T) {
	addr := startRegistry(t, false)
	img := busybox(t, "one")
	push(t, addr+"/web:1", img)
	manifest, err := img.Manifest()
	require.NoError(t, err)
	last := manifest.Layers[1].Digest.String()
	stalls := map[string]func(w http.ResponseWriter, r *http.Request) bool{
		"before the manifest": func(_ http.ResponseWriter, r *http.Request) bool { return isManifest(r) },
		"before any blob":     func(_ http.ResponseWriter, r *http.Request) bool { return isBlob(r) },
		"one layer of two":    func(_ http.ResponseWriter, r *http.Request) bool { return filepath.Base(r.URL.Path) == last },
		"in the middle of a layer": func(w http.ResponseWriter, r *http.Request) bool {
			if filepath.Base(r.URL.Path) != last {
				return false
			}
			w.Header().Set("Content-Length", fmt.Sprint(manifest.Layers[1].Size))
			_, _ = w.Write([]byte{0x1f, 0x8b})
			w.(http.Flusher).Flush()
			return true
		},
	}
	for when, stall := range stalls {
		t.Run(when, func(t *testing.T) {
			proxy := startProxy(t, addr, func(w http.ResponseWriter, r *http.Request) bool {
				if !stall(w, r) {
					return false
				}
				<-r.Context().Done()
				return true
			})
			f := fresh(t, insecure(proxy), func(_ *store.Options, o *image.Options) { o.StallTimeout = 300 * time.Millisecond })
			_, err := f.pull(t, proxy+"/web:1", nil)
			assert.ErrorIs(t, err, image.ErrRegistryUnavailable)
			assert.ErrorContains(t, err, "no data for 300ms")
			f.requireNothing(t)
		})
	}
}

func TestSlowPullIsNotStalled(t *testing.T) {
	addr := startRegistry(t, false)
	img := big(t, 1<<20)
	push(t, addr+"/big:1", img)
	var paced atomic.Int32
	proxy := startProxy(t, addr, func(w http.ResponseWriter, r *http.Request) bool {
		layers, err := img.Layers()
		assert.NoError(t, err)
		d, err := layers[0].Digest()
		assert.NoError(t, err)
		if filepath.Base(r.URL.Path) != d.String() {
			return false
		}
		body, err := layers[0].Compressed()
		assert.NoError(t, err)
		defer body.Close()
		size, err := layers[0].Size()
		assert.NoError(t, err)
		w.Header().Set("Content-Length", fmt.Sprint(size))
		chunk := make([]byte, size/8+1)
		pace := time.NewTicker(200 * time.Millisecond)
		defer pace.Stop()
		for n, err := body.Read(chunk); n > 0 || err == nil; n, err = body.Read(chunk) {
			_, _ = w.Write(chunk[:n])
			w.(http.Flusher).Flush()
			paced.Add(1)
			if paced.Load() < 12 {
				<-pace.C
			}
		}
		return true
	})
	const stall = 1500 * time.Millisecond
	f := fresh(t, insecure(proxy), func(_ *store.Options, o *image.Options) { o.StallTimeout = stall })
	start := time.Now()
	f.mustPull(t, proxy+"/big:1")
	assert.Greater(t, time.Since(start), stall, "the test must take longer than the timeout to show anything")
}

func TestRegistryFaults(t *testing.T) {
	addr := startRegistry(t, false)
	img := busybox(t, "one")
	push(t, addr+"/web:1", img)
	manifest, err := img.Manifest()
	require.NoError(t, err)
	answer := func(when func(*http.Request) bool, status int, body string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			if !when(r) {
				return false
			}
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
			return true
		}
	}
	isLayer := func(r *http.Request) bool { return filepath.Base(r.URL.Path) == manifest.Layers[1].Digest.String() }
	cases := map[string]struct {
		fault func(http.ResponseWriter, *http.Request) bool
		class error
		text  string
	}{
		"manifest 503":     {answer(isManifest, 503, "later"), image.ErrRegistryUnavailable, "503"},
		"manifest 404":     {answer(isManifest, 404, `{"errors":[{"code":"MANIFEST_UNKNOWN"}]}`), image.ErrNotFound, "manifest unknown"},
		"manifest 403":     {answer(isManifest, 403, `{"errors":[{"code":"DENIED"}]}`), image.ErrUnauthorized, "denied"},
		"layer 500":        {answer(isLayer, 500, ""), image.ErrRegistryUnavailable, "500"},
		"layer wrong":      {answer(isLayer, 200, "not the layer"), nil, ""},
		"manifest garbage": {answer(isManifest, 200, "{"), nil, ""},
		"layer cut short": {func(w http.ResponseWriter, r *http.Request) bool {
			if !isLayer(r) {
				return false
			}
			w.Header().Set("Content-Length", fmt.Sprint(manifest.Layers[1].Size))
			panic(http.ErrAbortHandler)
		}, image.ErrRegistryUnavailable, ""},
	}
	for what, c := range cases {
		t.Run(what, func(t *testing.T) {
			proxy := startProxy(t, addr, c.fault)
			f := fresh(t, insecure(proxy), nil)
			_, err := f.pull(t, proxy+"/web:1", nil)
			require.Error(t, err)
			t.Log(err)
			if c.class != nil {
				assert.ErrorIs(t, err, c.class)
			}
			assert.ErrorContains(t, err, c.text)
			f.requireNothing(t)
		})
	}
}

func TestUnreachableRegistry(t *testing.T) {
	addr := startRegistry(t, false)
	f := fresh(t, insecure("127.0.0.1:1", addr), nil)
	_, err := f.pull(t, "127.0.0.1:1/web:1", nil)
	assert.ErrorIs(t, err, image.ErrRegistryUnavailable)
	assert.ErrorContains(t, err, "connection refused")
	_, err = f.pull(t, "no-such-host.invalid/web:1", nil)
	assert.ErrorIs(t, err, image.ErrRegistryUnavailable)
	_, err = f.pull(t, addr+"/nosuch:1", nil)
	assert.ErrorIs(t, err, image.ErrNotFound)
	for _, bad := range []string{"", "UPPER/Case", "a b", "host/x:", "../x"} {
		_, err = f.pull(t, bad, nil)
		assert.ErrorIs(t, err, image.ErrInvalidReference, bad)
	}
	f.requireNothing(t)
}

// loopDisk mounts a small ext4 of its own and returns its directory.
func loopDisk(t *testing.T, size int64) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "disk")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	require.NoError(t, os.Truncate(file, size))
	dir := t.TempDir()
	for _, args := range [][]string{{"mkfs.ext4", "-q", file}, {"mount", "-o", "loop", file, dir}} {
		out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
		require.NoError(t, err, string(out))
	}
	t.Cleanup(func() { require.NoError(t, unix.Unmount(dir, 0)) })
	return dir
}

func TestFullDisk(t *testing.T) {
	addr := startRegistry(t, false)
	push(t, addr+"/big:1", big(t, 40<<20))
	push(t, addr+"/tight:1", big(t, 18<<20)) // blob and layer together do not fit
	_, small := push(t, addr+"/web:1", busybox(t, "one"))
	disk := loopDisk(t, 32<<20)
	f := fresh(t, insecure(addr), func(o *store.Options, _ *image.Options) { o.Root = filepath.Join(disk, "root") })
	for _, ref := range []string{addr + "/big:1", addr + "/tight:1"} {
		_, err := f.pull(t, ref, nil)
		assert.ErrorContains(t, err, "no space left on device")
		f.requireNothing(t)
	}
	assert.Equal(t, small, f.mustPull(t, addr+"/web:1"), "usable again at once")
	pod, ctr := hexID("a"), hexID("b")
	require.NoError(t, f.store.CreateSandbox(pod, store.Metadata{}))
	require.NoError(t, f.store.CreateContainer(ctr, small, store.Metadata{PodID: pod}))
	path, err := f.store.Mount(ctr)
	require.NoError(t, err)
	assert.FileExists(t, filepath.Join(path, "bin/busybox"))
}

func TestBlobDirIsUsedAndEmptied(t *testing.T) {
	addr := startRegistry(t, false)
	push(t, addr+"/big:1", big(t, 1<<20))
	tiny := t.TempDir()
	require.NoError(t, unix.Mount("tmpfs", tiny, "tmpfs", 0, "size=256k"))
	t.Cleanup(func() { require.NoError(t, unix.Unmount(tiny, 0)) })
	f := fresh(t, insecure(addr), func(_ *store.Options, o *image.Options) { o.BlobDir = tiny })
	_, err := f.pull(t, addr+"/big:1", nil)
	assert.ErrorContains(t, err, "no space left on device", "blobs go elsewhere")
	f.requireNothing(t)
	entries, err := os.ReadDir(tiny)
	require.NoError(t, err)
	assert.Empty(t, entries)
}

func TestBrokenOffPullIsUndoneByNew(t *testing.T) {
	addr := startRegistry(t, false)
	_, known := push(t, addr+"/known:1", busybox(t, "known"))
	_, half := push(t, addr+"/half:1", busybox(t, "half"))
	push(t, addr+"/other:1", busybox(t, "other"))
	f := fresh(t, insecure(addr), nil)
	f.mustPull(t, addr+"/known:1")
	f.mustPull(t, addr+"/half:1")
	f.mustPull(t, addr+"/other:1")
	for n, ref := range []string{addr + "/known:1", addr + "/half:1"} {
		dir := filepath.Join(f.store.Root(), "pulls", fmt.Sprint("ocid-pull-", n))
		require.NoError(t, os.Mkdir(dir, 0o700))
		write(t, filepath.Join(dir, "pull.json"), fmt.Sprintf(`{"Name":%q,"Known":[%q]}`, ref, known))
		write(t, filepath.Join(dir, "blob"), "data")
	}
	_, err := image.New(f.store, f.options)
	require.NoError(t, err)
	list, err := f.List(t.Context())
	require.NoError(t, err)
	assert.Len(t, list, 2)
	assert.False(t, slices.ContainsFunc(list, func(i image.Image) bool { return i.ID == half }), "it may not be on disk")
	entries, err := os.ReadDir(filepath.Join(f.store.Root(), "pulls"))
	require.NoError(t, err)
	assert.Empty(t, entries)
	assert.Equal(t, half, f.mustPull(t, addr+"/half:1"))
}

func TestShutdownEndsPulls(t *testing.T) {
	addr := startRegistry(t, false)
	push(t, addr+"/web:1", busybox(t, "one"))
	hanging := make(chan struct{}, 10)
	proxy := startProxy(t, addr, func(_ http.ResponseWriter, r *http.Request) bool {
		if isBlob(r) {
			hanging <- struct{}{}
			<-r.Context().Done()
		}
		return false
	})
	base := t.TempDir()
	so := store.Options{Root: filepath.Join(base, "root"), RunRoot: filepath.Join(base, "run")}
	f := fresh(t, insecure(proxy), nil)
	s, err := store.Open(so)
	require.NoError(t, err)
	images, err := image.New(s, f.options)
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() {
		_, err := images.Pull(t.Context(), image.PullRequest{Ref: proxy + "/web:1"})
		done <- err
	}()
	<-hanging
	clean, err := s.Shutdown()
	require.NoError(t, err)
	assert.True(t, clean)
	assert.ErrorIs(t, <-done, store.ErrClosed)
	_, err = images.List(t.Context())
	assert.ErrorIs(t, err, store.ErrClosed)
}
