package probe
import ("ocid/conformance/target"
 "time"
	. "github.com/onsi/ginkgo/v2"
)
var _ = Describe("tmp", target.Covers("sandbox.run.new"), func() {
	It("one", func(ctx SpecContext) {
		t := target.Current()
		a := time.Now()
		p := t.Pod(ctx)
		GinkgoWriter.Println(time.Since(a), p.Status(ctx))
		a = time.Now()
		p = t.Pod(ctx, target.HostPort(18080, 80))
		GinkgoWriter.Println(time.Since(a), p.Status(ctx).Network, t.Leases(p.ID), t.NATRules(""))
		for _, m := range t.Mounts(p.ID) { GinkgoWriter.Println(*m) }
		Fail("x")
	})
})
