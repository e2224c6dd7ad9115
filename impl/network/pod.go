package network

import (
	"cmp"
	"fmt"
	"math"
	"net/netip"
	"strings"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/utils"
)

// A Pod is all that plugins are told about a pod. Del needs the same values that
// Add got, so it is made to be written down.
type Pod struct {
	ID          string            `json:"id"` // the sandbox's ID
	Name        string            `json:"name"`
	Namespace   string            `json:"namespace"`
	UID         string            `json:"uid"`
	NetNS       string            `json:"netns"` // path of the pinned network namespace
	Ports       []PortMapping     `json:"ports,omitempty"`
	Bandwidth   *Bandwidth        `json:"bandwidth,omitempty"`
	DNS         *DNS              `json:"dns,omitempty"`
	IPs         []string          `json:"ips,omitempty"`         // addresses asked for
	Annotations map[string]string `json:"annotations,omitempty"` // the pod's
	CgroupPath  string            `json:"cgroupPath,omitempty"`  // the pod's cgroup
}

// A PortMapping takes a port of the host to one of the pod. Without a HostPort
// it is only a declaration and no plugin sees it.
type PortMapping struct {
	HostPort      int32  `json:"hostPort"`
	ContainerPort int32  `json:"containerPort"`
	Protocol      string `json:"protocol"` // tcp, udp, sctp in any case; "" is tcp
	HostIP        string `json:"hostIP,omitempty"`
}

// Overlaps says whether a packet to the host could be meant for both: same port
// and protocol, and the same address of the host or all of a family.
func (m PortMapping) Overlaps(o PortMapping) bool {
	if m.HostPort <= 0 || m.HostPort != o.HostPort || m.protocol() != o.protocol() {
		return false
	}
	a, errA := netip.ParseAddr(m.HostIP)
	b, errB := netip.ParseAddr(o.HostIP)
	if errA != nil || errB != nil { // "" is all addresses of both families
		return true
	}
	a, b = a.Unmap(), b.Unmap()
	return a == b || a.Is4() == b.Is4() && (a.IsUnspecified() || b.IsUnspecified())
}

func (m PortMapping) protocol() string { return cmp.Or(strings.ToLower(m.Protocol), "tcp") }

// Bandwidth limits, rates in bits per second and bursts in bits. A rate of 0 is
// no limit; a burst of 0 beside a rate is the largest that the bandwidth plugin
// takes.
type Bandwidth struct {
	IngressRate  uint64 `json:"ingressRate,omitempty"`
	IngressBurst uint64 `json:"ingressBurst,omitempty"`
	EgressRate   uint64 `json:"egressRate,omitempty"`
	EgressBurst  uint64 `json:"egressBurst,omitempty"`
}

// DNS is the resolver configuration of the pod.
type DNS struct {
	Servers  []string `json:"servers,omitempty"`
	Searches []string `json:"searches,omitempty"`
	Options  []string `json:"options,omitempty"`
}

// check refuses what CNI cannot carry: an ID that libcni does not take, and
// metadata that would end one argument of CNI_ARGS and begin another.
func (p Pod) check() error {
	if err := utils.ValidateContainerID(p.ID); err != nil {
		return fmt.Errorf("pod ID %q: %w", p.ID, err)
	}
	for _, arg := range p.args() {
		if strings.ContainsAny(arg[1], ";=") {
			return fmt.Errorf("pod %s: %s %q contains ';' or '='", p.ID, arg[0], arg[1])
		}
	}
	return nil
}

// args are the CNI_ARGS that Kubernetes' plugins read.
func (p Pod) args() [][2]string {
	return [][2]string{
		{"IgnoreUnknown", "1"},
		{"K8S_POD_NAMESPACE", p.Namespace},
		{"K8S_POD_NAME", p.Name},
		{"K8S_POD_INFRA_CONTAINER_ID", p.ID},
		{"K8S_POD_UID", p.UID},
	}
}

func (p Pod) runtimeConf() *libcni.RuntimeConf {
	return &libcni.RuntimeConf{
		ContainerID:    p.ID,
		NetNS:          p.NetNS,
		IfName:         Interface,
		Args:           p.args(),
		CapabilityArgs: p.capabilities(),
	}
}

// capabilities are the arguments of CNI's CONVENTIONS document, and the
// annotations by the name other CRI daemons use. libcni gives each to the plugins
// that declare it.
func (p Pod) capabilities() map[string]any {
	args := map[string]any{}
	var ports []PortMapping
	for _, m := range p.Ports {
		if m.HostPort <= 0 {
			continue
		}
		m.Protocol = m.protocol()
		ports = append(ports, m)
	}
	if len(ports) > 0 {
		args["portMappings"] = ports
	}
	if p.Bandwidth != nil {
		args["bandwidth"] = p.Bandwidth.withBursts()
	}
	if p.DNS != nil {
		args["dns"] = p.DNS
	}
	if len(p.IPs) > 0 {
		args["ips"] = p.IPs
	}
	if len(p.Annotations) > 0 {
		args["io.kubernetes.cri.pod-annotations"] = p.Annotations
	}
	if p.CgroupPath != "" {
		args["cgroupPath"] = p.CgroupPath
	}
	return args
}

// withBursts gives each rate a burst: the plugin refuses one without the other.
func (b Bandwidth) withBursts() Bandwidth {
	if b.IngressRate > 0 && b.IngressBurst == 0 {
		b.IngressBurst = math.MaxUint32
	}
	if b.EgressRate > 0 && b.EgressBurst == 0 {
		b.EgressBurst = math.MaxUint32
	}
	return b
}
