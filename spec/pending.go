package spec

// pending lists the calls that answer Unimplemented and have no rule yet.
var pending = []string{
	"CheckpointContainer",
	"CheckpointPod",
	"RestorePod",
}
