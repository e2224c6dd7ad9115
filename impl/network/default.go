package network

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"text/template"
)

//go:embed ocid.conflist.tmpl
var defaultConfList string

// DefaultConfList is the network for machines that have none: the bridge
// "ocid0", IPv4 and, where the machine has it, IPv6, with masquerading and host
// ports. It needs the plugins bridge, host-local and portmap, of CNI 1.0.0.
//
// dataDir is where host-local keeps its leases; "" is the plugin's own place,
// which outlives a reboot. Leases of pods that a reboot ended are never given
// back, so choose a directory that a reboot empties.
func DefaultConfList(dataDir string) ([]byte, error) {
	return renderDefault(dataDir, hasIPv6())
}

func renderDefault(dataDir string, ipv6 bool) ([]byte, error) {
	quoted, err := json.Marshal(dataDir)
	if err != nil {
		return nil, fmt.Errorf("lease directory %q: %w", dataDir, err)
	}
	tmpl, err := template.New("ocid.conflist").Parse(defaultConfList)
	if err != nil {
		return nil, fmt.Errorf("built-in conflist: %w", err)
	}
	var out bytes.Buffer
	err = tmpl.Execute(&out, map[string]any{"DataDir": string(quoted), "IPv6": ipv6})
	if err != nil {
		return nil, fmt.Errorf("built-in conflist: %w", err)
	}
	return out.Bytes(), nil
}

// hasIPv6 is false if the kernel was built or started without IPv6 or has it
// switched off.
func hasIPv6() bool {
	b, err := os.ReadFile("/proc/sys/net/ipv6/conf/all/disable_ipv6")
	return err == nil && strings.TrimSpace(string(b)) == "0"
}
