package derived

import (
	"path/filepath"
	"slices"
	"strings"

	"ocid/conformance/target"
	"ocid/fixtures/witness"
	"ocid/spec"

	. "github.com/onsi/ginkgo/v2"
)

// A scene is a sandbox, and a container in it if there is one.
type scene struct {
	t        *target.T
	pod, ctr string // IDs; "" is not known yet, or none
}

// A sight is something that is to be seen of a sandbox or container, or is not.
type sight func(t *target.T, id string) bool

// A trace is how a step of a plan is seen from outside.
type trace struct {
	ofContainer bool
	see         sight
	gone        bool   // the step's effect is that it is not to be seen any more
	program, op string // the witness call that the step begins with, if it has one
}

func (tr trace) id(s scene) string {
	if tr.ofContainer {
		return s.ctr
	}
	return s.pod
}

// seen tells whether the thing is there.
func (tr trace) seen(s scene) bool {
	GinkgoHelper()
	return tr.see(s.t, tr.id(s))
}

// done tells whether the step has had its effect.
func (tr trace) done(s scene) bool {
	GinkgoHelper()
	return tr.seen(s) != tr.gone
}

// traces are the plans that the witnesses see, and how they see each step.
func traces() map[string]map[spec.StepName]trace {
	remove := endings()
	remove[spec.StepRecord] = trace{see: hasRecord, gone: true}
	return map[string]map[spec.StepName]trace{
		"RunPodSandbox": {
			spec.StepRecord:      {see: hasRecord},
			spec.StepFiles:       {see: hasFile("resolv.conf")},
			spec.StepNetNS:       {see: hasNetns},
			spec.StepNetwork:     {see: called(witness.CNI, "ADD"), program: witness.CNI, op: "ADD"},
			spec.StepUTS:         {see: hasPin("uts")},
			spec.StepIPC:         {see: hasPin("ipc")},
			spec.StepInfraCreate: {see: called(witness.OCI, "create"), program: witness.OCI, op: "create"},
			spec.StepInfraStart:  {see: called(witness.OCI, "start"), program: witness.OCI, op: "start"},
		},
		"StopPodSandbox":   endings(),
		"RemovePodSandbox": remove,
		"CreateContainer": {
			spec.StepRecord: {ofContainer: true, see: hasRecord},
			spec.StepMount:  {ofContainer: true, see: hasRoot},
			spec.StepConfig: {ofContainer: true, see: hasFile("config.json")},
			spec.StepCreate: {ofContainer: true, see: called(witness.OCI, "create"), program: witness.OCI, op: "create"},
		},
		"RemoveContainer": {
			spec.StepKill:    {ofContainer: true, see: hasProcess, gone: true, program: witness.OCI, op: "kill"},
			spec.StepDelete:  {ofContainer: true, see: called(witness.OCI, "delete"), program: witness.OCI, op: "delete"},
			spec.StepUnmount: {ofContainer: true, see: hasRoot, gone: true},
			spec.StepRecord:  {ofContainer: true, see: hasRecord, gone: true},
		},
	}
}

// endings are the steps that StopPodSandbox and RemovePodSandbox share.
func endings() map[spec.StepName]trace {
	return map[spec.StepName]trace{
		spec.StepContainers: {ofContainer: true, see: hasProcess, gone: true, program: witness.OCI, op: "kill"},
		spec.StepInfra:      {see: called(witness.OCI, "kill"), program: witness.OCI, op: "kill"},
		spec.StepNetwork:    {see: called(witness.CNI, "DEL"), program: witness.CNI, op: "DEL"},
		spec.StepNetNS:      {see: hasNetns, gone: true},
		spec.StepIPC:        {see: hasPin("ipc"), gone: true},
		spec.StepUTS:        {see: hasPin("uts"), gone: true},
	}
}

func called(program, op string) sight {
	return func(t *target.T, id string) bool {
		GinkgoHelper()
		return len(t.Witness.Find(func(c witness.Call) bool {
			return c.Program == program && c.Op == op && c.Container == id
		})) > 0
	}
}

func hasRecord(t *target.T, id string) bool {
	GinkgoHelper()
	_, found := t.Storage().Record(id)
	return found
}

// hasRoot tells whether the container's layer is mounted.
func hasRoot(t *target.T, id string) bool {
	GinkgoHelper()
	storage := t.Storage()
	record, found := storage.Record(id)
	return found && slices.ContainsFunc(storage.Mounted, func(m target.LayerMount) bool { return m.ID == record.Layer && m.Count > 0 })
}

func hasFile(name string) sight {
	return func(t *target.T, id string) bool {
		GinkgoHelper()
		return slices.ContainsFunc(t.Files(id), func(f string) bool { return filepath.Base(f) == name })
	}
}

func hasNetns(t *target.T, id string) bool {
	GinkgoHelper()
	return slices.ContainsFunc(t.PinnedNetns(), func(n target.PinnedNetns) bool { return n.NSFS && strings.Contains(n.Path, id) })
}

// hasPin tells whether a namespace of the kind is pinned under the ID.
func hasPin(kind string) sight {
	return func(t *target.T, id string) bool {
		GinkgoHelper()
		for _, m := range t.Mounts(id) {
			if strings.HasPrefix(m.Root, kind+":") {
				return true
			}
		}
		return false
	}
}

func hasProcess(t *target.T, id string) bool {
	GinkgoHelper()
	return len(t.ProcessesOf(id)) > 0
}
