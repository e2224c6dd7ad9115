package server

import (
	"fmt"

	"ocid/impl/network"
	"ocid/spec"
)

// takeNetwork writes down that a sandbox is on a network, and with it that the host
// ports of its config are taken, unless another sandbox has one of them. They
// are free again when the sandbox is taken off.
func (s *Server) takeNetwork(id string, sb *Sandbox, a network.Attachment) error {
	s.attaching.Lock()
	defer s.attaching.Unlock()
	for i, p := range ports(sb) {
		if other := s.holder(p); other != "" {
			return s.refusal("sandbox.run.host-port-taken", spec.FailedPrecondition, fmt.Sprintf("config.port_mappings[%d].host_port", i),
				fmt.Errorf("is %d, which sandbox %q has", p.HostPort, other))
		}
	}
	return s.sandboxes.Change(id, func(sb *Sandbox) { sb.Attachment = &a })
}

// holder returns the sandbox on a network that has a host port, "" if none has.
func (s *Server) holder(p network.PortMapping) string {
	for _, e := range s.sandboxes.List() {
		if e.Data.Attachment == nil {
			continue
		}
		for _, taken := range ports(&e.Data) {
			if p.Overlaps(taken) {
				return e.ID
			}
		}
	}
	return ""
}

// ports are the port mappings of a sandbox in the words of its network.
func ports(sb *Sandbox) (all []network.PortMapping) {
	for _, p := range sb.Config.M.GetPortMappings() {
		all = append(all, network.PortMapping{
			HostPort: p.HostPort, ContainerPort: p.ContainerPort, Protocol: p.Protocol.String(), HostIP: p.HostIp,
		})
	}
	return all
}
