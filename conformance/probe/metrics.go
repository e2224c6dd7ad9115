package probe

import (
	"context"
	"slices"
	"strings"
	"time"

	"ocid/conformance/target"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func descriptors(ctx context.Context, t *target.T) []*runtimeapi.MetricDescriptor {
	GinkgoHelper()
	resp, err := t.Runtime.ListMetricDescriptors(ctx, &runtimeapi.ListMetricDescriptorsRequest{})
	Expect(err).NotTo(HaveOccurred(), "ListMetricDescriptors")
	return resp.GetDescriptors()
}

func allMetrics(ctx context.Context, t *target.T) []*runtimeapi.PodSandboxMetrics {
	GinkgoHelper()
	resp, err := t.Runtime.ListPodSandboxMetrics(ctx, &runtimeapi.ListPodSandboxMetricsRequest{})
	Expect(err).NotTo(HaveOccurred(), "ListPodSandboxMetrics")
	return resp.GetPodMetrics()
}

// metricsOf returns the metrics of a sandbox.
func metricsOf(ctx context.Context, p *target.Pod) *runtimeapi.PodSandboxMetrics {
	GinkgoHelper()
	for _, m := range allMetrics(ctx, p.T) {
		if m.GetPodSandboxId() == p.ID {
			return m
		}
	}
	Fail("no metrics of the sandbox")
	return nil
}

// A series is a metric with its labels by key.
type series struct {
	*runtimeapi.Metric
	labels map[string]string
}

// labelled gives metrics their labels; one that was not described, or has not as
// many values as keys, fails the case.
func labelled(known []*runtimeapi.MetricDescriptor, all []*runtimeapi.Metric) (some []series) {
	GinkgoHelper()
	for _, m := range all {
		at := slices.IndexFunc(known, func(d *runtimeapi.MetricDescriptor) bool { return d.GetName() == m.GetName() })
		Expect(at).To(BeNumerically(">=", 0), "%s was not described", m.GetName())
		keys := known[at].GetLabelKeys()
		Expect(m.GetLabelValues()).To(HaveLen(len(keys)), m.GetName())
		s := series{Metric: m, labels: map[string]string{}}
		for i, key := range keys {
			s.labels[key] = m.GetLabelValues()[i]
		}
		some = append(some, s)
	}
	return some
}

// find returns the value of the series with the name and labels.
func find(all []series, name string, labels map[string]string) uint64 {
	GinkgoHelper()
	for _, s := range all {
		fits := s.GetName() == name
		for k, v := range labels {
			fits = fits && s.labels[k] == v
		}
		if fits {
			return s.GetValue().GetValue()
		}
	}
	Fail("no " + name)
	return 0
}

// "This list should be static at startup: either the client and server restart
// together when adding or removing metrics descriptors, or they should not
// change. [...] It is the responsibility of the runtime to correctly keep sorted
// the keys and values." (cri-api v1)
var _ = Describe("ListMetricDescriptors", func() {
	It("names each metric once, and always the same", target.Covers("metrics.descriptors"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		all := descriptors(ctx, t)
		Expect(all).NotTo(BeEmpty())
		names := map[string]bool{}
		for _, d := range all {
			Expect(names).NotTo(HaveKey(d.GetName()))
			names[d.GetName()] = true
			Expect(d.GetHelp()).NotTo(BeEmpty(), d.GetName())
			Expect(slices.IsSorted(d.GetLabelKeys())).To(BeTrue(), "%s: %v", d.GetName(), d.GetLabelKeys())
			Expect(slices.Compact(slices.Clone(d.GetLabelKeys()))).To(HaveLen(len(d.GetLabelKeys())), d.GetName())
			Expect(d.GetLabelKeys()).To(ContainElements("container", "id", "image", "name", "namespace", "pod"), d.GetName())
		}
		t.Running(ctx)
		expectEqualItems(descriptors(ctx, t), all)
	})

	// What kubelet v1.37 shows with cAdvisor: CPU, memory, disk IO, network,
	// processes, OOM kills, pressure and limits; without what no cgroup tells.
	It("has what kubelet shows", target.Covers("metrics.names"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		known := descriptors(ctx, t)
		names := []string{}
		for _, d := range known {
			names = append(names, strings.TrimPrefix(d.GetName(), "container_"))
		}
		Expect(names).To(ContainElements(
			"blkio_device_usage_total", "cpu_cfs_periods_total", "cpu_cfs_throttled_periods_total", "cpu_cfs_throttled_seconds_total",
			"cpu_system_seconds_total", "cpu_usage_seconds_total", "cpu_user_seconds_total", "file_descriptors",
			"fs_inodes_free", "fs_inodes_total", "fs_limit_bytes", "fs_reads_bytes_total", "fs_reads_total", "fs_usage_bytes",
			"fs_writes_bytes_total", "fs_writes_total", "last_seen", "memory_cache", "memory_failcnt", "memory_failures_total",
			"memory_mapped_file", "memory_max_usage_bytes", "memory_rss", "memory_swap", "memory_usage_bytes", "memory_working_set_bytes",
			"network_receive_bytes_total", "network_receive_errors_total", "network_receive_packets_dropped_total", "network_receive_packets_total",
			"network_transmit_bytes_total", "network_transmit_errors_total", "network_transmit_packets_dropped_total", "network_transmit_packets_total",
			"oom_events_total", "pressure_cpu_stalled_seconds_total", "pressure_cpu_waiting_seconds_total", "pressure_io_stalled_seconds_total",
			"pressure_io_waiting_seconds_total", "pressure_memory_stalled_seconds_total", "pressure_memory_waiting_seconds_total",
			"processes", "sockets", "spec_cpu_period", "spec_cpu_quota", "spec_cpu_shares", "spec_memory_limit_bytes", "spec_memory_reservation_limit_bytes",
			"spec_memory_swap_limit_bytes", "start_time_seconds", "threads", "threads_max", "ulimits_soft",
		))
	})
})

// "The corresponding LabelValues to the LabelKeys defined in the MetricDescriptor
// [...] If the two slices have different length, the behavior is undefined."
// "Name must match a name previously returned in a MetricDescriptors call"
// (cri-api v1)
var _ = Describe("ListPodSandboxMetrics", func() {
	It("labels all metrics", target.Covers("metrics.labels"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		known := descriptors(ctx, t)
		cgroup, own := ownCgroup(t)
		pod := t.Pod(ctx, own)
		c := pod.Run(ctx)
		m := metricsOf(ctx, pod)
		Expect(m.GetContainerMetrics()).To(HaveLen(1))
		for _, s := range labelled(known, m.GetContainerMetrics()[0].GetMetrics()) {
			Expect(s.labels).To(And(HaveKeyWithValue("container", c.Config.GetMetadata().GetName()), HaveKeyWithValue("name", c.ID),
				HaveKeyWithValue("image", t.DefaultImage()), HaveKeyWithValue("id", HaveSuffix(c.ID)),
				HaveKeyWithValue("namespace", pod.Config.GetMetadata().GetNamespace()), HaveKeyWithValue("pod", pod.Config.GetMetadata().GetName())), s.GetName())
		}
		links := map[string]bool{}
		for _, s := range labelled(known, m.GetMetrics()) {
			Expect(s.labels).To(And(HaveKeyWithValue("id", HaveSuffix(cgroup)), HaveKeyWithValue("image", ""),
				HaveKeyWithValue("namespace", pod.Config.GetMetadata().GetNamespace()), HaveKeyWithValue("pod", pod.Config.GetMetadata().GetName())), s.GetName())
			if link, ok := s.labels["interface"]; ok {
				links[link] = true
				Expect(s.labels).To(And(HaveKeyWithValue("container", "POD"), HaveKeyWithValue("name", pod.ID)), s.GetName())
			} else {
				Expect(s.labels).To(And(HaveKeyWithValue("container", ""), HaveKeyWithValue("name", "")), s.GetName())
			}
		}
		Expect(links).To(Equal(map[string]bool{defaultInterface: true}))
	})

	It("has READY sandboxes and running containers, as its stream has", target.Covers("metrics.running", "list.stream.metrics"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		a, b, stopped := t.Pod(ctx), t.Pod(ctx, target.HostNetwork()), t.Pod(ctx)
		c := a.Run(ctx)
		a.Create(ctx)
		Expect(a.Run(ctx).Stop(ctx, 0)).To(Succeed())
		Expect(stopped.Stop(ctx)).To(Succeed())
		sent := streamed(ctx, t.Runtime.StreamPodSandboxMetrics, &runtimeapi.StreamPodSandboxMetricsRequest{}, (*runtimeapi.StreamPodSandboxMetricsResponse).GetPodSandboxMetrics)
		for what, all := range map[string][]*runtimeapi.PodSandboxMetrics{"list": allMetrics(ctx, t), "stream": sent} {
			got := map[string][]string{}
			for _, m := range all {
				got[m.GetPodSandboxId()] = []string{}
				for _, x := range m.GetContainerMetrics() {
					Expect(x.GetMetrics()).NotTo(BeEmpty())
					got[m.GetPodSandboxId()] = append(got[m.GetPodSandboxId()], x.GetContainerId())
				}
			}
			Expect(got).To(Equal(map[string][]string{a.ID: {c.ID}, b.ID: {}}), what)
			Expect(all).To(HaveLen(2), what)
		}
	})

	// "Timestamp should be 0 if the metric was gathered live. If it was cached, the
	// Timestamp should reflect the time in nanoseconds it was collected." (cri-api v1)
	It("has the values of the kernel", target.Needs(target.FeatureHostCgroups), target.Covers("metrics.values"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		known := descriptors(ctx, t)
		pod := t.Pod(ctx)
		c := pod.Run(ctx, target.Shell("sleep 1000 & "+busy), target.WithContainer(func(c *runtimeapi.ContainerConfig) {
			c.Linux.Resources = &runtimeapi.LinuxContainerResources{CpuPeriod: 50000, CpuQuota: 100000, CpuShares: 512, MemoryLimitInBytes: 64 * mib}
		}))
		started := time.Unix(0, c.Status(ctx).GetStartedAt())
		Eventually(ctx, func() uint64 { return cpuTime(t, c.ID).now() }).WithTimeout(2 * happensIn()).Should(BeNumerically(">", time.Second))
		sendTo(pod.Status(ctx).GetNetwork().GetIp())
		began := time.Now()
		fresh(ctx, c)
		kernel := cpuTime(t, c.ID).now()
		m := metricsOf(ctx, pod)
		all := labelled(known, m.GetContainerMetrics()[0].GetMetrics())
		for _, s := range all {
			Expect(s.GetTimestamp()).To(And(BeNumerically(">=", began.UnixNano()), BeNumerically("<=", time.Now().UnixNano())), s.GetName())
			want := runtimeapi.MetricType_GAUGE
			switch name := s.GetName(); {
			case strings.HasSuffix(name, "_inodes_total"): // of a filesystem: nothing that is counted
			case strings.HasSuffix(name, "_total"), name == "container_memory_failcnt":
				want = runtimeapi.MetricType_COUNTER
			}
			Expect(s.GetMetricType()).To(Equal(want), s.GetName())
		}
		value := func(name string, labels map[string]string) uint64 {
			GinkgoHelper()
			return find(all, "container_"+name, labels)
		}
		Expect(value("cpu_usage_seconds_total", map[string]string{"cpu": "total"})).To(BeNumerically("~", kernel/uint64(time.Second), 1))
		Expect(value("cpu_usage_seconds_total", nil)).To(BeNumerically(">", 0))
		Expect(value("cpu_user_seconds_total", nil) + value("cpu_system_seconds_total", nil)).To(BeNumerically("<=", kernel/uint64(time.Second)+1))
		Expect(value("memory_usage_bytes", nil)).To(BeNumerically("~", memoryUsage(t, c.ID).now(), mib))
		Expect(value("memory_working_set_bytes", nil)).To(BeNumerically("~", workingSet(t, c.ID).now(), mib))
		Expect(value("memory_rss", nil)).To(And(BeNumerically(">", 0), BeNumerically("<", 8*mib)))
		Expect(value("memory_max_usage_bytes", nil)).To(BeNumerically(">=", value("memory_rss", nil)))
		Expect(value("memory_failures_total", map[string]string{"failure_type": "pgfault", "scope": "container"})).To(BeNumerically(">", 100))
		Expect(value("memory_failures_total", map[string]string{"failure_type": "pgmajfault", "scope": "hierarchy"})).To(BeNumerically("<", 1000))
		Expect(value("spec_memory_limit_bytes", nil)).To(BeEquivalentTo(64 * mib))
		Expect(value("spec_cpu_period", nil)).To(BeEquivalentTo(50000))
		Expect(value("spec_cpu_quota", nil)).To(BeEquivalentTo(100000))
		Expect(value("spec_cpu_shares", nil)).To(BeNumerically("~", 512, 20))
		Expect(value("cpu_cfs_periods_total", nil)).To(BeNumerically(">", 0))
		Expect(value("processes", nil)).To(BeEquivalentTo(2))
		Expect(value("threads", nil)).To(BeEquivalentTo(2))
		Expect(value("file_descriptors", nil)).To(And(BeNumerically(">=", 6), BeNumerically("<", 30)))
		Expect(value("sockets", nil)).To(BeZero())
		Expect(value("oom_events_total", nil)).To(BeZero())
		Expect(value("start_time_seconds", nil)).To(BeNumerically("~", started.Unix(), 1))
		Expect(value("last_seen", nil)).To(BeNumerically("~", time.Now().Unix(), 2))
		Expect(value("ulimits_soft", map[string]string{"ulimit": "max_open_files"})).To(BeNumerically(">=", 256))
		Expect(value("fs_usage_bytes", nil)).To(BeNumerically("<", mib))
		Expect(value("fs_limit_bytes", nil)).To(BeNumerically(">", mib))
		Expect(value("fs_inodes_total", nil)).To(BeNumerically(">=", value("fs_inodes_free", nil)))
		links := labelled(known, m.GetMetrics())
		pid := c.Init().PID
		eth := map[string]string{"interface": defaultInterface}
		Expect(find(links, "container_network_receive_bytes_total", eth)).To(And(BeNumerically(">", datagrams/2*datagram), BeNumerically("<=", traffic(pid, defaultInterface, rxBytes).now())))
		Expect(find(links, "container_network_receive_packets_total", eth)).To(And(BeNumerically(">=", datagrams/2), BeNumerically("<", 300)))
		Expect(find(links, "container_network_transmit_bytes_total", eth)).To(And(BeNumerically(">", 0), BeNumerically("<=", traffic(pid, defaultInterface, txBytes).now())))
		Expect(find(links, "container_network_receive_errors_total", eth)).To(BeZero())
	})
})
