package stats

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/cgroups"
	"github.com/stretchr/testify/require"
)

const name = "one"

// write puts files below a directory.
func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for file, text := range files {
		path := filepath.Join(dir, file)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
}

// v1 makes a sampler of a machine with cgroup v1 and a unified hierarchy beside.
func v1(t *testing.T, files map[string]string) (*Sampler, string) {
	t.Helper()
	root := t.TempDir()
	l := layout{mounts: map[string]string{"": filepath.Join(root, "unified")}}
	for _, controller := range []string{"cpu", "cpuacct", "memory", "pids", "blkio"} {
		l.mounts[controller] = filepath.Join(root, controller)
	}
	write(t, root, files)
	return track(t, l), root
}

func v2(t *testing.T, files map[string]string) (*Sampler, string) {
	t.Helper()
	root := t.TempDir()
	write(t, filepath.Join(root, "pod/c"), files)
	return track(t, layout{mounts: map[string]string{"": root}, unified: true}), filepath.Join(root, "pod/c")
}

func track(t *testing.T, l layout) *Sampler {
	t.Helper()
	s := newSampler(Options{Interval: time.Hour, MaxAge: time.Nanosecond}, l)
	s.Track(name, Source{Cgroup: "/pod/c"})
	t.Cleanup(s.close)
	return s
}

var filesV1 = map[string]string{
	"cpuacct/pod/c/cpuacct.usage":      "5000000\n",
	"cpuacct/pod/c/cpuacct.usage_user": "3000000\n",
	"cpuacct/pod/c/cpuacct.usage_sys":  "2000000\n",
	"cpu/pod/c/cpu.stat":               "nr_periods 7\nnr_throttled 3\nthrottled_time 900\n",
	"cpu/pod/c/cpu.shares":             "512\n",
	"cpu/pod/c/cpu.cfs_quota_us":       "-1\n",
	"cpu/pod/c/cpu.cfs_period_us":      "100000\n",
	"memory/pod/c/memory.stat": "inactive_file 1\ntotal_inactive_file 300\ntotal_rss 200\ntotal_cache 400\ntotal_mapped_file 50\n" +
		"total_pgfault 70\ntotal_pgmajfault 6\ntotal_swap 11\n",
	"memory/pod/c/memory.usage_in_bytes":                    "1000\n",
	"memory/pod/c/memory.limit_in_bytes":                    "9223372036854771712\n",
	"memory/pod/c/memory.memsw.usage_in_bytes":              "1011\n",
	"memory/pod/c/memory.memsw.limit_in_bytes":              "9223372036854771712\n",
	"memory/pod/c/memory.max_usage_in_bytes":                "1500\n",
	"memory/pod/c/memory.failcnt":                           "4\n",
	"memory/pod/c/memory.oom_control":                       "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
	"memory/pod/c/cgroup.procs":                             "10\n11\n",
	"pids/pod/c/pids.current":                               "9\n",
	"pids/pod/c/pids.max":                                   "max\n",
	"blkio/pod/c/blkio.throttle.io_service_bytes_recursive": "8:0 Read 4096\n8:0 Write 512\n8:0 Total 4608\nTotal 4608\n",
	"blkio/pod/c/blkio.throttle.io_serviced_recursive":      "8:0 Read 2\n8:0 Write 1\nTotal 3\n",
	"unified/pod/c/cpu.pressure":                            "some avg10=1.50 avg60=0.25 avg300=0.10 total=1234\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=77\n",
}

func TestSampleV1(t *testing.T) {
	s, _ := v1(t, filesV1)
	got, err := s.Sample(name)
	require.NoError(t, err)
	require.EqualValues(t, 5000000, got.CPU.Usage)
	require.Equal(t, &Memory{Usage: 1000, WorkingSet: 700, Limit: Unlimited, RSS: 200, Faults: 70, MajorFaults: 6, Cache: 400, Mapped: 50}, got.Memory)
	require.Equal(t, &Swap{Usage: 11, Limit: Unlimited}, got.Swap)
	require.EqualValues(t, 2, *got.Processes)
	require.Equal(t, &cgroups.PSIStats{
		Some: cgroups.PSIData{Avg10: 1.5, Avg60: 0.25, Avg300: 0.1, Total: 1234}, Full: cgroups.PSIData{Total: 77},
	}, got.Pressure.CPU)
	require.Nil(t, got.Pressure.Memory, "there is no such file")

	d, err := s.Detail(name)
	require.NoError(t, err)
	require.Equal(t, detailOf(t, "3000000 2000000 7 3 900 512 100000 - 1500 4 2 9 -"), flat(d))
	require.Equal(t, []DeviceIO{{Device: "8:0", ReadBytes: 4096, WriteBytes: 512, ReadRequests: 2, WrittenRequests: 1}}, d.Devices)
	require.Equal(t, []int{10, 11}, d.PIDs)
}

func TestLimitsV1(t *testing.T) {
	s, root := v1(t, filesV1)
	write(t, root, map[string]string{
		"memory/pod/c/memory.limit_in_bytes": "3000\n", "memory/pod/c/memory.memsw.limit_in_bytes": "5000\n", "cpu/pod/c/cpu.cfs_quota_us": "7000\n",
		"memory/pod/c/memory.stat": "total_inactive_file 5000\n",
	})
	got, err := s.Sample(name)
	require.NoError(t, err)
	require.EqualValues(t, 3000, got.Memory.Limit)
	require.EqualValues(t, 2000, got.Swap.Limit, "of swap alone")
	require.Zero(t, got.Memory.WorkingSet, "never less than nothing")
	d, err := s.Detail(name)
	require.NoError(t, err)
	require.EqualValues(t, 7000, *d.Quota)
}

var filesV2 = map[string]string{
	"cpu.stat":            "usage_usec 5000\nuser_usec 3000\nsystem_usec 2000\nnr_periods 7\nnr_throttled 3\nthrottled_usec 9\n",
	"cpu.weight":          "100\n",
	"cpu.max":             "max 100000\n",
	"memory.current":      "1000\n",
	"memory.max":          "max\n",
	"memory.stat":         "anon 200\nfile 400\nfile_mapped 50\ninactive_file 300\npgfault 70\npgmajfault 6\n",
	"memory.swap.current": "11\n",
	"memory.swap.max":     "100\n",
	"memory.peak":         "1500\n",
	"memory.events":       "low 0\nhigh 0\nmax 4\noom 1\noom_kill 2\n",
	"pids.current":        "9\n",
	"pids.max":            "50\n",
	"cgroup.procs":        "",
	"io.stat":             "8:0 rbytes=4096 wbytes=512 rios=2 wios=1 dbytes=0 dios=0\n",
	"io.pressure":         "some avg10=0.00 avg60=0.00 avg300=0.00 total=5\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=4\n",
}

func TestSampleV2(t *testing.T) {
	s, _ := v2(t, filesV2)
	got, err := s.Sample(name)
	require.NoError(t, err)
	require.EqualValues(t, 5000000, got.CPU.Usage)
	require.Equal(t, &Memory{Usage: 1000, WorkingSet: 700, Limit: Unlimited, RSS: 200, Faults: 70, MajorFaults: 6, Cache: 400, Mapped: 50}, got.Memory)
	require.Equal(t, &Swap{Usage: 11, Limit: 100}, got.Swap)
	require.EqualValues(t, 9, *got.Processes, "all processes are in cgroups below: threads are counted")
	require.EqualValues(t, 5, got.Pressure.IO.Some.Total)

	d, err := s.Detail(name)
	require.NoError(t, err)
	require.Equal(t, detailOf(t, "3000000 2000000 7 3 9000 2597 100000 - 1500 4 2 9 50"), flat(d))
	require.Equal(t, []DeviceIO{{Device: "8:0", ReadBytes: 4096, WriteBytes: 512, ReadRequests: 2, WrittenRequests: 1}}, d.Devices)
}

func TestCPULimitsV2(t *testing.T) {
	s, dir := v2(t, filesV2)
	write(t, dir, map[string]string{"cpu.max": "50000 100000\n", "cpu.weight": "1\n"})
	d, err := s.Detail(name)
	require.NoError(t, err)
	require.EqualValues(t, 50000, *d.Quota)
	require.EqualValues(t, 2, *d.Shares)
}

// flat writes the numbers of a detail in the order of its fields, "-" for none.
func flat(d Detail) []string {
	var all []string
	for _, v := range []*uint64{
		d.UserCPU, d.SystemCPU, d.Periods, d.Throttled, d.ThrottledTime, d.Shares, d.Period, d.Quota,
		d.MaxMemory, d.MemoryFailures, d.OOMKills, d.Threads, d.ThreadsLimit,
	} {
		if v == nil {
			all = append(all, "-")
		} else {
			all = append(all, fmt.Sprint(*v))
		}
	}
	return all
}

func detailOf(t *testing.T, text string) []string {
	t.Helper()
	all := strings.Fields(text)
	require.Len(t, all, 13)
	return all
}

func TestWindow(t *testing.T) {
	var w window
	second := int64(time.Second)
	for _, step := range []struct {
		at    float64 // s
		usage uint64  // ms
		want  float64 // cores, -1 for none
	}{
		{100, 0, -1},
		{100, 0, -1},    // no time has passed
		{101, 500, 0.5}, // of the first second
		{106, 5500, 5500. / 6000},
		{107, 5500, 5500. / 7000}, // from 100 on
		{111, 5500, 0},            // from 106 on
		{112, 6500, 1000. / 6000},
		{113, 10, -1}, // another cgroup
		{114, 1010, 1},
	} {
		got := w.rate(reading{int64(step.at * float64(second)), step.usage * uint64(time.Millisecond)}, 10*time.Second)
		if step.want < 0 {
			require.Nil(t, got, "at %v", step.at)
			continue
		}
		require.NotNil(t, got, "at %v", step.at)
		require.InDelta(t, step.want*float64(second), float64(*got), 2, "at %v", step.at)
	}
}

func TestReadingsAreShared(t *testing.T) {
	s, root := v1(t, filesV1)
	s.o.MaxAge = time.Hour
	first, err := s.Sample(name)
	require.NoError(t, err)
	require.NotNil(t, first.CPU.UsagePerSecond, "Track has read before")
	write(t, root, map[string]string{"cpuacct/pod/c/cpuacct.usage": "6000000\n"})
	again, err := s.Sample(name)
	require.NoError(t, err)
	require.Equal(t, first, again)
	s.o.MaxAge = time.Nanosecond
	again, err = s.Sample(name)
	require.NoError(t, err)
	require.EqualValues(t, 6000000, again.CPU.Usage)
	require.Greater(t, again.At, first.At)
}

func TestUnknownAndGone(t *testing.T) {
	s, root := v1(t, filesV1)
	_, err := s.Sample("nobody")
	require.ErrorIs(t, err, ErrUnknown)
	s.Track("gone", Source{Cgroup: "/pod/gone"})
	_, err = s.Sample("gone")
	require.ErrorIs(t, err, ErrGone)
	_, err = s.Detail("gone")
	require.ErrorIs(t, err, ErrGone)
	write(t, root, map[string]string{"cpuacct/pod/gone/cpuacct.usage": "1\n"})
	_, err = s.Sample("gone")
	require.NoError(t, err, "made later, as a pod's cgroup may be")
	links, err := s.Network("gone")
	require.NoError(t, err)
	require.Nil(t, links)
	s.Forget("gone")
	s.Forget("gone")
	_, err = s.Sample("gone")
	require.ErrorIs(t, err, ErrUnknown)
}

func TestLongListOfProcesses(t *testing.T) {
	s, root := v1(t, filesV1)
	write(t, root, map[string]string{"memory/pod/c/cgroup.procs": strings.Repeat("1234567\n", 5000)})
	got, err := s.Sample(name)
	require.NoError(t, err)
	require.EqualValues(t, 5000, *got.Processes)
}
