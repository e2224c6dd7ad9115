package derived

import (
	"context"
	"fmt"

	"ocid/conformance/target"
	"ocid/fixtures/witness"
	"ocid/spec"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// A failure is how the work of an event is made to fail.
type failure struct {
	work witness.Fault // the action is Fail
	// half and undo, where a row has a state for it, leave the work half done and
	// make taking that back fail too.
	half, undo witness.Fault
	not        spec.States // in which the work needs nothing that could fail so
}

// describeFailures generates the cases of work that fails: the object is as the
// row's Else says, or as before, and as its Stuck says if it can't be taken back.
func (k kit) describeFailures(s spec.State) {
	for _, c := range k.cells(s) {
		if c.row.Act != spec.Do || c.row.Via == 0 || k.failures[c.event].not&s != 0 {
			continue
		}
		to := c.row.Else
		if to == 0 {
			to = s
		}
		f := k.failures[c.event]
		c.describeFailure("fails", to, f.work)
		if c.row.Stuck != 0 {
			c.describeFailure("fails and can't be taken back", c.row.Stuck, f.half, f.undo)
		}
	}
}

func (c cell) describeFailure(how string, to spec.State, faults ...witness.Fault) {
	It(fmt.Sprintf("%s that %s: becomes %s", c.event, how, to), covers(c.row.Rule), target.Acts(), limit, func(ctx SpecContext) {
		t := target.Current()
		need(t, c.row.Rule)
		s := c.drive(ctx, t, c.state, c.event)
		for _, f := range faults {
			Expect(f.Op).NotTo(BeEmpty(), "how %s fails is not known", c.event)
			if f.Action == "" {
				f.Action = witness.Fail
			}
			t.Witness.Fault(f)
		}
		_, err := c.calls[c.event](ctx, s)
		Expect(err).To(HaveOccurred(), string(c.event))
		struck := stalled(ctx, t, faults[0].Program, faults[0].Op)
		if s.id == unknown {
			c.adopt(s, struck.Container)
		}
		c.expectState(ctx, s, to)
	})
}

func (c cell) expectState(ctx context.Context, s *subject, want spec.State) {
	GinkgoHelper()
	Eventually(ctx, func() spec.States {
		states, _ := c.look(ctx, s)
		return states & want
	}).WithTimeout(target.Current().HappensIn()).WithPolling(looksEach).Should(Equal(want), "state after %s", c.event)
}
