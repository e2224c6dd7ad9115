package conformance

import (
	"strings"
	"time"

	"ocid/conformance/report"
	"ocid/conformance/target"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/ginkgo/v2/types"
)

// judge turns what Ginkgo says of a case into what the report says.
func judge(r ginkgo.SpecReport) report.Probe {
	c := caseOf(r)
	status, message := verdict(r)
	for _, a := range r.AdditionalFailures {
		more := failure(a.State, a.Failure)
		if status.Good() {
			message = ""
		}
		status = report.Worst(status, more)
		message = strings.TrimSpace(message + "\n" + said(a.State, a.Failure))
	}
	if !status.Good() {
		message += log(r)
	}
	p := c.probe(status, message)
	p.DurationMS = float64(r.RunTime.Round(10*time.Microsecond).Microseconds()) / 1000
	return p
}

func (c Case) probe(s report.Status, message string) report.Probe {
	return report.Probe{Name: c.Name, Kind: c.Kind, Location: c.Location, Rules: c.Rules, Status: s, Message: message}
}

const notRun = "the probe did not run"

func verdict(r ginkgo.SpecReport) (report.Status, string) {
	switch {
	case r.State == types.SpecStatePassed:
		return report.Pass, ""
	case r.State == types.SpecStateSkipped && r.NumAttempts == 0:
		return report.Unobserved, notRun
	case r.State == types.SpecStateSkipped:
		if what, ok := target.Unsupported(r.Failure.Message); ok {
			return report.Unsupported, what
		}
		return report.Error, "skipped, but not for a missing feature: " + r.Failure.Message
	}
	return failure(r.State, r.Failure), said(r.State, r.Failure)
}

// failure tells the daemon's failures from the suite's. A case that takes too
// long is the daemon's: the suite itself waits nowhere without a bound.
func failure(state types.SpecState, f types.Failure) report.Status {
	if (state == types.SpecStateFailed || state == types.SpecStateTimedout) && !target.IsSuiteError(f.Message) {
		return report.Fail
	}
	return report.Error
}

func said(state types.SpecState, f types.Failure) string {
	message := strings.TrimSpace(f.Message)
	if state != types.SpecStateFailed {
		message = state.String() + ": " + message
	}
	if f.ForwardedPanic != "" {
		message += " " + f.ForwardedPanic
	}
	if f.Location.FileName != "" {
		message += "\nat " + place(f.Location)
	}
	return message
}

func log(r ginkgo.SpecReport) string {
	for _, e := range r.ReportEntries {
		if text := e.StringRepresentation(); e.Name == logEntry && text != "" {
			return "\n" + logEntry + ":\n" + text
		}
	}
	return ""
}

// problems are the failures that belong to no case.
func problems(r ginkgo.Report) []report.Problem {
	var all []report.Problem
	for _, s := range r.SpecReports {
		if s.LeafNodeType != types.NodeTypeIt && s.Failed() {
			status, message := failure(s.State, s.Failure), said(s.State, s.Failure)
			all = append(all, report.Problem{Status: status, Message: s.LeafNodeType.String() + ": " + message})
		}
	}
	for _, reason := range r.SpecialSuiteFailureReasons {
		if strings.Contains(reason, "nterrupt") || strings.Contains(reason, "Timeout") {
			all = append(all, report.Problem{Status: report.Error, Message: reason})
		}
	}
	return all
}
