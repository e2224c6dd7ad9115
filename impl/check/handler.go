package check

import (
	"ocid/impl/config"
	"ocid/impl/runtime"
)

// Handler is what a configuration says of a runtime handler, with its programs
// found: what the daemon opens, and what is checked.
func Handler(cfg *config.Config, name string) (runtime.Handler, error) {
	path, err := cfg.HandlerPath(name)
	if err != nil {
		return runtime.Handler{}, err
	}
	keeper, err := cfg.KeeperPath(name)
	if err != nil {
		return runtime.Handler{}, err
	}
	h := cfg.Runtime.Handlers[name]
	return runtime.Handler{
		Name: name, Path: path, Root: cfg.HandlerRoot(name), Args: h.Args,
		Keeper: keeper, StartStreams: h.Streams == config.StreamsStart, GuestExec: h.Exec == config.ExecGuest,
	}, nil
}
