package image_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"runtime"
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
		mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: runtime.GOARCH}}})
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
		assert.ErrorIs(t, err, image.ErrEnforced)
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
