package runtime

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/opencontainers/cgroups"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// updateFile, in a container's run directory, tells the runtime what to change:
// not every runtime reads it from its input.
const updateFile = "update.json"

// Limits are what Update sets. What is nil, or "" in Resources, stays as it is.
type Limits struct {
	Resources   *specs.LinuxResources
	OOMScoreAdj *int // of all processes of the container
}

// Update changes the limits of a created or running container, all of them or
// none: after an error those of before hold again, unless the error says that
// they can't be restored. undo restores them later.
func (r *OCI) Update(ctx context.Context, id string, p Process, l Limits) (undo func() error, err error) {
	undo, err = r.update(ctx, id, p, l)
	if err != nil {
		return nil, r.explain(ctx, id, err)
	}
	return undo, nil
}

func (r *OCI) update(ctx context.Context, id string, p Process, l Limits) (func() error, error) {
	if !p.Alive() {
		return nil, r.fail("update", id, ErrNotRunning)
	}
	dirs, err := cgroupsOf(id, p.PID)
	if err != nil {
		return nil, r.fail("update", id, err)
	}
	before, err := readLimits(dirs, l.Resources.Unified)
	if err != nil {
		return nil, r.fail("update", id, err)
	}
	path := filepath.Join(r.dir(id), updateFile)
	data, err := json.Marshal(l.Resources)
	if err == nil {
		err = os.WriteFile(path, data, 0o600)
	}
	if err != nil {
		return nil, r.fail("update", id, err)
	}
	_, err = r.run(ctx, id, "update", "--resources", path, id)
	_ = os.Remove(path)
	var scores map[int]int
	if err == nil && l.OOMScoreAdj != nil {
		if scores, err = setScores(dirs, *l.OOMScoreAdj); err != nil {
			err = r.fail("update", id, err)
		}
	}
	undo := func() error { return errors.Join(restoreScores(scores), restoreLimits(before)) }
	if err != nil {
		return nil, joined(err, undo())
	}
	return undo, nil
}

// joined adds what went wrong in the undoing to an error.
func joined(err, undo error) error {
	if undo == nil {
		return err
	}
	return fmt.Errorf("%w; limits can't be restored: %w", err, undo)
}

// setScores sets the OOM score of all processes of a cgroup and returns those of
// before, also when it fails half way.
func setScores(dirs map[string]string, adj int) (before map[int]int, err error) {
	before = map[int]int{}
	for _, controller := range []string{"pids", "memory", "cpu"} {
		dir, ok := dirs[controller]
		if !ok {
			continue
		}
		all, err := cgroups.GetAllPids(dir)
		if err != nil {
			return before, err
		}
		for _, pid := range all {
			if err := setScore(before, pid, adj); err != nil && !gonePID(err) {
				return before, err
			}
		}
		return before, nil
	}
	return before, errors.New("no cgroup of the container is known")
}

func setScore(before map[int]int, pid, adj int) error {
	file := filepath.Join("/proc", strconv.Itoa(pid), "oom_score_adj")
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	old, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || old == adj {
		return err
	}
	if err := os.WriteFile(file, []byte(strconv.Itoa(adj)), 0); err != nil {
		return err
	}
	before[pid] = old
	return nil
}

func gonePID(err error) bool { return errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) }

func restoreScores(before map[int]int) (err error) {
	for pid, adj := range before {
		if e := setScore(map[int]int{}, pid, adj); e != nil && !gonePID(e) {
			err = errors.Join(err, e)
		}
	}
	return err
}
