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
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Each step of a plan is done for an object of the facts that it is meant for,
// and left out for any other.
var _ = Describe("Steps of", target.Derived(), func() {
	for f := spec.Facts(0); f < 1<<len(book().RunPodSandbox.Facts); f++ {
		name := book().RunPodSandbox.Facts.String(f)
		if f == 0 {
			name = "none of the facts"
		}
		describeSteps("sandbox with "+name, f, []spec.Plan{book().RunPodSandbox, book().StopPodSandbox, book().RemovePodSandbox}, lookAtSandboxPlans)
	}
	describeSteps("container", spec.HasInfra, []spec.Plan{book().CreateContainer, book().RemoveContainer}, lookAtContainerPlans)
})

// looks are, for each plan, the steps that the thing of was seen of.
type looks map[string]map[spec.StepName]bool

// look sees what is to be seen of each step of a plan now.
func (l looks) look(plan spec.Plan, s scene) {
	GinkgoHelper()
	l[plan.Name] = map[spec.StepName]bool{}
	for _, step := range plan.Steps {
		tr, ok := traces()[plan.Name][step.Name]
		Expect(ok).To(BeTrue(), "how step %s of %s is seen is not known", step.Name, plan.Name)
		l[plan.Name][step.Name] = tr.seen(s)
	}
}

func describeSteps(name string, f spec.Facts, plans []spec.Plan, take func(context.Context, spec.Facts) looks) {
	Context(name, Ordered, ContinueOnFailure, func() {
		var seen looks
		BeforeAll(func(ctx SpecContext) {
			if len(lacking(target.Current(), f)) == 0 {
				seen = take(ctx, f)
			}
		}, NodeTimeout(setUp))
		for _, plan := range plans {
			for _, step := range plan.Steps {
				inPlan := slices.ContainsFunc(plan.For(f), func(s spec.Step) bool { return s.Name == step.Name })
				what := map[bool]string{true: "done", false: "left out"}[inPlan]
				It(fmt.Sprintf("%s: %s is %s", plan.Name, step.Name, what), covers(step.Rule), target.Acts(), func() {
					target.Current().Need(lacking(target.Current(), f)...)
					need(target.Current(), step.Rule)
					want := inPlan && !traces()[plan.Name][step.Name].gone
					Expect(seen[plan.Name][step.Name]).To(Equal(want), "what the step leaves is there")
				})
			}
		}
	})
}

// lacking are the features that a sandbox of the facts takes and the profile
// has not.
func lacking(t *target.T, f spec.Facts) []target.Feature {
	takes := []target.Feature{target.FeatureWitness}
	if f&spec.OnHostNetwork != 0 {
		takes = append(takes, target.FeatureHostNetwork)
	}
	if f&spec.OnHostIPC != 0 || f&spec.HasInfra == 0 { // a pod with a kernel of its own has an infra process
		takes = append(takes, target.FeatureHostNamespaces)
	}
	return slices.DeleteFunc(takes, t.Has)
}

func sandboxOptions(f spec.Facts) (opts []target.PodOption) {
	if f&spec.OnHostNetwork != 0 {
		opts = append(opts, target.HostNetwork())
	}
	if f&spec.OnHostIPC != 0 {
		opts = append(opts, target.HostIPC())
	}
	if f&spec.HasInfra != 0 {
		opts = append(opts, target.SharedPID())
	}
	return opts
}

func lookAtSandboxPlans(ctx context.Context, f spec.Facts) looks {
	GinkgoHelper()
	t, seen, b := target.Current(), looks{}, book()
	for _, end := range []struct {
		plan spec.Plan
		call func(*target.Pod) error
	}{
		{b.StopPodSandbox, func(p *target.Pod) error { return p.Stop(ctx) }},
		{b.RemovePodSandbox, func(p *target.Pod) error { return p.Remove(ctx) }},
	} {
		p := t.Pod(ctx, sandboxOptions(f)...)
		seen.look(b.RunPodSandbox, scene{t: t, pod: p.ID})
		s := scene{t: t, pod: p.ID, ctr: p.Run(ctx).ID}
		Expect(end.call(p)).To(Succeed(), end.plan.Name)
		seen.look(end.plan, s)
	}
	return seen
}

func lookAtContainerPlans(ctx context.Context, _ spec.Facts) looks {
	GinkgoHelper()
	t, seen, b := target.Current(), looks{}, book()
	t.Need(target.FeatureWitness)
	c := t.Running(ctx)
	s := scene{t: t, pod: c.Pod.ID, ctr: c.ID}
	seen.look(b.CreateContainer, s)
	Expect(c.Remove(ctx)).To(Succeed(), "RemoveContainer")
	seen.look(b.RemoveContainer, s)
	return seen
}

// While a step that the witnesses see stalls, the steps that it comes after are
// done, and those that come after it are not.
var _ = Describe("Order of", target.Derived(), func() {
	eachCall(func(plan spec.Plan, step spec.Step, tr trace) {
		It(fmt.Sprintf("%s: %s in its place", plan.Name, step.Name), covers(withFollowers(plan, step)...), target.Acts(), limit, func(ctx SpecContext) {
			t := target.Current()
			need(t, step.Rule)
			s, call := prepare(ctx, t, plan.Name)
			op, release, id := stallAt(ctx, s, tr, call)
			if tr.ofContainer {
				s.ctr = id
			} else {
				s.pod = id
			}
			for _, other := range plan.Steps {
				seen := traces()[plan.Name][other.Name]
				switch {
				case slices.Contains(step.After, other.Name):
					Expect(seen.done(s)).To(BeTrue(), "%s before %s", other.Name, step.Name)
				case slices.Contains(other.After, step.Name):
					Expect(seen.done(s)).To(BeFalse(), "%s after %s", other.Name, step.Name)
				}
			}
			release()
			made, err := op.answer(ctx)
			Expect(err).NotTo(HaveOccurred(), plan.Name)
			if plan.Name == book().RunPodSandbox.Name {
				removeLater(t, made)
			}
		})
	})
})

// withFollowers are the rules of a step and of those that come after it.
func withFollowers(plan spec.Plan, step spec.Step) []spec.Rule {
	rules := []spec.Rule{step.Rule}
	for _, other := range plan.Steps {
		if slices.Contains(other.After, step.Name) {
			rules = append(rules, other.Rule)
		}
	}
	return rules
}

// When such a step fails, a plan that goes backward leaves nothing of itself.
var _ = Describe("Undoing", target.Derived(), func() {
	eachCall(func(plan spec.Plan, step spec.Step, tr trace) {
		if !plan.Backward {
			return
		}
		It(fmt.Sprintf("%s when %s fails", plan.Name, step.Name), covers(undone(plan, step)...), target.Acts(), limit, func(ctx SpecContext) {
			t := target.Current()
			_, call := prepare(ctx, t, plan.Name)
			before := t.Now(ctx)
			t.Witness.Fault(witness.Fault{Program: tr.program, Op: tr.op, Action: witness.Fail, Times: 1})
			_, err := call(ctx)
			Expect(err).To(HaveOccurred(), plan.Name)
			t.ExpectNothingLeft(ctx, before)
		})
	})
})

// eachCall calls do with every step that begins with a call the witnesses see.
func eachCall(do func(spec.Plan, spec.Step, trace)) {
	for _, plan := range book().Plans() {
		for _, step := range plan.Steps {
			if tr := traces()[plan.Name][step.Name]; tr.op != "" {
				do(*plan, step, tr)
			}
		}
	}
}

// undone are the rules of the steps that a failure of one step takes back.
func undone(plan spec.Plan, failing spec.Step) (rules []spec.Rule) {
	for _, s := range plan.Steps {
		if s.Undo {
			rules = append(rules, s.Rule)
		}
		if s.Name == failing.Name {
			break
		}
	}
	return rules
}

// prepare makes what a plan is carried out on, with all its steps, and the call
// that does it.
func prepare(ctx context.Context, t *target.T, plan string) (scene, func(context.Context) (string, error)) {
	GinkgoHelper()
	t.Need(target.FeatureWitness)
	if plan == book().RunPodSandbox.Name {
		req := t.PodRequest(target.SharedPID())
		return scene{t: t}, func(ctx context.Context) (string, error) { return run(ctx, t, req) }
	}
	p := t.Pod(ctx, target.SharedPID())
	if plan == book().CreateContainer.Name {
		req := p.ContainerRequest()
		return scene{t: t, pod: p.ID}, func(ctx context.Context) (string, error) { return create(ctx, t, req) }
	}
	s := scene{t: t, pod: p.ID, ctr: p.Run(ctx).ID}
	calls := map[string]func(context.Context) error{
		book().StopPodSandbox.Name:   p.Stop,
		book().RemovePodSandbox.Name: p.Remove,
		book().RemoveContainer.Name: func(ctx context.Context) error {
			_, err := t.Runtime.RemoveContainer(ctx, &runtimeapi.RemoveContainerRequest{ContainerId: s.ctr})
			return err
		},
	}
	Expect(calls).To(HaveKey(plan), "how this plan is set off is not known")
	return s, func(ctx context.Context) (string, error) { return "", calls[plan](ctx) }
}

// stallAt makes the call and has it stall at the beginning of a step. Calls of
// the same operation for another object are let go on.
func stallAt(ctx context.Context, s scene, tr trace, call func(context.Context) (string, error)) (op *aside, release func(), id string) {
	GinkgoHelper()
	f := witness.Fault{Program: tr.program, Op: tr.op, Action: witness.Stall, Times: 1}
	release = stall(s.t, f)
	op = begin(ctx, call)
	var passed []string
	for {
		at := s.t.Witness.Wait(ctx, func(c witness.Call) bool {
			return c.Program == tr.program && c.Op == tr.op && c.Fault != "" && !slices.Contains(passed, c.ID)
		})
		if tr.id(s) == "" || tr.id(s) == at.Container {
			return op, release, at.Container
		}
		passed = append(passed, at.ID)
		next := stall(s.t, f)
		release()
		release = next
	}
}
