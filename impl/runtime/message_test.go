package runtime

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestMessage(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"logrus text": {`time="2026-01-02T03:04:05Z" level=warning msg="old"` + "\n" +
			`time="2026-01-02T03:04:05Z" level=error msg="runc create failed: exec: \"nope\": not found"` + "\n", `exec: "nope": not found`},
		"logrus word": {`time=x level=error msg=boom`, "boom"},
		"json":        {`{"level":"info","msg":"x"}` + "\n" + `{"level":"error","msg":"bad mount","time":"x"}`, "bad mount"},
		"plain":       {"error opening file: nope\n", "error opening file: nope"},
		"last lines":  {"1\n2\n3\n4\n\n", "2; 3; 4"},
		"panic":       {"panic: oh no\n\ngoroutine 1:\nx\ny\nz\n", "panic: oh no"},
		"only info":   {`level=info msg="fine"`, ""},
		"controls":    {"a\x1b[31mb\x00\tc\n", "a[31mb c"},
		"nothing":     {"", ""},
	} {
		require.Equal(t, c.want, message([]byte(c.in)), name)
	}
	long := message([]byte(strings.Repeat("ä\xff", 5000)))
	require.True(t, utf8.ValidString(long))
	require.Less(t, len(long), maxMessage+8)
}

func TestMessageOfMuchIsQuick(t *testing.T) {
	for _, s := range []string{"\n", "level=", `level=error msg="`, `{"msg":`, "\\", "a b failed: "} {
		began := time.Now()
		message([]byte(strings.Repeat(s, 16<<20/len(s))))
		require.Less(t, time.Since(began), time.Second, s)
	}
}

func FuzzMessage(f *testing.F) {
	f.Add([]byte(`{"level":"error"}`))
	f.Add([]byte("level=error msg=\"\\x\""))
	f.Fuzz(func(t *testing.T, b []byte) {
		m := message(b)
		require.True(t, utf8.ValidString(m))
		require.Less(t, len(m), maxMessage+8)
	})
}
