package derived

import (
	"context"
	"fmt"
	"reflect"

	"ocid/conformance/target"
	"ocid/fixtures/requests"
	"ocid/spec"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"google.golang.org/protobuf/proto"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Each requirement refuses the request that breaks it and no other; the audit at
// the end of the case sees what a refused request leaves.
var _ = Describe("Request", target.Derived(), func() {
	for _, r := range book().Requests {
		It(fmt.Sprintf("%s: %s", r.RPC, r.Demand()), covers(r.Rule), limit, func(ctx SpecContext) {
			t := target.Current()
			need(t, r.Rule)
			valid := requests.Valid(r.RPC)
			Expect(valid).NotTo(BeNil(), "a valid request of %s", r.RPC)
			broken := requests.BreakAll(valid, requests.Demand{Field: r.Field, Check: string(r.Check), Other: r.Other, Lo: r.Lo, Hi: r.Hi})
			Expect(broken).NotTo(BeEmpty(), "how the demand is broken")
			for _, b := range broken {
				expectRefused(t, send(ctx, t, r.RPC, b), r.Rule, r.Code)
			}
		})
	}
	for _, rpc := range requests.RPCs() {
		It(rpc+" that meets every demand", covers(rulesAbout(rpc)...), limit, func(ctx SpecContext) {
			t := target.Current()
			err := send(ctx, t, rpc, requests.Valid(rpc))
			for _, r := range rulesAbout(rpc) {
				Expect(target.RuleOf(err)).NotTo(BeEquivalentTo(r.ID), "%v", err)
			}
		})
	}
})

func rulesAbout(rpc string) (rules []spec.Rule) {
	for _, r := range book().Requests {
		if r.RPC == rpc {
			rules = append(rules, r.Rule)
		}
	}
	return rules
}

// send makes the call of that name. A sandbox that comes of it is removed at the
// end of the case.
func send(ctx context.Context, t *target.T, rpc string, req proto.Message) error {
	GinkgoHelper()
	for _, stub := range []any{t.Runtime, t.Images} {
		method := reflect.ValueOf(stub).MethodByName(rpc)
		if !method.IsValid() {
			continue
		}
		out := method.Call([]reflect.Value{reflect.ValueOf(ctx), reflect.ValueOf(req)})
		if resp, ok := out[0].Interface().(*runtimeapi.RunPodSandboxResponse); ok && resp.GetPodSandboxId() != "" {
			removeLater(t, resp.GetPodSandboxId())
		}
		err, _ := out[1].Interface().(error)
		return err
	}
	Fail("no service has the call " + rpc)
	return nil
}
