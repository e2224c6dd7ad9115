// Package derived holds the cases that are generated from the tables of package
// spec: one for each cell of a lifecycle, each input of a decision, each
// requirement, each step and each annotation. They tell whether a daemon does
// what the tables say, all of it.
//
// They refuse to have an opinion of their own: a table that is wrong gives cases
// that are wrong in the same way. What the tables have to say is checked by the
// hand-written cases of package probe, and only those count when a rule is
// broken on purpose.
package derived

import (
	"context"
	"time"

	"ocid/conformance/target"
	"ocid/spec"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// Bounds of a case.
const (
	limit     = SpecTimeout(40 * time.Second)
	setUp     = 40 * time.Second       // of what several cases share
	waitsLong = 100 * time.Millisecond // a call that is open after this waits
	answersIn = 15 * time.Second       // also where a machine boots
	looksEach = 5 * time.Millisecond
)

// book is the tables, fresh for whoever reads them.
func book() *spec.Book {
	b := spec.Default()
	return &b
}

// covers labels a case with the rules that it follows from.
func covers(rules ...spec.Rule) Labels {
	ids := make([]string, 0, len(rules))
	for _, r := range rules {
		ids = append(ids, string(r.ID))
	}
	return target.Covers(ids...)
}

// need ends the case as unsupported unless the profile has what the rule is
// gated by.
func need(t *target.T, r spec.Rule) {
	GinkgoHelper()
	if r.Feature != spec.Core {
		t.Need(target.Feature(r.Feature))
	}
}

// expectRefused fails unless the call was refused as the row says.
func expectRefused(t *target.T, err error, r spec.Rule, code spec.Code) {
	GinkgoHelper()
	t.ExpectCode(err, code)
	t.ExpectRule(err, string(r.ID))
}

// An aside is a call that runs beside the case.
type aside struct {
	over chan struct{}
	id   string
	err  error
}

// begin starts a call. It outlives the node that began it, as the shared state
// of several cases has to.
func begin(ctx context.Context, call func(context.Context) (string, error)) *aside {
	a := &aside{over: make(chan struct{})}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*answersIn)
	go func() {
		defer GinkgoRecover()
		defer close(a.over)
		defer cancel()
		a.id, a.err = call(ctx)
	}()
	return a
}

// expectWaiting fails unless the call is still open after a while.
func (a *aside) expectWaiting() {
	GinkgoHelper()
	Consistently(a.over, waitsLong, waitsLong/10).ShouldNot(BeClosed(), "the call has to wait")
}

// answer waits for the call's answer.
func (a *aside) answer(ctx context.Context) (string, error) {
	GinkgoHelper()
	Eventually(ctx, a.over).WithTimeout(answersIn).Should(BeClosed(), "the call does not return")
	return a.id, a.err
}
