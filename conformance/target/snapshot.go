package target

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A Kind is a sort of trace that a daemon leaves on its host.
type Kind string

// The kinds of traces that a [Snapshot] holds.
const (
	Processes   Kind = "process"
	Mounts      Kind = "mount"
	Netns       Kind = "network namespace"
	Cgroups     Kind = "cgroup"
	Containers  Kind = "storage container"
	Layers      Kind = "storage layer"
	LayerMounts Kind = "storage layer in use"
	ImageCount  Kind = "storage image"
	Leases      Kind = "IP lease"
	Files       Kind = "file"
	Links       Kind = "link"
	NATRules    Kind = "NAT rule"
	Listed      Kind = "object in the daemon's list" // the one kind that the daemon is asked for; see [T.EndCase]
)

// A Snapshot is what stood on the host at one moment: for each kind, how often
// each thing was there. Kinds that are not observed are missing.
type Snapshot map[Kind]map[string]int

func (s Snapshot) add(kind Kind, things ...string) {
	if s[kind] == nil {
		s[kind] = map[string]int{}
	}
	for _, t := range things {
		s[kind][t]++
	}
}

// Count returns how many things of a kind there are.
func (s Snapshot) Count(kind Kind) int {
	n := 0
	for _, c := range s[kind] {
		n += c
	}
	return n
}

// A Leak is one thing that should be gone, or should still be there.
type Leak struct {
	Kind  Kind
	Thing string
	Gone  bool // was there before and is not now
}

func (l Leak) String() string {
	if l.Gone {
		return fmt.Sprintf("%s gone: %s", l.Kind, l.Thing)
	}
	return fmt.Sprintf("%s left: %s", l.Kind, l.Thing)
}

// Leaks is the difference of two snapshots.
type Leaks []Leak

// Diff returns what after has more or less than before, by kind and name.
func Diff(before, after Snapshot) Leaks {
	var leaks Leaks
	compare := func(from, to Snapshot, gone bool) {
		for kind, things := range to {
			for thing, n := range things {
				if n > from[kind][thing] {
					leaks = append(leaks, Leak{Kind: kind, Thing: thing, Gone: gone})
				}
			}
		}
	}
	compare(before, after, false)
	compare(after, before, true)
	leaks = withoutExecs(leaks)
	slices.SortFunc(leaks, func(a, b Leak) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Thing, b.Thing))
	})
	return leaks
}

// withoutExecs leaves processes out that are there before and after and execute
// another program by now, as one does that a runtime has just started.
func withoutExecs(all Leaks) Leaks {
	pid := func(l Leak) string { before, _, _ := strings.Cut(l.Thing, ":"); return before }
	return slices.DeleteFunc(slices.Clone(all), func(l Leak) bool {
		return l.Kind == Processes && slices.ContainsFunc(all, func(other Leak) bool {
			return other.Kind == Processes && other.Gone != l.Gone && pid(other) == pid(l)
		})
	})
}

const shownPerKind = 10

// String lists the leaks by kind, at most ten of each; "" if there are none.
func (l Leaks) String() string {
	byKind := map[Kind]Leaks{}
	for _, leak := range l {
		byKind[leak.Kind] = append(byKind[leak.Kind], leak)
	}
	var b strings.Builder
	for _, kind := range slices.Sorted(maps.Keys(byKind)) {
		of := byKind[kind]
		for _, leak := range of[:min(len(of), shownPerKind)] {
			fmt.Fprintln(&b, leak)
		}
		if more := len(of) - shownPerKind; more > 0 {
			fmt.Fprintf(&b, "%s: %d more\n", kind, more)
		}
	}
	return strings.TrimSuffix(b.String(), "\n")
}
