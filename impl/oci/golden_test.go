package oci_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"ocid/impl/oci"
)

var generate = flag.Bool("generate", false, "rewrite the golden files")

func TestGolden(t *testing.T) {
	privileged := plain()
	privileged.Privileged = true
	privileged.Host.Devices = []specs.LinuxDevice{{Path: "/dev/fuse", Type: "c", Major: 10, Minor: 229}}
	plainSpec, err := oci.Container(plain())
	require.NoError(t, err)
	privilegedSpec, err := oci.Container(privileged)
	require.NoError(t, err)
	infraSpec, err := oci.Infra(infraInput())
	require.NoError(t, err)
	for name, spec := range map[string]*specs.Spec{"plain": plainSpec, "privileged": privilegedSpec, "infra": infraSpec} {
		t.Run(name, func(t *testing.T) {
			got, err := json.MarshalIndent(spec, "", "  ")
			require.NoError(t, err)
			file := filepath.Join("testdata", name+".json")
			if *generate {
				require.NoError(t, os.WriteFile(file, append(got, '\n'), 0o644))
			}
			want, err := os.ReadFile(file)
			require.NoError(t, err)
			require.JSONEq(t, string(want), string(got), "go test ./impl/oci -generate rewrites %s", file)
		})
	}
}

// What one configuration is changed to must show in no other, nor in the input.
func TestConfigurationsShareNothing(t *testing.T) {
	in := plain()
	in.Host.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Soft: 1, Hard: 2}}
	before, err := json.Marshal(build(t, in))
	require.NoError(t, err)
	spec := build(t, in)
	for i := range spec.Mounts {
		for j := range spec.Mounts[i].Options {
			spec.Mounts[i].Options[j] = "changed"
		}
	}
	exec := oci.ExecProcess(spec, []string{"x"}, true)
	exec.Capabilities.Bounding[0], exec.Rlimits[0].Type, exec.User.AdditionalGids[0] = "changed", "changed", 9
	*exec.OOMScoreAdj, exec.Env[0] = 1, "changed"
	require.Equal(t, "PATH=/bin", spec.Process.Env[0])
	require.Equal(t, "CAP_CHOWN", spec.Process.Capabilities.Bounding[0])
	require.Equal(t, 968, *spec.Process.OOMScoreAdj)
	spec.Annotations["a"] = "changed"
	spec.Process.Rlimits[0].Type = "changed"
	spec.Process.User.AdditionalGids[0] = 9
	spec.Process.Capabilities.Effective[0] = "changed"
	spec.Linux.MaskedPaths[0] = "changed"
	after, err := json.Marshal(build(t, in))
	require.NoError(t, err)
	require.JSONEq(t, string(before), string(after))
}

func TestContainerMissingInput(t *testing.T) {
	for field, change := range map[string]func(*oci.ContainerInput){
		"config":         func(in *oci.ContainerInput) { in.Config = nil },
		"sandbox_config": func(in *oci.ContainerInput) { in.Sandbox = nil },
	} {
		in := plain()
		change(&in)
		_, err := oci.Container(in)
		requireField(t, err, field, false)
		require.ErrorContains(t, err, `container "c1"`)
	}
	in := plain()
	in.RootFS = ""
	_, err := oci.Container(in)
	require.ErrorContains(t, err, "root file system")
}

func TestContainerFromAlmostNothing(t *testing.T) {
	spec, err := oci.Container(oci.ContainerInput{
		Sandbox: &runtimeapi.PodSandboxConfig{}, Config: &runtimeapi.ContainerConfig{Args: []string{"x"}}, RootFS: "/r",
	})
	require.NoError(t, err)
	require.Equal(t, "1.0.2", spec.Version)
	require.Equal(t, "/", spec.Process.Cwd)
	require.NotEmpty(t, spec.Linux.MaskedPaths, "no security context means the default masks")
	require.NotEmpty(t, spec.Linux.ReadonlyPaths)
	require.Empty(t, spec.Process.Capabilities.Bounding, "a daemon without capabilities has none to give")
}

func TestReadonlyRootAndNoNewPrivileges(t *testing.T) {
	spec := build(t, plain())
	require.False(t, spec.Root.Readonly)
	require.False(t, spec.Process.NoNewPrivileges)
	in := plain()
	security(in).ReadonlyRootfs, security(in).NoNewPrivs = true, true
	spec = build(t, in)
	require.True(t, spec.Root.Readonly)
	require.True(t, spec.Process.NoNewPrivileges)
}
