// Package config is the daemon's configuration: every option with its name,
// default and documentation, declared once, in the struct tags of Config.
//
// It reads a TOML file, a drop-in directory and command line overrides, and
// refuses what it does not know: an unknown key or a bad value is an error
// that names file, line and key. It starts nothing, creates no directory and
// never changes a Config after Load; values that depend on other values or on
// the machine are answered by methods.
package config

// Config is the effective configuration. The tag `toml` is the option's name,
// `default` its default, `comment` its documentation, `check` what values it
// takes (see checkValue), `flag`, where there is one, the command line flag
// that overrides it, and `live` says that a running daemon takes a new value
// when it reads its configuration again.
type Config struct {
	Listen          string    `toml:"listen" default:"/run/ocid/ocid.sock" check:"socket" flag:"listen" comment:"Unix socket the CRI services listen on (mode 0600). At most 107 bytes, a limit of the kernel."`
	Root            string    `toml:"root" default:"/var/lib/ocid" check:"path" flag:"root" comment:"Directory of everything that survives a reboot: images, container layers, records, journal."`
	RunRoot         string    `toml:"runroot" default:"/run/ocid" check:"path" flag:"runroot" comment:"Directory of everything that does not survive a reboot: runtime state, monitor sockets, exit files."`
	LogLevel        string    `toml:"log_level" default:"info" check:"debug|info|warn|error" flag:"log-level" live:"yes" comment:"Least severe message that is logged: debug, info, warn or error."`
	LogFormat       string    `toml:"log_format" default:"text" check:"text|json" flag:"log-format" comment:"Form of the log on standard error: text (key=value) or json."`
	ShutdownTimeout Duration  `toml:"shutdown_timeout" default:"30s" comment:"How long a shutdown waits for calls that are running."`
	Runtime         Runtime   `toml:"runtime" comment:"OCI runtimes and what surrounds them."`
	Network         Network   `toml:"network" comment:"Pod networks (CNI) and network namespaces."`
	Storage         Storage   `toml:"storage" comment:"Image and container layers (containers/storage)."`
	Stats           Stats     `toml:"stats" comment:"Statistics and metrics of containers and pods."`
	Image           Image     `toml:"image" comment:"Image transfers. An empty path means the default of containers/image."`
	Streaming       Streaming `toml:"streaming" comment:"Streams of exec, attach and port-forward, which kubelet and crictl fetch over HTTP."`
	Metrics         Metrics   `toml:"metrics" comment:"Prometheus metrics of the daemon itself."`
	Tracing         Tracing   `toml:"tracing" comment:"OpenTelemetry traces of calls and of the steps of plans."`
}

// Runtime is the table [runtime].
type Runtime struct {
	DefaultHandler      string             `toml:"default_handler" default:"runc" comment:"Handler of pods that name no runtime class."`
	PrivilegedHandler   string             `toml:"privileged_handler" comment:"Handler of privileged pods that name no runtime class. Empty: the default handler."`
	Infra               string             `toml:"infra" default:"auto" check:"auto|always" comment:"Which pods get an infrastructure process: auto (VM runtimes and pods with a PID\nnamespace of their own) or always."`
	InfraProgram        string             `toml:"infra_program" check:"path?" comment:"Program of the infrastructure process, statically linked. Empty: catatonit, found in $PATH\nor in /usr/libexec/podman."`
	InfraArgs           []string           `toml:"infra_args" default:"[\"-P\"]" comment:"Arguments of infra_program."`
	Monitor             string             `toml:"monitor" default:"conmon" check:"program" comment:"Monitor of each container: a name looked up in $PATH, or an absolute path."`
	Keeper              string             `toml:"keeper" check:"path?" comment:"Program that stands for a container of a handler with exit_status = \"wait\". Empty: ocid-keeper,\nfound beside the daemon's program or in $PATH."`
	CgroupDriver        string             `toml:"cgroup_driver" default:"auto" check:"auto|cgroupfs|systemd" comment:"Who makes cgroups: cgroupfs, systemd, or auto (systemd if it runs here). Kubelet reads it\nfrom the daemon."`
	CgroupParent        string             `toml:"cgroup_parent" comment:"Cgroup of pods whose request names none: an absolute path, or with systemd a slice.\nEmpty: the runtime's default."`
	DefaultCapabilities []string           `toml:"default_capabilities" default:"[\"CHOWN\",\"DAC_OVERRIDE\",\"FOWNER\",\"FSETID\",\"KILL\",\"NET_BIND_SERVICE\",\"SETGID\",\"SETPCAP\",\"SETUID\"]" check:"capability" comment:"Capabilities of a container that asks for nothing, with or without CAP_. It gets those that\nthe daemon itself has. The default is what all common daemons give: it has no NET_RAW."`
	AppArmorProfile     string             `toml:"apparmor_profile" comment:"AppArmor profile of containers that ask for the runtime's default, on nodes that have AppArmor.\nIt must be loaded. Empty: none."`
	CDISpecDirs         []string           `toml:"cdi_spec_dirs" default:"[\"/etc/cdi\",\"/var/run/cdi\"]" check:"path" comment:"Directories of CDI specs. A device of a later directory replaces one of the same name."`
	LogSizeMax          int64              `toml:"log_size_max" default:"-1" comment:"Size in bytes at which the monitor cuts a container's log, at least 8192. -1: never;\nkubelet rotates logs by itself."`
	PidsLimit           int64              `toml:"pids_limit" default:"0" comment:"Most processes and threads of one container. 0: no limit; kubelet limits those of a pod."`
	CreateTimeout       Duration           `toml:"create_timeout" default:"4m" comment:"Bound of one operation of a runtime, such as create or start."`
	Handlers            map[string]Handler `toml:"handlers" default:"{\"runc\":{}}" comment:"Runtime handlers, one table each: the names that a RuntimeClass may give."`
}

// Handler is a table [runtime.handlers.NAME].
type Handler struct {
	Path                         string   `toml:"path" check:"program?" comment:"The OCI runtime: a name looked up in $PATH, or an absolute path. Empty: the handler's name."`
	Root                         string   `toml:"root" check:"path?" comment:"State directory given to the runtime as --root. Empty: <runroot>/runtimes/<handler>."`
	Args                         []string `toml:"args" comment:"Global arguments, put before the runtime's command."`
	PrivilegedWithoutHostDevices bool     `toml:"privileged_without_host_devices" comment:"Privileged containers have only the devices that they ask for."`
	ExitStatus                   string   `toml:"exit_status" check:"child|wait?" comment:"Who tells how a container ended: child (its first process is a child of the monitor) or wait (the\nruntime's command wait, for one whose containers are no processes of the host). Empty: child."`
	Streams                      string   `toml:"streams" check:"create|start?" comment:"Which command of the runtime gets the streams of a container: create, or start, which takes\nexit_status = \"wait\". Empty: create."`
	Exec                         string   `toml:"exec" check:"host|guest?" comment:"Where the processes of commands are: host, or guest (the runtime's exec has the option\n--internal-pid-file, its kill the option --pid, its ps prints PID, PPID and PGID; the terminal\nof a command is the one that the runtime has). Empty: host."`
	VM                           bool     `toml:"vm" comment:"The runtime boots a virtual machine: its pods always get an infrastructure container."`
}

// Network is the table [network].
type Network struct {
	ConfDir        string   `toml:"conf_dir" default:"/etc/cni/net.d" check:"path" flag:"cni-conf-dir" comment:"Directory of CNI network configurations; the first in lexical order is used. It is watched."`
	BinDirs        []string `toml:"bin_dirs" default:"[\"/opt/cni/bin\",\"/usr/lib/cni\",\"/usr/libexec/cni\"]" check:"path" comment:"Directories searched for CNI plugins, in order."`
	NetNSDir       string   `toml:"netns_dir" default:"/var/run/netns" check:"path" flag:"netns-dir" comment:"Directory where the pods' network namespaces are pinned."`
	CacheDir       string   `toml:"cache_dir" check:"path?" comment:"Directory of CNI results. Empty: <runroot>/cni."`
	DefaultNetwork bool     `toml:"default_network" default:"true" comment:"Use the built-in bridge network as long as conf_dir holds no configuration."`
	AddTimeout     Duration `toml:"add_timeout" default:"2m" comment:"Bound of one CNI operation (ADD, DEL or CHECK of one pod)."`
}

// Storage is the table [storage].
type Storage struct {
	Driver  string   `toml:"driver" default:"overlay" check:"overlay|vfs" comment:"Storage driver: overlay or vfs."`
	Options []string `toml:"options" comment:"Options of the driver, in the form of containers/storage: overlay.mountopt=nodev."`
}

// Image is the table [image].
type Image struct {
	RegistriesConf    string   `toml:"registries_conf" check:"path?" flag:"registries-conf" comment:"registries.conf: mirrors, search lists, aliases, registries without TLS."`
	RegistriesConfDir string   `toml:"registries_conf_dir" check:"path?" comment:"Drop-in directory of registries_conf."`
	RegistriesDir     string   `toml:"registries_d" check:"path?" comment:"registries.d: where the signatures of images are kept."`
	CertsDir          string   `toml:"certs_dir" check:"path?" comment:"Certificates of registries, in a directory for each host:port."`
	Policy            string   `toml:"policy" check:"path?" comment:"policy.json: which images are trusted. Where the machine has none, every image is."`
	PolicyDir         string   `toml:"policy_dir" check:"path?" comment:"Directory of policies that count instead, for pods of one namespace: <namespace>.json.\nEmpty: none."`
	AuthFile          string   `toml:"auth_file" check:"path?" comment:"Credentials used when a request brings none."`
	AuthDir           string   `toml:"auth_dir" check:"path?" comment:"Directory of credentials that count instead, for pods of one namespace: <namespace>.json.\nEmpty: none."`
	TransferDir       string   `toml:"transfer_dir" check:"path?" comment:"Directory of layers in transfer. Empty: <root>/blobs."`
	StallTimeout      Duration `toml:"stall_timeout" default:"5m" live:"yes" comment:"A transfer of which one layer receives nothing for this long fails."`
	ParallelDownloads uint     `toml:"parallel_downloads" default:"6" comment:"Layers of one image in transfer at a time. 0: as containers/image likes."`
	Volumes           string   `toml:"volumes" default:"bind" check:"bind|mkdir|ignore" comment:"What becomes of the volumes that an image declares: bind (a directory of the container's own,\nwith a copy of the image's content, writable even if the root filesystem is read-only), mkdir\n(a directory in the root filesystem) or ignore."`
	Pinned            []string `toml:"pinned" live:"yes" comment:"Images that garbage collection must keep: references, in which * stands for any text."`
}

// Streaming is the table [streaming].
type Streaming struct {
	Address     string   `toml:"address" default:"127.0.0.1" check:"ip" comment:"IP address that streams are served on. Who can reach it needs a URL that only the CRI socket\ngives."`
	Port        int64    `toml:"port" default:"0" comment:"TCP port of the streams. 0: any that is free."`
	TLSCert     string   `toml:"tls_cert" check:"path?" comment:"PEM file with the certificate of the streams. Empty: plain HTTP. A renewed file is used\nwithout a restart."`
	TLSKey      string   `toml:"tls_key" check:"path?" comment:"PEM file with the key of tls_cert."`
	IdleTimeout Duration `toml:"idle_timeout" default:"4h" comment:"A stream on which nothing moves for this long is closed."`
	URLTimeout  Duration `toml:"url_timeout" default:"1m" comment:"How long the URL of a stream waits for its client."`
}

// Metrics is the table [metrics].
type Metrics struct {
	Address string `toml:"address" check:"address?" flag:"metrics-address" comment:"host:port of an HTTP server with the path /metrics. Empty: none. Whoever reaches it reads\nit: a loopback address keeps it on the node."`
}

// Tracing is the table [tracing].
type Tracing struct {
	Endpoint          string `toml:"endpoint" check:"address?" comment:"host:port of a collector that speaks OTLP over gRPC. Empty: no traces."`
	Insecure          bool   `toml:"insecure" default:"true" comment:"Talk to the collector without TLS."`
	SamplesPerMillion int64  `toml:"samples_per_million" default:"1000000" comment:"How many of a million calls begin a trace. A caller that traces, as kubelet can, decides by itself."`
}

// Stats is the table [stats].
type Stats struct {
	Interval     Duration `toml:"interval" default:"10s" comment:"Window of CPU usage per second. The CPU counter of each container is read so often; all else\nis read when somebody asks."`
	MaxAge       Duration `toml:"max_age" default:"1s" comment:"How old an answer may be: callers that ask within this time share one reading."`
	DiskInterval Duration `toml:"disk_interval" default:"10s" comment:"Pause between two looks at what containers have written. Looking takes a tenth of the time at most."`
}
