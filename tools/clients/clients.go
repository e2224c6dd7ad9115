//go:build tools

// Package clients pins the outside programs that the project's tests run
// against the daemon, in a module of its own so that the daemon's
// dependencies stay its own.
package clients

import (
	_ "github.com/onsi/ginkgo/v2/ginkgo"
	_ "sigs.k8s.io/cri-tools/cmd/crictl"
	_ "sigs.k8s.io/cri-tools/pkg/validate" // of the tests in cmd/critest
)
