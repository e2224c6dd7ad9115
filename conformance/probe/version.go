// Package probe holds the hand-written cases of the conformance suite, one file
// a chapter. Each is written from the sentence above it, which is the CRI's, the
// kubelet's or a design document's, expects literal values, and looks from
// outside where it can.
//
// It refuses to import package spec: the tables and the probes are two opinions
// that must not lean on one another. Rules are named as strings, and the suite
// rejects names that no rule has.
package probe

import (
	"ocid/conformance/target"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// "Version returns the runtime name, runtime version, and runtime API version."
// (cri-api v1, RuntimeService)
//
// "The string must be semver-compatible." (cri-api v1, VersionResponse)
//
// The kubelet's client rejects an answer in which one of the four texts is
// empty.
var _ = Describe("Version", target.Covers("service.version"), func() {
	It("names the runtime, its version and the API", func(ctx SpecContext) {
		t := target.Current()
		v, err := t.Runtime.Version(ctx, &runtimeapi.VersionRequest{Version: "0.1.0"})
		Expect(err).NotTo(HaveOccurred())
		Expect(v.GetVersion()).NotTo(BeEmpty(), "version")
		Expect(v.GetRuntimeName()).NotTo(BeEmpty(), "runtime_name")
		const semantic = `^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$`
		Expect(v.GetRuntimeVersion()).To(MatchRegexp(semantic), "runtime_version")
		Expect(v.GetRuntimeApiVersion()).To(MatchRegexp(semantic), "runtime_api_version")
	})
})
