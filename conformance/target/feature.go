package target

import (
	"fmt"
	"slices"
)

// A Feature is something a profile declares about a daemon or its place. A
// probe that takes one calls [T.Need].
type Feature string

// The features. A profile may declare no other.
const (
	FeatureRestart        Feature = "restart"         // the suite may start, stop and kill the daemon
	FeatureWitness        Feature = "witness"         // the suite's runtime wrapper and CNI plugin are in place
	FeatureHostNamespaces Feature = "host-namespaces" // containers run on the host's kernel and can join its namespaces
	FeatureHostProcesses  Feature = "host-processes"  // containers' processes are the host's, and so is what /proc says of them
	FeatureHostCgroups    Feature = "host-cgroups"    // a container's limits and use are those of a cgroup of its own on the host
	FeatureHostFiles      Feature = "host-files"      // what is mounted may be a socket, a pipe or a device, and mounts may propagate
	FeatureSeccomp        Feature = "seccomp"         // the runtime applies seccomp filters to containers
	FeatureHostNetwork    Feature = "host-network"    // a sandbox may use the host's network
	FeaturePrivileged     Feature = "privileged"      // sandboxes and containers may be privileged
	FeatureHostPorts      Feature = "host-ports"      // port mappings reach the host
	FeatureIPv6           Feature = "ipv6"            // pods get an IPv6 address too
	FeatureStorageRecords Feature = "storage-records" // sandboxes and containers are records of containers/storage
	FeatureOwnKernel      Feature = "own-kernel"      // the first handler boots a kernel for each pod
	FeatureKeepers        Feature = "keepers"         // the first handler's containers are no processes of the host's: a keeper stands for each
	FeatureOperations     Feature = "operations"      // the daemon is configured, watched and told as ocid is
	FeatureExactCodes     Feature = "exact-codes"     // refusals have the gRPC code that the probe names
	FeatureRuleInfo       Feature = "rule-info"       // refusals carry google.rpc.ErrorInfo with the rule as reason
	FeatureUserNamespaces Feature = "user-namespaces" // pods may have a user namespace of their own
	FeatureHandlers       Feature = "handlers"        // the profile names at least two runtime handlers
)

// Features lists all features.
func Features() []Feature {
	return []Feature{
		FeatureRestart, FeatureWitness, FeatureHostNamespaces, FeatureHostProcesses, FeatureHostCgroups, FeatureHostFiles, FeatureSeccomp, FeatureHostNetwork, FeaturePrivileged,
		FeatureHostPorts, FeatureIPv6, FeatureStorageRecords, FeatureExactCodes, FeatureRuleInfo,
		FeatureUserNamespaces, FeatureHandlers, FeatureOperations, FeatureOwnKernel, FeatureKeepers,
	}
}

func checkFeatures(declared []Feature) error {
	for i, f := range declared {
		if !slices.Contains(Features(), f) {
			return fmt.Errorf("features: unknown feature %q, known are %q", f, Features())
		}
		if slices.Contains(declared[:i], f) {
			return fmt.Errorf("features: %q is declared twice", f)
		}
	}
	return nil
}
