package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"ocid/conformance/target"
	"ocid/tools/rig"
)

// runBound is how long one run may take.
const runBound = 10 * time.Minute

func (l *lab) report(name string) string { return filepath.Join(l.dir, name+".json") }

// critest runs the program, its output in a log beside the programs. With
// several workers it is run by the ginkgo command, as critest's own flag
// -parallel does it; that flag would lose the report.
func (l *lab) critest(ctx context.Context, t *target.T, m mode, name string) error {
	ctx, cancel := context.WithTimeout(ctx, runBound)
	defer cancel()
	program := filepath.Join(l.dir, "critest.test") // the ginkgo command wants that ending
	if err := os.Symlink(filepath.Join(l.Bin, "critest"), program); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	endpoint := rig.Endpoint(t)
	args := append([]string{"-runtime-endpoint=" + endpoint, "-image-endpoint=" + endpoint}, m.flags...)
	report := filepath.Base(l.report(name))
	var cmd *exec.Cmd
	if m.workers > 1 {
		head := []string{fmt.Sprintf("--nodes=%d", m.workers), "--json-report=" + report, "--output-dir=" + l.dir, "-v"}
		if l.focus != "" {
			head = append(head, "--focus="+l.focus)
		}
		cmd = exec.CommandContext(ctx, filepath.Join(l.Bin, "ginkgo"), append(append(head, program, "--"), args...)...)
	} else {
		args = append(args, "-ginkgo.json-report="+l.report(name))
		if l.focus != "" {
			args = append(args, "-ginkgo.focus="+l.focus)
		}
		cmd = exec.CommandContext(ctx, program, args...)
	}
	log, err := os.Create(filepath.Join(l.Bin, "critest-"+name+".log"))
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	cmd.Stdout, cmd.Stderr, cmd.Dir = log, log, l.dir
	cmd.Env = append(os.Environ(), "TMPDIR="+l.dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = time.Minute
	return cmd.Run()
}

func indent(text string) string {
	return strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n    ")
}
