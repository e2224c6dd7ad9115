package oci_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"ocid/impl/oci"
)

const (
	runtimeDefault = runtimeapi.SecurityProfile_RuntimeDefault
	unconfined     = runtimeapi.SecurityProfile_Unconfined
	localhost      = runtimeapi.SecurityProfile_Localhost
)

func TestHiddenPaths(t *testing.T) {
	spec := build(t, plain())
	require.Equal(t, []string{"/proc/kcore"}, spec.Linux.MaskedPaths)
	require.Equal(t, []string{"/proc/sys"}, spec.Linux.ReadonlyPaths)

	in := plain()
	security(in).MaskedPaths, security(in).ReadonlyPaths = nil, nil
	spec = build(t, in)
	require.Empty(t, spec.Linux.MaskedPaths, "procMount Unmasked")
	require.Empty(t, spec.Linux.ReadonlyPaths)

	in.Config.Linux.SecurityContext = nil
	spec = build(t, in)
	require.Contains(t, spec.Linux.MaskedPaths, "/proc/kcore")
	require.Contains(t, spec.Linux.ReadonlyPaths, "/proc/sysrq-trigger")

	for _, in := range []oci.ContainerInput{in, plain()} {
		in.Privileged = true
		spec = build(t, in)
		require.Empty(t, spec.Linux.MaskedPaths)
		require.Empty(t, spec.Linux.ReadonlyPaths)
	}
}

func TestAppArmor(t *testing.T) {
	const field = "config.linux.security_context.apparmor"
	for _, c := range []struct {
		name    string
		profile *runtimeapi.SecurityProfile
		old     string
		off     bool
		want    string
		field   string
	}{
		{name: "none asked", want: "dflt"},
		{name: "none asked, no AppArmor", off: true},
		{name: "default", profile: &runtimeapi.SecurityProfile{ProfileType: runtimeDefault}, want: "dflt"},
		{name: "default, no AppArmor", profile: &runtimeapi.SecurityProfile{ProfileType: runtimeDefault}, off: true},
		{name: "unconfined", profile: &runtimeapi.SecurityProfile{ProfileType: unconfined}},
		{name: "localhost", profile: &runtimeapi.SecurityProfile{ProfileType: localhost, LocalhostRef: "mine"}, want: "mine"},
		{name: "localhost prefixed", profile: &runtimeapi.SecurityProfile{ProfileType: localhost, LocalhostRef: "localhost/mine"}, want: "mine"},
		{name: "localhost, no AppArmor", profile: &runtimeapi.SecurityProfile{ProfileType: localhost, LocalhostRef: "mine"}, off: true, field: field},
		{name: "localhost, not loaded", profile: &runtimeapi.SecurityProfile{ProfileType: localhost, LocalhostRef: "other"}, field: field},
		{name: "localhost without name", profile: &runtimeapi.SecurityProfile{ProfileType: localhost}, field: field},
		{name: "unknown type", profile: &runtimeapi.SecurityProfile{ProfileType: 8}, field: field},
		{name: "old default", old: "runtime/default", want: "dflt"},
		{name: "old unconfined", old: "unconfined"},
		{name: "old localhost", old: "localhost/mine", want: "mine"},
		{name: "old nonsense", old: "mine", field: field + "_profile"},
		{name: "new beats old", profile: &runtimeapi.SecurityProfile{ProfileType: unconfined}, old: "localhost/mine"},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := plain()
			in.Host.AppArmor, in.Host.AppArmorDefault, in.Host.AppArmorProfiles = !c.off, "dflt", []string{"mine"}
			security(in).Apparmor = c.profile
			//lint:ignore SA1019 the deprecated field is under test
			security(in).ApparmorProfile = c.old
			spec, err := oci.Container(in)
			if c.field != "" {
				requireField(t, err, c.field, false)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.want, spec.Process.ApparmorProfile)
			in.Privileged = true
			require.Empty(t, build(t, in).Process.ApparmorProfile)
		})
	}
}
