// Package version says which build of ocid this is. It reads what the Go
// toolchain recorded in the binary and knows nothing else.
package version

import (
	"runtime/debug"
	"strings"
)

// unknown is the version of a build without version control information. It
// is a semantic version, because CRI clients parse it as one.
const unknown = "0.0.0-devel"

// String is the semantic version of this build, without a leading "v".
func String() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return unknown
	}
	return strings.TrimPrefix(info.Main.Version, "v")
}
