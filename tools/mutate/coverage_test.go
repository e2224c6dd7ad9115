package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ocid/tools/mutate/mutant"
)

// The results that SPEC.md prints are those of the mutants there are now.
func TestCoverageIsCurrent(t *testing.T) {
	c, err := loadCoverage("../../" + coverageFile)
	require.NoError(t, err)
	var measured, now []string
	for id, fate := range c.Rules {
		for _, v := range fate.Mutants {
			measured = append(measured, string(id)+": "+v.Op)
		}
	}
	for _, m := range mutant.All() {
		now = append(now, m.Name())
	}
	for _, f := range allFaults() {
		now = append(now, string(f.rule)+": "+f.op)
	}
	require.ElementsMatch(t, now, measured, "run `make coverage`")
}

// Every fault finds its place in the source.
func TestFaultsFit(t *testing.T) {
	t.Chdir("../..")
	for _, f := range allFaults() {
		_, err := f.broken()
		assert.NoError(t, err, "%s: %s", f.rule, f.op)
	}
}
