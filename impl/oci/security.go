package oci

import (
	"slices"
	"strings"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// defaultMaskedPaths and defaultReadonlyPaths apply to a container that comes
// without a security context. They are what Kubernetes sends for the default
// proc mount, but for the paths it lists per processor.
var (
	defaultMaskedPaths = []string{
		"/proc/asound",
		"/proc/acpi",
		"/proc/interrupts",
		"/proc/kcore",
		"/proc/keys",
		"/proc/latency_stats",
		"/proc/timer_list",
		"/proc/timer_stats",
		"/proc/sched_debug",
		"/proc/scsi",
		"/sys/firmware",
		"/sys/devices/virtual/powercap",
	}
	defaultReadonlyPaths = []string{
		"/proc/bus",
		"/proc/fs",
		"/proc/irq",
		"/proc/sys",
		"/proc/sysrq-trigger",
	}
)

// hiddenPaths gives the masked and the read-only paths. A privileged container
// has none. A security context is taken at its word, empty lists included: the
// wire cannot tell an empty list from an absent one, kubelet always fills them,
// and empties them for procMount Unmasked. Without a context the defaults apply.
func hiddenPaths(sc *runtimeapi.LinuxContainerSecurityContext, privileged bool) (masked, readonly []string) {
	switch {
	case privileged:
		return nil, nil
	case sc == nil:
		return slices.Clone(defaultMaskedPaths), slices.Clone(defaultReadonlyPaths)
	}
	return slices.Clone(sc.GetMaskedPaths()), slices.Clone(sc.GetReadonlyPaths())
}

const localhostPrefix = "localhost/"

// apparmorProfile gives the profile to run under; "" is none. A node without
// AppArmor has no default to run under, and none of the node's profiles.
func apparmorProfile(sc *runtimeapi.LinuxContainerSecurityContext, host Host) (string, error) {
	kind, name, field := askedApparmor(sc)
	switch kind {
	case runtimeapi.SecurityProfile_Unconfined:
		return "", nil
	case runtimeapi.SecurityProfile_RuntimeDefault:
		if !host.AppArmor {
			return "", nil
		}
		return host.AppArmorDefault, nil
	case runtimeapi.SecurityProfile_Localhost:
		if name == "" {
			return "", invalid(securityField+field, "the profile has no name")
		}
		if !host.AppArmor {
			return "", invalid(securityField+field, "profile %.80q cannot be applied, this node has no AppArmor", name)
		}
		if !slices.Contains(host.AppArmorProfiles, name) {
			return "", invalid(securityField+field, "profile %.80q is not loaded on this node", name)
		}
		return name, nil
	}
	return "", invalid(securityField+field, "%.80q is not a profile", name)
}

// askedApparmor reads the profile from the field in use or from the deprecated
// one. A container that names none runs under the default.
func askedApparmor(sc *runtimeapi.LinuxContainerSecurityContext) (runtimeapi.SecurityProfile_ProfileType, string, string) {
	if p := sc.GetApparmor(); p != nil {
		return p.GetProfileType(), strings.TrimPrefix(p.GetLocalhostRef(), localhostPrefix), "apparmor"
	}
	const field = "apparmor_profile"
	//lint:ignore SA1019 old clients still send the deprecated field.
	old := sc.GetApparmorProfile()
	switch {
	case old == "" || old == "runtime/default":
		return runtimeapi.SecurityProfile_RuntimeDefault, "", field
	case old == "unconfined":
		return runtimeapi.SecurityProfile_Unconfined, "", field
	case strings.HasPrefix(old, localhostPrefix):
		return runtimeapi.SecurityProfile_Localhost, strings.TrimPrefix(old, localhostPrefix), field
	}
	return -1, old, field
}
