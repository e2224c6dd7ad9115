package oci_test

import (
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"ocid/impl/oci"
)

func to[T any](v T) *T { return &v }

func TestResources(t *testing.T) {
	able := oci.Host{CgroupV2: true, SwapLimit: true, Hugetlb: true}
	for _, c := range []struct {
		name string
		in   *runtimeapi.LinuxContainerResources
		host oci.Host
		want specs.LinuxResources
	}{
		{"nil", nil, able, specs.LinuxResources{}},
		{"nothing", &runtimeapi.LinuxContainerResources{OomScoreAdj: 5}, able, specs.LinuxResources{}},
		{"cpu", &runtimeapi.LinuxContainerResources{CpuPeriod: 100000, CpuQuota: 50000, CpuShares: 2, CpusetCpus: "0-1", CpusetMems: "0"}, able,
			specs.LinuxResources{CPU: &specs.LinuxCPU{Period: to(uint64(100000)), Quota: to(int64(50000)), Shares: to(uint64(2)), Cpus: "0-1", Mems: "0"}}},
		{"quota without limit", &runtimeapi.LinuxContainerResources{CpuQuota: -1}, able, specs.LinuxResources{CPU: &specs.LinuxCPU{Quota: to(int64(-1))}}},
		{"memory limits swap", &runtimeapi.LinuxContainerResources{MemoryLimitInBytes: 100}, able,
			specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: to(int64(100)), Swap: to(int64(100))}}},
		{"memory and swap", &runtimeapi.LinuxContainerResources{MemoryLimitInBytes: 100, MemorySwapLimitInBytes: 150}, able,
			specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: to(int64(100)), Swap: to(int64(150))}}},
		{"any swap", &runtimeapi.LinuxContainerResources{MemoryLimitInBytes: 100, MemorySwapLimitInBytes: -1}, able,
			specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: to(int64(100)), Swap: to(int64(-1))}}},
		{"no swap limits here", &runtimeapi.LinuxContainerResources{MemoryLimitInBytes: 100, MemorySwapLimitInBytes: 150}, oci.Host{},
			specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: to(int64(100))}}},
		{"huge pages", &runtimeapi.LinuxContainerResources{HugepageLimits: []*runtimeapi.HugepageLimit{{PageSize: "2MB", Limit: 0}, {PageSize: "1GB", Limit: 1 << 30}}}, able,
			specs.LinuxResources{HugepageLimits: []specs.LinuxHugepageLimit{{Pagesize: "2MB"}, {Pagesize: "1GB", Limit: 1 << 30}}}},
		{"no hugetlb here", &runtimeapi.LinuxContainerResources{HugepageLimits: []*runtimeapi.HugepageLimit{{PageSize: "2MB"}}}, oci.Host{}, specs.LinuxResources{}},
		{"unified", &runtimeapi.LinuxContainerResources{Unified: map[string]string{"memory.high": "1"}}, able,
			specs.LinuxResources{Unified: map[string]string{"memory.high": "1"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := oci.Resources(c.in, c.host)
			require.NoError(t, err)
			require.Equal(t, &c.want, got)
		})
	}
}

func TestResourcesRefused(t *testing.T) {
	for field, r := range map[string]*runtimeapi.LinuxContainerResources{
		"cpu_period":                   {CpuPeriod: -1},
		"cpu_quota":                    {CpuQuota: -2},
		"cpu_shares":                   {CpuShares: -1},
		"memory_limit_in_bytes":        {MemoryLimitInBytes: -2},
		"memory_swap_limit_in_bytes":   {MemoryLimitInBytes: 100, MemorySwapLimitInBytes: 99},
		"hugepage_limits[0].page_size": {HugepageLimits: []*runtimeapi.HugepageLimit{{}}},
		"oom_score_adj":                {OomScoreAdj: 1001},
	} {
		in := plain()
		in.Config.Linux.Resources = r
		_, err := oci.Container(in)
		requireField(t, err, "config.linux.resources."+field, false)
	}
}

func TestLimits(t *testing.T) {
	asked := &runtimeapi.LinuxContainerResources{
		CpuShares: 5, MemoryLimitInBytes: 100, MemorySwapLimitInBytes: 200, OomScoreAdj: -999, Unified: map[string]string{"memory.high": "1"},
		HugepageLimits: []*runtimeapi.HugepageLimit{{PageSize: "2MB", Limit: 1}},
	}
	got, err := oci.Limits(asked, oci.Host{CgroupV2: true, SwapLimit: true, Hugetlb: true, MinOOMScoreAdj: -1000}, "")
	require.NoError(t, err)
	require.True(t, proto.Equal(asked, got), "%v", got)
	got, err = oci.Limits(asked, oci.Host{CgroupV2: true, MinOOMScoreAdj: 7}, "")
	require.NoError(t, err)
	want := &runtimeapi.LinuxContainerResources{CpuShares: 5, MemoryLimitInBytes: 100, OomScoreAdj: 7, Unified: map[string]string{"memory.high": "1"}}
	require.True(t, proto.Equal(want, got), "%v", got)
	_, err = oci.Limits(asked, oci.Host{}, "linux.")
	requireField(t, err, "linux.unified", false)
	got, err = oci.Limits(nil, oci.Host{}, "")
	require.NoError(t, err)
	require.True(t, proto.Equal(&runtimeapi.LinuxContainerResources{}, got))
}

func TestLimitsRefused(t *testing.T) {
	for field, all := range map[string][]*runtimeapi.LinuxContainerResources{
		"unified":                    {{Unified: map[string]string{"a/b.c": ""}}, {Unified: map[string]string{"memory": ""}}, {Unified: map[string]string{"..": ""}}},
		"cpuset_cpus":                {{CpusetCpus: "a"}, {CpusetCpus: "1-"}, {CpusetCpus: "3-1"}, {CpusetCpus: "1,,2"}, {CpusetCpus: "-1"}, {CpusetCpus: " 1"}},
		"cpuset_mems":                {{CpusetMems: "0,"}},
		"memory_swap_limit_in_bytes": {{MemoryLimitInBytes: -1, MemorySwapLimitInBytes: 5}},
	} {
		for _, r := range all {
			_, err := oci.Limits(r, oci.Host{CgroupV2: true}, "linux.")
			requireField(t, err, "linux."+field, false)
		}
	}
	_, err := oci.Limits(&runtimeapi.LinuxContainerResources{CpusetCpus: "0-3,7", CpusetMems: "0"}, oci.Host{}, "")
	require.NoError(t, err)
}

func TestUpdateLimits(t *testing.T) {
	old := &runtimeapi.LinuxContainerResources{
		CpuShares: 5, CpuQuota: 7, CpusetCpus: "0", Unified: map[string]string{"a.b": "1", "c.d": "2"},
		HugepageLimits: []*runtimeapi.HugepageLimit{{PageSize: "2MB", Limit: 1}, {PageSize: "1GB", Limit: 2}},
	}
	before := proto.CloneOf(old)
	got := oci.UpdateLimits(old, &runtimeapi.LinuxContainerResources{
		CpuQuota: -1, MemoryLimitInBytes: 9, Unified: map[string]string{"c.d": "3"}, HugepageLimits: []*runtimeapi.HugepageLimit{{PageSize: "2MB", Limit: 3}},
	})
	want := &runtimeapi.LinuxContainerResources{
		CpuShares: 5, CpuQuota: -1, CpusetCpus: "0", MemoryLimitInBytes: 9, Unified: map[string]string{"a.b": "1", "c.d": "3"},
		HugepageLimits: []*runtimeapi.HugepageLimit{{PageSize: "1GB", Limit: 2}, {PageSize: "2MB", Limit: 3}},
	}
	require.True(t, proto.Equal(want, got), "%v", got)
	require.True(t, proto.Equal(before, old), "the old ones stay")
	require.True(t, proto.Equal(old, oci.UpdateLimits(old, nil)))
	require.True(t, proto.Equal(&runtimeapi.LinuxContainerResources{CpuShares: 2}, oci.UpdateLimits(nil, &runtimeapi.LinuxContainerResources{CpuShares: 2})))
}

func TestApplyLimits(t *testing.T) {
	in := plain()
	in.Host.PidsLimit, in.Host.SwapLimit = 50, true
	spec := build(t, in)
	devices := spec.Linux.Resources.Devices
	require.NoError(t, oci.ApplyLimits(spec, &runtimeapi.LinuxContainerResources{MemoryLimitInBytes: 99, OomScoreAdj: 33}, in.Host))
	limit, pids := int64(99), int64(50)
	require.Equal(t, &specs.LinuxResources{
		Devices: devices, Pids: &specs.LinuxPids{Limit: &pids}, Memory: &specs.LinuxMemory{Limit: &limit, Swap: &limit},
	}, spec.Linux.Resources)
	require.Equal(t, 33, *spec.Process.OOMScoreAdj)
}

func TestContainerCarriesItsResources(t *testing.T) {
	spec := build(t, plain())
	require.Equal(t, uint64(512), *spec.Linux.Resources.CPU.Shares)
	require.Equal(t, int64(64<<20), *spec.Linux.Resources.Memory.Limit)
	require.Equal(t, "/kubepods/pod1/c1", spec.Linux.CgroupsPath)
}

func TestDevices(t *testing.T) {
	loop := specs.LinuxDevice{Path: "/dev/loop0", Type: "b", Major: 7, Minor: 0}
	fuse := specs.LinuxDevice{Path: "/dev/fuse", Type: "c", Major: 10, Minor: 229}
	fifo := specs.LinuxDevice{Path: "/dev/fifo", Type: "p"}
	in := plain()
	before := len(build(t, in).Linux.Resources.Devices)
	in.Host.Devices = []specs.LinuxDevice{loop}
	in.Devices = []oci.Device{{LinuxDevice: fuse, Permissions: "r"}, {LinuxDevice: loop}, {LinuxDevice: fifo}}
	spec := build(t, in)
	require.Equal(t, []specs.LinuxDevice{fuse, loop, fifo}, spec.Linux.Devices)
	rules := spec.Linux.Resources.Devices
	require.Equal(t, specs.LinuxDeviceCgroup{Allow: false, Access: "rwm"}, rules[0])
	require.Equal(t, []specs.LinuxDeviceCgroup{
		{Allow: true, Type: "c", Major: to(int64(10)), Minor: to(int64(229)), Access: "r"},
		{Allow: true, Type: "b", Major: to(int64(7)), Minor: to(int64(0)), Access: "rwm"},
	}, rules[before:])

	in.Host.Devices = []specs.LinuxDevice{{Path: "/dev/fuse", Type: "c", Major: 1, Minor: 1}, {Path: "/dev/kvm", Type: "c"}}
	in.Privileged = true
	spec = build(t, in)
	require.Equal(t, []specs.LinuxDevice{fuse, loop, fifo, {Path: "/dev/kvm", Type: "c"}}, spec.Linux.Devices, "its own come first")
	require.Equal(t, []specs.LinuxDeviceCgroup{{Allow: true, Access: "rwm"}}, spec.Linux.Resources.Devices)
	in.Devices = nil
	in.Privileged = false
	require.Empty(t, build(t, in).Linux.Devices)
}

func TestDevicesRefused(t *testing.T) {
	in := plain()
	in.Config.Devices = []*runtimeapi.Device{{Permissions: "mr"}, {Permissions: "rx"}}
	_, err := oci.Container(in)
	requireField(t, err, "config.devices[1].permissions", false)
}
