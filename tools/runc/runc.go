//go:build tools

// Package runc pins the version of runc that the tests use besides Debian's,
// in a module of its own so that the daemon's dependencies stay its own.
package runc

import _ "github.com/opencontainers/runc"
