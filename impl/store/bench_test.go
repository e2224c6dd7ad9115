package store

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.podman.io/storage"
)

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

// BenchmarkRootfs measures a container that writes 64 MiB and goes: the flush
// that a volatile root filesystem saves when it is unmounted.
func BenchmarkRootfs(b *testing.B) {
	data := make([]byte, 64<<20)
	for _, volatile := range []bool{false, true} {
		name := map[bool]string{false: "flushed", true: "volatile"}[volatile]
		b.Run(name, func(b *testing.B) {
			s := opened(b, dirs(b))
			for b.Loop() {
				_, err := s.back.CreateContainer(id("a"), nil, "", id("a"), "{}", &storage.ContainerOptions{Volatile: volatile})
				require.NoError(b, err)
				path, err := s.Mount(id("a"))
				require.NoError(b, err)
				require.NoError(b, os.WriteFile(filepath.Join(path, "data"), data, 0o600))
				require.NoError(b, s.Unmount(id("a")))
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
