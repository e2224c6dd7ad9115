package main

import (
	"bytes"
	"context"
	"fmt"
	"sync"
)

// lines collects a running program's output.
type lines struct {
	mu    sync.Mutex
	buf   bytes.Buffer
	ended bool
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (l *lines) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
}

// has is nil if the output matches the pattern.
func (l *lines) has(pattern string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	err := match(l.buf.String(), pattern)
	if err != nil && l.ended {
		return fmt.Errorf("%w: %w", errEnded, err)
	}
	return err
}

// await waits until the output matches the pattern.
func (l *lines) await(ctx context.Context, pattern string) error {
	return eventually(ctx, func() error { return l.has(pattern) })
}
