package conformance

import (
	"ocid/conformance/report"
	"ocid/spec"
)

// Rules returns the rules of package spec, in its reading order. A rule that
// several rows share is there once.
func Rules() []report.Info {
	book := spec.Default()
	var infos []report.Info
	seen := map[spec.ID]bool{}
	for _, r := range book.Rules() {
		if seen[r.ID] {
			continue
		}
		seen[r.ID] = true
		infos = append(infos, report.Info{
			ID: string(r.ID), Level: string(r.Level), Feature: string(r.Feature), Text: r.Text, Unobservable: r.Unobservable,
		})
	}
	return infos
}
