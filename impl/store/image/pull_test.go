package image_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"ocid/impl/store"
	"ocid/impl/store/image"
)

func TestPullByTagDigestAndBoth(t *testing.T) {
	addr := startRegistry(t, false)
	digest, id := push(t, addr+"/a/web:1", busybox(t, "one"))
	f := fresh(t, insecure(addr), nil)

	start := time.Now()
	assert.Equal(t, id, f.mustPull(t, addr+"/a/web:1"))
	first := time.Since(start)
	img := f.status(t, addr+"/a/web:1")
	assert.Equal(t, id, img.ID)
	assert.Equal(t, []string{addr + "/a/web:1"}, img.RepoTags)
	assert.Equal(t, []string{addr + "/a/web@" + digest}, img.RepoDigests)
	assert.Equal(t, digest, img.Digest.String())
	assert.Equal(t, "1000:1000", img.User)
	assert.Equal(t, map[string]string{"marker": "one"}, img.Labels)
	assert.Equal(t, []string{"/bin/busybox"}, img.Config.Config.Cmd)
	busyboxFile, err := os.Stat("/bin/busybox")
	require.NoError(t, err)
	assert.Greater(t, img.Size, uint64(busyboxFile.Size()))
	assert.Less(t, img.Size, uint64(busyboxFile.Size())+100_000)
	start = time.Now()
	assert.Equal(t, id, f.mustPull(t, addr+"/a/web:1"), "pulled again")
	t.Logf("pull of %d bytes: %s; again: %s", img.Size, first, time.Since(start))

	require.NoError(t, f.Remove(t.Context(), id))
	f.requireNothing(t)
	for _, ref := range []string{addr + "/a/web@" + digest, addr + "/a/web:1@" + digest, addr + "/a/web:gone@" + digest} {
		assert.Equal(t, id, f.mustPull(t, ref))
		img := f.status(t, ref)
		assert.Empty(t, img.RepoTags, ref)
		assert.Equal(t, []string{addr + "/a/web@" + digest}, img.RepoDigests, ref)
		require.NoError(t, f.Remove(t.Context(), ref))
	}
	f.requireNothing(t)
}

func TestPullFromIndex(t *testing.T) {
	addr := startRegistry(t, false)
	img := busybox(t, "multi")
	index := mutate.AppendManifests(empty.Index,
		mutate.IndexAddendum{Add: busybox(t, "other"), Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "s390x"}}},
		mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "amd64"}}})
	ref, err := name.ParseReference(addr+"/multi:1", name.Insecure)
	require.NoError(t, err)
	require.NoError(t, remote.WriteIndex(ref, index))
	want, err := index.Digest()
	require.NoError(t, err)
	instance, err := img.Digest()
	require.NoError(t, err)
	f := fresh(t, insecure(addr), nil)
	id := f.mustPull(t, addr+"/multi:1")
	assert.Equal(t, []string{addr + "/multi@" + want.String()}, f.status(t, id).RepoDigests)
	assert.Equal(t, id, f.status(t, addr+"/multi@"+instance.String()).ID, "known by the instance's digest too")
	require.NoError(t, f.Remove(t.Context(), id))
	assert.Equal(t, id, f.mustPull(t, addr+"/multi@"+want.String()))
	assert.Equal(t, []string{addr + "/multi@" + want.String()}, f.status(t, id).RepoDigests)
}

func TestTagThatMovesLeavesTheOldImageItsDigest(t *testing.T) {
	addr := startRegistry(t, false)
	oldDigest, oldID := push(t, addr+"/web:1", busybox(t, "old"))
	f := fresh(t, insecure(addr), nil)
	f.mustPull(t, addr+"/web:1")
	_, newID := push(t, addr+"/web:1", busybox(t, "new"))
	assert.Equal(t, newID, f.mustPull(t, addr+"/web:1"))
	old := f.status(t, oldID)
	assert.Empty(t, old.RepoTags)
	assert.Equal(t, []string{addr + "/web@" + oldDigest}, old.RepoDigests)
	assert.Equal(t, newID, f.status(t, addr+"/web:1").ID)
	assert.Equal(t, oldID, f.status(t, addr+"/web@"+oldDigest).ID)
}

func TestShortNamesAndMirrors(t *testing.T) {
	addr := startRegistry(t, false)
	_, hub := push(t, addr+"/library/web:latest", busybox(t, "hub"))
	_, second := push(t, addr+"/second/own:1", busybox(t, "second"))
	hubConf := fmt.Sprintf("[[registry]]\nprefix = %q\nlocation = %q\ninsecure = true\n", "docker.io", addr)

	t.Run("docker hub without search registries", func(t *testing.T) {
		f := fresh(t, hubConf, nil)
		assert.Equal(t, hub, f.mustPull(t, "web"))
		img := f.status(t, "web")
		assert.Equal(t, []string{"docker.io/library/web:latest"}, img.RepoTags)
		assert.Equal(t, hub, f.status(t, "docker.io/web").ID)
		assert.Equal(t, hub, f.status(t, "web:latest").ID)
	})
	t.Run("search registries in order and never a prompt", func(t *testing.T) {
		void := startRegistry(t, false)
		search := fmt.Sprintf("unqualified-search-registries = [%q, %q]\n", void, addr)
		f := fresh(t, search+insecure(addr, void), nil)
		assert.Equal(t, second, f.mustPull(t, "second/own:1"))
		assert.Equal(t, []string{addr + "/second/own:1"}, f.status(t, "second/own:1").RepoTags)
		_, err := f.pull(t, "nosuch", nil)
		assert.ErrorIs(t, err, image.ErrNotFound)
		assert.ErrorContains(t, err, void+"/nosuch")
		assert.ErrorContains(t, err, addr+"/nosuch")
		f = fresh(t, "short-name-mode = \"enforcing\"\n"+search+insecure(addr, void), nil)
		_, err = f.pull(t, "second/own:1", nil)
		assert.ErrorIs(t, err, image.ErrInvalidReference)
	})
	t.Run("alias", func(t *testing.T) {
		f := fresh(t, fmt.Sprintf("[aliases]\nmine = %q\n", addr+"/second/own")+insecure(addr), nil)
		assert.Equal(t, second, f.mustPull(t, "mine:1"))
		assert.Equal(t, second, f.status(t, "mine:1").ID)
	})
	t.Run("mirror first and then the original", func(t *testing.T) {
		mirror := "[[registry]]\nprefix = \"registry.test\"\nlocation = \"registry.test\"\n[[registry.mirror]]\nlocation = %q\ninsecure = true\n"
		f := fresh(t, fmt.Sprintf(mirror, addr+"/second"), nil)
		assert.Equal(t, second, f.mustPull(t, "registry.test/own:1"))
		assert.Equal(t, []string{"registry.test/own:1"}, f.status(t, "registry.test/own:1").RepoTags)
		_, err := f.pull(t, "registry.test/nosuch:1", nil)
		assert.ErrorIs(t, err, image.ErrRegistryUnavailable, "the original does not exist")
	})
}

func TestOneTransferHoweverManyAsk(t *testing.T) {
	addr := startRegistry(t, false)
	_, id := push(t, addr+"/web:1", busybox(t, "one"))
	var blobs atomic.Int32
	arrived := make(chan struct{}, 100)
	release := make(chan struct{})
	proxy := startProxy(t, addr, func(_ http.ResponseWriter, r *http.Request) bool {
		if isBlob(r) {
			blobs.Add(1)
			arrived <- struct{}{}
			<-release
		}
		return false
	})
	f := fresh(t, insecure(proxy), nil)
	type answer struct {
		id  string
		err error
	}
	// The first one starts the transfer and is the one that walks away.
	leaderCtx, leave := context.WithCancel(t.Context())
	leader := make(chan answer, 1)
	go func() {
		id, err := f.Pull(leaderCtx, image.PullRequest{Ref: proxy + "/web:1"})
		leader <- answer{id, err}
	}()
	<-arrived
	answers := make(chan answer, 4)
	for range 4 {
		go func() {
			id, err := f.Pull(t.Context(), image.PullRequest{Ref: proxy + "/web:1"})
			answers <- answer{id, err}
		}()
	}
	key := f.keyOf(t, proxy+"/web:1")
	require.Eventually(t, func() bool { return f.flights.Waiting(key) == 5 }, patience, time.Millisecond)
	leave()
	assert.ErrorIs(t, (<-leader).err, context.Canceled)
	close(release)
	for range 4 {
		a := <-answers
		require.NoError(t, a.err)
		assert.Equal(t, id, a.id)
	}
	assert.EqualValues(t, 3, blobs.Load(), "one configuration and two layers, each once")
}

func TestCancelledPullLeavesNothing(t *testing.T) {
	addr := startRegistry(t, false)
	push(t, addr+"/web:1", busybox(t, "one"))
	hang := make(chan struct{}, 10)
	proxy := startProxy(t, addr, func(w http.ResponseWriter, r *http.Request) bool {
		if !isBlob(r) || len(hang) > 0 {
			return false
		}
		hang <- struct{}{}
		<-r.Context().Done()
		return true
	})
	f := fresh(t, insecure(proxy), nil)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := f.Pull(ctx, image.PullRequest{Ref: proxy + "/web:1"})
		done <- err
	}()
	require.Eventually(t, func() bool { return len(hang) > 0 }, patience, time.Millisecond)
	start := time.Now()
	cancel()
	assert.ErrorIs(t, <-done, context.Canceled)
	assert.Less(t, time.Since(start), time.Second)
	f.requireNothing(t)
	f.mustPull(t, proxy+"/web:1")
}

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
		pace := time.NewTicker(100 * time.Millisecond)
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
	f := fresh(t, insecure(proxy), func(_ *store.Options, o *image.Options) { o.StallTimeout = 700 * time.Millisecond })
	start := time.Now()
	f.mustPull(t, proxy+"/big:1")
	assert.Greater(t, time.Since(start), 700*time.Millisecond, "the test must take longer than the timeout to show anything")
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

func TestCredentials(t *testing.T) {
	addr := startRegistry(t, true)
	_, id := push(t, addr+"/web:1", busybox(t, "one"))
	encoded := base64.StdEncoding.EncodeToString([]byte(user + ":" + password + "\x00\x00"))
	cases := []struct {
		what string
		auth *image.Auth
		want error
	}{
		{"none", nil, image.ErrUnauthorized},
		{"empty", &image.Auth{}, image.ErrUnauthorized},
		{"wrong", &image.Auth{Username: user, Password: "no"}, image.ErrUnauthorized},
		{"garbage", &image.Auth{Auth: "%%%"}, image.ErrInvalidAuth},
		{"for another registry", &image.Auth{Username: user, Password: password, ServerAddress: "https://other.test/v1/"}, image.ErrUnauthorized},
		{"user and password", &image.Auth{Username: user, Password: password}, nil},
		{"encoded", &image.Auth{Auth: encoded}, nil},
		{"for this registry", &image.Auth{Auth: encoded, ServerAddress: "http://" + addr + "/v2/"}, nil},
	}
	for _, c := range cases {
		t.Run(c.what, func(t *testing.T) {
			f := fresh(t, insecure(addr), nil)
			got, err := f.pull(t, addr+"/web:1", c.auth)
			if c.want != nil {
				assert.ErrorIs(t, err, c.want)
				assert.NotContains(t, err.Error(), password)
				f.requireNothing(t)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, id, got)
		})
	}
	t.Run("auth file", func(t *testing.T) {
		f := fresh(t, insecure(addr), nil)
		write(t, f.options.AuthFile, fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, addr,
			base64.StdEncoding.EncodeToString([]byte(user+":"+password))))
		f.mustPull(t, addr+"/web:1")
	})
}

func TestTokensAreSent(t *testing.T) {
	addr := startRegistry(t, false)
	push(t, addr+"/web:1", busybox(t, "one"))
	var seen atomic.Value
	proxy := startProxy(t, addr, func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/token" {
			_ = r.ParseForm()
			seen.Store(r.PostForm.Get("refresh_token"))
			_, _ = w.Write([]byte(`{"token":"fetched","access_token":"fetched"}`))
			return true
		}
		if h := r.Header.Get("Authorization"); h == "Bearer mine" || h == "Bearer fetched" {
			r.Header.Del("Authorization")
			return false
		}
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="http://%s/token",service="x"`, r.Host))
		w.WriteHeader(http.StatusUnauthorized)
		return true
	})
	f := fresh(t, insecure(proxy), nil)
	_, err := f.pull(t, proxy+"/web:1", &image.Auth{RegistryToken: "mine"})
	require.NoError(t, err)
	assert.Nil(t, seen.Load(), "a registry token needs no exchange")
	_, err = f.pull(t, proxy+"/web:1", &image.Auth{IdentityToken: "refresh me"})
	require.NoError(t, err)
	assert.Equal(t, "refresh me", seen.Load())
	_, err = f.pull(t, proxy+"/web:1", &image.Auth{RegistryToken: "wrong"})
	assert.ErrorIs(t, err, image.ErrUnauthorized)
}

func TestPolicy(t *testing.T) {
	addr := startRegistry(t, false)
	push(t, addr+"/web:1", busybox(t, "one"))
	f := fresh(t, insecure(addr), nil)
	write(t, f.options.PolicyPath, `{"default":[{"type":"reject"}]}`)
	_, err := f.pull(t, addr+"/web:1", nil)
	assert.ErrorIs(t, err, image.ErrSignature)
	f.requireNothing(t)
	write(t, f.options.PolicyPath, `{`)
	_, err = f.pull(t, addr+"/web:1", nil)
	assert.ErrorContains(t, err, "signature policy")
	_, err = image.New(f.store, f.options)
	assert.ErrorContains(t, err, "signature policy")
	_, err = image.New(f.store, image.Options{})
	assert.ErrorContains(t, err, "Flights")
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
