package spec

const guestContainers = "own: conmon knows a container by a process that is its child; gVisor has one for all containers of a pod"

// keeperPromises are the promises about runtimes whose containers are no
// processes of the host's.
var keeperPromises = []Promise{
	{By: "impl/keeper", Rule: must("keeper.exit-status", "Each container of a pod ends with the exit status of its own first process, although the host has one process for all of them, also if it ends at once.", guestContainers).needs(Keepers)},
	{By: "impl/runtime", Rule: must("keeper.streams", "A container whose runtime takes the streams at its start has those that its monitor keeps, and its log has what it writes.", guestContainers).needs(Keepers)},
	{By: "impl/runtime", RPC: "ExecSync", Rule: must("keeper.commands", "A command that is no process of the host's ends with all that it has started when its bound is over.", "cri-api v1, ExecSyncRequest.timeout").needs(Keepers)},
	{By: "impl/keeper", Rule: must("keeper.restart", "An exit that no daemon saw is known to the next one with its status.", guestContainers).needs(Keepers)},
	{By: "impl/runtime", Rule: must("keeper.unstarted", "The keeper of a container that is removed before its start goes with it, without being waited for.", own+": nothing is left behind").needs(Keepers)},
	{By: "impl/runtime", Rule: must("keeper.dies", "A container whose keeper has died is EXITED, and nothing of it runs on.", own+": what is said to have ended has ended").needs(Keepers)},
	{By: "impl/runtime", RPC: "StopPodSandbox", Rule: must("keeper.lag", "A container that has ended with its sandbox is stopped without an error, although its runtime still calls it running.", own+": gVisor's state lags up to 2 s").needs(Keepers)},
	{By: "impl/runtime", Rule: must("keeper.cgroup", "A keeper is in its container's cgroup, so that the pod is charged for it.", own+": the monitor's cgroup is the daemon's").needs(Keepers)},
}
