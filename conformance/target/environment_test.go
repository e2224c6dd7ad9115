package target

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ocid/fixtures/images"
	"ocid/fixtures/registry"
	"ocid/fixtures/witness"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestEnvironmentIsServedThroughTheProxy(t *testing.T) {
	env, stop, err := StartEnvironment(t.Context(), t.TempDir())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, stop()) })
	file := filepath.Join(t.TempDir(), "env.json")
	require.NoError(t, env.Save(file))
	loaded, err := LoadEnvironment(file)
	require.NoError(t, err)
	assert.Equal(t, env, loaded)

	target := &T{}
	require.NoError(t, target.Configure(Config{Profile: fake(t, "ok"), Environment: loaded}))
	require.NoError(t, target.Start(t.Context()))
	t.Cleanup(func() { require.NoError(t, target.Stop(context.WithoutCancel(t.Context()))) })
	ref := target.Ref(images.Tags)
	assert.True(t, strings.HasPrefix(ref.Tagged, target.Registry.Addr()+"/"), ref.Tagged)
	assert.Len(t, ref.Tags, 3)
	assert.Equal(t, target.Registry.Addr(), target.Var("REGISTRY"))
	name := strings.TrimSuffix(strings.TrimPrefix(ref.Tagged, target.Registry.Addr()+"/"), ":1")
	get := func() int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+target.Registry.Addr()+"/v2/"+name+"/manifests/1", nil)
		require.NoError(t, err)
		req.Header.Set("Accept", "*/*")
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		return resp.StatusCode
	}
	require.NoError(t, target.BeginCase(t.Context()))
	target.Registry.Set(registry.Unavailable)
	assert.Equal(t, http.StatusServiceUnavailable, get())
	require.NoError(t, target.EndCase(t.Context()))
	assert.NotEqual(t, http.StatusServiceUnavailable, get(), "the registry works again after the case")
}

func TestLoadEnvironmentRefuses(t *testing.T) {
	_, err := LoadEnvironment("/nonexistent")
	require.Error(t, err)
	for _, text := range []string{"", "[]", "{}", `{"registry": "x"}`} {
		_, err := LoadEnvironment(write(t, text, t.TempDir(), "env.json"))
		require.ErrorContains(t, err, "env.json", text)
	}
}

func TestWitnessIsSetUpAndForgets(t *testing.T) {
	p := fake(t, "ok")
	p.Features = append(p.Features, FeatureWitness)
	p.Witness = &WitnessSettings{Dir: "${WORK}/witness", Handlers: map[string]WitnessHandler{
		"fast": {Path: "${WORK}/bin/witness-fast", Real: "true"},
	}}
	target := started(t, p)
	require.NoError(t, target.BeginCase(t.Context()))
	runtime := filepath.Join(target.Work(), "bin", "witness-fast")
	out, err := exec.Command(runtime, "create", "--bundle", "/nonexistent", "c1").CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Len(t, target.Witness.Creates("c1"), 1)
	assert.Equal(t, "fast", target.Witness.Creates("c1")[0].Handler)
	assert.Empty(t, target.Witness.Creates("c2"))
	target.Witness.Fault(witness.Fault{Op: "create", Action: witness.Fail})
	require.Error(t, exec.Command(runtime, "create", "c2").Run())
	require.NoError(t, target.EndCase(t.Context()))
	assert.Empty(t, target.Witness.Calls())
	require.NoError(t, exec.Command(runtime, "create", "c3").Run(), "the fault is gone")

	p.Witness.Handlers = map[string]WitnessHandler{"x": {Path: "${WORK}/x", Real: "/nonexistent/runtime"}}
	err = configured(t, p).Start(t.Context())
	var own *SuiteError
	require.ErrorAs(t, err, &own)
	require.ErrorContains(t, err, "witness.handlers: x: real")
}

func TestBinDirWithoutPrograms(t *testing.T) {
	p := fake(t, "ok")
	p.Features = append(p.Features, FeatureWitness)
	p.Witness = &WitnessSettings{Dir: "${WORK}/witness"}
	target := &T{}
	require.NoError(t, target.Configure(Config{Profile: p, Environment: nowhere(), BinDir: t.TempDir()}))
	t.Cleanup(func() { require.NoError(t, target.Stop(context.WithoutCancel(t.Context()))) })
	require.ErrorIs(t, target.Start(t.Context()), os.ErrNotExist)
}
