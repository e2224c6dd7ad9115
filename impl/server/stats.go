package server

import (
	"context"
	"errors"
	"time"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"ocid/impl/ledger"
	"ocid/impl/runtime"
	"ocid/impl/stats"
	"ocid/spec"
)

// ContainerStats tells what a container uses; one that does not run uses its
// writable layer only.
func (s *Server) ContainerStats(ctx context.Context, req *runtimeapi.ContainerStatsRequest) (*runtimeapi.ContainerStatsResponse, error) {
	id := s.containers.Resolve(req.ContainerId)
	if err := s.containers.Step(ctx, id, spec.ContainerStats, ledger.Finish, nil); err != nil {
		return nil, err
	}
	e, _ := s.containers.Get(id)
	st, err := s.containerStats(ctx, e)
	if err != nil && !unreadable(err) {
		return nil, err
	}
	return &runtimeapi.ContainerStatsResponse{Stats: st}, nil
}

// unreadable says that a container or pod ended before it was read.
func unreadable(err error) bool {
	return errors.Is(err, stats.ErrGone) || errors.Is(err, stats.ErrUnknown)
}

// containerStats has no usage, and an error, if none can be read.
func (s *Server) containerStats(ctx context.Context, e ledger.Entry[Container]) (*runtimeapi.ContainerStats, error) {
	c := e.Data.Config.M
	st := &runtimeapi.ContainerStats{
		Attributes: &runtimeapi.ContainerAttributes{
			Id: e.ID, Metadata: c.GetMetadata(), Labels: c.GetLabels(), Annotations: c.GetAnnotations(),
		},
		WritableLayer: s.writableLayer(ctx, e.ID),
	}
	if !runs(e) {
		return st, nil
	}
	sample, err := s.Stats.Sample(e.ID)
	if err != nil {
		return st, err
	}
	st.Cpu, st.Memory, st.Swap, st.Io = criCPU(sample), criMemory(sample), criSwap(sample), criIO(sample)
	return st, nil
}

func runs(e ledger.Entry[Container]) bool {
	return containerState(e) == runtimeapi.ContainerState_CONTAINER_RUNNING
}

func (s *Server) writableLayer(ctx context.Context, id string) *runtimeapi.FilesystemUsage {
	use, dir, ok := s.Disk.Container(ctx, id)
	fs := fsUsage(use, dir)
	if !ok { // a large layer that nobody has measured yet
		fs.Timestamp, fs.UsedBytes, fs.InodesUsed = time.Now().UnixNano(), nil, nil
	}
	return fs
}

// ListContainerStats tells what running containers use.
func (s *Server) ListContainerStats(ctx context.Context, req *runtimeapi.ListContainerStatsRequest) (*runtimeapi.ListContainerStatsResponse, error) {
	return &runtimeapi.ListContainerStatsResponse{Stats: s.listContainerStats(ctx, req.GetFilter())}, nil
}

// listContainerStats skips containers that do not run, or that end meanwhile.
func (s *Server) listContainerStats(ctx context.Context, f *runtimeapi.ContainerStatsFilter) []*runtimeapi.ContainerStats {
	id, pod := s.containers.Resolve(f.GetId()), s.sandboxes.Resolve(f.GetPodSandboxId())
	var found []ledger.Entry[Container]
	for _, e := range s.containers.List() {
		switch {
		case !runs(e),
			id != "" && e.ID != id,
			pod != "" && e.Data.PodID != pod,
			!hasLabels(e.Data.Config.M.GetLabels(), f.GetLabelSelector()):
			continue
		}
		found = append(found, e)
	}
	return s.runningStats(ctx, found)
}

func (s *Server) unread(err error) {
	if !unreadable(err) {
		s.Log.Warn("no statistics", "err", err)
	}
}

// PodSandboxStats tells what a sandbox and its running containers use.
func (s *Server) PodSandboxStats(ctx context.Context, req *runtimeapi.PodSandboxStatsRequest) (*runtimeapi.PodSandboxStatsResponse, error) {
	id := s.sandboxes.Resolve(req.PodSandboxId)
	if err := s.sandboxes.Step(ctx, id, spec.PodSandboxStats, ledger.Finish, nil); err != nil {
		return nil, err
	}
	e, _ := s.sandboxes.Get(id)
	return &runtimeapi.PodSandboxStatsResponse{Stats: s.podStats(ctx, e, s.runningContainers()[id])}, nil
}

// ListPodSandboxStats tells what READY sandboxes use.
func (s *Server) ListPodSandboxStats(ctx context.Context, req *runtimeapi.ListPodSandboxStatsRequest) (*runtimeapi.ListPodSandboxStatsResponse, error) {
	return &runtimeapi.ListPodSandboxStatsResponse{Stats: s.listPodSandboxStats(ctx, req.GetFilter())}, nil
}

func (s *Server) listPodSandboxStats(ctx context.Context, f *runtimeapi.PodSandboxStatsFilter) []*runtimeapi.PodSandboxStats {
	id := s.sandboxes.Resolve(f.GetId())
	containers := s.runningContainers()
	var all []*runtimeapi.PodSandboxStats
	for _, e := range s.sandboxes.List() {
		switch {
		case e.State != spec.Ready,
			id != "" && e.ID != id,
			!hasLabels(e.Data.Config.M.GetLabels(), f.GetLabelSelector()):
			continue
		}
		all = append(all, s.podStats(ctx, e, containers[e.ID]))
	}
	return all
}

// runningContainers returns the containers that run, by their sandbox.
func (s *Server) runningContainers() map[string][]ledger.Entry[Container] {
	by := map[string][]ledger.Entry[Container]{}
	for _, e := range s.containers.List() {
		if runs(e) {
			by[e.Data.PodID] = append(by[e.Data.PodID], e)
		}
	}
	return by
}

// runningStats are the stats of running containers, but for those that end
// meanwhile.
func (s *Server) runningStats(ctx context.Context, containers []ledger.Entry[Container]) (all []*runtimeapi.ContainerStats) {
	for _, e := range containers {
		st, err := s.containerStats(ctx, e)
		if err != nil {
			s.unread(err)
			continue
		}
		all = append(all, st)
	}
	return all
}

// podStats are those of the cgroup that the pod's config names, which is the
// pod's own; where it names none, or it is not there, the sum of the containers.
func (s *Server) podStats(ctx context.Context, e ledger.Entry[Sandbox], containers []ledger.Entry[Container]) *runtimeapi.PodSandboxStats {
	c := e.Data.Config.M
	use := &runtimeapi.LinuxPodSandboxStats{Containers: s.runningStats(ctx, containers)}
	sample, err := s.Stats.Sample(e.ID)
	if err == nil {
		use.Cpu, use.Memory, use.Io = criCPU(sample), criMemory(sample), criIO(sample)
	} else {
		s.unread(err)
		use.Cpu, use.Memory = sumCPU(use.Containers), sumMemory(use.Containers)
	}
	use.Process = s.podProcesses(e, containers)
	use.Network = s.podNetworkUsage(e.ID)
	return &runtimeapi.PodSandboxStats{
		Attributes: &runtimeapi.PodSandboxAttributes{
			Id: e.ID, Metadata: c.GetMetadata(), Labels: c.GetLabels(), Annotations: c.GetAnnotations(),
		},
		Linux: use,
	}
}

// podProcesses counts the processes of the containers and the infra process.
func (s *Server) podProcesses(e ledger.Entry[Sandbox], containers []ledger.Entry[Container]) *runtimeapi.ProcessUsage {
	var n uint64
	if e.Data.HasInfra && e.Data.Infra.Alive() {
		n++
	}
	for _, c := range containers {
		if sample, err := s.Stats.Sample(c.ID); err == nil && sample.Processes != nil {
			n += *sample.Processes
		}
	}
	return &runtimeapi.ProcessUsage{Timestamp: time.Now().UnixNano(), ProcessCount: &runtimeapi.UInt64Value{Value: n}}
}

func (s *Server) podNetworkUsage(id string) *runtimeapi.NetworkUsage {
	links, err := s.Stats.Network(id)
	if err != nil {
		s.unread(err)
	}
	return criNetwork(links)
}

// sampleContainer begins to sample a container that the runtime has created.
func (s *Server) sampleContainer(id string) {
	e, _ := s.containers.Get(id)
	dir, since := s.containerCgroup(id, &e.Data), e.Data.StartedAt
	if since == 0 {
		since = time.Now().UnixNano()
	}
	if dir != "" {
		s.Stats.Track(id, stats.Source{Cgroup: dir, Ask: s.askUsage(id, e.Data.Handler), Since: since})
	}
}

// askTime bounds what a runtime may take to tell what a container uses.
const askTime = 10 * time.Second

// askUsage asks a runtime whose containers have a kernel of their own: in
// their cgroup on the host is only what stands for them.
func (s *Server) askUsage(id, handler string) func() (stats.Asked, error) {
	rt, err := s.runtimeOf(handler)
	if err != nil || !s.Config.Runtime.Handlers[handler].VM {
		return nil
	}
	return func() (stats.Asked, error) {
		ctx, cancel := context.WithTimeout(context.Background(), askTime)
		defer cancel()
		u, err := rt.Usage(ctx, id)
		if err != nil {
			return stats.Asked{}, err
		}
		return stats.Asked{CPU: u.CPU, Memory: askedMemory(u), Processes: u.Processes}, nil
	}
}

// askedMemory reads the names of both versions of cgroups.
func askedMemory(u runtime.Usage) stats.Memory {
	either := func(v1, v2 string) uint64 {
		if n, ok := u.Detail[v1]; ok {
			return n
		}
		return u.Detail[v2]
	}
	m := stats.Memory{
		Usage: u.Memory, WorkingSet: u.Memory - min(u.Memory, either("total_inactive_file", "inactive_file")), Limit: stats.Unlimited,
		RSS: either("total_rss", "anon"), Cache: either("total_cache", "file"), Mapped: either("total_mapped_file", "file_mapped"),
		Faults: either("total_pgfault", "pgfault"), MajorFaults: either("total_pgmajfault", "pgmajfault"),
	}
	if u.Limit > 0 {
		m.Limit = u.Limit
	}
	return m
}

// samplePod begins to sample a READY sandbox.
func (s *Server) samplePod(id string) {
	e, _ := s.sandboxes.Get(id)
	from := stats.Source{Cgroup: s.podCgroup(&e.Data), NoTaps: s.Config.Runtime.Handlers[e.Data.Handler].VM}
	if e.Data.facts()&spec.OnHostNetwork == 0 {
		from.NetNS = s.netnsPath(id)
	}
	s.Stats.Track(id, from)
}
