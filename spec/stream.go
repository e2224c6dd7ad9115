package spec

// Events of streams.
const (
	Exec        Event = "Exec"
	Attach      Event = "Attach"
	PortForward Event = "PortForward"
)

const (
	execAPI    = "cri-api v1, ExecRequest"
	attachAPI  = "cri-api v1, AttachRequest"
	forwardAPI = "cri-api v1, PortForwardRequest"
)

// streamLife are the rows of a container's life about Exec and Attach.
var streamLife = []Transition{
	{On: Exec, From: Running | Stopping, Act: Done,
		Rule: must("stream.exec.running", "Exec is allowed in a running container, also while it is being stopped.", criRuntime+": Exec prepares a streaming endpoint to execute a command in the container, and returns the address.")},
	{On: Exec, From: Created | Starting | Exited | Removing, Act: Refuse, Code: FailedPrecondition,
		Rule: must("stream.exec.idle", "Exec refuses a container that does not run.", criRuntime)},
	{On: Exec, From: containerUnknown, Act: Refuse, Code: NotFound,
		Rule: must("stream.exec.absent", "Exec refuses an unknown container with NotFound.", criRuntime)},

	{On: Attach, From: Created | Starting | Running | Stopping, Act: Done,
		Rule: must("stream.attach.live", "Attach is allowed from a container's creation to its end, so that a client can be there for its first output.", criRuntime+": Attach prepares a streaming endpoint to attach to a running container, and returns the address.")},
	{On: Attach, From: Exited | Removing, Act: Refuse, Code: FailedPrecondition,
		Rule: must("stream.attach.ended", "Attach refuses a container that has ended.", criRuntime)},
	{On: Attach, From: containerUnknown, Act: Refuse, Code: NotFound,
		Rule: must("stream.attach.absent", "Attach refuses an unknown container with NotFound.", criRuntime)},
}

// streamSandboxLife are the rows of a sandbox's life about PortForward.
var streamSandboxLife = []Transition{
	{On: PortForward, From: Ready, Act: Done,
		Rule: must("stream.forward.ready", "PortForward is allowed to a sandbox that is READY.", criRuntime+": PortForward prepares a streaming endpoint to forward ports from a PodSandbox, and returns the address.")},
	{On: PortForward, From: Stopping | NotReady | Stopped | Removing, Act: Refuse, Code: FailedPrecondition,
		Rule: must("stream.forward.stopped", "PortForward refuses a sandbox that is not READY, also to a client that comes with its URL later.", "own: nothing is left that could answer")},
	{On: PortForward, From: Absent | Creating, Act: Refuse, Code: NotFound,
		Rule: must("stream.forward.absent", "PortForward refuses an unknown sandbox with NotFound.", criRuntime)},
}

// streamRequests are the requirements about Exec, Attach and PortForward.
var streamRequests = []Requirement{
	req("exec.container", "Exec", "container_id", Required, execAPI+".container_id"),
	req("exec.cmd", "Exec", "cmd", Required, execAPI+".cmd"),
	req("exec.streams", "Exec", "stdin", OneSet, execAPI+".stdin: One of `stdin`, `stdout`, and `stderr` MUST be true.").with("stdout", "stderr"),
	req("exec.tty-stderr", "Exec", "tty", Excludes, execAPI+".stderr: If `tty` is true, `stderr` MUST be false.").with("stderr"),
	req("attach.container", "Attach", "container_id", Required, attachAPI+".container_id"),
	req("attach.streams", "Attach", "stdin", OneSet, attachAPI+".stdin: One of `stdin`, `stdout`, and `stderr` MUST be true.").with("stdout", "stderr"),
	req("attach.tty-stderr", "Attach", "tty", Excludes, attachAPI+".stderr: If `tty` is true, `stderr` MUST be false.").with("stderr"),
	req("forward.sandbox", "PortForward", "pod_sandbox_id", Required, forwardAPI+".pod_sandbox_id"),
	req("forward.port", "PortForward", "port[]", Between, forwardAPI+".port").to(1, 65535),
}

// streamPromises are the promises about streams, and about ExecSync.
var streamPromises = []Promise{
	{By: "impl/stream", RPC: "Exec", Rule: must("stream.url.once", "The URL of a stream is good for one client; a second one gets 404.", "cri-streaming: single-use tokens")},
	{By: "impl/stream", RPC: "Exec", Rule: must("stream.url.expires", "A URL that no client has come for in url_timeout (1 min) is good for nothing.", "cri-streaming: tokens live a minute").needs(Restart)},
	{By: "impl/stream", RPC: "Exec", Rule: must("stream.url.secret", "A URL holds at least 128 random bits and is good only for the kind of stream that it was given for.", "own: who has the URL has the container")},
	{By: "impl/stream", RPC: "Exec", Rule: must("stream.url.loopback", "Streams are served on the loopback interface unless configured otherwise.", "own: who has the URL has the container; only kubelet needs it")},
	{By: "impl/stream", RPC: "Exec", Rule: must("stream.url.tls", "With a certificate configured, streams are served by TLS 1.2 or later and by nothing else.", "own: peers do so").needs(Restart)},
	{By: "impl/stream", RPC: "Exec", Rule: must("stream.url.many", "At most 1000 URLs wait for their clients; a call for one more is refused with ResourceExhausted.", "cri-streaming")},
	{By: "impl/stream", RPC: "Exec", Rule: must("stream.url.stopping", "A call that gets no URL because the daemon has been told to end meanwhile is refused with Unavailable.", shutdownSource).unseen("between the arrival of a call and its URL is nothing that takes time")},
	{By: "impl/stream", RPC: "Exec", Rule: must("stream.protocols", "Exec and Attach are served over SPDY and over WebSocket in the versions that current and older clients offer, v5.channel.k8s.io among them.", kubelet+", critest and crictl: clients of client-go v0.37")},
	{By: "impl/stream", RPC: "Exec", Rule: must("stream.idle", "A stream on which nothing has moved for idle_timeout is ended.", "cri-streaming: StreamIdleTimeout").needs(Restart)},

	{By: "impl/runtime", RPC: "Exec", Rule: must("stream.exec.code", "The exit code of a command is passed on to the client, and a command that can't be started is an error with the runtime's words.", kubelet+": metav1.Status with reason NonZeroExitCode and cause ExitCode")},
	{By: "impl/runtime", RPC: "Exec", Rule: must("stream.exec.output", "The client gets all of a command's output, stdout and stderr apart, however slowly it reads.", execAPI)},
	{By: "impl/runtime", RPC: "Exec", Rule: must("stream.exec.stdin", "A command reads what the client sends, and its end of the input when the client has ended it.", execAPI+".stdin")},
	{By: "impl/runtime", RPC: "Exec", Rule: must("stream.exec.tty", "With tty the command has a terminal of the size of the client's, which follows it, and the end of the client's input is the terminal's end of file.", execAPI+".tty")},
	{By: "impl/runtime", RPC: "Exec", Rule: must("stream.exec.held", "A process that a command has left behind and that keeps the output open without writing holds the stream for two seconds at most.", "own: peers wait for ever")},
	{By: "impl/runtime", RPC: "Exec", Rule: must("stream.exec.gone", "A command whose client has gone is killed with all the processes that it has started.", "own: nobody could ever end it; peers leave it running")},

	{By: "impl/runtime", RPC: "Attach", Rule: must("stream.attach.output", "An attached client gets what the container writes from then on, stdout and stderr apart, to the last byte, and its stream ends when the container has ended.", attachAPI)},
	{By: "impl/runtime", RPC: "Attach", Rule: must("stream.attach.several", "Several clients attached at once get the same output.", "own: peers do so")},
	{By: "impl/runtime", RPC: "Attach", Rule: must("stream.attach.stdin", "Without stdin_once a container's stdin stays open for the next client when one has left.", "cri-api v1, ContainerConfig.stdin_once: the stdin stream will stay open across multiple attach sessions")},
	{By: "impl/server", RPC: "Attach", Rule: must("stream.attach.stdin-once", "With stdin_once the container's stdin is closed when the first client that has it ends its input or leaves; a client that only reads closes nothing.", "cri-api v1, ContainerConfig.stdin_once: stdin is opened on container start, is empty until the first client attaches to stdin, and then remains open and accepts data until the client disconnects, at which time stdin is closed")},
	{By: "impl/server", RPC: "Attach", Rule: must("stream.attach.tty", "Attach refuses a tty that is not the container's.", attachAPI+".tty: This must match the TTY setting in the ContainerConfig.")},
	{By: "impl/runtime", RPC: "Attach", Rule: must("stream.attach.resize", "The terminal of a container takes the size of the attached client's.", kubelet)},
	{By: "impl/runtime", RPC: "Attach", Rule: must("stream.attach.slow", "An attached client that does not read holds up neither the container nor its log; it is given up.", "own: with conmon, peers stop the container")},
	{By: "impl/runtime", RPC: "Attach", Rule: must("stream.attach.restart", "A restart of the daemon ends the streams of attached clients and nothing else: the container runs on, and can be attached to again, its stdin too.", "own").needs(Restart)},

	{By: "impl/server", RPC: "PortForward", Rule: must("stream.forward.pod", "PortForward connects to the port inside the pod's network namespace, on 127.0.0.1 and else on ::1.", forwardAPI)},
	{By: "impl/server", RPC: "PortForward", Rule: must("stream.forward.host", "PortForward to a pod on the host network connects to the host's port.", "critest: runtime should support portforward in host network")},
	{By: "impl/server", RPC: "PortForward", Rule: must("stream.forward.vm", "PortForward to a pod of a VM runtime connects to the pod's address.", "own: the loopback interface of the namespace is not the VM's").needs(Restart)},
	{By: "impl/stream", RPC: "PortForward", Rule: must("stream.forward.half", "The end of one direction of a forwarded connection is passed on and does not end the other.", "own: protocols that send a request and its end are as old as TCP")},
	{By: "impl/stream", RPC: "PortForward", Rule: must("stream.forward.refused", "A port that nobody listens on is an error on that connection's error stream; the other connections go on.", kubelet)},
	{By: "impl/stream", RPC: "PortForward", Rule: must("stream.forward.protocols", "PortForward is served over SPDY, over SPDY inside WebSocket, and over WebSocket to the ports that the request names; a request that names ports gets no others.", "critest and crictl: clients of client-go v0.37")},

	{By: "impl/runtime", RPC: "ExecSync", Rule: must("exec.limit", "ExecSync returns the beginning of each stream, at most 16 MiB with all that is in the answer; the rest is dropped, and neither holds up the command nor is an error.", kubelet+": takes no message of more than 16 MiB; and a probe must not fill the daemon's memory (CVE-2022-1708)")},
	{By: "impl/runtime", RPC: "ExecSync", Rule: must("exec.tree", "ExecSync that times out kills all processes that the command has started, those in sessions of their own too.", kubelet+": exec probes")},
	{By: "impl/runtime", RPC: "ExecSync", Rule: must("exec.held", "A process that a command has left behind and that keeps its output open holds ExecSync for two seconds at most.", "own: peers wait for ever by default")},
	{By: "impl/runtime", RPC: "ExecSync", Rule: must("exec.missing", "ExecSync of a command that can't be started is an error with the runtime's words, not an exit code.", kubelet)},
	{By: "impl/runtime", RPC: "ExecSync", Rule: must("exec.left", "A command that ran when the daemon died is ended by the next daemon.", "own: nobody reads its output, and its timeout is nobody's").needs(Restart)},
	{By: "impl/runtime", RPC: "ExecSync", Rule: must("exec.nothing-left", "ExecSync leaves no process, zombie, file or descriptor behind.", "own")},
}
