package derived

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"ocid/conformance/target"
	"ocid/spec"

	"github.com/fsnotify/fsnotify"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// What no witness sees, the file system tells: namespaces are pinned after the
// store has written the sandbox's record, and gone before it writes again.
var _ = Describe("Order on disk of", target.Derived(), Ordered, ContinueOnFailure, func() {
	var made, removed, records []string // paths, in the order of events; directories
	var pinned map[spec.StepName]string
	BeforeAll(func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureStorageRecords)
		first := t.Pod(ctx) // makes the directories
		records = recordDirs(t)
		dirs := slices.Clone(records)
		for _, path := range pins(t, first.ID) {
			dirs = append(dirs, filepath.Dir(path))
		}
		var pod *target.Pod
		made = watching(dirs, func() { pod = t.Pod(ctx) })
		pinned = pins(t, pod.ID)
		removed = watching(dirs, func() { Expect(pod.Remove(ctx)).To(Succeed(), "RemovePodSandbox") })
	}, NodeTimeout(setUp))
	eachPin(book().RunPodSandbox, spec.StepRecord, func(plan string, pin spec.StepName, rule spec.Rule) {
		It(fmt.Sprintf("%s: %s after %s", plan, pin, spec.StepRecord), covers(rule), func() {
			need(target.Current(), rule)
			expectOrder(made, inAny(records), is(pinned[pin]))
		})
	})
	eachPin(book().RemovePodSandbox, spec.StepRecord, func(plan string, pin spec.StepName, rule spec.Rule) {
		It(fmt.Sprintf("%s: %s after %s", plan, spec.StepRecord, pin), covers(rule), func() {
			need(target.Current(), rule)
			expectOrder(removed, is(pinned[pin]), inAny(records))
		})
	})
})

// eachPin calls do with every step of a plan that pins or unpins a namespace and
// comes after the step other, or before it; rule is the later one's.
func eachPin(plan spec.Plan, other spec.StepName, do func(plan string, pin spec.StepName, rule spec.Rule)) {
	for _, step := range plan.Steps {
		for _, before := range step.After {
			if pinKinds()[step.Name] != "" && before == other {
				do(plan.Name, step.Name, step.Rule)
			}
			if step.Name == other && pinKinds()[before] != "" {
				do(plan.Name, before, step.Rule)
			}
		}
	}
}

// expectOrder fails unless both happened, and what was to be first began first.
func expectOrder(events []string, first, second func(path string) bool) {
	GinkgoHelper()
	a, b := slices.IndexFunc(events, first), slices.IndexFunc(events, second)
	Expect(a).To(BeNumerically(">=", 0), "the first is among %q", events)
	Expect(b).To(BeNumerically(">", a), "order of %q", events)
}

func is(path string) func(string) bool { return func(p string) bool { return p == path } }

func inAny(dirs []string) func(string) bool {
	return func(p string) bool { return slices.Contains(dirs, filepath.Dir(p)) }
}

// pinKinds are the kinds of namespace that steps pin.
func pinKinds() map[spec.StepName]string {
	return map[spec.StepName]string{spec.StepNetNS: "net", spec.StepUTS: "uts", spec.StepIPC: "ipc"}
}

// pins returns where the namespaces of a sandbox are pinned.
func pins(t *target.T, id string) map[spec.StepName]string {
	GinkgoHelper()
	found := map[spec.StepName]string{}
	for step, kind := range pinKinds() {
		for _, m := range t.Mounts(id) {
			if strings.HasPrefix(m.Root, kind+":") {
				found[step] = m.Mountpoint
			}
		}
	}
	return found
}

// recordDirs are the directories that hold the store's container records.
func recordDirs(t *target.T) (dirs []string) {
	GinkgoHelper()
	for _, c := range t.Storage().Containers {
		if dir := filepath.Dir(c.Dir); !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// watching returns the paths below the directories that are written or made
// while do runs, in the order in which that happens.
func watching(dirs []string, do func()) (paths []string) {
	GinkgoHelper()
	w, err := fsnotify.NewBufferedWatcher(1 << 12)
	Expect(err).NotTo(HaveOccurred())
	for _, dir := range dirs {
		Expect(w.Add(dir)).To(Succeed(), "watch %s", dir)
	}
	do()
	return drain(w)
}

// drain closes the watcher and returns the paths of its events.
func drain(w *fsnotify.Watcher) (paths []string) {
	GinkgoHelper()
	ctx, cancel := context.WithTimeout(context.Background(), waitsLong)
	defer cancel()
	for {
		select {
		case e := <-w.Events:
			paths = append(paths, e.Name)
		case err := <-w.Errors:
			Fail(errors.Join(err, w.Close()).Error())
		case <-ctx.Done():
			Expect(w.Close()).To(Succeed())
			return paths
		}
	}
}
