package network

import (
	"errors"
	"fmt"

	types100 "github.com/containernetworking/cni/pkg/types/100"
	"github.com/containernetworking/plugins/pkg/ns"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// isNamespace is false for "", for a missing file and for one without a mount.
func isNamespace(path string) bool {
	return path != "" && ns.IsNSorErr(path) == nil
}

// loopbackUp does what the loopback plugin does, without the process.
func loopbackUp(netns string) error {
	err := ns.WithNetNSPath(netns, func(ns.NetNS) error {
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		return netlink.LinkSetUp(lo)
	})
	if err != nil {
		return fmt.Errorf("bring up lo in %q: %w", netns, err)
	}
	return nil
}

// addAddresses gives the pod's interface those of the addresses that it lacks. A
// missing interface is no error.
func addAddresses(netns string, ips []*types100.IPConfig) error {
	return ns.WithNetNSPath(netns, func(ns.NetNS) error {
		link, err := netlink.LinkByName(Interface)
		if errors.As(err, &netlink.LinkNotFoundError{}) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("find %s in %s: %w", Interface, netns, err)
		}
		for _, ip := range ips {
			addr := &netlink.Addr{IPNet: &ip.Address}
			if ip.Address.IP.To4() == nil {
				addr.Flags = unix.IFA_F_NODAD
			}
			if err := netlink.AddrAdd(link, addr); err != nil && !errors.Is(err, unix.EEXIST) {
				return fmt.Errorf("add %s to %s in %s: %w", ip.Address.String(), Interface, netns, err)
			}
		}
		return nil
	})
}
