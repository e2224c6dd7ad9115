package spec

const operator = "own: what the peers' operators have"

// operationPromises are the promises about how the daemon is operated.
var operationPromises = []Promise{
	{By: "impl/telemetry", Rule: must("operation.metrics", "The metrics endpoint counts calls by method and code, refusals by rule, steps by plan and outcome, and objects by state.", operator).needs(Operations)},
	{By: "impl/telemetry", Rule: must("operation.traces", "Each call is a span, and each step of its plan a span below it, in the trace of the caller if it has one.", operator).needs(Operations)},
	{By: "impl/check", Rule: must("operation.check", "The command ocid check says what would be used and what is wrong, and fails if pods could not run; it changes nothing.", operator).needs(Operations)},
	{By: "impl/daemon", Rule: must("operation.notify", "The daemon tells its service manager when it serves, reads its configuration again, and ends.", "sd_notify(3)").needs(Operations)},
	{By: "impl/daemon", Rule: must("operation.watchdog", "The daemon gives its service manager a sign of life twice in the interval that it asks for, as long as it answers its own calls.", "sd_watchdog_enabled(3)").needs(Operations)},
	{By: "impl/daemon", Rule: must("operation.reload", "SIGHUP, or a change of a configuration file, puts in force what a running daemon can take.", operator).needs(Operations)},
	{By: "impl/daemon", Rule: must("operation.reload-bad", "A configuration with an error, read by a running daemon, changes nothing.", operator).needs(Operations)},
}
