package oci

import (
	"fmt"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// anyNumber stands for every major or minor number.
const anyNumber = -1

// fullAccess is read, write and mknod.
const fullAccess = "rwm"

// A deviceRule is one row of the device cgroup.
type deviceRule struct {
	kind         string
	major, minor int64
	access       string
}

// standardDevices is what every container may use: it may make any node, but
// open only these.
var standardDevices = []deviceRule{
	{"c", anyNumber, anyNumber, "m"},
	{"b", anyNumber, anyNumber, "m"},
	{"c", 1, 3, fullAccess},           // /dev/null
	{"c", 1, 5, fullAccess},           // /dev/zero
	{"c", 1, 7, fullAccess},           // /dev/full
	{"c", 1, 8, fullAccess},           // /dev/random
	{"c", 1, 9, fullAccess},           // /dev/urandom
	{"c", 5, 0, fullAccess},           // /dev/tty
	{"c", 5, 2, fullAccess},           // /dev/ptmx
	{"c", 136, anyNumber, fullAccess}, // /dev/pts/*
}

// oci gives the rule in the form of the OCI configuration; anyNumber is left out.
func (r deviceRule) oci() specs.LinuxDeviceCgroup {
	out := specs.LinuxDeviceCgroup{Allow: true, Type: r.kind, Access: r.access}
	if r.major != anyNumber {
		out.Major = &r.major
	}
	if r.minor != anyNumber {
		out.Minor = &r.minor
	}
	return out
}

// deviceRules gives the device cgroup of a container.
func deviceRules(devices []Device, privileged bool) []specs.LinuxDeviceCgroup {
	if privileged {
		return []specs.LinuxDeviceCgroup{{Allow: true, Access: fullAccess}}
	}
	rules := []specs.LinuxDeviceCgroup{{Allow: false, Access: fullAccess}}
	for _, r := range standardDevices {
		rules = append(rules, r.oci())
	}
	for _, d := range devices {
		if d.Type != "c" && d.Type != "b" {
			continue // a FIFO is not in the device cgroup
		}
		access := d.Permissions
		if access == "" {
			access = fullAccess
		}
		rules = append(rules, deviceRule{d.Type, d.Major, d.Minor, access}.oci())
	}
	return rules
}

// deviceNodes gives the nodes to make: the container's own and, if it is
// privileged, all others of the host.
func deviceNodes(in ContainerInput) []specs.LinuxDevice {
	var nodes []specs.LinuxDevice
	for _, d := range in.Devices {
		nodes = append(nodes, d.LinuxDevice)
	}
	if !in.Privileged || in.PlainDevices {
		return nodes
	}
	for _, d := range in.Host.Devices {
		if !slices.ContainsFunc(nodes, func(n specs.LinuxDevice) bool { return n.Path == d.Path }) {
			nodes = append(nodes, d)
		}
	}
	return nodes
}

// checkDevices refuses permissions that are not made of r, w and m.
func checkDevices(config *runtimeapi.ContainerConfig) error {
	for i, d := range config.GetDevices() {
		if rest := strings.Trim(d.GetPermissions(), fullAccess); rest != "" {
			return invalid(fmt.Sprintf("config.devices[%d].permissions", i), "%q has other letters than r, w and m", d.GetPermissions())
		}
	}
	return nil
}
