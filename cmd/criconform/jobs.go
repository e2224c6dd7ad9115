package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"

	"golang.org/x/sync/errgroup"

	"ocid/conformance"
	"ocid/conformance/report"
)

// sideBySide runs the probes in several processes like this one, each of which
// takes the next probe that no other has, and judges them together.
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
			parts[i], err = runPart(dir, i, errOut)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return report.Report{}, err
	}
	return report.Join(parts, cfg.Profile.Deviations, cfg.Profile.MustRun), nil
}

// runPart runs this command line once more, for whatever it can claim.
func runPart(dir string, part int, errOut io.Writer) (report.Report, error) {
	file := filepath.Join(dir, fmt.Sprintf("report-%d", part))
	args := append(append([]string{}, os.Args[1:]...), "--claims", dir, "--report-json", file)
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

// claim is for a process that shares a run: a group of probes is that one's
// which makes its file first.
func claim(dir, group string) bool {
	sum := sha256.Sum256([]byte(group))
	file, err := os.OpenFile(filepath.Join(dir, hex.EncodeToString(sum[:])), os.O_CREATE|os.O_EXCL, 0o600)
	return err == nil && file.Close() == nil
}
