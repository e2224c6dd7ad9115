package runtime

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// killTimeout bounds how long killed processes may take to end.
const killTimeout = 5 * time.Second

// stat is what we need of /proc/PID/stat.
type stat struct {
	pid, parent, group, session int
	state                       byte
	start                       uint64
}

func (s stat) dead() bool { return s.state == 'Z' || s.state == 'X' }

func readStat(pid int) (stat, error) {
	path := filepath.Join("/proc", strconv.Itoa(pid), "stat")
	data, err := os.ReadFile(path)
	if err != nil {
		return stat{}, err
	}
	// The command's name stands in parentheses and may hold any byte.
	f := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:])
	if len(f) < 20 {
		return stat{}, fmt.Errorf("%s: %d fields", path, len(f))
	}
	s := stat{pid: pid, state: f[0][0]}
	s.parent, _ = strconv.Atoi(string(f[1]))
	s.group, _ = strconv.Atoi(string(f[2]))
	s.session, _ = strconv.Atoi(string(f[3]))
	s.start, err = strconv.ParseUint(string(f[19]), 10, 64)
	return s, err
}

// processes lists all processes. Those that end meanwhile may be missing.
func processes() ([]stat, error) {
	names, err := procNames()
	if err != nil {
		return nil, err
	}
	all := make([]stat, 0, len(names))
	for _, pid := range names {
		if s, err := readStat(pid); err == nil {
			all = append(all, s)
		}
	}
	return all, nil
}

func procNames() ([]int, error) {
	d, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// below picks from all the live processes below root, root excluded: its
// descendants, and those of its process group and of their sessions, which may
// have lost their parent. A session is entered by birth only, so one that is
// neither ours nor one that root was born into began at or below root. session
// is one more to count in, 0 for none.
func below(all []stat, root, session int) []stat {
	ours, _ := unix.Getsid(0)
	in := map[int]bool{root: true}
	sessions := map[int]bool{session: true}
	born := ours
	for _, s := range all {
		if s.pid == root && s.session != root {
			born = s.session
		}
	}
	for grown := true; grown; {
		grown = false
		for _, s := range all {
			if s.pid != root && !in[s.pid] {
				if !in[s.parent] && s.group != root && (s.session == 0 || !sessions[s.session]) {
					continue
				}
				in[s.pid], grown = true, true
			}
			if in[s.pid] && s.session != ours && s.session != born && !sessions[s.session] {
				sessions[s.session], grown = true, true
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(all), func(s stat) bool { return !in[s.pid] || s.pid == root || s.dead() })
}

// reapTime is how long a process may take to reap children that were killed and
// to end by itself.
const reapTime = 2 * time.Second

// killTree ends process root, a process of ours, and all below it. Everything
// is stopped before anything is killed, so that nothing can be born or slip
// away to another parent meanwhile; root goes last, because a monitor is the
// reaper of what its runtime loses. It returns when all of it is dead.
//
// session is one more session that is below root. A runtime that runs a command
// has one, and gets the time to reap the command: a zombie that it left would be
// seen in the container until the machine's init looks after it.
func killTree(root stat, session int) error {
	top, err := openProcess(root.pid, root.start)
	if errors.Is(err, errGone) {
		return nil
	}
	if err != nil {
		return err
	}
	defer top.close()
	ctx, cancel := context.WithTimeout(context.Background(), killTimeout)
	defer cancel()
	if err := top.killAllBelow(ctx, root.pid, session); err != nil {
		return errors.Join(err, top.signal(unix.SIGKILL))
	}
	if session != 0 && !top.reaps(ctx) {
		if err := top.killAllBelow(ctx, root.pid, session); err != nil {
			return errors.Join(err, top.signal(unix.SIGKILL))
		}
	}
	if err := top.signal(unix.SIGKILL); err != nil {
		return err
	}
	if err := top.wait(ctx); err != nil {
		return fmt.Errorf("process %d does not die: %w", root.pid, err)
	}
	return nil
}

// killAllBelow stops the process and kills what is below it until nothing is.
func (p *pidfd) killAllBelow(ctx context.Context, pid, session int) error {
	if err := p.signal(unix.SIGSTOP); err != nil {
		return err
	}
	for {
		killed, err := killBelow(ctx, pid, session)
		if err != nil || killed == 0 {
			return err
		}
	}
}

// reaps lets the process go on and tells whether it has ended soon.
func (p *pidfd) reaps(ctx context.Context) bool {
	if err := p.signal(unix.SIGCONT); err != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, reapTime)
	defer cancel()
	return p.wait(ctx) == nil
}

// killBelow stops, then kills what is below root, and says how many it found.
func killBelow(ctx context.Context, root, session int) (int, error) {
	held := map[int]*pidfd{}
	defer func() {
		for _, p := range held {
			p.close()
		}
	}()
	for grown := true; grown; {
		all, err := processes()
		if err != nil {
			return 0, err
		}
		grown = false
		for _, s := range below(all, root, session) {
			if held[s.pid] != nil {
				continue
			}
			if p, err := openProcess(s.pid, s.start); err == nil {
				held[s.pid], grown = p, true
				_ = p.signal(unix.SIGSTOP)
			}
		}
	}
	for _, p := range held {
		_ = p.signal(unix.SIGKILL)
	}
	for pid, p := range held {
		if err := p.wait(ctx); err != nil {
			return len(held), fmt.Errorf("process %d does not die: %w", pid, err)
		}
	}
	return len(held), nil
}

// signal sends sig; a process that has ended is no error.
func (p *pidfd) signal(sig unix.Signal) error {
	conn, err := p.f.SyscallConn()
	if err != nil {
		return err
	}
	var sendErr error
	if err := conn.Control(func(fd uintptr) {
		sendErr = unix.PidfdSendSignal(int(fd), sig, nil, 0)
	}); err != nil {
		return err
	}
	if sendErr != nil && !errors.Is(sendErr, unix.ESRCH) {
		return fmt.Errorf("signal %d to %s: %w", sig, p.f.Name(), sendErr)
	}
	return nil
}
