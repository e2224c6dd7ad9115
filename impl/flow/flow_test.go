package flow_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"ocid/impl/flow"
	"ocid/spec"
)

func TestRunsTheStepsOfTheFactsInOrder(t *testing.T) {
	everyPlan(t, func(t *testing.T, p spec.Plan, f spec.Facts) {
		w := newWorld(t, p, f)
		require.NoError(t, flow.Runner{}.Run(t.Context(), w.journal, object, p, f, w.works(p)))
		require.Equal(t, names(p.For(f)), w.done)
		require.Empty(t, w.undone)
		require.Equal(t, w.done, w.journal.begun, "whoever keeps the object closes the journal with its state")
		require.True(t, w.journal.open())
		if !p.Backward {
			require.Empty(t, w.left(p))
		}
	})
}

// A crash leaves what a new daemon finds: the journal and the things.
func TestTroubleAtEveryStep(t *testing.T) {
	everyPlan(t, func(t *testing.T, p spec.Plan, f spec.Facts) {
		everyTrouble(t, p, f, func(t *testing.T, w *world, bad trouble) {
			crash, err := run(func() error {
				return flow.Runner{}.Run(t.Context(), w.journal, object, p, f, w.works(p))
			})
			require.Equal(t, bad.crash, crash)
			require.Equal(t, bad.step, w.done[len(w.done)-1], "no step runs after the one that went wrong")
			if !crash {
				isStepError(t, err, p, bad.step)
			}
			if crash || !p.Backward {
				require.True(t, w.journal.open())
				require.Equal(t, w.done, w.journal.begun)
				restart(t, w, p, f)
			}
			require.Empty(t, w.left(p))
			require.Equal(t, !p.Backward, w.journal.open())
			if p.Backward {
				require.Equal(t, undoable(p.For(f), bad.step), w.undone)
			}
		})
	})
}

// restart is what the next daemon does with an open journal.
func restart(t *testing.T, w *world, p spec.Plan, f spec.Facts) {
	if p.Backward {
		require.NoError(t, flow.Runner{}.Undo(t.Context(), w.journal, object, p, w.works(p)))
		return
	}
	w.done = nil
	require.NoError(t, flow.Runner{}.Run(t.Context(), w.journal, object, p, f, w.works(p)))
	require.Equal(t, names(p.For(f)), w.done)
}

func isStepError(t *testing.T, err error, p spec.Plan, step spec.StepName) {
	t.Helper()
	require.ErrorIs(t, err, errStep)
	var at *flow.StepError
	require.ErrorAs(t, err, &at)
	require.Equal(t, step, at.Step.Name)
	require.NotEmpty(t, at.RuleID())
	require.Equal(t, at.Step.ID, at.RuleID())
	require.Equal(t, string(at.Step.ID)+": "+errStep.Error(), at.Error())
	for _, s := range p.Steps {
		if s.Name == step {
			require.Equal(t, s.ID, at.RuleID())
		}
	}
}

// Whatever begins, some undo of it fails or crashes once; the second try of
// it, by the same daemon or the next, leaves nothing.
func TestTroubleAtEveryUndo(t *testing.T) {
	everyPlan(t, func(t *testing.T, p spec.Plan, f spec.Facts) {
		steps := p.For(f)
		if !p.Backward {
			return
		}
		last := steps[len(steps)-1].Name
		for _, s := range steps {
			if !s.Undo {
				continue
			}
			for _, bad := range []trouble{{}, {afterEffect: true}, {crash: true}, {afterEffect: true, crash: true}} {
				bad.step, bad.undo = s.Name, true
				w := newWorld(t, p, f)
				w.trouble = &trouble{step: last, afterEffect: true, crash: true}
				crash, _ := run(func() error { return flow.Runner{}.Run(t.Context(), w.journal, object, p, f, w.works(p)) })
				require.True(t, crash)

				w.trouble = &trouble{}
				*w.trouble = bad
				crash, err := run(func() error { return flow.Runner{}.Undo(t.Context(), w.journal, object, p, w.works(p)) })
				require.Equal(t, bad.crash, crash)
				require.Equal(t, s.Name, w.undone[len(w.undone)-1], "what comes before waits until this is undone")
				require.True(t, w.journal.open())
				if !crash {
					require.ErrorIs(t, err, errStep)
					require.ErrorContains(t, err, string(s.ID))
				}
				restart(t, w, p, f)
				require.Empty(t, w.left(p))
				require.False(t, w.journal.open())
			}
		}
	})
}

func TestRunWhoseUndoFailsKeepsTheJournal(t *testing.T) {
	p := spec.Default().RunPodSandbox
	w := newWorld(t, p, 0)
	works := w.works(p)
	works[spec.StepIPC] = flow.Work{Do: func(context.Context) error { return errStep }, Undo: works[spec.StepIPC].Undo}
	stuck := errors.New("the network can't be taken away")
	undo := works[spec.StepNetwork].Undo
	works[spec.StepNetwork] = flow.Work{Do: works[spec.StepNetwork].Do, Undo: func(context.Context) error { return stuck }}
	err := flow.Runner{}.Run(t.Context(), w.journal, object, p, 0, works)
	isStepError(t, err, p, spec.StepIPC)
	require.ErrorIs(t, err, stuck)
	require.True(t, w.journal.open())
	require.True(t, w.things[spec.StepNetNS], "a network namespace whose network is not taken away stays")
	works[spec.StepNetwork] = flow.Work{Do: works[spec.StepNetwork].Do, Undo: undo}
	require.NoError(t, flow.Runner{}.Undo(t.Context(), w.journal, object, p, works))
	require.Empty(t, w.left(p))
	require.False(t, w.journal.open())
}

func TestMissingWorkIsAnError(t *testing.T) {
	everyPlan(t, func(t *testing.T, p spec.Plan, f spec.Facts) {
		for _, s := range p.For(f) {
			for _, empty := range []bool{false, true} {
				w := newWorld(t, p, f)
				works := w.works(p)
				if delete(works, s.Name); empty {
					works[s.Name] = flow.Work{}
				}
				err := flow.Runner{}.Run(t.Context(), w.journal, object, p, f, works)
				require.ErrorContains(t, err, string(s.Name))
				require.NotContains(t, w.done, s.Name)
				if p.Backward {
					require.Empty(t, w.left(p))
					require.False(t, w.journal.open())
				}
			}
		}
	})
}

func TestCancelledContextStopsBeforeTheNextStep(t *testing.T) {
	why := errors.New("the caller has gone")
	everyPlan(t, func(t *testing.T, p spec.Plan, f spec.Facts) {
		steps := p.For(f)
		for i, s := range steps {
			w := newWorld(t, p, f)
			works := w.works(p)
			ctx, cancel := context.WithCancelCause(t.Context())
			if i == 0 {
				cancel(why)
			} else {
				before := works[steps[i-1].Name]
				works[steps[i-1].Name] = flow.Work{Undo: before.Undo, Do: func(ctx context.Context) error { defer cancel(why); return before.Do(ctx) }}
			}
			err := flow.Runner{}.Run(ctx, w.journal, object, p, f, works)
			require.ErrorIs(t, err, why)
			var at *flow.StepError
			require.ErrorAs(t, err, &at)
			require.Equal(t, s.Name, at.Step.Name)
			require.Len(t, w.done, i)
			if p.Backward {
				require.Empty(t, w.left(p))
				require.False(t, w.journal.open())
			}
			cancel(nil)
		}
	})
}

func TestStepWithoutJournalHasNoEffect(t *testing.T) {
	everyPlan(t, func(t *testing.T, p spec.Plan, f spec.Facts) {
		for _, s := range p.For(f) {
			w := newWorld(t, p, f)
			w.journal.fail = s.Name
			isStepError(t, flow.Runner{}.Run(t.Context(), w.journal, object, p, f, w.works(p)), p, s.Name)
			require.NotContains(t, w.done, s.Name)
			if p.Backward {
				require.Empty(t, w.left(p))
			}
		}
	})
}

func TestJournalThatCannotBeClosedIsAnError(t *testing.T) {
	p := spec.Default().CreateContainer
	w := newWorld(t, p, 0)
	w.journal.deaf = true
	require.NoError(t, flow.Runner{}.Run(t.Context(), w.journal, object, p, 0, w.works(p)))
	require.ErrorIs(t, flow.Runner{}.Undo(t.Context(), w.journal, object, p, w.works(p)), errStep)
	require.True(t, w.journal.open())
}

func TestUndoOfNothing(t *testing.T) {
	p := spec.Default().RunPodSandbox
	w := newWorld(t, p, 0)
	require.NoError(t, flow.Runner{}.Undo(t.Context(), w.journal, object, p, w.works(p)))
	require.Empty(t, w.undone)
}

// A step whose row says Undo and whose work has none is an error and keeps the
// journal, whether it is found before the plan begins or when it is taken back.
func TestMissingUndoIsAnError(t *testing.T) {
	p := spec.Default().RunPodSandbox
	for _, s := range p.For(0) {
		if !s.Undo {
			continue
		}
		w := newWorld(t, p, 0)
		works := w.works(p)
		works[s.Name] = flow.Work{Do: works[s.Name].Do}
		w.trouble = &trouble{step: s.Name, afterEffect: true}
		require.NotPanics(t, func() {
			err := flow.Runner{}.Run(t.Context(), w.journal, object, p, 0, works)
			require.ErrorContains(t, err, string(s.Name))
			require.Equal(t, w.things[s.Name], w.journal.open(), "what is left stays in the journal")
		}, s.Name)
	}
}
