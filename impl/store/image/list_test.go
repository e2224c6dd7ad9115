package image_test

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ocid/impl/store"
	"ocid/impl/store/image"
)

// hexID returns a valid record ID that ends in the given digits.
func hexID(end string) string { return strings.Repeat("0", 64-len(end)) + end }

func TestStatusResolves(t *testing.T) {
	addr := startRegistry(t, false)
	digest, id := push(t, addr+"/a/web:1", busybox(t, "one"))
	f := fresh(t, insecure(addr), nil)
	f.mustPull(t, addr+"/a/web:1")
	for _, ref := range []string{id, "sha256:" + id, id[:12], id[:3], addr + "/a/web:1", addr + "/a/web@" + digest, addr + "/a/web:x@" + digest} {
		assert.Equal(t, id, f.status(t, ref).ID, ref)
	}
	none := []string{addr + "/a/web:2", addr + "/a/web", addr + "/b/web:1", addr + "/b/web@" + digest, "web:1", "web",
		id[:2], hexID("f"), "sha256:" + hexID("f"), "fff0ff"}
	for _, ref := range none {
		img, err := f.Status(t.Context(), ref)
		require.NoError(t, err, ref)
		assert.Nil(t, img, ref)
		require.NoError(t, f.Remove(t.Context(), ref), "to remove what is not there is no error")
	}
	assert.NotNil(t, f.status(t, id), "and removes nothing")
	_, err := f.Status(t.Context(), "not a reference")
	assert.ErrorIs(t, err, image.ErrInvalidReference)
}

func TestAmbiguousPrefix(t *testing.T) {
	f := fresh(t, "", nil)
	back, release, err := f.store.Hold()
	require.NoError(t, err)
	defer release()
	for _, end := range []string{"1", "2"} {
		_, err := back.CreateImage(strings.Repeat("ab", 31)+"0"+end, nil, "", "", nil)
		require.NoError(t, err)
	}
	_, err = f.Status(t.Context(), "abababab")
	assert.ErrorIs(t, err, image.ErrAmbiguous)
	assert.ErrorIs(t, f.Remove(t.Context(), "abababab"), image.ErrAmbiguous)
	list, err := f.List(t.Context())
	require.NoError(t, err)
	require.Len(t, list, 2, "images without a configuration are listed all the same")
	assert.Nil(t, list[0].Config)
	assert.Equal(t, list[0].ID, f.status(t, list[0].ID).ID)
}

func TestRemoveTakesAllTags(t *testing.T) {
	addr := startRegistry(t, false)
	img := busybox(t, "one")
	push(t, addr+"/web:1", img)
	push(t, addr+"/web:2", img)
	push(t, addr+"/other/name:3", img)
	_, rest := push(t, addr+"/rest:1", busybox(t, "rest"))
	f := fresh(t, insecure(addr), nil)
	id := f.mustPull(t, addr+"/web:1")
	assert.Equal(t, id, f.mustPull(t, addr+"/web:2"))
	assert.Equal(t, id, f.mustPull(t, addr+"/other/name:3"))
	f.mustPull(t, addr+"/rest:1")
	status := f.status(t, id)
	assert.ElementsMatch(t, []string{addr + "/web:1", addr + "/web:2", addr + "/other/name:3"}, status.RepoTags)
	assert.Len(t, status.RepoDigests, 2)
	images, layers := f.count(t)
	assert.Equal(t, []int{2, 3}, []int{images, layers}, "the busybox layer is shared")

	require.NoError(t, f.Remove(t.Context(), addr+"/web:2"))
	for _, ref := range []string{id, addr + "/web:1", addr + "/web:2", addr + "/other/name:3"} {
		img, err := f.Status(t.Context(), ref)
		require.NoError(t, err)
		assert.Nil(t, img, ref)
	}
	require.NoError(t, f.Remove(t.Context(), addr+"/web:2"), "again")
	images, layers = f.count(t)
	assert.Equal(t, []int{1, 2}, []int{images, layers}, "the other image keeps its layers")
	assert.Equal(t, rest, f.status(t, rest).ID)
}

func TestRemoveRefusesImageInUse(t *testing.T) {
	addr := startRegistry(t, false)
	push(t, addr+"/web:1", busybox(t, "one"))
	f := fresh(t, insecure(addr), nil)
	id := f.mustPull(t, addr+"/web:1")
	pod := hexID("a")
	require.NoError(t, f.store.CreateSandbox(pod, store.Metadata{}))
	for _, ctr := range []string{hexID("b"), hexID("c")} {
		require.NoError(t, f.store.CreateContainer(ctr, id, store.Metadata{PodID: pod}))
	}
	path, err := f.store.Mount(hexID("b"))
	require.NoError(t, err)
	marker, err := os.ReadFile(filepath.Join(path, "marker"))
	require.NoError(t, err)
	assert.Equal(t, "one", string(marker))

	err = f.Remove(t.Context(), addr+"/web:1")
	assert.ErrorIs(t, err, image.ErrInUse)
	assert.ErrorContains(t, err, hexID("b"))
	assert.ErrorContains(t, err, hexID("c"))
	assert.Equal(t, []string{addr + "/web:1"}, f.status(t, id).RepoTags, "nothing was taken away")
	for _, ctr := range []string{hexID("b"), hexID("c"), pod} {
		require.NoError(t, f.store.Delete(ctr))
	}
	require.NoError(t, f.Remove(t.Context(), addr+"/web:1"))
	f.requireNothing(t)
}

func TestPinned(t *testing.T) {
	addr := startRegistry(t, false)
	push(t, addr+"/keep/a:1", busybox(t, "a"))
	push(t, addr+"/keep/b:1", busybox(t, "b"))
	push(t, addr+"/go:1", busybox(t, "c"))
	f := fresh(t, insecure(addr), func(_ *store.Options, o *image.Options) { o.Pinned = []string{addr + "/keep/a*", addr + "/keep/b:1"} })
	assert.True(t, f.status(t, f.mustPull(t, addr+"/keep/a:1")).Pinned)
	assert.True(t, f.status(t, f.mustPull(t, addr+"/keep/b:1")).Pinned)
	assert.False(t, f.status(t, f.mustPull(t, addr+"/go:1")).Pinned)
}

func TestConcurrentPullsListsAndRemoves(t *testing.T) {
	addr := startRegistry(t, false)
	refs := []string{addr + "/w:1", addr + "/w:2", addr + "/w:3"} // one shared layer
	for _, ref := range refs {
		push(t, ref, busybox(t, ref))
	}
	f := fresh(t, insecure(addr), nil)
	var wg sync.WaitGroup
	for _, ref := range refs {
		for range 2 {
			wg.Go(func() {
				for range 4 {
					_, err := f.pull(t, ref, nil)
					assert.NoError(t, err)
					_, err = f.List(t.Context())
					assert.NoError(t, err)
					assert.NoError(t, f.Remove(t.Context(), ref))
				}
			})
		}
	}
	wg.Wait()
	f.requireNothing(t)
}
