package target

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"ocid/conformance/internal/fakecri"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func version(t *testing.T, target *T) string {
	t.Helper()
	v, err := target.Runtime.Version(t.Context(), &runtimeapi.VersionRequest{})
	require.NoError(t, err)
	return v.GetRuntimeVersion()
}

func TestStartAndStop(t *testing.T) {
	target := started(t, fake(t, "ok"))
	work := target.Work()
	assert.Equal(t, "fake", target.Version().GetRuntimeName())
	assert.Equal(t, "speed=slow", version(t, target))
	assert.Equal(t, "slow", target.Var("SPEED"))
	assert.Empty(t, target.Var("NOWHERE_AT_ALL"))
	require.NoError(t, target.Stop(t.Context()))
	assert.NoDirExists(t, work)
	require.NoError(t, target.Stop(t.Context()), "stopping twice is no error")
}

func TestKeepLeavesTheWorkDirectory(t *testing.T) {
	target := &T{}
	require.NoError(t, target.Configure(Config{Profile: fake(t, "ok"), Environment: nowhere(), Keep: true}))
	require.NoError(t, target.Start(t.Context()))
	work := target.Work()
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(work)) })
	require.NoError(t, target.Stop(t.Context()))
	assert.FileExists(t, filepath.Join(work, "etc/fake.conf"))
}

func TestDaemonThatDoesNotStartIsTheDaemonsFailure(t *testing.T) {
	target := configured(t, fake(t, fakecri.NoStart))
	err := target.Start(t.Context())
	require.ErrorIs(t, err, errDaemonExited)
	assert.ErrorContains(t, err, "exit status 3")
	assert.ErrorContains(t, err, "fake daemon: cannot start", "its output belongs to the error")
	var own *SuiteError
	assert.False(t, errors.As(err, &own), "it is not the suite's trouble")
}

func TestMissingProgramIsTheSuitesTrouble(t *testing.T) {
	p := fake(t, "ok")
	p.Daemon.Command = []string{"/nonexistent/daemon"}
	var own *SuiteError
	require.ErrorAs(t, configured(t, p).Start(t.Context()), &own)
	p.Daemon.Command = []string{"${CRI_TEST_NOWHERE}"}
	err := configured(t, p).Start(t.Context())
	require.ErrorAs(t, err, &own)
	require.ErrorContains(t, err, "variable CRI_TEST_NOWHERE has no value")
}

func TestStopReportsABadExit(t *testing.T) {
	target := started(t, fake(t, fakecri.ExitOne))
	require.ErrorContains(t, target.Stop(t.Context()), "exits with exit status 1 on SIGTERM")
}

func TestStopKillsADaemonThatLivesOn(t *testing.T) {
	target := started(t, fake(t, fakecri.Stubborn))
	pid := target.daemon.cmd.Process.Pid
	require.ErrorContains(t, target.Stop(t.Context()), "no exit after 1s")
	assert.ErrorIs(t, syscall.Kill(pid, 0), syscall.ESRCH)
}

func TestStopReportsAndRemovesWhatIsLeft(t *testing.T) {
	target := started(t, fake(t, "ok"))
	work := target.Work()
	cmd := exec.Command("sleep", "1000")
	cmd.Dir, cmd.Args[0] = "/", work+"/monitor"
	require.NoError(t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	mount := filepath.Join(work, "root", "m")
	require.NoError(t, os.MkdirAll(mount, 0o700))
	require.NoError(t, syscall.Mount("x", mount, "tmpfs", 0, ""))
	err := target.Stop(t.Context())
	require.ErrorContains(t, err, "after the daemon's end: process left")
	require.ErrorContains(t, err, "after the daemon's end: mount left: "+mount)
	assert.NoDirExists(t, work)
	assert.Error(t, <-ended, "the process was killed")
}

func TestRestart(t *testing.T) {
	target := started(t, fake(t, "ok"))
	for _, sig := range []os.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		pid := target.daemon.cmd.Process.Pid
		require.NoError(t, target.Restart(t.Context(), sig))
		assert.NotEqual(t, pid, target.daemon.cmd.Process.Pid)
		assert.Equal(t, "speed=slow", version(t, target))
	}
	code, err := target.SignalDaemon(t.Context(), syscall.SIGKILL)
	require.NoError(t, err)
	assert.Equal(t, -1, code)
	_, err = target.SignalDaemon(t.Context(), syscall.SIGTERM)
	require.ErrorContains(t, err, "not running")
	require.NoError(t, target.StartDaemon(t.Context()))
	require.NoError(t, target.StartDaemon(t.Context()), "starting a running daemon is no error")
	require.NoError(t, target.Reboot(t.Context()))
	assert.Equal(t, "speed=slow", version(t, target))
}

func TestReconfigureLastsForTheCase(t *testing.T) {
	target := started(t, fake(t, "ok"))
	require.NoError(t, target.BeginCase(t.Context()))
	require.NoError(t, target.Reconfigure(t.Context(), map[string]string{"SPEED": "fast"}))
	assert.Equal(t, "speed=fast", version(t, target))
	assert.Equal(t, "fast", target.Var("SPEED"))
	require.NoError(t, target.EndCase(t.Context()))
	assert.Equal(t, "speed=slow", version(t, target))
}

func TestCaseCleansUpLastFirst(t *testing.T) {
	target := started(t, fake(t, "ok"))
	require.NoError(t, target.BeginCase(t.Context()))
	p, err := target.TryPod(t.Context(), PodName("a"))
	require.NoError(t, err)
	c, err := p.TryCreate(t.Context(), ContainerName("b"))
	require.NoError(t, err)
	assert.Equal(t, p.ID, c.Pod.ID)
	assert.Equal(t, "b", c.Config.GetMetadata().GetName())
	require.DirExists(t, p.Config.GetLogDirectory())
	require.NoError(t, target.EndCase(t.Context()))
	assert.NoDirExists(t, p.Config.GetLogDirectory())
	_, err = p.TryCreate(t.Context())
	assert.Equal(t, codes.NotFound, status.Code(err))
}

func TestCaseReportsAndSweepsLeaks(t *testing.T) {
	target := started(t, fake(t, fakecri.LeakPod))
	require.NoError(t, target.BeginCase(t.Context()))
	_, err := target.TryPod(t.Context(), PodName("stays"))
	require.NoError(t, err)
	err = target.EndCase(t.Context())
	require.ErrorContains(t, err, "leak audit: the case leaves a trace:")
	require.ErrorContains(t, err, "object in the daemon's list left: sandbox ")
	require.ErrorContains(t, err, "(stays)")
	require.ErrorContains(t, err, "file left: "+target.Work()+"/root/")
	require.NoError(t, target.BeginCase(t.Context()))
	require.NoError(t, target.EndCase(t.Context()), "the next case begins clean")
}

func TestCaseReportsADeadDaemonAndRevivesIt(t *testing.T) {
	target := started(t, fake(t, fakecri.DiesOnRun))
	require.NoError(t, target.BeginCase(t.Context()))
	_, err := target.TryPod(t.Context(), PodName("bomb"))
	require.Error(t, err)
	<-target.daemon.exited
	err = target.EndCase(t.Context())
	require.ErrorContains(t, err, "daemon exited by itself: exit status 4")
	require.ErrorContains(t, err, "fake daemon: boom")
	require.NoError(t, target.BeginCase(t.Context()))
	require.NoError(t, target.EndCase(t.Context()))
}

func TestFailedCleanupIsReported(t *testing.T) {
	target := started(t, fake(t, "ok"))
	require.NoError(t, target.BeginCase(t.Context()))
	target.Cleanup("the impossible", func(ctx context.Context) error { return errors.New("no way") })
	require.ErrorContains(t, target.EndCase(t.Context()), "clean-up failed: the impossible: no way")
}

func TestEndpointOfARunningDaemon(t *testing.T) {
	host := started(t, fake(t, "ok"))
	guest := started(t, Profile{Name: "guest", Endpoint: host.vars["LISTEN"]})
	assert.Equal(t, "fake", guest.Version().GetRuntimeName())
	require.NoError(t, guest.BeginCase(t.Context()))
	require.NoError(t, guest.EndCase(t.Context()))
	require.NoError(t, guest.Stop(t.Context()))
	assert.Equal(t, "speed=slow", version(t, host), "a daemon that the suite did not start lives on")
}
