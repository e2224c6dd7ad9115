package report

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestJoinIsOneRunOfAllProbes(t *testing.T) {
	rules := []Info{{ID: "a"}, {ID: "b"}, {ID: "c"}, {ID: "d"}}
	part := func(d time.Duration, probes ...Probe) Report {
		return Build(Run{Profile: "p", Rules: rules, Probes: probes, Started: time.Unix(1, 0), Duration: d})
	}
	one := part(time.Second, Probe{Name: "1", Rules: []string{"a"}, Status: Pass}, Probe{Name: "2", Rules: []string{"b"}, Status: Pass})
	two := part(3*time.Second, Probe{Name: "3", Rules: []string{"b"}, Status: Fail, Message: "no"}, Probe{Name: "4", Rules: []string{"c"}, Status: Fail})
	both := Join([]Report{one, two}, map[string]string{"c": "known"}, []string{"d"})
	status := func(id string) Status { r, _ := both.Rule(id); return r.Status }
	assert.Equal(t, Pass, status("a"), "seen by the first part alone")
	assert.Equal(t, Fail, status("b"), "the worse of both parts")
	assert.Equal(t, Deviation, status("c"), "declared")
	assert.Equal(t, Fail, status("d"), "must run, and neither part has")
	assert.Len(t, both.Probes, 4)
	assert.InDelta(t, 3000, both.DurationMS, 0.1)
	assert.Equal(t, Fail, both.Status)
}
