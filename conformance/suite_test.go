package conformance

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"testing"

	"ocid/conformance/internal/fakecri"
	"ocid/conformance/report"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Ginkgo runs once in a process. So each run is a process of its own: this
// test's program, which plays the scenario that the environment names. The
// daemon is a third role of the same program.
const scenarioEnv = "CRICONFORM_SCENARIO"

func TestMain(m *testing.M) {
	fakecri.Main()
	if name, ok := os.LookupEnv(scenarioEnv); ok {
		os.Exit(play(name))
	}
	os.Exit(m.Run())
}

// outcome is what a scenario came to.
type outcome struct {
	report.Report
	exit     int
	progress string
}

func run(t *testing.T, scenario string) outcome {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), scenarioEnv+"="+scenario, "GORACE=atexit_sleep_ms=0")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit)
	}
	o := outcome{exit: cmd.ProcessState.ExitCode(), progress: stderr.String()}
	require.NoError(t, json.Unmarshal(stdout.Bytes(), &o.Report), "stdout: %s\nstderr: %s", stdout.String(), stderr.String())
	return o
}

func (o outcome) rule(t *testing.T, id string) report.Rule {
	t.Helper()
	r, ok := o.Rule(id)
	require.True(t, ok, "rule %s is not in the report", id)
	return r
}

func TestStatuses(t *testing.T) {
	o := run(t, "statuses")
	assert.Equal(t, 1, o.exit)
	assert.Equal(t, report.Error, o.Status)
	assert.Equal(t, "fake", o.Daemon.Name)
	for id, want := range map[string]struct {
		status  report.Status
		message string
	}{
		"test.pass":       {report.Pass, ""},
		"test.need":       {report.Unsupported, "feature ipv6"},
		"test.variable":   {report.Unsupported, "variable NOWHERE"},
		"test.skip":       {report.Error, "skipped, but not for a missing feature: because"},
		"test.fail":       {report.Fail, "<int>: 1"},
		"test.panic":      {report.Error, "boom"},
		"test.suite":      {report.Error, "suite error: no test image \"nonsense\""},
		"test.nobody":     {report.Unobserved, ""},
		"test.timeout":    {report.Fail, "timedout"},
		"test.undeclared": {report.Fail, ""},
	} {
		r := o.rule(t, id)
		assert.Equal(t, want.status, r.Status, "%s: %s", id, r.Message)
		assert.Contains(t, r.Message, want.message, id)
	}
	assert.Contains(t, o.progress, "test.pass")
	assert.NotContains(t, o.progress, "Running Suite", "Ginkgo is not heard unless asked for")
	for _, p := range o.Probes {
		assert.NotContains(t, p.Location+p.Message, "/conformance/", "no path of the building machine")
	}
}

func TestDeviations(t *testing.T) {
	o := run(t, "deviation")
	assert.Equal(t, 0, o.exit, "a declared deviation does not fail the run")
	assert.Equal(t, report.Deviation, o.rule(t, "test.fail").Status)
	assert.Equal(t, "known since 1.0", o.rule(t, "test.fail").Message)

	o = run(t, "deviation that passes")
	assert.Equal(t, 1, o.exit)
	assert.Equal(t, report.Fail, o.rule(t, "test.pass").Status)

	o = run(t, "must run")
	assert.Equal(t, 1, o.exit)
	assert.Equal(t, report.Fail, o.rule(t, "test.need").Status)
}

func TestRefusedBeforeAnythingRuns(t *testing.T) {
	for scenario, want := range map[string]string{
		"unknown rule":            `covers the unknown rule "test.invented"`,
		"no rule":                 `probe "orphan covers nothing"`,
		"pending":                 `probe "pending test.pass" (conformance/scenario_test.go`,
		"two names":               `two probes are named "same test.pass"`,
		"unknown selection":       `unknown rule "test.nonsense"`,
		"unknown deviation":       `deviations: unknown rule "test.nonsense"`,
		"unknown must-run":        `must_run: unknown rule "test.nonsense"`,
		"unknown kind":            `unknown kind of probe "odd"`,
		"profile without daemon":  `neither endpoint nor daemon is given`,
		"selection without probe": `no probe was selected`,
	} {
		t.Run(scenario, func(t *testing.T) {
			o := run(t, scenario)
			assert.Equal(t, 1, o.exit)
			assert.Equal(t, report.Error, o.Status)
			require.Len(t, o.Problems, 1)
			assert.Contains(t, o.Problems[0].Message, want)
			assert.Empty(t, o.Probes)
		})
	}
}

func TestSelection(t *testing.T) {
	o := run(t, "select one")
	assert.Equal(t, 0, o.exit)
	assert.Len(t, o.Probes, 1)
	assert.Len(t, o.Rules, 1)

	o = run(t, "select derived")
	require.Len(t, o.Probes, 1)
	assert.Equal(t, report.Derived, o.Probes[0].Kind)

	o = run(t, "focus")
	require.Len(t, o.Probes, 1)
	assert.Equal(t, "one case test.pass", o.Probes[0].Name)
	assert.Len(t, o.Rules, 1)
}

func TestLeakFailsTheCaseAndNoOther(t *testing.T) {
	o := run(t, "leak")
	assert.Equal(t, 1, o.exit)
	r := o.rule(t, "test.leak")
	assert.Equal(t, report.Fail, r.Status)
	assert.Contains(t, r.Message, "leak audit: the case leaves a trace:\nfile left: ")
	assert.Equal(t, report.Pass, o.rule(t, "test.after").Status)
	assert.Equal(t, report.Pass, o.rule(t, "test.before").Status)
}

func TestLeakBesideAFailureIsTold(t *testing.T) {
	r := run(t, "fail and leak").rule(t, "test.leak")
	assert.Equal(t, report.Fail, r.Status)
	assert.Contains(t, r.Message, "<int>: 1")
	assert.Contains(t, r.Message, "leak audit")
}

func TestOrderedCasesShareTheirPod(t *testing.T) {
	o := run(t, "ordered")
	assert.Equal(t, 0, o.exit, "%+v", o.Probes)
	assert.Len(t, o.Probes, 2)
}

func TestProcessesShareARun(t *testing.T) {
	o := run(t, "another has it")
	assert.Equal(t, 0, o.exit, "%+v", o.Probes)
	require.Len(t, o.Probes, 1)
	assert.Equal(t, "one test.after", o.Probes[0].Name)
	assert.NotContains(t, o.progress, "ordered")

	o = run(t, "another has all")
	assert.Equal(t, 0, o.exit, "%+v", o.Problems)
	assert.Empty(t, o.Probes)
}

func TestProfileSaysHowPatientTheSuiteIs(t *testing.T) {
	o := run(t, "patient")
	assert.Equal(t, 0, o.exit, "%+v", o.Probes)
}

func TestNeedsAreLookedAtBeforeACase(t *testing.T) {
	r := run(t, "needs").rule(t, "test.need")
	assert.Equal(t, report.Unsupported, r.Status, r.Message)
	assert.Equal(t, "feature ipv6", r.Message)
}

func TestCaseOutOfTimeFailsAlone(t *testing.T) {
	o := run(t, "out of time")
	r := o.rule(t, "test.timeout")
	assert.Equal(t, report.Fail, r.Status)
	assert.NotContains(t, r.Message, "begin anew", "the audit has time of its own")
	r = o.rule(t, "test.after")
	assert.Equal(t, report.Pass, r.Status, r.Message)
}

func TestDeadDaemonFailsItsCaseOnly(t *testing.T) {
	o := run(t, "dying daemon")
	r := o.rule(t, "test.bomb")
	assert.Equal(t, report.Fail, r.Status)
	assert.Contains(t, r.Message, "daemon exited by itself: exit status 4")
	assert.Contains(t, r.Message, "daemon log:\nfake daemon: boom")
	assert.Equal(t, report.Pass, o.rule(t, "test.after").Status)
}

func TestBrokenStateFailsItsCaseOnly(t *testing.T) {
	o := run(t, "broken state")
	r := o.rule(t, "test.leak")
	assert.Equal(t, report.Fail, r.Status)
	assert.Contains(t, r.Message, "fake daemon: state is broken")
	assert.Equal(t, report.Pass, o.rule(t, "test.after").Status, "the daemon began anew")
}

func TestDaemonThatDoesNotStart(t *testing.T) {
	o := run(t, "no daemon")
	assert.Equal(t, 1, o.exit)
	assert.Equal(t, report.Fail, o.Status, "that is the daemon's failure")
	require.Len(t, o.Problems, 1)
	assert.Contains(t, o.Problems[0].Message, "fake daemon: cannot start")
	assert.Equal(t, report.Unobserved, o.rule(t, "test.pass").Status)
}

func TestDaemonThatEndsBadly(t *testing.T) {
	o := run(t, "bad end")
	assert.Equal(t, 1, o.exit)
	assert.Equal(t, report.Fail, o.Status)
	assert.Equal(t, report.Pass, o.rule(t, "test.pass").Status)
	require.Len(t, o.Problems, 1)
	assert.Contains(t, o.Problems[0].Message, "exits with exit status 1 on SIGTERM")
}

func TestFailFast(t *testing.T) {
	o := run(t, "fail fast")
	assert.Equal(t, 1, o.exit)
	assert.Equal(t, report.Fail, o.rule(t, "test.fail").Status)
	assert.Equal(t, report.Unobserved, o.rule(t, "test.after").Status)
	assert.Contains(t, o.rule(t, "test.after").Message, "did not run")
}
