package spec

import (
	"regexp"
	"slices"
	"strings"
)

// A Promise is a rule that no table can execute. It names the package that
// keeps it and counts only with a probe and a fault that the probe catches.
type Promise struct {
	Rule
	RPC string // the call it is about, or the first of them; "" for none
	By  string // the package that keeps it: "impl/runtime"
	// Fields of the call's request that the promise speaks for, each with all
	// below it: "config.linux.resources", "config.mounts[].image". An error of
	// impl/oci about such a field is refused in the promise's name.
	Fields []string
}

// anIndex is the index of a list's element in a field path.
var anIndex = regexp.MustCompile(`\[[0-9]+\]`)

// Speaker returns the promise that speaks for a field of a call's request, as
// in "config.mounts[2].propagation": of those that do, the one with the longest
// path; nil if none does.
func (b *Book) Speaker(rpc, field string) *Promise {
	field = anIndex.ReplaceAllString(field, "[]")
	var best *Promise
	longest := -1
	for i := range b.Promises {
		p := &b.Promises[i]
		if p.RPC != rpc {
			continue
		}
		for _, f := range p.Fields {
			if len(f) > longest && leads(f, field) {
				best, longest = p, len(f)
			}
		}
	}
	return best
}

// leads says whether a path ends at a field or above it.
func leads(path, field string) bool {
	rest, ok := strings.CutPrefix(field, path)
	return ok && (rest == "" || slices.Contains([]byte(".["), rest[0]))
}
