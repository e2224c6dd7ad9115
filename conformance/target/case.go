package target

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"ocid/fixtures/registry"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const (
	settleTime  = 5 * time.Second  // for traces to go after a case, by default
	cleanupTime = 60 * time.Second // for one clean-up
)

type cleanup struct {
	what string
	do   func(context.Context) error
}

// Cleanup registers what undoes a step of the case. Clean-ups run when the case
// is over, last first, before the leak audit; an error fails the case. In an
// Ordered container of probes they run after its last one.
func (t *T) Cleanup(what string, do func(context.Context) error) {
	t.cleanups = append(t.cleanups, cleanup{what, do})
}

// BeginCase prepares for a case: the witness forgets, and the host is looked at.
func (t *T) BeginCase(ctx context.Context) error {
	t.cleanups = nil
	if err := t.calm(); err != nil {
		return err
	}
	t.caseOffset = t.daemonLog.size()
	before, err := t.Snapshot(ctx)
	t.before = before
	return err
}

// EndCase runs the clean-ups, starts a daemon that is not running, and audits:
// what was not there at BeginCase and does not go in time is a leak; so is an
// error that names no rule a failure, if the profile says that refusals name
// theirs. Its error tells all that went wrong. After a leak the daemon is asked to remove whatever
// sandbox of the suite it lists, and if it cannot, it begins anew with nothing,
// so that the next case can tell something.
func (t *T) EndCase(ctx context.Context) error {
	errs := []error{t.calm(), t.revive(ctx)}
	for i := len(t.cleanups) - 1; i >= 0; i-- {
		c := t.cleanups[i]
		bounded, cancel := context.WithTimeout(ctx, cleanupTime)
		if err := c.do(bounded); err != nil {
			errs = append(errs, fmt.Errorf("clean-up failed: %s: %w", c.what, err))
		}
		cancel()
	}
	t.cleanups = nil
	leaks, err := t.Settle(ctx, t.before)
	errs = append(errs, err)
	if seen := t.unruled.take(); t.Has(FeatureRuleInfo) {
		errs = append(errs, seen)
	}
	if len(leaks) > 0 {
		errs = append(errs, fmt.Errorf("leak audit: the case leaves a trace:\n%s", leaks))
	}
	if len(leaks) > 0 || err != nil {
		errs = append(errs, t.tidy(ctx))
	}
	return errors.Join(errs...)
}

// calm ends all faults, so that clean-ups can work.
func (t *T) calm() error {
	t.Registry.Set(registry.None)
	return suiteError(t.Witness.clear())
}

// revive starts a daemon that is not running. One that exited without being told
// to is reported; its end may show in a call before it shows in the process.
func (t *T) revive(ctx context.Context) error {
	death := t.died()
	if t.cfg.Profile.Daemon == nil {
		return nil
	}
	err := t.StartDaemon(ctx)
	if death == nil && errors.Is(err, errDaemonExited) {
		death = t.died()
		err = t.StartDaemon(ctx)
	}
	return errors.Join(death, err)
}

// died reports a daemon that exited without being told to.
func (t *T) died() error {
	if t.daemon == nil || t.daemon.running() {
		return nil
	}
	p := t.daemon
	t.daemon = nil
	return fmt.Errorf("daemon exited by itself: %s: %s", p, t.daemonLog.tail(p.logOffset))
}

// Snapshot looks at the host, and at what the daemon lists.
func (t *T) Snapshot(ctx context.Context) (Snapshot, error) {
	s, err := t.observer.Snapshot()
	if err != nil {
		return nil, err
	}
	return s, t.snapListed(ctx, s)
}

func (t *T) snapListed(ctx context.Context, s Snapshot) error {
	pods, containers, err := t.listed(ctx)
	s.add(Listed)
	for _, p := range pods {
		s.add(Listed, fmt.Sprintf("sandbox %s (%s) %s", p.GetId(), p.GetMetadata().GetName(), p.GetState()))
	}
	for _, c := range containers {
		s.add(Listed, fmt.Sprintf("container %s (%s) %s", c.GetId(), c.GetMetadata().GetName(), c.GetState()))
	}
	return err
}

func (t *T) listed(ctx context.Context) ([]*runtimeapi.PodSandbox, []*runtimeapi.Container, error) {
	pods, err := t.Runtime.ListPodSandbox(ctx, &runtimeapi.ListPodSandboxRequest{})
	if err != nil {
		return nil, nil, fmt.Errorf("list sandboxes: %w", err)
	}
	containers, err := t.Runtime.ListContainers(ctx, &runtimeapi.ListContainersRequest{})
	if err != nil {
		return nil, nil, fmt.Errorf("list containers: %w", err)
	}
	return pods.GetItems(), containers.GetContainers(), nil
}

// Settle waits, five seconds unless the profile says otherwise, until the host and the daemon's lists are as
// in before, and returns what is not.
func (t *T) Settle(ctx context.Context, before Snapshot) (Leaks, error) {
	ctx, cancel := context.WithTimeout(ctx, t.cfg.Profile.Observe.Settle.or(settleTime))
	defer cancel()
	outside := Snapshot{}
	for kind, things := range before {
		if kind != Listed {
			outside[kind] = things
		}
	}
	listed := Snapshot{}
	err := t.snapListed(ctx, listed)
	leaks := Diff(Snapshot{Listed: before[Listed]}, listed)
	if err != nil {
		leaks = nil
	}
	outer, outerErr := t.observer.Settle(ctx, outside)
	return append(leaks, outer...), errors.Join(err, outerErr)
}

// Leaked is [T.Settle] for a probe that asks in the middle of its case, for
// instance after a refused call: the text of what is left since before, "" if
// nothing is.
func (t *T) Leaked(ctx context.Context, before Snapshot) (string, error) {
	leaks, err := t.Settle(ctx, before)
	return strings.TrimSpace(leaks.String()), err
}

// tidy makes room for the next case after one that left traces.
func (t *T) tidy(ctx context.Context) error {
	err := t.sweep(ctx)
	if err == nil || t.cfg.Profile.Daemon == nil {
		return err
	}
	if resetErr := t.reset(ctx); resetErr != nil {
		return errors.Join(err, fmt.Errorf("begin anew: %w", resetErr))
	}
	return nil
}

// sweep has the daemon remove every sandbox of the suite that it lists.
func (t *T) sweep(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, cleanupTime)
	defer cancel()
	pods, _, err := t.listed(ctx)
	errs := []error{err}
	for _, p := range pods {
		if p.GetMetadata().GetNamespace() == namespace {
			errs = append(errs, t.removePod(ctx, p.GetId()))
		}
	}
	return errors.Join(errs...)
}

func (t *T) removePod(ctx context.Context, id string) error {
	_, stopErr := t.Runtime.StopPodSandbox(ctx, &runtimeapi.StopPodSandboxRequest{PodSandboxId: id})
	_, err := t.Runtime.RemovePodSandbox(ctx, &runtimeapi.RemovePodSandboxRequest{PodSandboxId: id})
	if err = errors.Join(stopErr, err); err != nil {
		return fmt.Errorf("remove sandbox %s: %w", id, err)
	}
	return nil
}

// LogTail returns the last lines that the daemon wrote during the case.
func (t *T) LogTail() string {
	if t.daemonLog == nil {
		return ""
	}
	return t.daemonLog.tail(t.caseOffset)
}
