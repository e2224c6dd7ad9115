package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sync/errgroup"

	"ocid/conformance"
	"ocid/conformance/report"
)

// sideBySide runs each part of the probes in a process like this one, and
// judges them together.
func (f *runFlags) sideBySide(cfg conformance.Config, errOut io.Writer) (report.Report, error) {
	dir, err := os.MkdirTemp("", "criconform")
	if err != nil {
		return report.Report{}, err
	}
	defer os.RemoveAll(dir)
	signal.Ignore(os.Interrupt, syscall.SIGTERM) // the parts hear it too, clean up and report
	parts := make([]report.Report, f.jobs)
	var group errgroup.Group
	for i := range f.jobs {
		group.Go(func() (err error) {
			parts[i], err = runPart(i, filepath.Join(dir, strconv.Itoa(i)), errOut)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return report.Report{}, err
	}
	return report.Join(parts, cfg.Profile.Deviations, cfg.Profile.MustRun), nil
}

// runPart runs this command line once more, for one part.
func runPart(part int, file string, errOut io.Writer) (report.Report, error) {
	args := append(append([]string{}, os.Args[1:]...), "--part", strconv.Itoa(part), "--report-json", file)
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Stderr = errOut
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		return report.Report{}, err
	}
	data, err := os.Open(file)
	if err != nil {
		return report.Report{}, fmt.Errorf("part %d of the run: %w", part, err)
	}
	defer data.Close()
	return report.Read(data)
}
