package target

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"ocid/fixtures/witness"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"
)

// WitnessView is what the witness runtime and the witness CNI plugin saw during
// the case, and what they are told to do wrong. All of it needs the feature
// witness. Calls and faults are forgotten at the end of the case, faults before
// its clean-ups run.
type WitnessView struct {
	t   *T
	dir string // "" without the feature
}

// setUpWitness places the witness programs, built if no directory holds them.
func (t *T) setUpWitness(ctx context.Context) error {
	t.Witness = &WitnessView{t: t}
	if !t.Has(FeatureWitness) {
		return nil
	}
	bin := t.vars["BIN"]
	if t.cfg.BinDir == "" {
		if err := witness.Build(ctx, bin); err != nil {
			return fmt.Errorf("%w (a directory that holds the programs can be given)", err)
		}
	}
	for _, program := range []string{"witness-oci", "witness-cni"} {
		if _, err := os.Stat(filepath.Join(bin, program)); err != nil {
			return fmt.Errorf("witness program: %w", err)
		}
	}
	dir, err := t.vars.Expand(t.cfg.Profile.Witness.Dir)
	if err != nil {
		return fmt.Errorf("witness.dir: %w", err)
	}
	handlers, err := t.witnessHandlers()
	if err != nil {
		return err
	}
	t.Witness.dir = dir
	return witness.Setup(dir, filepath.Join(bin, "witness-oci"), handlers...)
}

func (t *T) witnessHandlers() ([]witness.Handler, error) {
	var handlers []witness.Handler
	for name, h := range t.cfg.Profile.Witness.Handlers {
		path, err := t.vars.Expand(h.Path)
		if err != nil {
			return nil, fmt.Errorf("witness.handlers: %s: path: %w", name, err)
		}
		program, err := t.vars.Expand(h.Real)
		if err != nil {
			return nil, fmt.Errorf("witness.handlers: %s: real: %w", name, err)
		}
		if program, err = exec.LookPath(program); err != nil {
			return nil, fmt.Errorf("witness.handlers: %s: real: %w", name, err)
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return nil, fmt.Errorf("witness.handlers: %s: %w", name, err)
		}
		handlers = append(handlers, witness.Handler{Name: name, Path: path, Real: program, After: h.After})
	}
	return handlers, nil
}

// clear forgets calls and faults, if there is a witness.
func (w *WitnessView) clear() error {
	if w.dir == "" {
		return nil
	}
	if err := witness.Clear(w.dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Calls returns what was recorded in this case, oldest first. What the keepers of
// containers ask at their own time is left out.
func (w *WitnessView) Calls() []witness.Call {
	ginkgo.GinkgoHelper()
	w.t.Need(FeatureWitness)
	calls, err := witness.Calls(w.dir)
	must(err)
	if !w.t.Has(FeatureKeepers) {
		return calls
	}
	return slices.DeleteFunc(calls, func(c witness.Call) bool { return c.Program == witness.OCI && (c.Op == "wait" || c.Op == "state") })
}

// Find returns the recorded calls that match accepts, oldest first.
func (w *WitnessView) Find(match func(witness.Call) bool) []witness.Call {
	ginkgo.GinkgoHelper()
	var found []witness.Call
	for _, c := range w.Calls() {
		if match(c) {
			found = append(found, c)
		}
	}
	return found
}

// Creates returns the beginnings of the runtime's create (or run) calls for a
// sandbox or container.
func (w *WitnessView) Creates(id string) []witness.Call {
	ginkgo.GinkgoHelper()
	return w.Find(func(c witness.Call) bool {
		return c.Program == witness.OCI && c.Phase == witness.Begin && c.Container == id && (c.Op == "create" || c.Op == "run")
	})
}

// Create returns the one create call for a container; none, or two, fail the
// case.
func (w *WitnessView) Create(id string) witness.Call {
	ginkgo.GinkgoHelper()
	calls := w.Creates(id)
	gomega.Expect(calls).To(gomega.HaveLen(1), "runtime create calls for %s", id)
	return calls[0]
}

// Runtime returns the beginnings of the runtime's calls of an operation for a
// container; "" is any container.
func (w *WitnessView) Runtime(op, id string) []witness.Call {
	ginkgo.GinkgoHelper()
	return w.Find(func(c witness.Call) bool {
		return c.Program == witness.OCI && c.Phase == witness.Begin && c.Op == op && (id == "" || c.Container == id)
	})
}

// Network returns the ends of the CNI plugin's calls of an operation (ADD, DEL,
// …) for a sandbox; "" is any.
func (w *WitnessView) Network(op, sandbox string) []witness.Call {
	ginkgo.GinkgoHelper()
	return w.Find(func(c witness.Call) bool {
		return c.Program == witness.CNI && c.Phase == witness.End && c.Op == op && (sandbox == "" || c.Container == sandbox)
	})
}

// Fault tells the witnesses to misbehave from now on, and returns the fault's
// ID. It ends with [WitnessView.Release] or the case.
func (w *WitnessView) Fault(f witness.Fault) string {
	ginkgo.GinkgoHelper()
	w.t.Need(FeatureWitness)
	id, err := witness.AddFault(w.dir, f)
	must(err)
	return id
}

// Release ends a fault; calls that stall on it go on.
func (w *WitnessView) Release(id string) {
	ginkgo.GinkgoHelper()
	must(witness.RemoveFault(w.dir, id))
}

const witnessWait = 20 * time.Second

// Wait returns the first call that match accepts. None within 20 s fails the
// case.
func (w *WitnessView) Wait(ctx context.Context, match func(witness.Call) bool) witness.Call {
	ginkgo.GinkgoHelper()
	w.t.Need(FeatureWitness)
	ctx, cancel := context.WithTimeout(ctx, witnessWait)
	defer cancel()
	call, err := witness.Wait(ctx, w.dir, match)
	gomega.Expect(err).NotTo(gomega.HaveOccurred(), "no such call was seen")
	return call
}

// Dir returns the witness directory, for package fixtures/witness.
func (w *WitnessView) Dir() string { return w.dir }
