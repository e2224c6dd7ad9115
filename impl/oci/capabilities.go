package oci

import (
	"slices"
	"strings"

	"github.com/moby/sys/capability"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const (
	capPrefix = "CAP_"
	capAll    = "ALL"
	capsField = securityField + "capabilities."
)

// capabilities gives the sets of a container.
//
// A name that is both added and dropped is dropped. ALL is applied before
// single names, so that drop ALL with add KILL leaves KILL alone. The inheritable set
// holds the ambient capabilities only, in line with the other daemons since
// CVE-2022-24769, although cri-api speaks of all that are added. The sets do
// not depend on the user: at exec the kernel takes permitted and effective away
// from anybody but root, ambient ones excepted.
func capabilities(c *runtimeapi.Capability, privileged bool, host Host) (*specs.LinuxCapabilities, error) {
	if privileged {
		return capabilitySets(host.Capabilities, nil), nil
	}
	add, err := parseCapabilities("add_capabilities", c.GetAddCapabilities())
	if err != nil {
		return nil, err
	}
	ambient, err := parseCapabilities("add_ambient_capabilities", c.GetAddAmbientCapabilities())
	if err != nil {
		return nil, err
	}
	drop, err := parseCapabilities("drop_capabilities", c.GetDropCapabilities())
	if err != nil {
		return nil, err
	}
	base := host.DefaultCapabilities
	if add.all || ambient.all {
		base = knownCapabilities()
	}
	if drop.all {
		base = nil
	}
	usable := func(name string) bool { return !drop.has(name) && slices.Contains(host.Capabilities, name) }
	var held, raised []string
	for _, name := range knownCapabilities() {
		in := slices.Contains(base, name)
		if !usable(name) || !in && !add.has(name) && !ambient.has(name) {
			continue
		}
		held = append(held, name)
		if ambient.has(name) || ambient.all && in {
			raised = append(raised, name)
		}
	}
	return capabilitySets(held, raised), nil
}

// capabilitySets spreads held and ambient names over the five sets.
func capabilitySets(held, ambient []string) *specs.LinuxCapabilities {
	return &specs.LinuxCapabilities{
		Bounding:    slices.Clone(held),
		Effective:   slices.Clone(held),
		Permitted:   slices.Clone(held),
		Inheritable: slices.Clone(ambient),
		Ambient:     slices.Clone(ambient),
	}
}

// capabilityList is one list of the request.
type capabilityList struct {
	all   bool
	names []string
}

func (l capabilityList) has(name string) bool { return slices.Contains(l.names, name) }

// parseCapabilities reads names with or without CAP_, in any case.
func parseCapabilities(field string, asked []string) (capabilityList, error) {
	var l capabilityList
	known := knownCapabilities()
	for _, a := range asked {
		name := strings.ToUpper(a)
		if name == capAll {
			l.all = true
			continue
		}
		if !strings.HasPrefix(name, capPrefix) {
			name = capPrefix + name
		}
		if !slices.Contains(known, name) {
			return l, invalid(capsField+field, "%.80q is not a capability", a)
		}
		l.names = append(l.names, name)
	}
	return l, nil
}

// knownCapabilities lists all capabilities of Linux, in the kernel's order.
func knownCapabilities() []string {
	var names []string
	for _, c := range capability.ListKnown() {
		names = append(names, capPrefix+strings.ToUpper(c.String()))
	}
	return names
}
