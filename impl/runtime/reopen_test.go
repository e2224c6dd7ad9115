package runtime

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// assemble joins the records of a log's files, and counts files that break off
// in a line.
func assemble(t *testing.T, files ...string) (text string, broken int) {
	var b strings.Builder
	for i, name := range files {
		data, err := os.ReadFile(name)
		require.NoError(t, err)
		for line := range strings.Lines(string(data)) {
			fields := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 4)
			require.Len(t, fields, 4, "%q", line)
			b.WriteString(fields[3])
			if fields[2] == "F" {
				b.WriteByte('\n')
			}
		}
		if i < len(files)-1 && unfinished(string(data)) {
			broken++
		}
	}
	return b.String(), broken
}

// Reopened again and again under a container that writes all the time, a log
// loses no line and no file ends inside one.
func TestReopenLogLosesNothing(t *testing.T) {
	for name, script := range map[string]string{
		"short lines": `i=0; while [ $i -lt 60000 ]; do echo "line $i of many that stand in a log, one behind the other"; i=$((i+1)); done; echo end`,
		"long lines":  `l=$(head -c 6000 /dev/zero | tr '\0' x); i=0; while [ $i -lt 3000 ]; do echo "$i $l"; i=$((i+1)); done; echo end`,
		"in pieces":   `i=0; while [ $i -lt 20000 ]; do echo -n "line "; echo -n $i; echo " ends"; i=$((i+1)); done; echo end`,
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			require.NoError(t, os.Symlink("busybox", l.path("rootfs/bin/tr")))
			c := l.bundle("c", script)
			p := l.created(c)
			require.NoError(t, l.rt.Start(l.ctx(), "c"))
			var files []string
			began := time.Now()
			for p.Alive() {
				moved := fmt.Sprintf("%s.%d", c.LogPath, len(files))
				require.NoError(t, os.Rename(c.LogPath, moved))
				files = append(files, moved)
				if err := l.rt.ReopenLog(l.ctx(), "c", p, c.LogPath); err != nil {
					require.ErrorIs(t, err, ErrNotRunning)
					require.NoFileExists(t, c.LogPath)
					require.NoFileExists(t, c.LogPath+logSuffix)
					break
				}
				require.FileExists(t, c.LogPath)
			}
			took := time.Since(began)
			l.watch("c", p)
			if _, err := os.Stat(c.LogPath); err == nil {
				files = append(files, c.LogPath)
			}
			text, broken := assemble(t, files...)
			lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
			t.Logf("%d files in %v, %d lines, %d broken", len(files), took, len(lines), broken)
			require.Equal(t, "end", lines[len(lines)-1])
			for i, line := range lines[:len(lines)-1] {
				require.Contains(t, line, fmt.Sprint(i))
			}
			require.Zero(t, broken, "files that end inside a line")
		})
	}
}
