package stats

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// netlinkTimeout bounds one question to the kernel.
const netlinkTimeout = 5 * time.Second

// openNetwork opens a netlink socket in a network namespace. As long as it is
// open the namespace lives.
func openNetwork(path string) (*netlink.Handle, error) {
	ns, err := netns.GetFromPath(path)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	defer ns.Close()
	h, err := netlink.NewHandleAt(ns, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("netlink in %s: %w", path, err)
	}
	if err := h.SetSocketTimeout(netlinkTimeout); err != nil {
		h.Close()
		return nil, fmt.Errorf("netlink in %s: %w", path, err)
	}
	return h, nil
}

// interfaces reads the counters of all links but the loopback, or but TAPs too.
func interfaces(h *netlink.Handle, noTaps bool, now int64) ([]Interface, error) {
	links, err := h.LinkList()
	if errors.Is(err, netlink.ErrDumpInterrupted) { // a link came or went meanwhile
		links, err = h.LinkList()
	}
	if err != nil {
		return nil, fmt.Errorf("list links: %w", err)
	}
	var all []Interface
	for _, l := range links {
		a := l.Attrs()
		if a.Flags&net.FlagLoopback != 0 || a.Statistics == nil || noTaps && l.Type() == "tuntap" {
			continue
		}
		c := a.Statistics
		all = append(all, Interface{
			Name: a.Name, At: now,
			Rx: Traffic{Bytes: c.RxBytes, Packets: c.RxPackets, Errors: c.RxErrors, Dropped: c.RxDropped},
			Tx: Traffic{Bytes: c.TxBytes, Packets: c.TxPackets, Errors: c.TxErrors, Dropped: c.TxDropped},
		})
	}
	return all, nil
}
