package daemon

import (
	"os"
	"os/signal"
	"time"

	sdnotify "github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"

	"ocid/impl/config"
	"ocid/impl/dirwatch"
)

// settle is how long files have to be left alone before they are read: many
// programs write a file in several steps.
const settle = 200 * time.Millisecond

// reloads says when the configuration has to be read again, and why.
type reloads struct {
	due   chan string
	close func()
}

// watchConfig waits for SIGHUP and for changes of the files that the
// configuration came from.
func (d *daemon) watchConfig() (*reloads, error) {
	r := &reloads{due: make(chan string, 1)}
	tell := func(why string) {
		select {
		case r.due <- why:
		default: // one is due already
		}
	}
	quiet := time.AfterFunc(time.Hour, func() { tell("a file has changed") })
	quiet.Stop()
	files, err := dirwatch.Watch(d.configPaths(), func() { quiet.Reset(settle) }, d.log)
	if err != nil {
		return nil, err
	}
	hups, done := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(hups, unix.SIGHUP)
	go func() {
		for {
			select {
			case <-hups:
				tell("SIGHUP")
			case <-done:
				return
			}
		}
	}()
	r.close = func() {
		signal.Stop(hups)
		close(done)
		quiet.Stop()
		if err := files.Close(); err != nil {
			d.log.Warn("watching the configuration", "err", err)
		}
	}
	return r, nil
}

// configPaths are the files of the daemon and of the registries.
func (d *daemon) configPaths() []string {
	return append(d.from.Paths(), d.server.Images.ConfigPaths()...)
}

// reload puts in force what a running daemon can take. A configuration with an
// error changes nothing.
func (d *daemon) reload(why string) {
	d.notify(sdnotify.SdNotifyReloading + "\n" + sdnotify.SdNotifyMonotonicUsec())
	defer d.notify(sdnotify.SdNotifyReady)
	next, err := config.Load(d.from)
	d.telemetry.Reloaded(err)
	if err != nil {
		d.log.Error("configuration: everything stays as it is", "why", why, "err", err)
		return
	}
	live, restart := config.Changes(d.cfg, next)
	if err := d.server.Images.Reload(next.Image.Pinned, next.Image.StallTimeout.Duration); err != nil {
		d.log.Error("images: everything stays as it is", "why", why, "err", err)
	}
	d.level.Set(next.Level())
	d.log.Info("configuration read again", "why", why, "differs from the start in", live, "takes a restart", restart)
}
