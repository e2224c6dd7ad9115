package main

import (
	"bytes"
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

	"github.com/vishvananda/netlink"
)

const (
	bridge   = "ocid0"          // of the daemon's default network
	netnsDir = "/var/run/netns" // the daemon's default
)

// sysctls are what CNI's bridge plugin switches on and nobody switches off.
var sysctls = []string{"/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/all/forwarding"}

// world is what of this machine a pod changes and its end has to change back.
type world struct {
	netns   []string
	rules   []string // of iptables, those CNI plugins make
	bridge  bool
	forward map[string][]byte
}

func look() (world, error) {
	w := world{forward: map[string][]byte{}}
	entries, err := os.ReadDir(netnsDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return w, err
	}
	for _, e := range entries {
		w.netns = append(w.netns, filepath.Join(netnsDir, e.Name()))
	}
	for _, program := range []string{"iptables-save", "ip6tables-save"} {
		out, err := exec.Command(program).Output()
		if err != nil {
			return w, fmt.Errorf("%s: %w", program, err)
		}
		for line := range strings.Lines(string(out)) {
			if strings.Contains(line, `name: \"ocid\"`) {
				w.rules = append(w.rules, strings.TrimSpace(line))
			}
		}
	}
	_, err = net.InterfaceByName(bridge)
	w.bridge = err == nil
	for _, file := range sysctls {
		if value, err := os.ReadFile(file); err == nil {
			w.forward[file] = value
		}
	}
	return w, nil
}

// removeBridge deletes the bridge and resets forwarding: the bridge plugin
// makes the one and switches on the other for all pods to come, and its DEL
// leaves both. Neither is touched if it was there before, nor if pods of
// another daemon use the bridge.
func (d *demo) removeBridge(context.Context) error {
	link, err := netlink.LinkByName(bridge)
	if d.before.bridge || errors.As(err, &netlink.LinkNotFoundError{}) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("link %s: %w", bridge, err)
	}
	links, err := netlink.LinkList()
	if err != nil {
		return err
	}
	for _, l := range links {
		if l.Attrs().MasterIndex == link.Attrs().Index {
			return fmt.Errorf("link %s is still a port of %s", l.Attrs().Name, bridge)
		}
	}
	if err := netlink.LinkDel(link); err != nil {
		return fmt.Errorf("delete link %s: %w", bridge, err)
	}
	for file, value := range d.before.forward {
		now, err := os.ReadFile(file)
		if err == nil && !bytes.Equal(now, value) {
			err = os.WriteFile(file, value, 0)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// audit compares the machine with what it was before the first step.
func (d *demo) audit(context.Context) error {
	after, err := look()
	if err != nil {
		return err
	}
	var left []error
	for _, ns := range after.netns {
		if !slices.Contains(d.before.netns, ns) {
			left = append(left, fmt.Errorf("network namespace %s", ns))
		}
	}
	for _, rule := range after.rules {
		if !slices.Contains(d.before.rules, rule) {
			left = append(left, fmt.Errorf("iptables rule %s", rule))
		}
	}
	if after.bridge && !d.before.bridge {
		left = append(left, fmt.Errorf("link %s", bridge))
	}
	left = append(left, d.processes()...)
	left = append(left, d.cgroups()...)
	if _, err := os.Stat(d.dir); err == nil {
		left = append(left, fmt.Errorf("directory %s", d.dir))
	}
	return errors.Join(left...)
}

// processes finds processes that have the work directory in their command
// line, such as monitors, and mount namespaces that have it among their mounts.
func (d *demo) processes() []error {
	var left []error
	seen := map[string]bool{}
	for _, kind := range []string{"cmdline", "mountinfo"} {
		files, _ := filepath.Glob("/proc/[0-9]*/" + kind)
		for _, file := range files {
			text, err := os.ReadFile(file) // fails if the process ended meanwhile
			namespace, _ := os.Readlink(filepath.Join(filepath.Dir(file), "ns/mnt"))
			if err != nil || !bytes.Contains(text, []byte(d.dir)) || kind == "mountinfo" && seen[namespace] {
				continue
			}
			seen[namespace] = seen[namespace] || kind == "mountinfo"
			left = append(left, fmt.Errorf("%s mentions %s", file, d.dir))
		}
	}
	return left
}

// cgroups finds control groups named after the pod or its container.
func (d *demo) cgroups() []error {
	var left []error
	_ = filepath.WalkDir("/sys/fs/cgroup", func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.IsDir() {
			return nil // a group may go while we look
		}
		for _, id := range []string{d.pod, d.container} {
			if id != "" && strings.Contains(e.Name(), id) {
				left = append(left, fmt.Errorf("cgroup %s", path))
			}
		}
		return nil
	})
	return left
}
