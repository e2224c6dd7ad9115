package runtime

import (
	"context"
	"encoding/json"
)

// A Usage is what a runtime says that a container uses.
type Usage struct {
	CPU       uint64            // ns
	Memory    uint64            // bytes
	Limit     uint64            // bytes; 0 is none
	Detail    map[string]uint64 // as in memory.stat, of either version of cgroups
	Processes uint64
}

// Usage asks the runtime what a container uses. It costs a process: for
// runtimes whose containers are in no cgroup of the host.
func (r *OCI) Usage(ctx context.Context, id string) (Usage, error) {
	out, err := r.run(ctx, id, "events", "--stats", id)
	if err != nil {
		return Usage{}, err
	}
	var said struct {
		Data struct {
			CPU struct {
				Usage struct {
					Total uint64 `json:"total"`
				} `json:"usage"`
			} `json:"cpu"`
			Memory struct {
				Usage struct {
					Usage uint64 `json:"usage"`
					Limit uint64 `json:"limit"`
				} `json:"usage"`
				Raw map[string]uint64 `json:"raw"`
			} `json:"memory"`
			PIDs struct {
				Current uint64 `json:"current"`
			} `json:"pids"`
		} `json:"data"`
	}
	if err := json.Unmarshal(out, &said); err != nil {
		e := r.fail("events", id, err)
		e.Message = "bad answer: " + firstLine(out)
		return Usage{}, e
	}
	d := said.Data
	return Usage{CPU: d.CPU.Usage.Total, Memory: d.Memory.Usage.Usage, Limit: d.Memory.Usage.Limit, Detail: d.Memory.Raw, Processes: d.PIDs.Current}, nil
}
