package runtime

import (
	"context"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// guestPidFile is where a runtime writes a command's number in the container.
const guestPidFile = "guest-pid"

// killGuest kills a command that has no process on the host, with all below it:
// its descendants, and those of their process groups. A command that has not
// begun has no number, and none is killed.
func (r *OCI) killGuest(id, dir string) {
	root, err := readPID(filepath.Join(dir, guestPidFile))
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), killTimeout)
	defer cancel()
	seen := map[int]bool{root: true}
	for first := true; ; first = false {
		out, err := r.run(ctx, id, "ps", id)
		if err != nil {
			r.log.Debug("processes of a container can't be told", "container", id, "error", err)
			return
		}
		born := guestBelow(guestTable(string(out)), seen)
		if first {
			born = append(born, root)
		}
		if len(born) == 0 {
			return
		}
		for _, pid := range born {
			if _, err := r.run(ctx, id, "kill", "--pid", strconv.Itoa(pid), id, strconv.Itoa(int(unix.SIGKILL))); err != nil {
				r.log.Debug("process of a command not killed", "container", id, "pid", pid, "error", err)
			}
		}
	}
}

// guestTable reads what `ps` prints: a head that names the columns PID, PPID and
// PGID, and a line for each process.
func guestTable(text string) (all []stat) {
	head, rows, _ := strings.Cut(text, "\n")
	columns := strings.Fields(head)
	pid, parent, group := slices.Index(columns, "PID"), slices.Index(columns, "PPID"), slices.Index(columns, "PGID")
	last := max(pid, parent, group)
	if min(pid, parent, group) < 0 {
		return nil
	}
	for line := range strings.Lines(rows) {
		f := strings.Fields(line)
		if len(f) <= last {
			continue
		}
		var s stat
		s.pid, _ = strconv.Atoi(f[pid])
		s.parent, _ = strconv.Atoi(f[parent])
		s.group, _ = strconv.Atoi(f[group])
		all = append(all, s)
	}
	return all
}

// guestBelow adds to the processes that have been seen what is below them, or in
// the group of one of them, and returns what it has added.
func guestBelow(all []stat, seen map[int]bool) (added []int) {
	for grown := true; grown; {
		grown = false
		for _, s := range all {
			if !seen[s.pid] && (seen[s.parent] || seen[s.group]) {
				seen[s.pid], grown = true, true
				added = append(added, s.pid)
			}
		}
	}
	return added
}
