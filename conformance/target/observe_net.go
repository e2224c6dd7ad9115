package target

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
)

// A Lease is an address that the CNI plugin host-local holds.
type Lease struct {
	IP        net.IP
	Container string // the ID that the plugin was called with
	Interface string
}

// Leases returns the addresses that are held.
func (o *Observer) Leases() ([]Lease, error) {
	var all []Lease
	for _, dir := range o.at.Leases {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("look at leases: %w", err)
		}
		for _, e := range entries {
			ip := net.ParseIP(e.Name())
			if ip == nil {
				continue
			}
			data, err := os.ReadFile(filepath.Join(dir, e.Name()))
			if err != nil && !vanished(err) {
				return nil, fmt.Errorf("look at leases: %w", err)
			}
			if err != nil {
				continue
			}
			id, ifname, _ := strings.Cut(strings.ReplaceAll(string(data), "\r\n", "\n"), "\n")
			all = append(all, Lease{IP: ip, Container: strings.TrimSpace(id), Interface: strings.TrimSpace(ifname)})
		}
	}
	return all, nil
}

func (o *Observer) snapLeases(s Snapshot) error {
	if len(o.at.Leases) == 0 {
		return nil
	}
	s.add(Leases)
	all, err := o.Leases()
	for _, l := range all {
		s.add(Leases, fmt.Sprintf("%s for %s", l.IP, l.Container))
	}
	return err
}

// Ports returns the names of the links that are ports of the observed bridges.
func (o *Observer) Ports() ([]string, error) {
	if len(o.at.Bridges) == 0 {
		return nil, nil
	}
	links, err := netlink.LinkList()
	if errors.Is(err, netlink.ErrDumpInterrupted) {
		links, err = netlink.LinkList()
	}
	if err != nil {
		return nil, fmt.Errorf("list links: %w", err)
	}
	var bridges []int
	for _, l := range links {
		if slices.Contains(o.at.Bridges, l.Attrs().Name) {
			bridges = append(bridges, l.Attrs().Index)
		}
	}
	var ports []string
	for _, l := range links {
		if slices.Contains(bridges, l.Attrs().MasterIndex) {
			ports = append(ports, l.Attrs().Name)
		}
	}
	return ports, nil
}

func (o *Observer) snapLinks(s Snapshot) error {
	if len(o.at.Bridges) == 0 {
		return nil
	}
	ports, err := o.Ports()
	s.add(Links, ports...)
	return err
}

// NATRules returns the rules of the NAT tables, IPv4 and IPv6, that hold one of
// the observed texts. Without the programs there are none.
func (o *Observer) NATRules() ([]string, error) {
	if len(o.at.IPTables) == 0 {
		return nil, nil
	}
	var rules []string
	for _, program := range []string{"iptables-save", "ip6tables-save"} {
		if _, err := exec.LookPath(program); err != nil {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		out, err := exec.CommandContext(ctx, program, "-t", "nat").Output()
		cancel()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", program, err)
		}
		for line := range strings.Lines(string(out)) {
			line = strings.TrimSpace(line)
			if strings.HasPrefix(line, "-A") && slices.ContainsFunc(o.at.IPTables, func(t string) bool { return strings.Contains(line, t) }) {
				rules = append(rules, strings.TrimSuffix(program, "-save")+" "+line)
			}
		}
	}
	return rules, nil
}

func (o *Observer) snapNAT(s Snapshot) error {
	if len(o.at.IPTables) == 0 {
		return nil
	}
	rules, err := o.NATRules()
	s.add(NATRules, rules...)
	return err
}
