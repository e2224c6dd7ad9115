package main

import (
	"fmt"
	"slices"
	"strings"
)

// A mode is a way to run critest.
type mode struct {
	name    string
	workers int
	flags   []string
}

func modes() []mode {
	return []mode{
		{"sequential", 1, nil},
		{"4-workers", 4, nil},
		{"websocket", 4, []string{"-websocket-exec", "-websocket-attach", "-websocket-portforward"}},
	}
}

func modeNames() []string {
	var names []string
	for _, m := range modes() {
		names = append(names, m.name)
	}
	return names
}

// chosen returns the modes with the comma-separated names, or all.
func chosen(names string) ([]mode, error) {
	if names == "" {
		return modes(), nil
	}
	var some []mode
	for name := range strings.SplitSeq(names, ",") {
		i := slices.Index(modeNames(), name)
		if i < 0 {
			return nil, fmt.Errorf("no mode %q; there are %s", name, strings.Join(modeNames(), ", "))
		}
		some = append(some, modes()[i])
	}
	return some, nil
}
