package flow_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"ocid/impl/flow"
	"ocid/spec"
)

const object = "the-object"

var errStep = errors.New("the step fails")

// journal is a durable journal: it outlives what crashes.
type journal struct {
	plan  string
	begun []spec.StepName
	fail  spec.StepName // Begin of it fails
	deaf  bool          // Forget fails
}

func (j *journal) Begin(_, plan string, step spec.StepName) error {
	if step == j.fail {
		return errStep
	}
	if j.plan != plan {
		j.plan, j.begun = plan, nil
	}
	if !slices.Contains(j.begun, step) {
		j.begun = append(j.begun, step)
	}
	return nil
}

func (j *journal) Begun(string) []spec.StepName { return j.begun }

func (j *journal) Forget(string) error {
	if j.deaf {
		return errStep
	}
	j.plan, j.begun = "", nil
	return nil
}

func (j *journal) open() bool { return j.plan != "" }

// A trouble is what goes wrong at one step, once.
type trouble struct {
	step        spec.StepName
	undo        bool // while the step is taken back
	afterEffect bool
	crash       bool // panic, which is the end of this daemon
}

// world is where the steps have effects: a step of a plan that goes backward
// makes a thing, a step of one that goes forward takes a thing away.
type world struct {
	t       *testing.T
	journal *journal
	things  map[spec.StepName]bool
	done    []spec.StepName // steps whose Do ran, in order
	undone  []spec.StepName
	trouble *trouble
}

func newWorld(t *testing.T, p spec.Plan, f spec.Facts) *world {
	w := &world{t: t, journal: &journal{}, things: map[spec.StepName]bool{}}
	for _, s := range p.For(f) {
		if !p.Backward {
			w.things[s.Name] = true
		}
	}
	return w
}

// strike returns an error, or panics, if the trouble is here.
func (w *world) strike(step spec.StepName, undo, after bool) error {
	if w.trouble == nil || w.trouble.step != step || w.trouble.undo != undo || w.trouble.afterEffect != after {
		return nil
	}
	crash := w.trouble.crash
	w.trouble = nil
	if crash {
		panic(crashed{})
	}
	return errStep
}

type crashed struct{}

func (w *world) works(p spec.Plan) flow.Works {
	works := flow.Works{}
	for _, s := range p.Steps {
		work := flow.Work{Do: func(ctx context.Context) error {
			require.NoError(w.t, ctx.Err())
			require.Contains(w.t, w.journal.begun, s.Name, "a step's effect is never before its journal")
			w.done = append(w.done, s.Name)
			return w.effect(s.Name, false, p.Backward)
		}}
		if s.Undo {
			work.Undo = func(ctx context.Context) error {
				require.NoError(w.t, ctx.Err(), "undo is never cancelled with the call")
				w.undone = append(w.undone, s.Name)
				return w.effect(s.Name, true, false)
			}
		}
		works[s.Name] = work
	}
	return works
}

func (w *world) effect(step spec.StepName, undo, makes bool) error {
	if err := w.strike(step, undo, false); err != nil {
		return err
	}
	w.things[step] = makes
	return w.strike(step, undo, true)
}

// left returns what is there and would have to be taken away.
func (w *world) left(p spec.Plan) (left []spec.StepName) {
	for _, s := range p.Steps {
		if w.things[s.Name] && (s.Undo || !p.Backward) {
			left = append(left, s.Name)
		}
	}
	return left
}

// run runs f as one daemon does and says whether the daemon crashed.
func run(f func() error) (crash bool, err error) {
	defer func() {
		if p := recover(); p != nil {
			if _, ok := p.(crashed); !ok {
				panic(p)
			}
			crash = true
		}
	}()
	return false, f()
}

func names(steps []spec.Step) (all []spec.StepName) {
	for _, s := range steps {
		all = append(all, s.Name)
	}
	return all
}

// undoable returns the steps up to and including the last that are taken back,
// in the order in which they are.
func undoable(steps []spec.Step, last spec.StepName) (all []spec.StepName) {
	for _, s := range steps {
		if s.Undo {
			all = append(all, s.Name)
		}
		if s.Name == last {
			break
		}
	}
	slices.Reverse(all)
	return all
}

// everyPlan calls test for every plan of the book and every set of facts.
func everyPlan(t *testing.T, test func(t *testing.T, p spec.Plan, f spec.Facts)) {
	book := spec.Default()
	for _, p := range []spec.Plan{book.RunPodSandbox, book.CreateContainer, book.StopPodSandbox, book.RemovePodSandbox, book.RemoveContainer} {
		for f := range spec.Facts(1) << len(p.Facts) {
			t.Run(p.Name+"/{"+p.Facts.String(f)+"}", func(t *testing.T) { test(t, p, f) })
		}
	}
}

// everyTrouble calls test for every way in which a step can go wrong.
func everyTrouble(t *testing.T, p spec.Plan, f spec.Facts, test func(t *testing.T, w *world, bad trouble)) {
	for _, s := range p.For(f) {
		for name, bad := range map[string]trouble{
			"fails":                {step: s.Name},
			"fails after effect":   {step: s.Name, afterEffect: true},
			"crashes":              {step: s.Name, crash: true},
			"crashes after effect": {step: s.Name, afterEffect: true, crash: true},
		} {
			t.Run(string(s.Name)+" "+name, func(t *testing.T) {
				w := newWorld(t, p, f)
				w.trouble = &trouble{}
				*w.trouble = bad
				test(t, w, bad)
			})
		}
	}
}
