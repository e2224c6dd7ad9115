package oci_test

import (
	"testing"

	imgspecv1 "github.com/opencontainers/image-spec/specs-go/v1"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"ocid/impl/oci"
)

func TestCommandLine(t *testing.T) {
	for _, c := range []struct {
		name                           string
		command, args, entrypoint, cmd []string
		want                           []string
	}{
		{"image alone", nil, nil, []string{"e"}, []string{"c"}, []string{"e", "c"}},
		{"cmd alone", nil, nil, nil, []string{"c"}, []string{"c"}},
		{"args replace cmd", nil, []string{"a"}, []string{"e"}, []string{"c"}, []string{"e", "a"}},
		{"command drops both", []string{"x"}, nil, []string{"e"}, []string{"c"}, []string{"x"}},
		{"both replace both", []string{"x"}, []string{"a"}, []string{"e"}, []string{"c"}, []string{"x", "a"}},
		{"args alone", nil, []string{"a"}, nil, nil, []string{"a"}},
		{"nothing", nil, nil, nil, nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := plain()
			in.Config.Command, in.Config.Args = c.command, c.args
			in.Image = &imgspecv1.Image{Config: imgspecv1.ImageConfig{Entrypoint: c.entrypoint, Cmd: c.cmd}}
			spec, err := oci.Container(in)
			if c.want == nil {
				requireField(t, err, "config.command", false)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.want, spec.Process.Args)
		})
	}
}

func TestEnvironment(t *testing.T) {
	const path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	for _, c := range []struct {
		name     string
		image    []string
		envs     []*runtimeapi.KeyValue
		tty      bool
		hostname string
		want     []string
	}{
		{"defaults", nil, nil, false, "web", []string{path, "HOSTNAME=web"}},
		{"no name", nil, nil, false, "", []string{path}},
		{"terminal", nil, nil, true, "web", []string{path, "TERM=xterm", "HOSTNAME=web"}},
		{"image beats defaults", []string{"PATH=/i", "TERM=vt100"}, nil, true, "web", []string{"PATH=/i", "TERM=vt100", "HOSTNAME=web"}},
		{"host name beats image", []string{"HOSTNAME=image"}, nil, false, "web", []string{path, "HOSTNAME=web"}},
		{"request beats all", []string{"A=i", "B=i"}, []*runtimeapi.KeyValue{
			{Key: "A", Value: []byte("r")}, {Key: "PATH", Value: []byte("/r")}, {Key: "HOSTNAME", Value: []byte("r")},
			{Key: "E"}, {Key: "A", Value: []byte("last=1")},
		}, false, "web", []string{"PATH=/r", "A=last=1", "B=i", "HOSTNAME=r", "E="}},
		{"image nonsense", []string{"NOVALUE", "=x"}, nil, false, "web", []string{path, "HOSTNAME=web"}},
		{"prefix is another key", []string{"AB=1"}, []*runtimeapi.KeyValue{{Key: "A", Value: []byte("2")}}, false, "web",
			[]string{path, "AB=1", "HOSTNAME=web", "A=2"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := plain()
			in.Image.Config.Env, in.Config.Envs, in.Config.Tty, in.Hostname = c.image, c.envs, c.tty, c.hostname
			spec := build(t, in)
			require.Equal(t, c.want, spec.Process.Env)
			require.Equal(t, c.tty, spec.Process.Terminal)
		})
	}
}

func TestWorkingDir(t *testing.T) {
	for _, c := range []struct{ config, image, want string }{
		{"/c", "/i", "/c"},
		{"", "/i", "/i"},
		{"", "", "/"},
		{"rel", "/i", "/rel"},
		{"../..", "", "/"},
	} {
		in := plain()
		in.Config.WorkingDir, in.Image.Config.WorkingDir = c.config, c.image
		require.Equal(t, c.want, build(t, in).Process.Cwd, "%+v", c)
	}
	in := plain()
	in.Image = nil
	require.Equal(t, "/", build(t, in).Process.Cwd)
}

func TestUserAndRlimits(t *testing.T) {
	in := plain()
	in.Host.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Soft: 10, Hard: 20}}
	p := build(t, in).Process
	require.Equal(t, specs.User{UID: 1000, GID: 2000, AdditionalGids: []uint32{2000, 3000}}, p.User)
	require.Equal(t, in.Host.Rlimits, p.Rlimits)
}

func TestOOMScoreAdj(t *testing.T) {
	for _, c := range []struct {
		asked     int64
		min, want int
	}{
		{968, -500, 968},
		{-998, -500, -500},
		{-998, -1000, -998},
		{0, 100, 100},
		{0, -999, 0},
	} {
		in := plain()
		in.Config.Linux.Resources.OomScoreAdj, in.Host.MinOOMScoreAdj = c.asked, c.min
		require.Equal(t, c.want, *build(t, in).Process.OOMScoreAdj, "%+v", c)
	}
	in := plain()
	in.Config.Linux.Resources, in.Host.MinOOMScoreAdj = nil, -999
	require.Equal(t, 0, *build(t, in).Process.OOMScoreAdj, "the daemon's own value is not inherited")
}

func TestExecProcess(t *testing.T) {
	in := plain()
	security(in).NoNewPrivs = true
	in.Config.Tty = true
	spec := build(t, in)
	got := oci.ExecProcess(spec, []string{"ls", "-l"}, false)
	want := *spec.Process
	want.Args, want.Terminal = []string{"ls", "-l"}, false
	require.Equal(t, want, got)
	require.Equal(t, []string{"/bin/server", "--port", "80"}, spec.Process.Args)

	spec = build(t, plain())
	require.NotContains(t, oci.ExecProcess(spec, []string{"sh"}, false).Env, "TERM=xterm")
	got = oci.ExecProcess(spec, []string{"sh"}, true)
	require.True(t, got.Terminal)
	require.Contains(t, got.Env, "TERM=xterm")
	require.NotContains(t, spec.Process.Env, "TERM=xterm")
	spec.Process.Env = []string{"TERM=vt100"}
	require.Equal(t, []string{"TERM=vt100"}, oci.ExecProcess(spec, []string{"sh"}, true).Env)
}
