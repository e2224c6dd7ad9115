package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"
)

const (
	stepTimeout = 2 * time.Minute
	pollEvery   = 50 * time.Millisecond
)

// A script runs named steps, shows how long each took, and undoes them in
// reverse order.
type script struct {
	out    io.Writer
	undo   []undoStep
	failed int
}

type undoStep struct {
	name string
	do   func(context.Context) error
}

// step runs one step within stepTimeout.
func (s *script) step(ctx context.Context, name string, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	_, _ = fmt.Fprintf(s.out, "== %s\n", name)
	start := time.Now()
	err := do(ctx)
	took := time.Since(start).Round(time.Millisecond)
	if err != nil {
		s.failed++
		_, _ = fmt.Fprintf(s.out, "== %s: FAILED after %s: %v\n", name, took, err)
		return err
	}
	_, _ = fmt.Fprintf(s.out, "== %s: ok, %s\n", name, took)
	return nil
}

// later has a step done when the demonstration is over.
func (s *script) later(name string, do func(context.Context) error) {
	s.undo = append(s.undo, undoStep{name, do})
}

// cleanUp does what later collected, last first. A failure stops none of the
// others, and neither does Ctrl-C.
func (s *script) cleanUp() {
	for i := len(s.undo) - 1; i >= 0; i-- {
		_ = s.step(context.Background(), s.undo[i].name, s.undo[i].do)
	}
	s.undo = nil
}

// show prints a program's output, indented.
func (s *script) show(text string) {
	for line := range strings.Lines(strings.TrimRight(text, "\n")) {
		_, _ = fmt.Fprintf(s.out, "   %s\n", strings.TrimRight(line, "\n"))
	}
}

// eventually tries until it works or ctx ends; it returns the last error.
func eventually(ctx context.Context, try func() error) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w; last: %w", ctx.Err(), err)
		case <-tick.C:
		}
	}
}
