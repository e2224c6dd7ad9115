package flow_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"ocid/impl/flow"
	"ocid/spec"
)

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
