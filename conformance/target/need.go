package target

import (
	"errors"
	"slices"
	"strings"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	ruleLabel        = "rule:"
	derivedLabel     = "kind:derived"
	actsLabel        = "acts"
	needLabel        = "need:"
	unsupportedStart = "unsupported: "
)

// Covers labels a probe, or a container of probes, with the rules it checks.
func Covers(rules ...string) ginkgo.Labels {
	labels := make(ginkgo.Labels, 0, len(rules))
	for _, r := range rules {
		labels = append(labels, ruleLabel+r)
	}
	return labels
}

// Derived labels cases that are generated from the tables, so that nobody
// counts them as an independent opinion.
func Derived() ginkgo.Labels { return ginkgo.Labels{derivedLabel} }

// RulesOf returns the rules among a probe's labels.
func RulesOf(labels []string) []string {
	var rules []string
	for _, l := range labels {
		if rule, ok := strings.CutPrefix(l, ruleLabel); ok && !slices.Contains(rules, rule) {
			rules = append(rules, rule)
		}
	}
	return rules
}

// IsDerived reports whether the labels have the one of [Derived].
func IsDerived(labels []string) bool { return slices.Contains(labels, derivedLabel) }

// Needs labels a probe, or a container of probes, that is unsupported unless the
// profile declares all features: nothing of it is begun. [T.Need] is for what
// turns out later.
func Needs(features ...Feature) ginkgo.Labels {
	labels := make(ginkgo.Labels, 0, len(features))
	for _, f := range features {
		labels = append(labels, needLabel+string(f))
	}
	return labels
}

// NeedsOf returns the features among a probe's labels.
func NeedsOf(labels []string) (features []Feature) {
	for _, l := range labels {
		if f, ok := strings.CutPrefix(l, needLabel); ok {
			features = append(features, Feature(f))
		}
	}
	return features
}

// Acts labels generated cases in which runtime and network have something to do.
func Acts() ginkgo.Labels { return ginkgo.Labels{actsLabel} }

// DoesAct reports whether the labels have the one of [Acts].
func DoesAct(labels []string) bool { return slices.Contains(labels, actsLabel) }

// LabelFilter returns the Ginkgo label filter that selects the probes of the
// rules.
func LabelFilter(rules []string) string {
	return ruleLabel + " containsAny {" + strings.Join(rules, ", ") + "}"
}

// Need ends the case as unsupported unless the profile declares all features.
// Nothing else may skip a case.
func (t *T) Need(features ...Feature) {
	ginkgo.GinkgoHelper()
	var missing []string
	for _, f := range features {
		if !t.Has(f) {
			missing = append(missing, string(f))
		}
	}
	if len(missing) > 0 {
		unsupported("feature " + strings.Join(missing, ", "))
	}
}

// NeedVariable returns the value of a variable of the profile; without one the
// case is unsupported.
func (t *T) NeedVariable(name string) string {
	ginkgo.GinkgoHelper()
	if t.effective()[name] == "" {
		unsupported("variable " + name)
	}
	return t.Var(name)
}

func unsupported(what string) {
	ginkgo.GinkgoHelper()
	ginkgo.Skip(unsupportedStart + what)
}

// Unsupported returns what a skipped case lacked, and whether it was skipped by
// [T.Need] at all.
func Unsupported(skipMessage string) (string, bool) {
	return strings.CutPrefix(skipMessage, unsupportedStart)
}

// IsSuiteError reports whether a failure message is the suite's own trouble.
func IsSuiteError(message string) bool { return strings.Contains(message, suiteErrorPrefix) }

// ExpectCode fails the case unless err is a refusal with one of the codes. A
// profile without the feature exact-codes passes with any error.
func (t *T) ExpectCode(err error, want ...codes.Code) {
	ginkgo.GinkgoHelper()
	gomega.Expect(err).To(gomega.HaveOccurred(), "the call has to be refused")
	if t.Has(FeatureExactCodes) {
		gomega.Expect(status.Code(err)).To(gomega.BeElementOf(want), "gRPC code of %v", err)
	}
}

// ExpectRule fails the case unless err is a refusal that names the rule in a
// google.rpc.ErrorInfo. A profile without the feature rule-info passes with any
// error.
func (t *T) ExpectRule(err error, rule string) {
	ginkgo.GinkgoHelper()
	gomega.Expect(err).To(gomega.HaveOccurred(), "the call has to be refused")
	if t.Has(FeatureRuleInfo) {
		gomega.Expect(RuleOf(err)).To(gomega.Equal(rule), "rule named by %v", err)
	}
}

// RuleOf returns the reason of err's google.rpc.ErrorInfo; "" without one.
func RuleOf(err error) string {
	var grpcErr interface{ GRPCStatus() *status.Status }
	if !errors.As(err, &grpcErr) {
		return ""
	}
	for _, d := range grpcErr.GRPCStatus().Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok {
			return info.GetReason()
		}
	}
	return ""
}

// must ends the case as an error of the suite.
func must(err error) {
	ginkgo.GinkgoHelper()
	if err != nil {
		ginkgo.Fail(suiteError(err).Error())
	}
}
