package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"time"

	"ocid/conformance/target"
)

// daemon is what is looked at from outside.
type daemon struct {
	pid     int
	metrics string // URL
}

// sample is how the daemon was at one moment.
type sample struct {
	at         time.Duration
	rss        int // KiB
	files      int
	goroutines int
}

// freePort is an address of the loopback interface that nobody uses.
func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// findDaemon finds the daemon's process by the socket in its command line.
func findDaemon(t *target.T, metrics string) (*daemon, error) {
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return nil, err
	}
	listen := []byte("\x00--listen\x00" + t.Var("LISTEN") + "\x00")
	for _, file := range files {
		text, err := os.ReadFile(file) // fails if the process ended meanwhile
		if err == nil && bytes.Contains(text, listen) {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			return &daemon{pid: pid, metrics: "http://" + metrics + "/metrics"}, err
		}
	}
	return nil, errors.New("no process has the daemon's socket in its command line")
}

// look takes one sample.
func (d *daemon) look(ctx context.Context) (s sample, err error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.pid))
	if err != nil {
		return s, fmt.Errorf("the daemon has died: %w", err)
	}
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", d.pid))
	if err != nil {
		return s, fmt.Errorf("the daemon has died: %w", err)
	}
	s.files = len(files)
	if s.rss, err = number(status, `(?m)^VmRSS:\s+(\d+) kB`); err != nil {
		return s, err
	}
	page, err := fetch(ctx, d.metrics)
	if err != nil {
		return s, err
	}
	s.goroutines, err = number(page, `(?m)^go_goroutines (\d+)$`)
	return s, err
}

func fetch(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	client := http.Client{Transport: &http.Transport{Proxy: nil, DisableKeepAlives: true}, Timeout: 10 * time.Second}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	return io.ReadAll(resp.Body)
}

func number(text []byte, pattern string) (int, error) {
	m := regexp.MustCompile(pattern).FindSubmatch(text)
	if m == nil {
		return 0, fmt.Errorf("nothing matches %s", pattern)
	}
	return strconv.Atoi(string(m[1]))
}

// samplesWanted is how many there are in a run.
const samplesWanted = 60

// watch takes samples at even times until ctx ends.
func (d *daemon) watch(ctx context.Context, duration time.Duration) <-chan []sample {
	done := make(chan []sample, 1)
	go func() {
		var all []sample
		begun := time.Now()
		tick := time.NewTicker(max(duration/samplesWanted, 100*time.Millisecond))
		defer tick.Stop()
		for {
			if s, err := d.look(ctx); err == nil { // a daemon that died is reported by the workers
				s.at = time.Since(begun)
				all = append(all, s)
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				done <- all
				return
			}
		}
	}()
	return done
}

const rows = 20

func printSeries(all []sample) {
	fmt.Printf("%10s %12s %12s %12s\n", "time", "memory", "open files", "goroutines")
	for i, s := range all {
		if i%max(1, len(all)/rows) == 0 {
			fmt.Printf("%8.0f s %8.1f MiB %12d %12d\n", s.at.Seconds(), float64(s.rss)/1024, s.files, s.goroutines)
		}
	}
}

const (
	growth = 1.15     // of the medians
	slack  = 16 << 10 // KiB: what the race detector's own tables take is not the daemon's
)

// flat compares the first third after the warm-up, which is a quarter of the
// time, with the last.
func flat(all []sample) error {
	warm := all[len(all)/4:]
	third := len(warm) / 3
	if third < 3 {
		return fmt.Errorf("%d samples are too few to judge memory by", len(all))
	}
	first, last := median(warm[:third]), median(warm[len(warm)-third:])
	fmt.Printf("memory: median %.1f MiB in the first third after the warm-up, %.1f MiB in the last\n", float64(first)/1024, float64(last)/1024)
	if float64(last) > float64(first)*growth+slack {
		return fmt.Errorf("the daemon's memory grew from %d to %d KiB", first, last)
	}
	return nil
}

func median(all []sample) int {
	var values []int
	for _, s := range all {
		values = append(values, s.rss)
	}
	slices.Sort(values)
	return values[len(values)/2]
}

const (
	settleTime = 15 * time.Second
	spare      = 8 // files and goroutines of libraries that are made once
)

// settled waits until the idle daemon has as many files and goroutines as it had
// before, give or take a few.
func (d *daemon) settled(ctx context.Context, before sample) (sample, error) {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		s, err := d.look(ctx)
		if err == nil && s.files <= before.files+spare && s.goroutines <= before.goroutines+spare {
			return s, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return s, fmt.Errorf("the idle daemon has %d files and %d goroutines, before %d and %d: %w",
				s.files, s.goroutines, before.files, before.goroutines, ctx.Err())
		}
	}
}
