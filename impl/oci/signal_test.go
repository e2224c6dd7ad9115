package oci_test

import (
	"testing"

	imgspecv1 "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"ocid/impl/oci"
)

func TestStopSignal(t *testing.T) {
	term := oci.Signal{Number: 15, Name: "SIGTERM", CRI: runtimeapi.Signal_SIGNAL_SIGTERM}
	usr1 := oci.Signal{Number: 10, Name: "SIGUSR1", CRI: runtimeapi.Signal_SIGNAL_SIGUSR1}
	for _, c := range []struct {
		name   string
		config runtimeapi.Signal
		image  string
		want   oci.Signal
	}{
		{"nothing", 0, "", term},
		{"image full", 0, "SIGUSR1", usr1},
		{"image short", 0, "USR1", usr1},
		{"image lower case", 0, "sigusr1", usr1},
		{"image number", 0, "10", usr1},
		{"config beats image", runtimeapi.Signal_SIGNAL_SIGUSR1, "SIGHUP", usr1},
		{"real time up", runtimeapi.Signal_SIGNAL_SIGRTMINPLUS3, "", oci.Signal{Number: 37, Name: "SIGRTMIN+3", CRI: runtimeapi.Signal_SIGNAL_SIGRTMINPLUS3}},
		{"real time down", runtimeapi.Signal_SIGNAL_SIGRTMAXMINUS14, "", oci.Signal{Number: 50, Name: "SIGRTMAX-14", CRI: runtimeapi.Signal_SIGNAL_SIGRTMAXMINUS14}},
		{"image real time", 0, "SIGRTMIN+3", oci.Signal{Number: 37, Name: "SIGRTMIN+3", CRI: runtimeapi.Signal_SIGNAL_SIGRTMINPLUS3}},
		{"image unknown", 0, "SIGNONSENSE", term},
		{"image out of range", 0, "4711", term},
		{"image zero", 0, "0", term},
		{"image negative", 0, "-9", term},
		{"config unknown", 999, "SIGUSR1", usr1},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := &runtimeapi.ContainerConfig{StopSignal: c.config}
			require.Equal(t, c.want, oci.StopSignal(config, &imgspecv1.Image{Config: imgspecv1.ImageConfig{StopSignal: c.image}}))
		})
	}
	require.Equal(t, term, oci.StopSignal(nil, nil))
}

// A signal that CRI adds must not silently become SIGTERM.
func TestEverySignalOfCRI(t *testing.T) {
	for n := range runtimeapi.Signal_name {
		if n == 0 {
			continue
		}
		got := oci.StopSignal(&runtimeapi.ContainerConfig{StopSignal: runtimeapi.Signal(n)}, nil)
		require.Equal(t, runtimeapi.Signal(n), got.CRI)
		require.True(t, got.Number > 0 && got.Number <= 64, "%+v", got)
	}
}
