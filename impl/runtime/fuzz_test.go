package runtime

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzFiles takes anything as the files that a monitor and a runtime leave: the
// exit code, a process number and the record of a container.
func FuzzFiles(f *testing.F) {
	for _, text := range []string{"", "0", "137\n", "-1", "999999999999", "0x10", " 7 ", "1\n2", `{"bundle":"/b","process":{"pid":1}}`, `{"process":{"pid":-1}}`, "[]"} {
		f.Add([]byte(text))
	}
	dir := f.TempDir()
	require.NoError(f, os.Mkdir(filepath.Join(dir, "c"), 0o700))
	r := &OCI{opts: Options{RunDir: dir}}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, name := range []string{exitFile, pidFile, recordFile} {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "c", name), data, 0o600))
		}
		code, at, err := r.exitFile("c")
		n, bad := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 32)
		require.Equal(t, bad == nil, err == nil)
		if err == nil {
			require.EqualValues(t, n, code)
			require.False(t, at.IsZero())
		}
		if pid, err := readPID(filepath.Join(dir, "c", pidFile)); err == nil {
			require.Positive(t, pid)
		}
		r.loadRecord("c").Process.Alive()
	})
}
