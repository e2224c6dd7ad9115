package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"ocid/conformance/target"
	"ocid/fixtures/witness"
	"ocid/spec"
	"ocid/tools/crash/moment"
)

// callBound is how long one call of a trial may take.
const callBound = 30 * time.Second

// A trial is one moment at which the daemon is killed.
type trial struct {
	name string
	at   string // the moment's own name
	plan string
	undo bool // the moment is in the taking back of a call that fails
	user bool // the pod has a user namespace
}

// moments generates the trials: each step of each plan, before and after its
// effect, and before and after its undo where it has one. Containers are of a
// pod with a user namespace, so that their mounts are mapped; plans of sandboxes
// are tried with one and without.
func moments() (all []trial) {
	book := spec.Default()
	for _, p := range book.Plans() {
		if p.Object == book.Shutdown.Object {
			continue
		}
		for _, s := range p.Steps {
			for _, undo := range []bool{false, true} {
				for _, after := range []bool{false, true} {
					if !undo || s.Undo {
						all = append(all, trials(p, moment.Name(p.Name, string(s.Name), undo, after), undo)...)
					}
				}
			}
		}
	}
	return all
}

func trials(p *spec.Plan, at string, undo bool) []trial {
	mapped := trial{name: at + " (user namespace)", at: at, plan: p.Name, undo: undo, user: true}
	if p.Object == spec.Default().Container.Object {
		mapped.name = at
		return []trial{mapped}
	}
	return []trial{{name: at, at: at, plan: p.Name, undo: undo}, mapped}
}

// A world is what a trial has made before the daemon is killed.
type world struct {
	t         *target.T
	pod       *runtimeapi.RunPodSandboxRequest
	podID     string
	container *runtimeapi.CreateContainerRequest
	ctrID     string
	volumes   bool // the container has some, of each sort
}

// Where the users of a pod with a user namespace are on the host.
const (
	usersFrom = 300_000
	usersMany = 65_536
)

// addVolumes gives the container what the daemon itself has to mount for it.
func addVolumes(c *runtimeapi.ContainerConfig) {
	ids := []*runtimeapi.IDMapping{{HostId: usersFrom, Length: usersMany}}
	c.Mounts = []*runtimeapi.Mount{
		{ContainerPath: "/image", Image: &runtimeapi.ImageSpec{Image: c.GetImage().GetImage()}, ImageSubPath: "etc"},
		{ContainerPath: "/mapped", HostPath: "/usr", Readonly: true, UidMappings: ids, GidMappings: ids},
	}
}

// attempt kills the daemon at the moment, starts it, repeats the call, uses
// and removes what it made, and audits.
func attempt(ctx context.Context, t *target.T, m trial) (err error) {
	if err := t.BeginCase(ctx); err != nil {
		return err
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
		err = errors.Join(err, os.RemoveAll(order(t)), t.EndCase(context.WithoutCancel(ctx)))
	}()
	opts := []target.PodOption{target.SharedPID()}
	if m.user {
		opts = append(opts, target.UserNamespace(usersFrom, usersMany))
	}
	w := &world{t: t, pod: t.PodRequest(opts...), volumes: m.user}
	if err := w.prepare(ctx, m.plan); err != nil {
		return fmt.Errorf("prepare: %w", err)
	}
	if err := w.crash(ctx, m); err != nil {
		return err
	}
	if err := t.StartDaemon(ctx); err != nil {
		return fmt.Errorf("start again: %w", err)
	}
	if err := w.call(ctx, m.plan); err != nil {
		return fmt.Errorf("retry: %w", err)
	}
	return w.finish(ctx, m.plan)
}

// order is the file that tells the daemon when to die.
func order(t *target.T) string { return filepath.Join(t.Work(), "crash") }

// crash makes the call with a daemon that dies at the moment.
func (w *world) crash(ctx context.Context, m trial) error {
	if m.undo {
		// The last step of both plans that are taken back is, or comes after,
		// the runtime's create. It happens, and fails.
		fault := w.t.Witness.Fault(lastStepFails)
		defer w.t.Witness.Release(fault)
	}
	if err := os.WriteFile(order(w.t), []byte(m.at), 0o600); err != nil {
		return err
	}
	if err := w.call(ctx, m.plan); err == nil {
		return errors.New("the call succeeded: the moment never came")
	}
	if _, err := os.Stat(order(w.t)); err == nil {
		return errors.New("the call failed and the moment never came")
	}
	return w.t.KillDaemon(ctx) // it is dead or dying; this waits
}

var lastStepFails = witness.Fault{Program: witness.OCI, Op: "create", Action: witness.FailAfter, Message: "told to fail", Times: 1}

// prepare makes what a plan needs to begin with.
func (w *world) prepare(ctx context.Context, plan string) error {
	book := spec.Default()
	if plan == book.RunPodSandbox.Name {
		return nil
	}
	if err := w.call(ctx, book.RunPodSandbox.Name); err != nil {
		return err
	}
	pod := &target.Pod{T: w.t, ID: w.podID, Config: w.pod.Config}
	w.container = pod.ContainerRequest()
	if w.volumes {
		addVolumes(w.container.GetConfig())
	}
	if plan == book.CreateContainer.Name {
		return nil
	}
	if err := w.call(ctx, book.CreateContainer.Name); err != nil {
		return err
	}
	return w.start(ctx)
}

func (w *world) start(ctx context.Context) error {
	_, err := w.t.Runtime.StartContainer(ctx, &runtimeapi.StartContainerRequest{ContainerId: w.ctrID})
	return err
}

// call makes the call whose plan has the name.
func (w *world) call(ctx context.Context, plan string) error {
	ctx, cancel := context.WithTimeout(ctx, callBound)
	defer cancel()
	switch spec.Event(plan) {
	case spec.RunPodSandbox:
		res, err := w.t.Runtime.RunPodSandbox(ctx, w.pod)
		w.podID = res.GetPodSandboxId()
		return err
	case spec.CreateContainer:
		res, err := w.t.Runtime.CreateContainer(ctx, w.container)
		w.ctrID = res.GetContainerId()
		return err
	case spec.StopPodSandbox:
		_, err := w.t.Runtime.StopPodSandbox(ctx, &runtimeapi.StopPodSandboxRequest{PodSandboxId: w.podID})
		return err
	case spec.RemovePodSandbox:
		_, err := w.t.Runtime.RemovePodSandbox(ctx, &runtimeapi.RemovePodSandboxRequest{PodSandboxId: w.podID})
		return err
	case spec.RemoveContainer:
		_, err := w.t.Runtime.RemoveContainer(ctx, &runtimeapi.RemoveContainerRequest{ContainerId: w.ctrID})
		return err
	}
	return fmt.Errorf("no call has the plan %q", plan)
}

// finish shows that what the call was for is there, and removes all of it.
func (w *world) finish(ctx context.Context, plan string) error {
	book := spec.Default()
	switch plan {
	case book.RunPodSandbox.Name:
		st, err := w.t.Runtime.PodSandboxStatus(ctx, &runtimeapi.PodSandboxStatusRequest{PodSandboxId: w.podID})
		if err != nil || st.Status.State != runtimeapi.PodSandboxState_SANDBOX_READY || st.Status.GetNetwork().GetIp() == "" {
			return fmt.Errorf("the sandbox is not READY with an address: %v, %w", st, err)
		}
	case book.CreateContainer.Name:
		if err := w.start(ctx); err != nil {
			return fmt.Errorf("start: %w", err)
		}
	case book.StopPodSandbox.Name:
		st, err := w.t.Runtime.PodSandboxStatus(ctx, &runtimeapi.PodSandboxStatusRequest{PodSandboxId: w.podID})
		if err != nil || st.Status.State != runtimeapi.PodSandboxState_SANDBOX_NOTREADY {
			return fmt.Errorf("the sandbox is not NOTREADY: %v, %w", st, err)
		}
	}
	for _, last := range []spec.Event{spec.StopPodSandbox, spec.RemovePodSandbox} {
		if err := w.call(ctx, string(last)); err != nil {
			return fmt.Errorf("%s at the end: %w", last, err)
		}
	}
	return nil
}
