package server

import (
	"encoding/json"
	"net/netip"
	"reflect"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"google.golang.org/protobuf/proto"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"ocid/impl/facts"
	"ocid/impl/network"
	"ocid/impl/runtime"
	"ocid/spec"
)

// kept is a protobuf message as the ledger keeps it: in its wire form.
type kept[M proto.Message] struct{ M M }

// MarshalJSON gives the wire form.
func (k kept[M]) MarshalJSON() ([]byte, error) {
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(k.M)
	if err != nil {
		return nil, err
	}
	return json.Marshal(data)
}

// UnmarshalJSON reads the wire form.
func (k *kept[M]) UnmarshalJSON(text []byte) error {
	var data []byte
	if err := json.Unmarshal(text, &data); err != nil {
		return err
	}
	k.M = reflect.New(reflect.TypeFor[M]().Elem()).Interface().(M)
	return proto.Unmarshal(data, k.M)
}

// Sandbox is what the ledger keeps of a sandbox besides its state.
type Sandbox struct {
	Config     kept[*runtimeapi.PodSandboxConfig] `json:"config"`
	Requested  string                             `json:"requestedHandler,omitempty"`
	Handler    string                             `json:"handler"`
	Privileged bool                               `json:"privileged"`
	HasInfra   bool                               `json:"infra"`
	CreatedAt  int64                              `json:"createdAt"` // ns since 1970
	Hostname   string                             `json:"hostname"`

	// NetNSOpen is set before the namespace is made and cleared when it is
	// gone; Attachment is set before CNI ADD and cleared after CNI DEL.
	NetNSOpen  bool                `json:"netnsOpen,omitempty"`
	Attachment *network.Attachment `json:"attachment,omitempty"`
	IPs        []netip.Addr        `json:"ips,omitempty"`
	Infra      runtime.Process     `json:"infraProcess,omitzero"`
}

func (s *Sandbox) facts() spec.Facts { return facts.Sandbox(s.Config.M, s.HasInfra) }

// Container is what the ledger keeps of a container besides its state.
type Container struct {
	PodID     string                            `json:"podID"`
	Config    kept[*runtimeapi.ContainerConfig] `json:"config"`
	Handler   string                            `json:"handler"`
	Elevated  bool                              `json:"elevated"`
	ImageID   string                            `json:"imageID"`
	ImageRef  string                            `json:"imageRef"`
	LogPath   string                            `json:"logPath,omitempty"`
	StopWith  int                               `json:"stopSignal"`
	RootFS    string                            `json:"rootFS,omitempty"` // where it is mounted
	User      *specs.User                       `json:"user,omitempty"`   // that the first process begins with
	CreatedAt int64                             `json:"createdAt"`        // ns since 1970, as the next two
	StartedAt int64                             `json:"startedAt,omitempty"`

	Limits kept[*runtimeapi.LinuxContainerResources] `json:"limits"` // that hold

	// StdinClosed is set when a client has come for the stdin that only one gets.
	StdinClosed bool `json:"stdinClosed,omitempty"`

	FinishedAt int64           `json:"finishedAt,omitempty"`
	ExitCode   int32           `json:"exitCode"`
	Reason     string          `json:"reason,omitempty"`
	Message    string          `json:"message,omitempty"`
	Process    runtime.Process `json:"process,omitzero"`

	// VolumeImages are the IDs of the images that are mounted, by the number of
	// the mount in Config.
	VolumeImages map[int]string `json:"volumeImages,omitempty"`
}
