//go:build tools

// Package kubelet pins the kubelet that the tests run against the daemon, in a
// module of its own so that the daemon's dependencies stay its own.
package kubelet

import _ "k8s.io/kubernetes/cmd/kubelet"
