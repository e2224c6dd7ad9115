// Package daemon wires the parts together and carries them through a daemon's
// life: start, recovery, serving, shutdown. It decides nothing about objects.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"

	sdnotify "github.com/coreos/go-systemd/v22/daemon"
	"github.com/sirupsen/logrus"
	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	"k8s.io/klog/v2"

	"ocid/impl/check"
	"ocid/impl/config"
	"ocid/impl/flow"
	"ocid/impl/gate"
	"ocid/impl/ledger"
	"ocid/impl/network"
	"ocid/impl/runtime"
	"ocid/impl/server"
	"ocid/impl/stats"
	"ocid/impl/store"
	"ocid/impl/store/usage"
	"ocid/impl/stream"
	"ocid/impl/telemetry"
	"ocid/spec"
)

// Options are what a main program chooses: the rules, where the configuration
// can be read again, and who is told of the moments of plans (nobody, but for
// tests).
type Options struct {
	Book    spec.Book
	From    config.Sources
	Observe func(flow.Moment)
}

// Reexec must be the first call of main; see store.Reexec.
func Reexec() bool { return store.Reexec() }

// maxMessage is the size in bytes of the largest message, as kubelet and the
// peers have it.
const maxMessage = 16 << 20

// A daemon is the parts of a running one.
type daemon struct {
	cfg    *config.Config
	from   config.Sources
	book   spec.Book
	log    *slog.Logger
	level  *slog.LevelVar
	runner flow.Runner

	telemetry *telemetry.Telemetry

	db       *bbolt.DB
	store    *store.Store
	network  *network.Manager
	runtimes map[string]*runtime.OCI
	gate     *gate.Gate
	streams  *stream.Server
	server   *server.Server
	grpc     *grpc.Server
	listener net.Listener
}

// Run runs a daemon until SIGTERM, SIGINT or the context's end, and shuts it
// down by the plan of that name. A nil error means that all of it went well.
func Run(ctx context.Context, cfg *config.Config, o Options) error {
	ctx, stop := signal.NotifyContext(ctx, unix.SIGTERM, unix.SIGINT)
	defer stop()
	unix.Umask(0o022)
	logrus.SetLevel(logrus.WarnLevel) // of the libraries underneath
	d := &daemon{cfg: cfg, from: o.From, book: o.Book, level: &slog.LevelVar{}, runner: flow.Runner{Observe: o.Observe, Log: gate.Log}}
	d.level.Set(cfg.Level())
	d.log = cfg.Logger(os.Stderr, d.level)
	if err := d.open(ctx); err != nil {
		return errors.Join(err, d.abandon())
	}
	return errors.Join(d.serve(ctx), d.shutdown())
}

// serve answers calls until ctx ends. Meanwhile it reads the configuration
// anew when that changes, and tells the service manager how it is.
func (d *daemon) serve(ctx context.Context) error {
	reloads, err := d.watchConfig() // before anybody can know that the daemon is there
	if err != nil {
		return err
	}
	defer reloads.close()
	served := make(chan error, 1)
	go func() { served <- d.grpc.Serve(d.listener) }()
	d.log.Info("serving", "socket", d.cfg.Listen)
	d.notify(sdnotify.SdNotifyReady)
	defer d.notify(sdnotify.SdNotifyStopping)
	beats, stop := d.watchdog()
	defer stop()
	for {
		select {
		case <-ctx.Done():
			d.log.Info("shutting down")
			return nil
		case err := <-served:
			return fmt.Errorf("serve %s: %w", d.cfg.Listen, err)
		case why := <-reloads.due:
			d.reload(why)
		case <-beats:
			d.beat(ctx)
		}
	}
}

// open makes every part, in the order in which they need one another, and
// recovers what the last daemon left.
func (d *daemon) open(ctx context.Context) error {
	for _, dir := range []string{d.cfg.Root, d.cfg.RunRoot, filepath.Dir(d.cfg.Listen)} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	if err := d.openTelemetry(ctx); err != nil {
		return err
	}
	for _, open := range []func() error{d.openLedger, d.openStore, d.openNetwork, d.openRuntimes, d.openStreams, d.openServer} {
		if err := open(); err != nil {
			return err
		}
	}
	d.server.Recover(ctx)
	return d.listen()
}

func (d *daemon) openLedger() (err error) {
	d.db, err = ledger.Open(filepath.Join(d.cfg.Root, "ledger.db"))
	return err
}

func (d *daemon) openStore() (err error) {
	d.store, err = store.Open(store.Options{
		Root: d.cfg.StorageRoot(), RunRoot: d.cfg.StorageRunRoot(),
		Driver: d.cfg.Storage.Driver, DriverOptions: d.cfg.Storage.Options, Log: d.log,
	})
	if err != nil {
		return err
	}
	return d.store.GarbageCollect()
}

func (d *daemon) openNetwork() (err error) {
	var builtin []byte
	if d.cfg.Network.DefaultNetwork {
		if builtin, err = network.DefaultConfList(filepath.Join(d.cfg.RunRoot, "leases")); err != nil {
			return err
		}
	}
	d.network, err = network.New(network.Config{
		ConfDir: d.cfg.Network.ConfDir, BinDirs: d.cfg.Network.BinDirs, CacheDir: d.cfg.CNICacheDir(), Default: builtin, Log: d.log,
	})
	return err
}

func (d *daemon) openRuntimes() error {
	monitor, err := d.cfg.MonitorPath()
	if err != nil {
		return err
	}
	d.runtimes = map[string]*runtime.OCI{}
	for _, name := range d.cfg.HandlerNames() {
		handler, err := check.Handler(d.cfg, name)
		if err != nil {
			return err
		}
		d.runtimes[name], err = runtime.New(
			handler,
			runtime.Options{
				Monitor: monitor, RunDir: filepath.Join(d.cfg.RunRoot, "containers"), LogSizeMax: max(d.cfg.Runtime.LogSizeMax, 0),
				SystemdCgroup: d.cfg.CgroupDriver() == config.CgroupSystemd, Log: d.log,
			})
		if err != nil {
			return err
		}
	}
	return nil
}

// openStreams opens the server of streams, before anybody can ask for one.
func (d *daemon) openStreams() (err error) {
	klog.SetSlogLogger(d.log) // of the libraries underneath
	c := d.cfg.Streaming
	d.streams, err = stream.Open(stream.Config{
		Address: c.Address, Port: int(c.Port), CertFile: c.TLSCert, KeyFile: c.TLSKey,
		IdleTimeout: c.IdleTimeout.Duration, URLTimeout: c.URLTimeout.Duration, Log: d.log,
	})
	if err == nil {
		d.log.Info("serving streams", "address", d.streams.Address())
	}
	return err
}

func (d *daemon) openServer() error {
	host, err := hostFacts(d.cfg)
	if err != nil {
		return err
	}
	host.PidsLimit = d.cfg.Runtime.PidsLimit
	images, err := d.openImages()
	if err != nil {
		return err
	}
	sampler, err := stats.New(stats.Options{Interval: d.cfg.Stats.Interval.Duration, MaxAge: d.cfg.Stats.MaxAge.Duration, Log: d.log})
	if err != nil {
		return err
	}
	infra, err := d.cfg.InfraPath()
	if err != nil {
		d.log.Warn("no infra program: pods that need an infra process are refused", "err", err)
	}
	d.server, err = server.New(server.Parts{
		Book: d.book, Config: d.cfg, DB: d.db, Store: d.store, Images: images, Network: d.network, Runtimes: d.runtimes, Streams: d.streams,
		Disk:  usage.New(d.store, usage.Options{Interval: d.cfg.Stats.DiskInterval.Duration, Log: d.log}),
		Stats: sampler, Host: host, Infra: infra, Runner: d.runner, Log: d.log,
	})
	if err != nil {
		return err
	}
	d.showObjects()
	return nil
}

// listen opens the socket, in place of one that a killed daemon has left.
func (d *daemon) listen() error {
	d.gate = gate.New(d.book.Requests, d.log)
	d.grpc = grpc.NewServer(append(d.telemetry.ServerOptions(),
		grpc.ChainUnaryInterceptor(d.telemetry.Unary, d.gate.Unary), grpc.ChainStreamInterceptor(d.telemetry.Stream, d.gate.Stream),
		grpc.MaxRecvMsgSize(maxMessage), grpc.MaxSendMsgSize(maxMessage))...)
	runtimeapi.RegisterRuntimeServiceServer(d.grpc, d.server)
	runtimeapi.RegisterImageServiceServer(d.grpc, d.server)
	d.telemetry.Known(d.grpc)
	if err := os.Remove(d.cfg.Listen); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("socket: %w", err)
	}
	old := unix.Umask(0o177)
	l, err := net.Listen("unix", d.cfg.Listen)
	unix.Umask(old)
	if err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	d.listener = l
	return nil
}
