package usage_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.podman.io/storage"
	"go.podman.io/storage/pkg/archive"

	"ocid/impl/store"
	"ocid/impl/store/usage"
)

func TestMain(m *testing.M) {
	if store.Reexec() {
		return
	}
	os.Exit(m.Run())
}

const patience = 10 * time.Second

func hexID(digit string) string { return strings.Repeat(digit, 64) }

func open(t *testing.T) *store.Store {
	t.Helper()
	base := t.TempDir()
	s, err := store.Open(store.Options{Root: filepath.Join(base, "root"), RunRoot: filepath.Join(base, "run")})
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = s.Delete(hexID("a"))
		_, err := s.Shutdown()
		assert.NoError(t, err)
	})
	return s
}

// run starts a meter that ends with the test.
func run(t *testing.T, s *store.Store, interval time.Duration) *usage.Meter {
	t.Helper()
	m := usage.New(s, usage.Options{Interval: interval})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); m.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return m
}

// container makes a record with a mounted layer.
func container(t *testing.T, s *store.Store) (root string) {
	t.Helper()
	require.NoError(t, s.CreateSandbox(hexID("a"), store.Metadata{}))
	root, err := s.Mount(hexID("a"))
	require.NoError(t, err)
	return root
}

// imageLayer makes a layer with a file of 1 MiB.
func imageLayer(t *testing.T, s *store.Store) *storage.Layer {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "data"), make([]byte, 1<<20), 0o600))
	tar, err := archive.Tar(dir, archive.Uncompressed)
	require.NoError(t, err)
	defer tar.Close()
	back, release, err := s.Hold()
	require.NoError(t, err)
	defer release()
	l, _, err := back.PutLayer("", "", nil, "", false, nil, tar)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, back.DeleteLayer(l.ID)) })
	return l
}

func TestContainer(t *testing.T) {
	s := open(t)
	m := run(t, s, time.Millisecond)
	root := container(t, s)
	first, dir, ok := m.Container(t.Context(), hexID("a"))
	require.True(t, ok)
	require.Equal(t, filepath.Join(s.Root(), "overlay"), dir)
	require.Positive(t, first.At)
	require.NoError(t, os.WriteFile(filepath.Join(root, "data"), make([]byte, 1<<20), 0o600))
	require.NoError(t, os.Link(filepath.Join(root, "data"), filepath.Join(root, "again")))
	require.NoError(t, os.WriteFile(filepath.Join(root, "sparse"), nil, 0o600))
	require.NoError(t, os.Truncate(filepath.Join(root, "sparse"), 1<<30))
	require.Eventually(t, func() bool {
		now, _, _ := m.Container(t.Context(), hexID("a"))
		return now.Bytes == first.Bytes+1<<20 && now.Inodes == first.Inodes+2 && now.At > first.At
	}, patience, time.Millisecond)
	total, err := m.Totals(t.Context())
	require.NoError(t, err)
	require.GreaterOrEqual(t, total.Containers.Bytes, uint64(1<<20))
	require.Zero(t, total.Images.Bytes)
}

func TestImageIsMeasuredOnce(t *testing.T) {
	s := open(t)
	l := imageLayer(t, s)
	first, err := run(t, s, time.Millisecond).Totals(t.Context())
	require.NoError(t, err)
	require.GreaterOrEqual(t, first.Images.Bytes, uint64(1<<20))
	require.Positive(t, first.Images.At)
	require.Zero(t, first.Containers.Bytes)
	require.NoError(t, os.WriteFile(filepath.Join(s.Root(), "overlay", l.ID, "diff", "more"), make([]byte, 1<<20), 0o600))
	again, err := run(t, s, time.Hour).Totals(t.Context()) // as a restarted daemon
	require.NoError(t, err)
	require.Equal(t, first.Images.Bytes, again.Images.Bytes)
	require.Equal(t, first.Images.Inodes, again.Images.Inodes)
}

func TestTotalsWaitForTheFirstRound(t *testing.T) {
	m := usage.New(open(t), usage.Options{Interval: time.Hour})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := m.Totals(ctx)
	require.ErrorIs(t, err, context.Canceled)
}

func TestLayerThatIsGone(t *testing.T) {
	use, _, ok := run(t, open(t), time.Hour).Container(t.Context(), hexID("b"))
	require.True(t, ok)
	require.Zero(t, use.Bytes)
}
