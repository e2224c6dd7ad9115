package target

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestDiff(t *testing.T) {
	before, after := Snapshot{}, Snapshot{}
	before.add(Files, "same", "gone")
	before.add(Mounts, "twice")
	before.add(Leases)
	after.add(Files, "same", "new")
	after.add(Mounts, "twice", "twice")
	after.add(Links, "veth1")
	assert.Equal(t, Leaks{
		{Kind: Files, Thing: "gone", Gone: true},
		{Kind: Files, Thing: "new"},
		{Kind: Links, Thing: "veth1"},
		{Kind: Mounts, Thing: "twice"},
	}, Diff(before, after))
	assert.Empty(t, Diff(before, before))
	assert.Empty(t, Diff(Snapshot{}, Snapshot{Leases: {}}), "an empty kind is no difference")
	assert.Equal(t, 2, after.Count(Mounts))
}

func TestLeaksText(t *testing.T) {
	assert.Empty(t, Leaks(nil).String())
	leaks := Leaks{{Kind: Files, Thing: "/a/b", Gone: true}}
	for i := range 12 {
		leaks = append(leaks, Leak{Kind: Mounts, Thing: fmt.Sprintf("m%02d", i)})
	}
	text := leaks.String()
	assert.True(t, strings.HasPrefix(text, "file gone: /a/b\nmount left: m00\n"), text)
	assert.True(t, strings.HasSuffix(text, "mount left: m09\nmount: 2 more"), text)
}

func TestMentions(t *testing.T) {
	for text, want := range map[string]bool{
		"/tmp/cri1/x": true, "--root=/tmp/cri1": true, "A=/tmp/cri1\x00B=2": true, "/tmp/cri12": false,
		"/tmp/cri12:/tmp/cri1:/x": true, "": false,
	} {
		assert.Equal(t, want, mentions(text, "/tmp/cri1"), text)
	}
}

func TestParseStat(t *testing.T) {
	line := "7 (a) b) S 3 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4242 1 2"
	p, err := parseStat(7, []byte(line))
	assert.NoError(t, err)
	assert.Equal(t, Process{PID: 7, PPID: 3, Comm: "a) b", State: 'S', Started: 4242}, p)
	for _, bad := range []string{"", "7 a S 3", "7 (a) S 3", "7 (a) S x 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4242"} {
		_, err := parseStat(7, []byte(bad))
		assert.Error(t, err, bad)
	}
}

func TestDiffKnowsAProcessThatExecutesAnotherProgram(t *testing.T) {
	snapshot := func(processes ...string) Snapshot {
		s := Snapshot{}
		s.add(Processes, processes...)
		return s
	}
	assert.Empty(t, Diff(snapshot("12: runc init"), snapshot("12: sleep 1")))
	assert.Len(t, Diff(snapshot("12: runc init"), snapshot("12 (zombie): runc init")), 2)
	assert.Len(t, Diff(snapshot("12: runc init"), snapshot("123: runc init")), 2)
}
