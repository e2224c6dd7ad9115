package spec

import (
	"errors"
	"fmt"
	"slices"
)

// A Book is every table at once. The daemon is built from a Book, so that a
// test can build it from a wrong one.
type Book struct {
	Sandbox   Lifecycle
	Container Lifecycle

	Privilege        Decision[bool]
	Elevation        Decision[Elevation]
	Handler          Decision[HandlerChoice]
	Infra            Decision[bool]
	RecoverSandbox   Decision[Recovery]
	RecoverContainer Decision[Recovery]

	RunPodSandbox    Plan
	StopPodSandbox   Plan
	RemovePodSandbox Plan
	CreateContainer  Plan
	RemoveContainer  Plan
	Shutdown         Plan

	Requests    []Requirement
	Annotations []Annotation
	Promises    []Promise
	Pending     []string // RPCs that have no rule yet; the list only shrinks
}

// Default returns a fresh copy of the tables of this package.
func Default() Book {
	return Book{
		Sandbox: sandboxLife.clone(), Container: containerLife.clone(),
		Privilege: privilege.clone(), Elevation: elevation.clone(), Handler: handler.clone(), Infra: infra.clone(),
		RecoverSandbox: recoverSandbox.clone(), RecoverContainer: recoverContainer.clone(),
		RunPodSandbox: runPodSandbox.clone(), StopPodSandbox: stopPodSandbox.clone(), RemovePodSandbox: removePodSandbox.clone(),
		CreateContainer: createContainer.clone(), RemoveContainer: removeContainer.clone(), Shutdown: shutdown.clone(),
		Requests: slices.Clone(requests), Annotations: slices.Clone(annotations),
		Promises: slices.Concat(privilegePromises, stopPromises, shutdownPromises, recoverPromises, annotationPromises, servicePromises,
			streamPromises, resourcePromises, statsPromises, eventsPromises, securityPromises, mountPromises, imagePromises, operationPromises, kernelPromises, keeperPromises),
		Pending: slices.Clone(pending),
	}
}

func (l Lifecycle) clone() Lifecycle { l.Rows = slices.Clone(l.Rows); return l }

func (d Decision[T]) clone() Decision[T] { d.Rows = slices.Clone(d.Rows); return d }

func (p Plan) clone() Plan { p.Steps = slices.Clone(p.Steps); return p }

// Lifecycles of the book.
func (b *Book) Lifecycles() []*Lifecycle { return []*Lifecycle{&b.Sandbox, &b.Container} }

// Plans of the book.
func (b *Book) Plans() []*Plan {
	return []*Plan{&b.RunPodSandbox, &b.CreateContainer, &b.StopPodSandbox, &b.RemovePodSandbox, &b.RemoveContainer, &b.Shutdown}
}

// Rules returns the head of every row of every table, in reading order.
func (b *Book) Rules() (rules []Rule) {
	for _, l := range b.Lifecycles() {
		for _, r := range l.Rows {
			rules = append(rules, r.Rule)
		}
	}
	rules = slices.Concat(rules, b.Privilege.rules(), b.Elevation.rules(), b.Handler.rules(), b.Infra.rules(),
		b.RecoverSandbox.rules(), b.RecoverContainer.rules())
	for _, p := range b.Plans() {
		for _, s := range p.Steps {
			rules = append(rules, s.Rule)
		}
	}
	for _, r := range b.Requests {
		rules = append(rules, r.Rule)
	}
	for _, a := range b.Annotations {
		rules = append(rules, a.Rule)
	}
	for _, p := range b.Promises {
		rules = append(rules, p.Rule)
	}
	return rules
}

func (d Decision[T]) rules() (rules []Rule) {
	for _, c := range d.Rows {
		rules = append(rules, c.Rule)
	}
	return rules
}

// Check reports every inconsistency inside the tables and between them.
func (b *Book) Check() error {
	var errs []error
	for _, l := range b.Lifecycles() {
		errs = append(errs, l.Check()...)
	}
	for _, p := range b.Plans() {
		errs = append(errs, p.Check()...)
	}
	errs = slices.Concat(errs, b.Privilege.Check(), b.Elevation.Check(), b.Handler.Check(), b.Infra.Check(),
		b.RecoverSandbox.Check(), b.RecoverContainer.Check(), checkAnnotations(b.Annotations), b.checkRules())
	return errors.Join(errs...)
}

func (b *Book) checkRules() (errs []error) {
	seen := map[ID]bool{}
	for _, r := range b.Rules() {
		switch {
		case seen[r.ID]:
			errs = append(errs, fmt.Errorf("%s: used twice", r.ID))
		case r.Text == "" || r.Source == "" || r.Level == "":
			errs = append(errs, fmt.Errorf("%s: has no text, source or level", r.ID))
		}
		seen[r.ID] = true
	}
	return errs
}

// RPCs returns the calls that some row of the book is about.
func (b *Book) RPCs() map[string]bool {
	calls := map[string]bool{}
	for _, l := range b.Lifecycles() {
		for _, e := range l.Events() {
			calls[string(e)] = true
		}
	}
	for _, r := range b.Requests {
		calls[r.RPC] = true
	}
	for _, p := range b.Promises {
		calls[p.RPC] = true
	}
	return calls
}
