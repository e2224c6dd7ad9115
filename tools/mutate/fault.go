package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"ocid/spec"
)

// A fault breaks a promise: a change of one place of the source, which must be
// found exactly once.
type fault struct {
	rule      spec.ID
	op        string
	file      string
	old, with string
}

// broken returns the source with the fault in it.
func (f *fault) broken() (string, error) {
	source, err := os.ReadFile(f.file)
	if err != nil {
		return "", err
	}
	if n := strings.Count(string(source), f.old); n != 1 {
		return "", fmt.Errorf("%s: the place to break is there %d times: %q", f.file, n, f.old)
	}
	return strings.Replace(string(source), f.old, f.with, 1), nil
}

// keeper says whether the fault is in the keeper, a program of its own.
func (f *fault) keeper() bool { return strings.HasPrefix(f.file, "impl/keeper/") }

// build builds the program with the fault: the daemon, or the keeper.
func (f *fault) build(ctx context.Context, out string) error {
	path, err := filepath.Abs(f.file)
	if err != nil {
		return err
	}
	source, err := f.broken()
	if err != nil {
		return err
	}
	broken := out + ".go"
	defer os.Remove(broken)
	if err := os.WriteFile(broken, []byte(source), 0o644); err != nil {
		return err
	}
	overlay := out + ".overlay.json"
	defer os.Remove(overlay)
	data, err := json.Marshal(map[string]map[string]string{"Replace": {path: broken}})
	if err != nil {
		return err
	}
	if err := os.WriteFile(overlay, data, 0o644); err != nil {
		return err
	}
	program := "./cmd/ocid"
	if f.keeper() {
		program = "./cmd/ocid-keeper"
	}
	return goBuild(ctx, out, "-overlay", overlay, program)
}
