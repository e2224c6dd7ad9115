//go:build tools

// Package runsc pins the version of gVisor's runtime that the suite runs on, in
// a module of its own so that the daemon's dependencies stay its own. The version
// is one of gVisor's branch "go", which has the generated sources.
package runsc

import _ "gvisor.dev/gvisor/runsc"
