package oci

import (
	"strings"
	"syscall"

	"github.com/moby/sys/signal"
	imgspecv1 "github.com/opencontainers/image-spec/specs-go/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// A Signal in the three notations that are needed.
type Signal struct {
	// Number on Linux; every runtime's kill command takes it.
	Number int
	// Name such as "SIGTERM" or "SIGRTMIN+3".
	Name string
	// CRI is the value to report in a container's status.
	CRI runtimeapi.Signal
}

// criSignalPrefix is what stands before the signal's own name in the enum.
const criSignalPrefix = "SIGNAL_"

// StopSignal is the signal that asks a container to stop: the one in its
// configuration, else the one of its image, else SIGTERM. A value nobody knows
// counts as absent, so that a container can be stopped whatever its image says.
func StopSignal(config *runtimeapi.ContainerConfig, image *imgspecv1.Image) Signal {
	if s, ok := fromCRI(config.GetStopSignal()); ok {
		return s
	}
	if image != nil {
		if s, ok := parseSignal(image.Config.StopSignal); ok {
			return s
		}
	}
	return Signal{Number: int(syscall.SIGTERM), Name: "SIGTERM", CRI: runtimeapi.Signal_SIGNAL_SIGTERM}
}

// fromCRI reads the enum; false for SIGNAL_RUNTIME_DEFAULT and unknown numbers.
func fromCRI(s runtimeapi.Signal) (Signal, bool) {
	if s == runtimeapi.Signal_SIGNAL_RUNTIME_DEFAULT {
		return Signal{}, false
	}
	name := strings.TrimPrefix(s.String(), criSignalPrefix)
	number, err := signal.ParseSignal(ociSignalName(name))
	if err != nil || !strings.HasPrefix(name, "SIG") {
		return Signal{}, false
	}
	return Signal{Number: int(number), Name: ociSignalName(name), CRI: s}, true
}

// ociSignalName spells the enum's real-time signals as the rest of the world does.
func ociSignalName(name string) string {
	name = strings.Replace(name, "RTMINPLUS", "RTMIN+", 1)
	return strings.Replace(name, "RTMAXMINUS", "RTMAX-", 1)
}

// parseSignal reads an image's value: "SIGTERM", "TERM" or "15". A signal that
// CRI has no name for counts as unknown: a status could not report it.
func parseSignal(value string) (Signal, bool) {
	number, err := signal.ParseSignal(strings.TrimSpace(value))
	if err != nil {
		return Signal{}, false
	}
	return fromNumber(int(number))
}

// fromNumber finds the signal with a number of Linux.
func fromNumber(number int) (Signal, bool) {
	for n := range int32(len(runtimeapi.Signal_name)) {
		if s, ok := fromCRI(runtimeapi.Signal(n)); ok && s.Number == number {
			return s, true
		}
	}
	return Signal{}, false
}

// CRISignal is CRI's name of a signal; SIGNAL_RUNTIME_DEFAULT for a number that
// CRI has no name for.
func CRISignal(number int) runtimeapi.Signal {
	s, _ := fromNumber(number)
	return s.CRI
}
