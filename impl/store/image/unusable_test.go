package image_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ocid/impl/store/image"
)

// pushRaw pushes blobs and a manifest as they are.
func pushRaw(t *testing.T, addr, repo, kind string, manifest any, blobs ...[]byte) {
	t.Helper()
	repository, err := name.NewRepository(addr+"/"+repo, name.Insecure)
	require.NoError(t, err)
	for _, b := range blobs {
		require.NoError(t, remote.WriteLayer(repository, static.NewLayer(b, types.OCILayer)))
	}
	data, ok := manifest.([]byte)
	if !ok {
		data, err = json.Marshal(manifest)
		require.NoError(t, err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://"+addr+"/v2/"+repo+"/manifests/1", bytes.NewReader(data))
	require.NoError(t, err)
	req.Header.Set("Content-Type", kind)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	require.Equal(t, http.StatusCreated, resp.StatusCode, string(text))
}

func descriptor(kind string, data []byte) map[string]any {
	return map[string]any{"mediaType": kind, "size": len(data), "digest": digest.FromBytes(data).String()}
}

func TestUnusableImages(t *testing.T) {
	addr := startRegistry(t, false)
	const ociPlain = "application/vnd.oci.image.layer.v1.tar"
	const ociManifest, ociConfig, ociLayer = "application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.config.v1+json", "application/vnd.oci.image.layer.v1.tar+gzip"
	layers, err := busybox(t, "x").Layers()
	require.NoError(t, err)
	r, err := layers[1].Compressed()
	require.NoError(t, err)
	good, err := io.ReadAll(r)
	require.NoError(t, err)
	r, err = layers[1].Uncompressed()
	require.NoError(t, err)
	plain, err := io.ReadAll(r)
	require.NoError(t, err)
	damaged := bytes.Clone(good)
	damaged[len(good)/2] ^= 0xff
	diff, err := layers[1].DiffID()
	require.NoError(t, err)
	config := fmt.Appendf(nil, `{"os":"linux","architecture":"amd64","config":{},"rootfs":{"type":"layers","diff_ids":[%q]}}`, diff)
	oci := func(c map[string]any, l ...map[string]any) map[string]any {
		return map[string]any{"schemaVersion": 2, "mediaType": ociManifest, "config": c, "layers": l}
	}
	cases := map[string]struct {
		manifest any
		blobs    [][]byte
		class    error
	}{
		"artifact":               {oci(descriptor("application/vnd.test.artifact", []byte("{}")), descriptor("application/x-thing", []byte("a thing"))), [][]byte{[]byte("{}"), []byte("a thing")}, image.ErrUnusable},
		"config is text":         {oci(descriptor(ociConfig, []byte("no json")), descriptor(ociLayer, good)), [][]byte{[]byte("no json"), good}, image.ErrUnusable},
		"config of wrong types":  {oci(descriptor(ociConfig, []byte(`{"os":7}`)), descriptor(ociLayer, good)), [][]byte{[]byte(`{"os":7}`), good}, image.ErrUnusable},
		"layer is no archive":    {oci(descriptor(ociConfig, config), descriptor(ociLayer, []byte("no archive at all, just text"))), [][]byte{config, []byte("no archive at all, just text")}, image.ErrUnusable},
		"layer is cut short":     {oci(descriptor(ociConfig, config), descriptor(ociLayer, good[:len(good)/2])), [][]byte{config, good[:len(good)/2]}, image.ErrUnusable},
		"layer lacks its end":    {oci(descriptor(ociConfig, config), descriptor(ociLayer, good[:len(good)-4])), [][]byte{config, good[:len(good)-4]}, image.ErrUnusable},
		"layer is a cut archive": {oci(descriptor(ociConfig, config), descriptor(ociPlain, plain[:700])), [][]byte{config, plain[:700]}, image.ErrUnusable},
		"layer is damaged":       {oci(descriptor(ociConfig, config), descriptor(ociLayer, damaged)), [][]byte{config, damaged}, image.ErrUnusable},
		"too many layers":        {oci(descriptor(ociConfig, config), descriptor(ociLayer, good), descriptor(ociLayer, good)), [][]byte{config, good}, image.ErrUnusable},
	}
	for what, c := range cases {
		t.Run(what, func(t *testing.T) {
			repo := "r" + digest.FromString(what).Hex()[:8]
			pushRaw(t, addr, repo, ociManifest, c.manifest, c.blobs...)
			f := fresh(t, insecure(addr), nil)
			_, err := f.pull(t, addr+"/"+repo+":1", nil)
			assert.ErrorIs(t, err, c.class)
			f.requireNothing(t)
		})
	}
}

func TestIndexWithoutThisPlatform(t *testing.T) {
	addr := startRegistry(t, false)
	index := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: busybox(t, "other"), Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "s390x"}}})
	ref, err := name.ParseReference(addr+"/multi:1", name.Insecure)
	require.NoError(t, err)
	require.NoError(t, remote.WriteIndex(ref, index))
	f := fresh(t, insecure(addr), nil)
	_, err = f.pull(t, addr+"/multi:1", nil)
	assert.ErrorIs(t, err, image.ErrPlatform)
	f.requireNothing(t)

	windows := busybox(t, "windows")
	file, err := windows.ConfigFile()
	require.NoError(t, err)
	file = file.DeepCopy()
	file.OS = "windows"
	windows, err = mutate.ConfigFile(windows, file)
	require.NoError(t, err)
	push(t, addr+"/windows:1", windows)
	_, err = f.pull(t, addr+"/windows:1", nil)
	assert.ErrorIs(t, err, image.ErrPlatform)
	f.requireNothing(t)
}
