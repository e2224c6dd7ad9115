package oci_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"ocid/impl/oci"
)

func TestCapabilities(t *testing.T) {
	defaults := []string{"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_SETGID", "CAP_SETUID", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE"}
	for _, c := range []struct {
		name               string
		add, drop, ambient []string
		privileged         bool
		want, wantAmbient  []string
	}{
		{name: "defaults without KILL, which the daemon lacks", want: defaults},
		{name: "add", add: []string{"NET_RAW"}, want: append(append([]string{}, defaults...), "CAP_NET_RAW")},
		{name: "prefix and case", add: []string{"cap_net_raw"}, drop: []string{"all"}, want: []string{"CAP_NET_RAW"}},
		{name: "drop", drop: []string{"CHOWN", "CAP_SETPCAP"},
			want: []string{"CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_SETGID", "CAP_SETUID", "CAP_NET_BIND_SERVICE"}},
		{name: "drop all", drop: []string{"ALL"}},
		{name: "drop all add one", drop: []string{"ALL"}, add: []string{"CHOWN"}, want: []string{"CAP_CHOWN"}},
		{name: "add all is what the daemon has", add: []string{"ALL"},
			want: append(append([]string{}, defaults...), "CAP_NET_RAW", "CAP_SYS_ADMIN")},
		{name: "add all drop one", add: []string{"ALL"}, drop: []string{"SYS_ADMIN"},
			want: append(append([]string{}, defaults...), "CAP_NET_RAW")},
		{name: "drop beats add", add: []string{"NET_RAW"}, drop: []string{"NET_RAW"}, want: defaults},
		{name: "daemon lacks it", drop: []string{"ALL"}, add: []string{"SYS_TIME", "CHOWN"}, want: []string{"CAP_CHOWN"}},
		{name: "ambient", drop: []string{"ALL"}, ambient: []string{"NET_BIND_SERVICE"},
			want: []string{"CAP_NET_BIND_SERVICE"}, wantAmbient: []string{"CAP_NET_BIND_SERVICE"}},
		{name: "ambient dropped", drop: []string{"NET_BIND_SERVICE"}, ambient: []string{"NET_BIND_SERVICE"},
			want: []string{"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_SETGID", "CAP_SETUID", "CAP_SETPCAP"}},
		{name: "ambient and add", drop: []string{"ALL"}, add: []string{"CHOWN"}, ambient: []string{"CHOWN", "SYS_TIME"},
			want: []string{"CAP_CHOWN"}, wantAmbient: []string{"CAP_CHOWN"}},
		{name: "ambient all", ambient: []string{"ALL"},
			want:        append(append([]string{}, defaults...), "CAP_NET_RAW", "CAP_SYS_ADMIN"),
			wantAmbient: append(append([]string{}, defaults...), "CAP_NET_RAW", "CAP_SYS_ADMIN")},
		{name: "privileged ignores the lists", privileged: true, drop: []string{"ALL"}, ambient: []string{"CHOWN"}, want: hostCaps},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := plain()
			in.Privileged = c.privileged
			security(in).Capabilities = &runtimeapi.Capability{
				AddCapabilities: c.add, DropCapabilities: c.drop, AddAmbientCapabilities: c.ambient,
			}
			got := build(t, in).Process.Capabilities
			require.ElementsMatch(t, c.want, got.Bounding)
			require.ElementsMatch(t, c.want, got.Effective)
			require.ElementsMatch(t, c.want, got.Permitted)
			require.ElementsMatch(t, c.wantAmbient, got.Inheritable)
			require.ElementsMatch(t, c.wantAmbient, got.Ambient)
		})
	}
}

func TestUnknownCapability(t *testing.T) {
	for field, list := range map[string]*runtimeapi.Capability{
		"add_capabilities":         {AddCapabilities: []string{"CHOWN", "FLY"}},
		"drop_capabilities":        {DropCapabilities: []string{"CAP_FLY"}},
		"add_ambient_capabilities": {AddAmbientCapabilities: []string{""}},
	} {
		in := plain()
		security(in).Capabilities = list
		_, err := oci.Container(in)
		requireField(t, err, "config.linux.security_context.capabilities."+field, false)
	}
}
