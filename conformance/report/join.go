package report

import (
	"slices"
	"time"
)

// Join judges the parts of a run together: what each has observed, as one run
// of all probes with the profile's declarations. Its duration is the longest
// one. Parts that report no rule add nothing but their problems.
func Join(parts []Report, deviations map[string]string, mustRun []string) Report {
	var run Run
	run.Deviations, run.MustRun = deviations, mustRun
	for _, p := range parts {
		run.Profile, run.Features = p.Profile, p.Features
		if p.Daemon != (Daemon{}) {
			run.Daemon = p.Daemon
		}
		if run.Started.IsZero() || p.Started.Before(run.Started) {
			run.Started = p.Started
		}
		run.Duration = max(run.Duration, time.Duration(p.DurationMS*float64(time.Millisecond)))
		run.Probes = append(run.Probes, p.Probes...)
		run.Problems = append(run.Problems, p.Problems...)
		for _, r := range p.Rules {
			if !slices.ContainsFunc(run.Rules, func(i Info) bool { return i.ID == r.ID }) {
				run.Rules = append(run.Rules, r.Info)
			}
		}
	}
	return Build(run)
}
