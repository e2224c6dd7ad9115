package runtime

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

const (
	maxStderr       = 64 << 10 // bytes looked at, the last ones
	maxMessage      = 2048     // bytes of a runtime's message in an error
	maxMessageLines = 3
)

var (
	logLine  = regexp.MustCompile(`\blevel="?(\w+)"? msg=("(?:[^"\\]|\\.)*"|\S+)`)
	opPrefix = regexp.MustCompile(`^\S+ (create|start|run|exec|kill|delete|state) failed: `)
)

// message reduces a runtime's stderr to the lines that say what went wrong:
// the error lines of a structured log (text or JSON) if there are some, the
// first line of a Go panic, otherwise the last few lines that are not a log's.
func message(stderr []byte) string {
	stderr = stderr[max(0, len(stderr)-maxStderr):]
	var failed, plain []string
	for line := range strings.Lines(strings.ToValidUTF8(string(stderr), "\uFFFD")) {
		line = printable(line)
		if line == "" {
			continue
		}
		level, msg := parseLogLine(line)
		switch {
		case level == "error" || level == "fatal" || level == "panic":
			failed = append(failed, opPrefix.ReplaceAllString(msg, ""))
		case level != "":
		case strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: "):
			return clip(line)
		default:
			plain = append(plain, line)
		}
	}
	if len(failed) == 0 {
		failed = plain
	}
	if n := len(failed); n > maxMessageLines {
		failed = failed[n-maxMessageLines:]
	}
	return clip(strings.Join(failed, "; "))
}

// parseLogLine reads one line of logrus or slog, text or JSON; level is "" if it is neither.
func parseLogLine(line string) (level, msg string) {
	if strings.HasPrefix(line, "{") {
		var entry struct{ Level, Msg string }
		if json.Unmarshal([]byte(line), &entry) == nil {
			return strings.ToLower(entry.Level), entry.Msg
		}
	}
	m := logLine.FindStringSubmatch(line)
	if m == nil {
		return "", ""
	}
	if s, err := strconv.Unquote(m[2]); err == nil {
		return strings.ToLower(m[1]), s
	}
	return strings.ToLower(m[1]), m[2]
}

func printable(s string) string {
	return strings.TrimSpace(strings.Map(func(c rune) rune {
		if c == '\t' {
			return ' '
		}
		if !unicode.IsPrint(c) {
			return -1
		}
		return c
	}, s))
}

func clip(s string) string {
	if len(s) <= maxMessage {
		return s
	}
	return strings.ToValidUTF8(s[:maxMessage], "") + "…"
}

func firstLine(b []byte) string {
	line, _, _ := bytes.Cut(b, []byte("\n"))
	return clip(printable(string(line)))
}
