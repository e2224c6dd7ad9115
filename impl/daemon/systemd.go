package daemon

import (
	"context"
	"time"

	sdnotify "github.com/coreos/go-systemd/v22/daemon"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// notify tells the service manager, if there is one that wants to know.
func (d *daemon) notify(state string) {
	if _, err := sdnotify.SdNotify(false, state); err != nil {
		d.log.Warn("service manager", "err", err)
	}
}

// watchdog is when the service manager wants a sign of life: twice in its
// interval; never, if it has set none.
func (d *daemon) watchdog() (beats <-chan time.Time, stop func()) {
	interval, err := sdnotify.SdWatchdogEnabled(false)
	if err != nil {
		d.log.Warn("watchdog", "err", err)
	}
	if interval <= 0 {
		return nil, func() {}
	}
	ticker := time.NewTicker(interval / 2)
	return ticker.C, ticker.Stop
}

// beat gives the sign of life after a call over the daemon's own socket has
// been answered: one that hangs is restarted by the service manager.
func (d *daemon) beat(ctx context.Context) {
	interval, _ := sdnotify.SdWatchdogEnabled(false)
	ctx, cancel := context.WithTimeout(ctx, interval/4)
	defer cancel()
	conn, err := grpc.NewClient("unix://"+d.cfg.Listen, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		d.log.Error("watchdog", "err", err)
		return
	}
	defer conn.Close()
	if _, err := runtimeapi.NewRuntimeServiceClient(conn).RuntimeConfig(ctx, &runtimeapi.RuntimeConfigRequest{}); err != nil {
		d.log.Error("watchdog: the daemon does not answer itself", "err", err)
		return
	}
	d.notify(sdnotify.SdNotifyWatchdog)
}
