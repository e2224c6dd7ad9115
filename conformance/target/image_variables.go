package target

// Names of variables about images that probes override with [T.Reconfigure].
const (
	VarRegistries        = "REGISTRIES"         // what registries.conf begins with
	VarPolicy            = "POLICY"             // content of policy.json
	VarAuth              = "AUTH"               // content of the auth file
	VarNamespaceAuth     = "NAMESPACE_AUTH"     // content of the auth file for pods of the namespace "trusted"
	VarPinned            = "PINNED"             // list of patterns, in TOML
	VarParallelDownloads = "PARALLEL_DOWNLOADS" // layers of an image at a time
	VarTransferDir       = "TRANSFER_DIR"       // directory of layers in transfer; "" is the daemon's own
)
