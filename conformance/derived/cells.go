package derived

import (
	"context"
	"fmt"
	"slices"

	"ocid/conformance/target"
	"ocid/fixtures/witness"
	"ocid/spec"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"google.golang.org/protobuf/proto"
)

// A kit is what the generator has to know of a kind of object besides its
// table: how it gets into a state, how an event happens to it, how it is seen.
type kit struct {
	life spec.Lifecycle
	// drive brings a fresh subject into a state, for an event to happen there.
	drive func(ctx context.Context, t *target.T, s spec.State, e spec.Event) *subject
	// calls make an event happen and return the answer: an ID, if the call gives
	// one, and an error.
	calls map[spec.Event]func(ctx context.Context, s *subject) (string, error)
	// silent events are no calls: nobody gets an answer.
	silent map[spec.Event]func(ctx context.Context, s *subject)
	// look returns the states that the subject may be in by what is seen of it,
	// and its status, nil if it has none.
	look func(ctx context.Context, s *subject) (spec.States, proto.Message)
	// adopt makes the object with the ID the subject.
	adopt func(s *subject, id string)
	// alone are the events that need a subject of their own even where they
	// change nothing.
	alone    []spec.Event
	failures map[spec.Event]failure
	// unreachable are the cells that nobody outside can bring about.
	unreachable map[spec.Event]spec.States
}

// An operation keeps a subject in a state by stalling.
type operation struct {
	*aside
	event   spec.Event
	to      spec.State // where it leads
	release func()
}

// A cell is one event in one state.
type cell struct {
	kit
	state spec.State
	event spec.Event
	row   *spec.Transition
}

func (k kit) cells(s spec.State) (all []cell) {
	for _, e := range k.life.Events() {
		if k.unreachable[e]&s == 0 {
			all = append(all, cell{k, s, e, k.life.Next(s, e)})
		}
	}
	return all
}

// describe generates the cases of all cells. Those that change nothing share
// one subject per state.
func (k kit) describe() bool {
	for _, s := range k.life.States.Each() {
		Describe(fmt.Sprintf("%s that is %s", k.life.Object, s), target.Derived(), func() {
			var harmless []cell
			for _, c := range k.cells(s) {
				if (c.row.Act == spec.Done || c.row.Act == spec.Refuse) && !slices.Contains(k.alone, c.event) {
					harmless = append(harmless, c)
					continue
				}
				It(c.name(), covers(c.row.Rule), c.acts(), limit, func(ctx SpecContext) {
					t := target.Current()
					need(t, c.row.Rule)
					c.check(ctx, k.drive(ctx, t, s, c.event))
				})
			}
			k.describeHarmless(s, harmless)
			k.describeFailures(s)
		})
	}
	return true
}

func (k kit) describeHarmless(s spec.State, cells []cell) {
	Context("and stays so", Ordered, ContinueOnFailure, func() {
		var shared *subject
		BeforeAll(func(ctx SpecContext) {
			shared = k.drive(ctx, target.Current(), s, "")
		}, NodeTimeout(setUp))
		for _, c := range cells {
			It(c.name(), covers(c.row.Rule), limit, func(ctx SpecContext) {
				need(shared.t, c.row.Rule)
				c.check(ctx, shared)
			})
		}
	})
}

func (c cell) name() string {
	switch c.row.Act {
	case spec.Do:
		return fmt.Sprintf("%s: becomes %s", c.event, c.row.To)
	case spec.Refuse:
		return fmt.Sprintf("%s: refused with %s", c.event, c.row.Code)
	case spec.Join:
		return fmt.Sprintf("%s: waits", c.event)
	}
	return fmt.Sprintf("%s: nothing changes", c.event)
}

// acts labels the cells of which something comes.
func (c cell) acts() Labels {
	if c.row.Act == spec.Do {
		return target.Acts()
	}
	return nil
}

// check makes the event happen and judges what comes of it.
func (c cell) check(ctx context.Context, s *subject) {
	GinkgoHelper()
	states, _ := c.look(ctx, s)
	Expect(states&c.state).NotTo(BeZero(), "the subject was to be %s and looks like %s", c.state, states)
	if c.row.Act == spec.Join {
		c.checkJoin(ctx, s)
		return
	}
	_, before := c.look(ctx, s)
	calls := changes(s)
	id, err := c.happen(ctx, s)
	c.judge(ctx, s, verdict{row: c.row, state: c.state, id: id, err: err})
	if c.row.Act == spec.Done || c.row.Act == spec.Refuse {
		_, after := c.look(ctx, s)
		Expect(proto.Equal(before, after)).To(BeTrue(), "status before: %v\nand after: %v", before, after)
		Expect(changes(s)).To(Equal(calls), "calls to runtime and network for the object")
	}
}

// happen makes the event happen; a silent one has no answer.
func (c cell) happen(ctx context.Context, s *subject) (string, error) {
	GinkgoHelper()
	if silent := c.silent[c.event]; silent != nil {
		silent(ctx, s)
		return "", nil
	}
	Expect(c.calls).To(HaveKey(c.event), "how this event happens is not known")
	return c.calls[c.event](ctx, s)
}

// checkJoin has the event happen while an operation stalls: nothing comes of it
// before the operation has ended. Then an equal one has the same answer, and any
// other is judged by the state that the operation has led to.
func (c cell) checkJoin(ctx context.Context, s *subject) {
	GinkgoHelper()
	op := s.busy
	Expect(op).NotTo(BeNil(), "no operation is in flight")
	var joined *aside
	if c.silent[c.event] == nil {
		joined = begin(ctx, func(ctx context.Context) (string, error) { return c.calls[c.event](ctx, s) })
		joined.expectWaiting()
	} else {
		c.silent[c.event](ctx, s)
		states, _ := c.look(ctx, s)
		Expect(states&c.state).NotTo(BeZero(), "the event has to wait and the subject looks like %s", states)
	}
	op.release()
	_, err := op.answer(ctx)
	Expect(err).NotTo(HaveOccurred(), "the operation in flight")
	v := verdict{row: &spec.Transition{Act: spec.Done}, state: op.to}
	if c.event != op.event {
		v.row = c.life.Next(op.to, c.event)
	}
	if joined != nil {
		v.id, v.err = joined.answer(ctx)
	}
	c.judge(ctx, s, v)
}

// A verdict is an answer, with the row that it has to follow and the state in
// which the event was looked at.
type verdict struct {
	row   *spec.Transition
	state spec.State
	id    string
	err   error
}

func (c cell) judge(ctx context.Context, s *subject, v verdict) {
	GinkgoHelper()
	want := v.state
	switch v.row.Act {
	case spec.Refuse:
		expectRefused(s.t, v.err, v.row.Rule, v.row.Code)
	case spec.Do:
		want = v.row.To
		fallthrough
	default:
		Expect(v.err).NotTo(HaveOccurred(), string(c.event))
	}
	switch {
	case v.id == "":
	case v.row.Act == spec.Do:
		Expect(v.id).NotTo(Equal(s.id), "the ID of a new object")
		c.adopt(s, v.id)
	default:
		Expect(v.id).To(Equal(s.id), "the ID of the object that is there")
	}
	c.expectState(ctx, s, want)
}

// changes are the calls for the object that change something.
func changes(s *subject) []string {
	GinkgoHelper()
	if !s.t.Has(target.FeatureWitness) {
		return nil
	}
	var ops []string
	for _, call := range s.t.Witness.Calls() {
		harmless := slices.Contains([]string{"state", "exec", "ps", "events", "features"}, call.Op)
		if call.Container == s.id && call.Phase == witness.Begin && !harmless {
			ops = append(ops, call.Program+" "+call.Op)
		}
	}
	return ops
}
