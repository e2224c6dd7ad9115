package target

import (
	"net"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestExpand(t *testing.T) {
	t.Setenv("CRI_TEST_FROM_ENV", "outside")
	v := Variables{"A": "1", "B": "${A}2", "LOOP": "x${LOOP}", "EMPTY": ""}
	for text, want := range map[string]string{
		"":                                 "",
		"plain $A ${a} {A}":                "plain $A ${a} {A}",
		"${A}${B}":                         "112",
		"[${EMPTY}]":                       "[]",
		"${CRI_TEST_FROM_ENV}/${A}":        "outside/1",
		`{"x": "${A}", "y": "${notours}"}`: `{"x": "1", "y": "${notours}"}`,
	} {
		got, err := v.Expand(text)
		require.NoError(t, err, text)
		assert.Equal(t, want, got)
	}
	_, err := v.Expand("${LOOP}")
	require.ErrorContains(t, err, "LOOP leads back to itself")
	_, err = v.Expand("${CRI_TEST_NOWHERE} ${CRI_TEST_NEITHER}")
	require.ErrorContains(t, err, "CRI_TEST_NOWHERE has no value")
	require.ErrorContains(t, err, "CRI_TEST_NEITHER has no value")
}

func TestWithLeavesTheOriginal(t *testing.T) {
	v := Variables{"A": "1"}
	assert.Equal(t, Variables{"A": "2", "B": "3"}, v.with(map[string]string{"A": "2", "B": "3"}))
	assert.Equal(t, Variables{"A": "1"}, v)
	assert.Equal(t, Variables{"A": "2"}, Variables(nil).with(map[string]string{"A": "2"}))
}

func TestBuiltinNamesFitTheirPlaces(t *testing.T) {
	a, err := builtin("/tmp/cri1234567890", "/b")
	require.NoError(t, err)
	b, err := builtin("/tmp/cri1234567890", "/b")
	require.NoError(t, err)
	assert.NotEqual(t, a["ID"], b["ID"])
	assert.LessOrEqual(t, len(a["BRIDGE"]), 15, "a link's name")
	assert.Less(t, len(a["LISTEN"]), 108, "a unix socket's path")
	_, subnet, err := net.ParseCIDR(a["SUBNET"])
	require.NoError(t, err)
	assert.True(t, subnet.Contains(net.ParseIP(a["GATEWAY"])))
	assert.Equal(t, a["SUBNET_PREFIX"]+"0/24", a["SUBNET"])
	_, subnet6, err := net.ParseCIDR(a["SUBNET6"])
	require.NoError(t, err)
	assert.True(t, subnet6.Contains(net.ParseIP(a["GATEWAY6"])))
}

func TestFreePrefixAvoidsHostAddresses(t *testing.T) {
	prefix, err := freePrefix(10, 255)
	require.NoError(t, err)
	addrs, err := net.InterfaceAddrs()
	require.NoError(t, err)
	_, subnet, err := net.ParseCIDR(prefix + "0/24")
	require.NoError(t, err)
	for _, a := range addrs {
		assert.False(t, subnet.Contains(a.(*net.IPNet).IP), "%s holds the host's %s", subnet, a)
	}
}
