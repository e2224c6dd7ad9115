package server

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"ocid/impl/ledger"
	"ocid/impl/stats"
	"ocid/impl/store/usage"
	"ocid/spec"
)

// A metric is a row of the table of metrics: what kubelet shows under
// /metrics/cadvisor.
type metric struct {
	name, help string
	kind       runtimeapi.MetricType
	labels     []string                // besides those of the object
	read       func(*measured) []point // none where the kernel does not say it
}

// A point is a value with the values of the metric's own labels.
type point struct {
	value  uint64
	labels []string
}

// measured is what the metrics of one container or pod are read from. A nil is
// not known.
type measured struct {
	labels map[string]string // of the object
	at     int64             // ns since 1970

	sample  *stats.Sample
	detail  *stats.Detail
	links   []stats.Interface
	disk    *usage.Usage
	fs      filesystem
	started int64 // ns since 1970, 0: not known
	root    int   // process whose files are limited, 0: not known
	files   *openFiles
}

// objectLabels are the labels of every metric, as cAdvisor has them in kubelet.
var objectLabels = [...]string{"container", "id", "image", "name", "namespace", "pod"}

// labelKeys returns the keys of all labels of a metric, sorted.
func (m *metric) labelKeys() []string {
	keys := append(slices.Clone(objectLabels[:]), m.labels...)
	slices.Sort(keys)
	return keys
}

// ListMetricDescriptors names the metrics; they are the same for ever.
func (s *Server) ListMetricDescriptors(context.Context, *runtimeapi.ListMetricDescriptorsRequest) (*runtimeapi.ListMetricDescriptorsResponse, error) {
	res := &runtimeapi.ListMetricDescriptorsResponse{}
	for _, m := range slices.Concat(usageMetrics(), containerMetrics(), networkMetrics()) {
		res.Descriptors = append(res.Descriptors, &runtimeapi.MetricDescriptor{Name: m.name, Help: m.help, LabelKeys: m.labelKeys()})
	}
	return res, nil
}

// ListPodSandboxMetrics has the metrics of READY sandboxes and their running
// containers.
func (s *Server) ListPodSandboxMetrics(ctx context.Context, _ *runtimeapi.ListPodSandboxMetricsRequest) (*runtimeapi.ListPodSandboxMetricsResponse, error) {
	return &runtimeapi.ListPodSandboxMetricsResponse{PodMetrics: s.listPodSandboxMetrics(ctx)}, nil
}

func (s *Server) listPodSandboxMetrics(ctx context.Context) []*runtimeapi.PodSandboxMetrics {
	var all []*runtimeapi.PodSandboxMetrics
	of := map[string]*runtimeapi.PodSandboxMetrics{}
	for _, e := range s.sandboxes.List() {
		if e.State != spec.Ready {
			continue
		}
		of[e.ID] = &runtimeapi.PodSandboxMetrics{PodSandboxId: e.ID, Metrics: s.podMetrics(e)}
		all = append(all, of[e.ID])
	}
	fs := s.filesystem()
	table := slices.Concat(usageMetrics(), containerMetrics())
	for _, e := range s.containers.List() {
		pod := of[e.Data.PodID]
		if pod == nil || !runs(e) {
			continue
		}
		m, err := s.measureContainer(ctx, e)
		if err != nil {
			s.unread(err)
			continue
		}
		m.fs = fs
		pod.ContainerMetrics = append(pod.ContainerMetrics, &runtimeapi.ContainerMetrics{ContainerId: e.ID, Metrics: m.metrics(table)})
	}
	return all
}

// metrics reads the rows of a table.
func (m *measured) metrics(table []metric) []*runtimeapi.Metric {
	var all []*runtimeapi.Metric
	for i := range table {
		row := &table[i]
		for _, p := range row.read(m) {
			labels := maps.Clone(m.labels)
			for i, key := range row.labels {
				labels[key] = p.labels[i]
			}
			one := &runtimeapi.Metric{Name: row.name, Timestamp: m.at, MetricType: row.kind, Value: value(p.value)}
			for _, key := range row.labelKeys() {
				one.LabelValues = append(one.LabelValues, labels[key])
			}
			all = append(all, one)
		}
	}
	return all
}

// podMetrics are the use of the pod's own cgroup, under no container's name, and
// its traffic, under the name that dashboards know it by.
func (s *Server) podMetrics(e ledger.Entry[Sandbox]) []*runtimeapi.Metric {
	c := e.Data.Config.M.GetMetadata()
	labels := map[string]string{
		"container": "", "id": s.podCgroup(&e.Data), "image": "", "name": "", "namespace": c.GetNamespace(), "pod": c.GetName(),
	}
	var all []*runtimeapi.Metric
	if sample, err := s.Stats.Sample(e.ID); err == nil {
		m := &measured{labels: labels, at: sample.At, sample: &sample}
		all = m.metrics(usageMetrics())
	} else {
		s.unread(err)
	}
	links, err := s.Stats.Network(e.ID)
	if err != nil {
		s.unread(err)
	}
	if len(links) > 0 {
		m := &measured{labels: maps.Clone(labels), at: links[0].At, links: links}
		m.labels["container"], m.labels["name"] = "POD", e.ID
		all = append(all, m.metrics(networkMetrics())...)
	}
	return all
}

func (s *Server) measureContainer(ctx context.Context, e ledger.Entry[Container]) (*measured, error) {
	sample, err := s.Stats.Sample(e.ID)
	if err != nil {
		return nil, err
	}
	detail, err := s.Stats.Detail(e.ID)
	if err != nil {
		return nil, err
	}
	pod, _ := s.sandboxes.Get(e.Data.PodID)
	c, meta := e.Data.Config.M, pod.Data.Config.M.GetMetadata()
	m := &measured{
		labels: map[string]string{
			"container": c.GetMetadata().GetName(), "id": s.containerCgroup(e.ID, &e.Data), "image": imageName(c),
			"name": e.ID, "namespace": meta.GetNamespace(), "pod": meta.GetName(),
		},
		at: sample.At, sample: &sample, detail: &detail, started: e.Data.StartedAt, root: e.Data.Process.PID,
	}
	if use, _, ok := s.Disk.Container(ctx, e.ID); ok {
		m.disk = &use
	}
	return m, nil
}

func imageName(c *runtimeapi.ContainerConfig) string {
	if name := c.GetImage().GetUserSpecifiedImage(); name != "" {
		return name
	}
	return c.GetImage().GetImage()
}

// A filesystem is the one that the layers are on.
type filesystem struct {
	device                   string
	bytes, inodes, freeNodes uint64
}

// filesystem is empty where the kernel does not tell.
func (s *Server) filesystem() filesystem {
	dir := s.Store.Root()
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return filesystem{}
	}
	fs := filesystem{bytes: st.Blocks * uint64(st.Bsize), inodes: st.Files, freeNodes: st.Ffree}
	mounts, err := mountinfo.GetMounts(mountinfo.ParentsFilter(dir))
	longest := ""
	for _, m := range mounts {
		if err == nil && len(m.Mountpoint) >= len(longest) {
			longest, fs.device = m.Mountpoint, m.Source
		}
	}
	return fs
}

// deviceName returns the file of a block device named "major:minor".
func deviceName(number string) string {
	link, err := os.Readlink("/sys/dev/block/" + number)
	if err != nil {
		return number
	}
	return "/dev/" + filepath.Base(link)
}

// split returns the two parts of "major:minor".
func split(number string) (major, minor string) {
	major, minor, _ = strings.Cut(number, ":")
	return major, minor
}
