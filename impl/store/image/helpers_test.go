package image_test

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"

	"ocid/impl/flight"
	"ocid/impl/store"
	"ocid/impl/store/image"
)

const patience = 60 * time.Second

func TestMain(m *testing.M) {
	if store.Reexec() {
		return
	}
	os.Exit(m.Run())
}

const (
	user     = "alice"
	password = "s3cret:with colon"
)

// startRegistry runs a real registry on loopback, with a password when locked,
// and returns its address.
func startRegistry(t *testing.T, locked bool) string {
	t.Helper()
	dir := t.TempDir()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := l.Addr().String()
	require.NoError(t, l.Close())
	config := fmt.Sprintf("version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: %s\nhttp:\n  addr: %s\n", dir, addr)
	if locked {
		hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
		require.NoError(t, err)
		file := filepath.Join(dir, "htpasswd")
		require.NoError(t, os.WriteFile(file, []byte(user+":"+string(hash)+"\n"), 0o600))
		config += fmt.Sprintf("auth:\n  htpasswd:\n    realm: test\n    path: %s\n", file)
	}
	file := filepath.Join(dir, "config.yml")
	require.NoError(t, os.WriteFile(file, []byte(config), 0o600))
	cmd := exec.Command("docker-registry", "serve", file)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGKILL)
		_ = cmd.Wait()
	})
	require.Eventually(t, func() bool {
		resp, err := http.Get("http://" + addr + "/v2/")
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return true
	}, patience, 10*time.Millisecond, "the registry does not answer")
	return addr
}

// startProxy puts a reverse proxy before the registry. fault may answer itself
// and return true. It returns the proxy's address.
func startProxy(t *testing.T, addr string, fault func(http.ResponseWriter, *http.Request) bool) string {
	t.Helper()
	target := &url.URL{Scheme: "http", Host: addr}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !fault(w, r) {
			proxy.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return strings.TrimPrefix(server.URL, "http://")
}

func isBlob(r *http.Request) bool {
	return r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/")
}

func isManifest(r *http.Request) bool { return strings.Contains(r.URL.Path, "/manifests/") }

// layer returns a layer with the files.
func layer(t *testing.T, files map[string][]byte) v1.Layer {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for name, data := range files {
		require.NoError(t, w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(data))}))
		_, err := w.Write(data)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(buf.Bytes())), nil
	})
	require.NoError(t, err)
	return l
}

// busybox returns an image of two layers: the static busybox and a file that
// holds the marker.
func busybox(t *testing.T, marker string) v1.Image {
	t.Helper()
	binary, err := os.ReadFile("/bin/busybox")
	require.NoError(t, err)
	img, err := mutate.AppendLayers(empty.Image,
		layer(t, map[string][]byte{"bin/busybox": binary}),
		layer(t, map[string][]byte{"marker": []byte(marker)}))
	require.NoError(t, err)
	return describe(t, img, v1.Config{User: "1000:1000", Labels: map[string]string{"marker": marker}, Cmd: []string{"/bin/busybox"}})
}

// big returns an image with one incompressible layer of n bytes.
func big(t *testing.T, n int64) v1.Image {
	t.Helper()
	l, err := random.Layer(n, types.DockerLayer)
	require.NoError(t, err)
	img, err := mutate.AppendLayers(empty.Image, l)
	require.NoError(t, err)
	return describe(t, img, v1.Config{})
}

// describe gives the image its platform and configuration.
func describe(t *testing.T, img v1.Image, config v1.Config) v1.Image {
	t.Helper()
	file, err := img.ConfigFile()
	require.NoError(t, err)
	file = file.DeepCopy()
	file.OS, file.Architecture, file.Config = "linux", runtime.GOARCH, config
	img, err = mutate.ConfigFile(img, file)
	require.NoError(t, err)
	return img
}

// push pushes the image and returns its manifest digest and its ID.
func push(t *testing.T, ref string, img v1.Image) (digest, id string) {
	t.Helper()
	parsed, err := name.ParseReference(ref, name.Insecure)
	require.NoError(t, err)
	basic := &authn.Basic{Username: user, Password: password}
	require.NoError(t, remote.Write(parsed, img, remote.WithAuth(basic)))
	d, err := img.Digest()
	require.NoError(t, err)
	c, err := img.ConfigName()
	require.NoError(t, err)
	return d.String(), c.Hex
}

// fixture is a store with images on top.
type fixture struct {
	*image.Images
	store   *store.Store
	flights *flight.Group[string]
	options image.Options
}

// insecure is a registries.conf that allows plain HTTP to the addresses.
func insecure(addrs ...string) string {
	var text strings.Builder
	for _, addr := range addrs {
		fmt.Fprintf(&text, "[[registry]]\nlocation = %q\ninsecure = true\n", addr)
	}
	return text.String()
}

// fresh returns images on a new root. Nothing of it may stay behind at the end.
func fresh(t *testing.T, registries string, change func(*store.Options, *image.Options)) *fixture {
	t.Helper()
	base := t.TempDir()
	so := store.Options{Root: filepath.Join(base, "root"), RunRoot: filepath.Join(base, "run")}
	f := &fixture{flights: new(flight.Group[string])}
	f.options = image.Options{
		Flights:           f.flights,
		RegistriesConf:    filepath.Join(base, "registries.conf"),
		RegistriesConfDir: filepath.Join(base, "registries.conf.d"),
		AuthFile:          filepath.Join(base, "auth.json"),
		PolicyPath:        filepath.Join(base, "policy.json"),
	}
	write(t, f.options.RegistriesConf, registries)
	write(t, f.options.AuthFile, `{}`)
	write(t, f.options.PolicyPath, `{"default":[{"type":"insecureAcceptAnything"}]}`)
	if change != nil {
		change(&so, &f.options)
	}
	var err error
	f.store, err = store.Open(so)
	require.NoError(t, err)
	t.Cleanup(func() { f.close(t) })
	f.Images, err = image.New(f.store, f.options)
	require.NoError(t, err)
	return f
}

func write(t *testing.T, path, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
}

func (f *fixture) close(t *testing.T) {
	records, err := f.store.Containers()
	require.NoError(t, err)
	for _, r := range records {
		require.NoError(t, f.store.Delete(r.ID))
	}
	clean, err := f.store.Shutdown()
	require.NoError(t, err)
	assert.True(t, clean)
}

// pull pulls with a bound, so that a hang fails the test.
func (f *fixture) pull(t *testing.T, ref string, auth *image.Auth) (string, error) {
	t.Helper()
	type answer struct {
		id  string
		err error
	}
	c := make(chan answer, 1)
	go func() {
		id, err := f.Pull(t.Context(), image.PullRequest{Ref: ref, Auth: auth})
		c <- answer{id, err}
	}()
	select {
	case a := <-c:
		return a.id, a.err
	case <-time.After(patience):
		require.Fail(t, "the pull hangs")
		return "", nil
	}
}

func (f *fixture) mustPull(t *testing.T, ref string) string {
	t.Helper()
	id, err := f.pull(t, ref, nil)
	require.NoError(t, err)
	return id
}

// status returns the image, failing when there is none.
func (f *fixture) status(t *testing.T, ref string) *image.Image {
	t.Helper()
	img, err := f.Status(t.Context(), ref)
	require.NoError(t, err)
	require.NotNil(t, img, ref)
	return img
}

// count returns the number of images and of layers.
func (f *fixture) count(t *testing.T) (images, layers int) {
	t.Helper()
	list, err := f.List(t.Context())
	require.NoError(t, err)
	back, release, err := f.store.Hold()
	require.NoError(t, err)
	defer release()
	all, err := back.Layers()
	require.NoError(t, err)
	return len(list), len(all)
}

// requireNothing checks that no trace of a pull is left: images, layers, layer
// directories, blobs. The clean-up of an abandoned pull may take a moment.
func (f *fixture) requireNothing(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool {
		images, layers := f.count(t)
		return images == 0 && layers == 0 && len(f.traces(t)) == 0
	}, patience, 10*time.Millisecond, "traces stay")
}

// traces lists blobs and marks of pulls, and directories of layers.
func (f *fixture) traces(t *testing.T) []string {
	t.Helper()
	var found []string
	for _, dir := range []string{"pulls", "overlay", "overlay/tempdirs", "overlay/staging"} {
		entries, err := os.ReadDir(filepath.Join(f.store.Root(), dir))
		if err != nil {
			continue
		}
		for _, e := range entries {
			if dir == "pulls" || len(e.Name()) == 64 || strings.HasPrefix(e.Name(), "temp-dir") {
				found = append(found, filepath.Join(dir, e.Name()))
			}
		}
	}
	return found
}

// keyOf returns the key of the flight that pulls ref.
func (f *fixture) keyOf(t *testing.T, ref string) string {
	t.Helper()
	key, err := f.KeyOf(ref)
	require.NoError(t, err)
	return key
}
