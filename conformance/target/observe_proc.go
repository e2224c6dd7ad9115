package target

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// A Process is what /proc says of one process.
type Process struct {
	PID, PPID int
	Comm      string
	State     byte   // as in /proc/PID/stat: R, S, Z, …
	Started   uint64 // in clock ticks since boot; with PID it names the process for ever
	Args      []string
	Cgroups   []string // paths, one per hierarchy
}

// String names the process for ever: what it does at the moment, but for being
// dead, is not in it, so that snapshots can be compared.
func (p Process) String() string {
	what := strings.Join(p.Args, " ")
	if what == "" {
		what = "[" + p.Comm + "]"
	}
	if len(what) > 200 {
		what = what[:200] + "…"
	}
	if p.State == 'Z' {
		return fmt.Sprintf("%d (zombie): %s", p.PID, what)
	}
	return fmt.Sprintf("%d: %s", p.PID, what)
}

// InCgroup reports whether an element of one of the process's cgroup paths
// holds the text.
func (p Process) InCgroup(text string) bool {
	return slices.ContainsFunc(p.Cgroups, func(c string) bool { return strings.Contains(c, text) })
}

// Written is how many bytes the process has given to write calls that returned.
func (p Process) Written() (n int, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", p.PID))
	if err != nil {
		return 0, err
	}
	_, after, _ := strings.Cut(string(text), "wchar: ")
	_, err = fmt.Sscan(after, &n)
	return n, err
}

// Processes returns all processes of the host but kernel threads.
func (o *Observer) Processes() ([]Process, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var all []Process
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		p, err := readProcess(pid)
		if err != nil && !vanished(err) {
			return nil, err
		}
		if err == nil && pid != kthreadd && p.PPID != kthreadd {
			all = append(all, p)
		}
	}
	return all, nil
}

const kthreadd = 2

// Ours returns the processes that belong to the daemon: those in its cgroups,
// those whose command line or environment names its work directory, and its
// dead children. The daemon itself, the suite and what the suite started are
// not among them, nor the dead whom only process 1 has still to wait for: some
// let them lie for seconds.
func (o *Observer) Ours() ([]Process, error) {
	all, err := o.Processes()
	if err != nil {
		return nil, err
	}
	cgroup, excluded := o.state()
	self := os.Getpid()
	var ours []Process
	for _, p := range all {
		if p.PID == self || slices.Contains(excluded, p.PID) || p.State == 'Z' && p.PPID == 1 {
			continue
		}
		if o.owns(p, cgroup) || (p.State == 'Z' && slices.Contains(excluded, p.PPID)) {
			ours = append(ours, p)
		}
	}
	return ours, nil
}

func (o *Observer) owns(p Process, cgroup string) bool {
	if cgroup != "" && p.InCgroup(path.Base(cgroup)) {
		return true
	}
	if slices.ContainsFunc(p.Args, func(a string) bool { return mentions(a, o.work) }) {
		return true
	}
	env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", p.PID))
	return err == nil && mentions(string(env), o.work)
}

// mentions reports whether the text holds the path, not as the beginning of a
// longer name.
func mentions(text, dir string) bool {
	for {
		_, rest, found := strings.Cut(text, dir)
		if !found {
			return false
		}
		if rest == "" || strings.IndexByte("/:;,= \t\n\x00\"'", rest[0]) >= 0 {
			return true
		}
		text = rest
	}
}

func (o *Observer) snapProcesses(s Snapshot) error {
	ours, err := o.Ours()
	for _, p := range ours {
		if !o.restless(p) {
			s.add(Processes, p.String())
		}
	}
	return err
}

// restless says whether a process comes and goes without anybody's asking: it is
// below one of those that the profile names, which are compared themselves.
func (o *Observer) restless(p Process) bool {
	for len(o.at.Above) > 0 && p.PPID > 1 {
		parent, err := readProcess(p.PPID)
		if err != nil {
			return false
		}
		if len(parent.Args) > 0 && slices.Contains(o.at.Above, path.Base(parent.Args[0])) {
			return true
		}
		p = parent
	}
	return false
}

func exists(pid int) bool { return syscall.Kill(pid, 0) == nil }

func vanished(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH)
}

func readProcess(pid int) (Process, error) {
	dir := "/proc/" + strconv.Itoa(pid)
	stat, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return Process{}, err
	}
	p, err := parseStat(pid, stat)
	if err != nil || p.PPID == kthreadd {
		return p, err
	}
	cmdline, err := os.ReadFile(dir + "/cmdline")
	if err != nil {
		return p, err
	}
	if cmdline = bytes.TrimRight(cmdline, "\x00"); len(cmdline) > 0 {
		p.Args = strings.Split(string(cmdline), "\x00")
	}
	cgroups, err := os.ReadFile(dir + "/cgroup")
	if err != nil {
		return p, err
	}
	for line := range strings.Lines(string(cgroups)) {
		if fields := strings.SplitN(strings.TrimSpace(line), ":", 3); len(fields) == 3 && fields[2] != "/" {
			p.Cgroups = append(p.Cgroups, fields[2])
		}
	}
	return p, nil
}

// parseStat reads a line of proc_pid_stat(5): pid (comm) state ppid …, start
// time in field 22. comm may hold anything, a ")" too.
func parseStat(pid int, stat []byte) (Process, error) {
	open, end := bytes.IndexByte(stat, '('), bytes.LastIndexByte(stat, ')')
	if open < 0 || end < open {
		return Process{}, fmt.Errorf("/proc/%d/stat: no command name in %q", pid, stat)
	}
	fields := strings.Fields(string(stat[end+1:]))
	if len(fields) < 20 {
		return Process{}, fmt.Errorf("/proc/%d/stat: %d fields after the name", pid, len(fields))
	}
	ppid, err := strconv.Atoi(fields[1])
	if err != nil {
		return Process{}, fmt.Errorf("/proc/%d/stat: parent: %w", pid, err)
	}
	started, err := strconv.ParseUint(fields[19], 10, 64)
	if err != nil {
		return Process{}, fmt.Errorf("/proc/%d/stat: start time: %w", pid, err)
	}
	return Process{PID: pid, PPID: ppid, Comm: string(stat[open+1 : end]), State: fields[0][0], Started: started}, nil
}

// Namespace returns a process's namespace of a kind (net, pid, ipc, uts, mnt,
// user, cgroup) in the kernel's form, "net:[4026531840]".
func Namespace(pid int, kind string) (string, error) {
	return os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", pid, kind))
}

// HostNamespace returns the suite's own namespace of a kind: the host's.
func HostNamespace(kind string) (string, error) {
	return os.Readlink("/proc/self/ns/" + kind)
}

// BootID returns the host kernel's boot ID. A container with another one has a
// kernel of its own.
func BootID() (string, error) {
	data, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(data)), err
}
