package runtime

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Names in a container's run directory.
const (
	recordFile  = "record.json"
	pidFile     = "pid"         // written by the runtime
	monitorFile = "monitor.pid" // written by the monitor
	exitFile    = "exit"        // written by the monitor: the exit code in decimal
	oomFile     = "oom"         // made by the monitor when the kernel kills for memory
)

// bundleFiles is what the monitor makes in the bundle and never removes; it
// refuses to start where "ctl" exists.
var bundleFiles = []string{"attach", "ctl", "winsz"}

// Process identifies a container's init and its monitor for ever, over restarts
// of this program and reuse of process numbers.
type Process struct {
	PID          int    `json:"pid"`
	StartTime    uint64 `json:"startTime"` // field 22 of /proc/PID/stat: clock ticks since boot; 0: was gone already
	MonitorPID   int    `json:"monitorPid"`
	MonitorStart uint64 `json:"monitorStart"`
	Program      string `json:"program,omitempty"` // device and inode of what init ran when it was created; "" is not known
}

// record is what Delete needs to know about a container; Process is zero until
// Create has succeeded.
type record struct {
	Bundle  string   `json:"bundle"`
	Process Process  `json:"process"`
	Cgroups []string `json:"cgroups,omitempty"` // directories that came with the container
}

func (r *OCI) saveRecord(id string, rec record) error {
	return writeJSON(filepath.Join(r.dir(id), recordFile), rec)
}

// loadRecord returns a zero record if there is none or it can't be read: a
// container whose record is lost is deleted like one that was half created.
func (r *OCI) loadRecord(id string) record {
	var rec record
	data, err := os.ReadFile(filepath.Join(r.dir(id), recordFile))
	if err != nil || json.Unmarshal(data, &rec) != nil {
		return record{}
	}
	return rec
}

func readPID(path string) (int, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil || pid <= 0 {
		return 0, fmt.Errorf("%s holds no process number: %.40q", path, data)
	}
	return pid, nil
}

// removeBundleFiles removes what a monitor left in a bundle.
func removeBundleFiles(bundle string) error {
	if bundle == "" {
		return nil
	}
	for _, name := range bundleFiles {
		if err := os.Remove(filepath.Join(bundle, name)); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	return nil
}

// Alive says whether the container's init is still that process.
func (p Process) Alive() bool {
	if p.PID == 0 {
		return false
	}
	st, err := readStat(p.PID)
	return err == nil && st.start == p.StartTime && !st.dead()
}

// Started says whether the container's command runs, or has run: its init has
// executed another program since it was created. A runtime whose start is
// killed may have let the command run and still call the container created,
// for ever. False is also the answer where init never changes its program.
func (p Process) Started() bool {
	now := program(p.PID)
	return p.Alive() && p.Program != "" && now != "" && now != p.Program
}

// program identifies what a process runs, "" if nobody can say.
func program(pid int) string {
	info, err := os.Stat(filepath.Join("/proc", strconv.Itoa(pid), "exe"))
	if err != nil {
		return ""
	}
	st := info.Sys().(*syscall.Stat_t)
	return fmt.Sprintf("%d:%d", st.Dev, st.Ino)
}
