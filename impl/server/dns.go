package server

import (
	"errors"
	"os"
	"strings"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// resolvConf gives the pod's resolv.conf: as configured, else the host's.
func resolvConf(d *runtimeapi.DNSConfig) ([]byte, error) {
	if len(d.GetServers())+len(d.GetSearches())+len(d.GetOptions()) == 0 {
		data, err := os.ReadFile("/etc/resolv.conf")
		if errors.Is(err, os.ErrNotExist) {
			return nil, nil
		}
		return data, err
	}
	var b strings.Builder
	line := func(words ...string) { b.WriteString(strings.Join(words, " ") + "\n") }
	if len(d.Searches) > 0 {
		line(append([]string{"search"}, d.Searches...)...)
	}
	for _, server := range d.Servers {
		line("nameserver", server)
	}
	if len(d.Options) > 0 {
		line(append([]string{"options"}, d.Options...)...)
	}
	return []byte(b.String()), nil
}
