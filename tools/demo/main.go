// Command demo shows ocid at work, as "make run": a pod with a web server, run
// through crictl from an image in a registry on the loopback interface, its
// page fetched by the pod's IP. Then it stops everything and looks whether
// anything is left.
//
// It needs root, the programs in ./bin and the Debian packages of
// tools/provision.sh. The daemon gets no configuration file: flags give it
// directories of its own, all else are its defaults.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

func main() {
	// Ctrl-C ends the demonstration, never the cleaning up after it.
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	s := &script{out: os.Stdout}
	err := demonstrate(ctx, s)
	s.cleanUp()
	stop()
	if err != nil || s.failed > 0 {
		fmt.Printf("\nFAILED: %d step(s)\n", s.failed)
		os.Exit(1)
	}
	fmt.Printf("\nEvery step worked; nothing is left behind.\n")
}

// demonstrate runs the steps up to the point where everything runs; what
// undoes them is left on the script.
func demonstrate(ctx context.Context, s *script) error {
	d := &demo{script: s}
	for _, step := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"prepare a work directory", d.prepare},
		{"start a registry (docker-registry) on the loopback interface", d.startRegistry},
		{"push the image of a web server", d.pushImage},
		{"start ocid without a configuration file", d.startDaemon},
		{"pull the image", d.pull},
		{"run a pod", d.runPod},
		{"create and start its container", d.runContainer},
		{"fetch the web page at the pod's IP", d.fetch},
		{"list pods", d.crictlShow("pods")},
		{"list containers", d.crictlShow("ps")},
		{"show the container's log", d.logs},
		{"run a command in the container", d.exec},
	} {
		if err := s.step(ctx, step.name, step.do); err != nil {
			return err
		}
	}
	if onTerminal() {
		fmt.Printf("\nThe pod serves http://%s/ and crictl reaches ocid by\n  bin/crictl --config %s ps\nPress Ctrl-C to stop everything.\n", d.podIP, d.path("crictl.yaml"))
		<-ctx.Done()
		fmt.Println()
	}
	return nil
}

// onTerminal tells whether a person sits there who can press Ctrl-C.
func onTerminal() bool {
	for _, f := range []*os.File{os.Stdin, os.Stdout} {
		if _, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS); err != nil {
			return false
		}
	}
	return true
}
