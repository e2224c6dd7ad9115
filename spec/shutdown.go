package spec

// Steps of the shutdown.
const (
	StepRefuse   StepName = "refuse"
	StepDrain    StepName = "drain"
	StepStreams  StepName = "streams"
	StepWatchers StepName = "watchers"
	StepStorage  StepName = "storage"
	StepLedger   StepName = "ledger"
	StepSocket   StepName = "socket"
)

const shutdownSource = "design notes: graceful shutdown"

// shutdown answers: what does the daemon do on SIGTERM and SIGINT, and in
// which order?
var shutdown = Plan{Name: "Shutdown", Object: "daemon", Steps: []Step{
	{Name: StepRefuse,
		Rule: must("shutdown.refuse", "A call that arrives after the signal is refused with Unavailable.", shutdownSource).needs(Restart)},
	{Name: StepDrain, After: []StepName{StepRefuse},
		Rule: must("shutdown.drain", "A call that runs when the signal arrives has shutdown_timeout to finish; what is cut then is Unavailable.", shutdownSource).needs(Restart)},
	{Name: StepStreams, After: []StepName{StepRefuse, StepDrain},
		Rule: must("shutdown.streams", "A stream goes on as long as calls do, and is then ended with the command behind it.", shutdownSource).needs(Restart)},
	{Name: StepWatchers, After: []StepName{StepDrain},
		Rule: should("shutdown.watchers", "Watchers of exits and of the CNI configuration end after the last call.", shutdownSource)},
	{Name: StepStorage, After: []StepName{StepDrain, StepWatchers},
		Rule: must("shutdown.storage", "The storage driver is shut down if no container filesystem is in use, and left alone if one is.", shutdownSource).needs(Restart)},
	{Name: StepLedger, After: []StepName{StepDrain, StepWatchers, StepStorage},
		Rule: should("shutdown.ledger", "The ledger is closed when nothing writes to it any more.", shutdownSource).unseen("a write that comes too late is an operation that the next start recovers anyway")},
	{Name: StepSocket, After: []StepName{StepDrain},
		Rule: must("shutdown.socket", "The socket is gone when the daemon has exited.", shutdownSource).needs(Restart)},
}}

var shutdownPromises = []Promise{
	{By: "impl/daemon", Rule: must("shutdown.exit", "The daemon exits 0 on SIGTERM and on SIGINT.", shutdownSource).needs(Restart)},
	{By: "impl/runtime", Rule: must("shutdown.containers", "Running containers live on when the daemon ends, and their logs go on.", shutdownSource).needs(Restart)},
}
