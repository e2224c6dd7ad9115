package flow_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"ocid/impl/flow"
	"ocid/spec"
)

// Before is told with the journal written and no effect, after with the
// effect; what is taken back is told in reverse.
func TestObserveGetsTheMomentsInOrder(t *testing.T) {
	everyPlan(t, func(t *testing.T, p spec.Plan, f spec.Facts) {
		steps := p.For(f)
		last := steps[len(steps)-1]
		w := newWorld(t, p, f)
		if p.Backward {
			w.trouble = &trouble{step: last.Name, afterEffect: true}
		}
		var seen, want []flow.Moment
		r := flow.Runner{Observe: func(m flow.Moment) {
			seen = append(seen, m)
			require.Contains(t, w.journal.begun, m.Step)
			switch there := w.things[m.Step]; {
			case m.Undo:
				require.Equal(t, !m.After, there)
			default:
				require.Equal(t, p.Backward == m.After, there)
			}
		}}
		err := r.Run(t.Context(), w.journal, object, p, f, w.works(p))
		require.Equal(t, p.Backward, err != nil)
		for _, s := range steps {
			m := flow.Moment{Plan: p.Name, Step: s.Name, Object: object}
			want = append(want, m)
			m.After = true
			want = append(want, m)
		}
		if p.Backward {
			for _, name := range undoable(steps, last.Name) {
				m := flow.Moment{Plan: p.Name, Step: name, Object: object, Undo: true}
				want = append(want, m)
				m.After = true
				want = append(want, m)
			}
		}
		require.Equal(t, want, seen)
	})
}

// A daemon that is stopped at any moment is finished or taken back by the next
// one, which may be stopped at any moment too.
func TestStoppedAtEveryMoment(t *testing.T) {
	everyPlan(t, func(t *testing.T, p spec.Plan, f spec.Facts) {
		for first := range 2 * len(p.For(f)) {
			for second := -1; second < 2*len(p.For(f)); second++ {
				w := newWorld(t, p, f)
				crash, _ := run(func() error { return stopAt(first).Run(t.Context(), w.journal, object, p, f, w.works(p)) })
				require.True(t, crash)
				require.True(t, w.journal.open())
				_, _ = run(func() error {
					if p.Backward {
						return stopAt(second).Undo(t.Context(), w.journal, object, p, w.works(p))
					}
					return stopAt(second).Run(t.Context(), w.journal, object, p, f, w.works(p))
				})
				restart(t, w, p, f)
				require.Empty(t, w.left(p))
				require.Equal(t, !p.Backward, w.journal.open())
			}
		}
	})
}

// stopAt returns a runner whose daemon ends at the moment of that number.
func stopAt(n int) flow.Runner {
	return flow.Runner{Observe: func(flow.Moment) {
		if n == 0 {
			panic(crashed{})
		}
		n--
	}}
}

func TestPlansOfTheBookDependOnFacts(t *testing.T) {
	p := spec.Default().RunPodSandbox
	require.NotContains(t, names(p.For(spec.OnHostNetwork)), spec.StepNetNS)
	require.Contains(t, names(p.For(0)), spec.StepNetNS)
	require.NotContains(t, names(p.For(0)), spec.StepInfraCreate)
	require.Contains(t, names(p.For(spec.HasInfra)), spec.StepInfraCreate)
}
