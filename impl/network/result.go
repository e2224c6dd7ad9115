package network

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"

	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"
)

// A Result is what ADD gave the pod.
type Result struct {
	IPs        []netip.Addr    `json:"ips"`        // of the pod's interface; IPv4 first, else in CNI's order; never empty
	Interfaces []NIC           `json:"interfaces"` // all that plugins made, on the host too
	Raw        json.RawMessage `json:"raw"`        // the CNI result, in the conflist's version
}

// A NIC is a network interface of a CNI result.
type NIC struct {
	Name    string `json:"name"`
	MAC     string `json:"mac,omitempty"`
	Sandbox string `json:"sandbox,omitempty"` // the namespace; "" is the host's
}

func newResult(res types.Result) (Result, error) {
	raw, err := json.Marshal(res)
	if err != nil {
		return Result{}, fmt.Errorf("CNI result: %w", err)
	}
	ips, full, err := podAddresses(res)
	if err != nil {
		return Result{}, err
	}
	out := Result{Raw: raw}
	for _, ip := range ips {
		addr, ok := netip.AddrFromSlice(ip.Address.IP)
		if !ok {
			return Result{}, fmt.Errorf("CNI result has a malformed address: %s", raw)
		}
		out.IPs = append(out.IPs, addr.Unmap())
	}
	if len(out.IPs) == 0 {
		return Result{}, fmt.Errorf("CNI result has no address for %s: %s", Interface, raw)
	}
	slices.SortStableFunc(out.IPs, func(a, b netip.Addr) int { return a.BitLen() - b.BitLen() })
	for _, nic := range full.Interfaces {
		out.Interfaces = append(out.Interfaces, NIC{Name: nic.Name, MAC: nic.Mac, Sandbox: nic.Sandbox})
	}
	return out, nil
}

// podAddresses picks the addresses of the pod's own interface. One that names no
// interface is the pod's: results before CNI 0.3 have none.
func podAddresses(res types.Result) ([]*types100.IPConfig, *types100.Result, error) {
	full, err := types100.NewResultFromResult(res)
	if err != nil {
		return nil, nil, fmt.Errorf("CNI result: %w", err)
	}
	var ips []*types100.IPConfig
	for _, ip := range full.IPs {
		if ip.Interface == nil {
			ips = append(ips, ip)
			continue
		}
		i := *ip.Interface
		if i < 0 || i >= len(full.Interfaces) {
			return nil, nil, fmt.Errorf("CNI result: address %s is on interface %d of %d",
				ip.Address.String(), i, len(full.Interfaces))
		}
		if nic := full.Interfaces[i]; nic.Name == Interface && nic.Sandbox != "" {
			ips = append(ips, ip)
		}
	}
	return ips, full, nil
}
