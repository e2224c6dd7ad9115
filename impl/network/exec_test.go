package network

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const hangList = `{"cniVersion":"1.0.0","name":"n","plugins":[{"type":"hang"}]}`

// The plugin starts a child that holds its output, then waits for ever.
func TestHangingPluginIsEnded(t *testing.T) {
	const mark = "31536123" // seconds, found in no other command line
	for _, command := range []string{"ADD", "DEL"} {
		t.Run(command, func(t *testing.T) {
			bin := t.TempDir()
			begun := filepath.Join(bin, "begun")
			script(t, bin, "hang", "sh -c 'sleep "+mark+"; true' &\n: >"+begun+"\nsleep "+mark+"\ntrue\n")
			m := managerOf(t, []byte(hangList), bin)
			a := selected(t, m)
			pod, _, _ := newPod(t, "pod-hang")

			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			done := make(chan error, 1)
			go func() {
				if command == "ADD" {
					_, err := m.Add(ctx, a, pod)
					done <- err
					return
				}
				done <- m.Del(ctx, a, pod)
			}()
			require.Eventually(t, func() bool {
				_, err := os.Stat(begun)
				return err == nil && len(running(t, mark)) >= 3
			}, 10*time.Second, 5*time.Millisecond)
			cancel()
			select {
			case err := <-done:
				require.ErrorIs(t, err, context.Canceled)
				require.ErrorContains(t, err, "hang was ended")
			case <-time.After(10 * time.Second):
				t.Fatal("the plugin outlived its context")
			}
			require.Eventually(t, func() bool { return len(running(t, mark)) == 0 },
				5*time.Second, 5*time.Millisecond, "a process is left")
		})
	}
}

func TestDeadlineEndsAPlugin(t *testing.T) {
	bin := t.TempDir()
	script(t, bin, "hang", "exec sleep 31536124\n")
	m := managerOf(t, []byte(hangList), bin)
	pod, _, _ := newPod(t, "pod-late")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := m.Add(ctx, selected(t, m), pod)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Empty(t, running(t, "31536124"))
}

// The test runs itself as the daemon, and kills it in the middle of an ADD.
func TestAddDiesWithTheDaemon(t *testing.T) {
	const mark, dirVar = "31536126", "OCID_TEST_PLUGIN_DIR"
	if bin := os.Getenv(dirVar); bin != "" {
		pod, _, _ := newPod(t, "pod-orphan")
		m := managerOf(t, []byte(hangList), bin)
		_, err := m.Add(t.Context(), selected(t, m), pod)
		t.Fatalf("the plugin ended before the daemon: %v", err)
	}
	bin := t.TempDir()
	script(t, bin, "hang", "exec sleep "+mark+"\n")
	daemon := exec.Command("/proc/self/exe", "-test.run=^TestAddDiesWithTheDaemon$")
	daemon.Env = append(os.Environ(), dirVar+"="+bin, "TMPDIR="+bin)
	require.NoError(t, daemon.Start())
	require.Eventually(t, func() bool { return len(running(t, mark)) == 1 }, 10*time.Second, 5*time.Millisecond)
	require.NoError(t, daemon.Process.Kill())
	require.Error(t, daemon.Wait())
	require.Eventually(t, func() bool { return len(running(t, mark)) == 0 },
		5*time.Second, 5*time.Millisecond, "the plugin is left")
}

// A plugin may start a server and let it have its output, by neglect.
func TestServerLeftBehindIsNoFailure(t *testing.T) {
	bin := t.TempDir()
	pidFile := filepath.Join(bin, "pid")
	script(t, bin, "hang", "sleep 31536125 &\necho $! >"+pidFile+
		"\necho '{\"cniVersion\":\"1.0.0\",\"ips\":[{\"address\":\"10.9.8.7/24\"}]}'\n")
	m := managerOf(t, []byte(hangList), bin)
	pod, _, _ := newPod(t, "pod-server")
	res, err := m.Add(t.Context(), selected(t, m), pod)
	require.NoError(t, err)
	require.Equal(t, "10.9.8.7", res.IPs[0].String())
	require.Len(t, running(t, "31536125"), 1, "and it is left alone")
	killFromFile(t, pidFile)
}

func TestWhatAPluginSays(t *testing.T) {
	for name, c := range map[string]struct{ body, want string }{
		"error object": {`echo '{"code":7,"msg":"no","details":"not today"}'; exit 1`, "no; not today"},
		"stderr":       {"echo oops >&2; exit 2", `stderr "oops\n"`},
		"silence":      {"exit 4", "exit status 4, without a word"},
		"garbage":      {"echo '<html>'", "invalid character"},
		"no address":   {`echo '{"cniVersion":"1.0.0"}'`, "no address for eth0"},
		"killed":       {"kill -9 $$", "signal: killed"},
		"bad index":    {`echo '{"cniVersion":"1.0.0","ips":[{"address":"10.9.8.7/24","interface":5}]}'`, "interface 5 of 0"},
		"host address": {`echo '{"cniVersion":"1.0.0","interfaces":[{"name":"eth0"}],"ips":[{"address":"10.9.8.7/24","interface":0}]}'`, "no address"},
	} {
		t.Run(name, func(t *testing.T) {
			bin := t.TempDir()
			script(t, bin, "hang", c.body+"\n")
			m := managerOf(t, []byte(hangList), bin)
			pod, _, _ := newPod(t, "pod-words")
			_, err := m.Add(t.Context(), selected(t, m), pod)
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestPluginBeingInstalled(t *testing.T) {
	bin := t.TempDir()
	path := filepath.Join(bin, "hang")
	program, err := os.ReadFile("/bin/true")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, program, 0o755))
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	require.NoError(t, err)
	release := time.AfterFunc(2*busyWait, func() { f.Close() })
	defer release.Stop()
	require.NoError(t, managerOf(t, []byte(hangList), bin).Del(t.Context(),
		Attachment{Network: "n", ConfList: []byte(hangList)}, Pod{ID: "p"}))
}
