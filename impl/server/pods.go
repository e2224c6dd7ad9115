package server

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"ocid/impl/events"
	"ocid/impl/ledger"
	"ocid/spec"
)

// Bounds of the events that wait for a slow reader.
const (
	maxEvents     = 4096
	maxEventBytes = 8 << 20
)

// pods is what the ledger holds, each sandbox with its containers as they are
// at one instant, and the log of what becomes of them.
type pods struct {
	mu  sync.Mutex
	all map[string]*pod
	log *events.Log[happening]
}

// A pod is a sandbox and its containers.
type pod struct {
	sandbox    ledger.Entry[Sandbox]
	containers map[string]ledger.Entry[Container]
	stages     map[string]stage // that have been told, of the sandbox too
}

// A happening is something that has become of a sandbox or a container, and
// what the pod was then.
type happening struct {
	kind runtimeapi.ContainerEventType
	id   string
	at   int64 // ns since 1970
	pod  podView
}

// A podView is a pod at one instant.
type podView struct {
	sandbox    ledger.Entry[Sandbox]     // without an ID if it has gone
	containers []ledger.Entry[Container] // oldest first, none that is half made
}

// watchPods follows the ledger's tables.
func watchPods(sandboxes *ledger.Table[Sandbox], containers *ledger.Table[Container]) *pods {
	p := &pods{all: map[string]*pod{}, log: events.New[happening](maxEvents, maxEventBytes)}
	sandboxes.Observe(p.sandbox)
	containers.Observe(p.container)
	return p
}

// view returns a pod and the time at which it is so.
func (p *pods) view(id string) (podView, int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if pod, ok := p.all[id]; ok {
		return pod.view(), time.Now().UnixNano()
	}
	return podView{}, time.Now().UnixNano()
}

func (p *pod) view() podView {
	v := podView{sandbox: p.sandbox}
	oldest := func(a, b ledger.Entry[Container]) int {
		return cmp.Or(cmp.Compare(a.Data.CreatedAt, b.Data.CreatedAt), cmp.Compare(a.ID, b.ID))
	}
	for _, e := range slices.SortedFunc(maps.Values(p.containers), oldest) {
		if e.State != spec.Creating {
			v.containers = append(v.containers, e)
		}
	}
	return v
}

// sandbox takes a change of a sandbox.
func (p *pods) sandbox(e ledger.Entry[Sandbox]) {
	p.mu.Lock()
	defer p.mu.Unlock()
	pod := p.pod(e.ID)
	pod.sandbox = e
	p.tell(pod, e.ID, sandboxStage(e, pod.stages[e.ID]))
	if e.State == spec.Absent {
		pod.sandbox = ledger.Entry[Sandbox]{}
	}
	p.sweep(e.ID, pod)
}

// container takes a change of a container.
func (p *pods) container(e ledger.Entry[Container]) {
	p.mu.Lock()
	defer p.mu.Unlock()
	pod := p.pod(e.Data.PodID)
	pod.containers[e.ID] = e
	if e.State == spec.Absent {
		delete(pod.containers, e.ID)
	}
	p.tell(pod, e.ID, containerStage(e, pod.stages[e.ID]))
	p.sweep(e.Data.PodID, pod)
}

func (p *pods) pod(id string) *pod {
	if p.all[id] == nil {
		p.all[id] = &pod{containers: map[string]ledger.Entry[Container]{}, stages: map[string]stage{}}
	}
	return p.all[id]
}

// sweep forgets a pod of which nothing is left.
func (p *pods) sweep(id string, pod *pod) {
	if pod.sandbox.ID == "" && len(pod.containers) == 0 {
		delete(p.all, id)
	}
}

// tell logs what brings an object to a stage.
func (p *pods) tell(pod *pod, id string, to stage) {
	from := pod.stages[id]
	pod.stages[id] = to
	if to == gone {
		delete(pod.stages, id)
	}
	kinds := between(from, to)
	if len(kinds) == 0 || !p.log.Wanted() {
		return
	}
	now, view := time.Now().UnixNano(), pod.view()
	for _, kind := range kinds {
		p.log.Append(happening{kind: kind, id: id, at: now, pod: view}, view.size())
	}
}

// size is about what an event about the pod has in bytes.
func (v *podView) size() int {
	size := proto.Size(v.sandbox.Data.Config.M)
	for _, e := range v.containers {
		size += proto.Size(e.Data.Config.M)
	}
	return size
}

// A stage is how far an object has come, as events tell it.
type stage int

const (
	gone stage = iota // or not there yet
	made
	running
	ended
)

// between returns the events of an object that goes from a stage to another. No
// stage is left out: what runs has been made, and what goes has ended.
func between(from, to stage) (kinds []runtimeapi.ContainerEventType) {
	if from == to {
		return nil
	}
	if from == gone {
		kinds = append(kinds, runtimeapi.ContainerEventType_CONTAINER_CREATED_EVENT)
	}
	if to == running {
		kinds = append(kinds, runtimeapi.ContainerEventType_CONTAINER_STARTED_EVENT)
	}
	if to == ended || to == gone && from != ended {
		kinds = append(kinds, runtimeapi.ContainerEventType_CONTAINER_STOPPED_EVENT)
	}
	if to == gone {
		kinds = append(kinds, runtimeapi.ContainerEventType_CONTAINER_DELETED_EVENT)
	}
	return kinds
}

// containerStage is the stage of a container. One that is being removed stays
// where it was until its end is known.
func containerStage(e ledger.Entry[Container], before stage) stage {
	switch e.State {
	case spec.Created, spec.Starting:
		return made
	case spec.Running, spec.Stopping:
		return running
	case spec.Exited:
		return ended
	case spec.Removing:
		if e.Data.FinishedAt != 0 {
			return ended
		}
		return before
	}
	return gone
}

// sandboxStage is the stage of a sandbox. One that is being stopped or removed
// stays where it was until that is done, and its containers have ended.
func sandboxStage(e ledger.Entry[Sandbox], before stage) stage {
	switch e.State {
	case spec.Ready:
		return running
	case spec.NotReady, spec.Stopped:
		return ended
	case spec.Stopping, spec.Removing:
		return before
	}
	return gone
}
