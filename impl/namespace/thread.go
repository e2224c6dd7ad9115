package namespace

import (
	"errors"
	"runtime"

	"golang.org/x/sys/unix"
)

// onDoomedThread runs fn on an operating system thread that no other goroutine
// ever gets: a goroutine that ends while locked takes its thread with it
// (runtime.LockOSThread).
func onDoomedThread(fn func() error) error {
	done := make(chan error, 1)
	go lockAndRun(fn, done)
	err, ok := <-done
	if !ok {
		return errors.New("namespace setup ended its goroutine")
	}
	return err
}

func lockAndRun(fn func() error, done chan<- error) {
	defer close(done)
	runtime.LockOSThread()
	if unix.Gettid() != unix.Getpid() {
		done <- fn()
		return
	}
	// The main thread never ends: it would keep the namespaces alive and show
	// them as /proc/self/ns. Hold it while another goroutine finds another thread.
	done <- onDoomedThread(fn)
	runtime.UnlockOSThread()
}
