package runtime

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/cgroups"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Files of an update in a container's run directory: what the runtime is told,
// which not every runtime reads from its input, and what is to be restored if
// nobody lives to keep the update.
const (
	updateFile  = "update.json"
	restoreFile = "restore.json"
)

// Limits are what Update sets. What is nil, or "" in Resources, stays as it is.
type Limits struct {
	Resources   *specs.LinuxResources
	OOMScoreAdj *int // of all processes of the container
}

// An Update is a change of limits that is neither kept nor taken back yet. Until
// then UndoUpdate takes it back, also after the death of this program.
type Update struct {
	path   string
	before []cgroupFile
	scores map[int]int
}

// Keep makes the update final.
func (u *Update) Keep() error { return os.Remove(u.path) }

// Undo restores the limits of before.
func (u *Update) Undo() error {
	if err := errors.Join(restoreScores(u.scores), restoreLimits(u.before)); err != nil {
		return err
	}
	return u.Keep()
}

// Update changes the limits of a created or running container, all of them or
// none: after an error those of before hold again, unless the error says that
// they can't be restored.
func (r *OCI) Update(ctx context.Context, id string, p Process, l Limits) (*Update, error) {
	u, err := r.update(ctx, id, p, l)
	if err != nil {
		return nil, r.explain(ctx, id, err)
	}
	return u, nil
}

func (r *OCI) update(ctx context.Context, id string, p Process, l Limits) (*Update, error) {
	if !p.Alive() {
		return nil, r.fail("update", id, ErrNotRunning)
	}
	dirs, err := cgroupsOf(id, p.PID)
	if err != nil {
		return nil, r.fail("update", id, err)
	}
	u := &Update{path: filepath.Join(r.dir(id), restoreFile)}
	if u.before, err = readLimits(dirs, l.Resources.Unified); err != nil {
		return nil, r.fail("update", id, err)
	}
	asked := filepath.Join(r.dir(id), updateFile)
	if err := errors.Join(writeJSON(asked, l.Resources), writeJSON(u.path, u.before)); err != nil {
		return nil, r.fail("update", id, err)
	}
	_, err = r.run(ctx, id, "update", "--resources", asked, id)
	_ = os.Remove(asked)
	if err == nil && l.OOMScoreAdj != nil {
		if u.scores, err = setScores(dirs, *l.OOMScoreAdj); err != nil {
			err = r.fail("update", id, err)
		}
	}
	if err != nil {
		return nil, joined(err, u.Undo())
	}
	return u, nil
}

// UndoUpdate takes an update back that somebody who died has neither kept nor
// taken back, and says whether there was one. OOM scores are not restored.
func (r *OCI) UndoUpdate(id string) (found bool, err error) {
	u := &Update{path: filepath.Join(r.dir(id), restoreFile)}
	data, err := os.ReadFile(u.path)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err == nil && json.Unmarshal(data, &u.before) == nil {
		err = u.Undo()
	}
	if err != nil {
		return true, r.fail("undo update of", id, err)
	}
	return true, nil
}

// writeJSON writes a file that is whole if it is there.
func writeJSON(path string, v any) error {
	data, err := json.Marshal(v)
	if err == nil {
		err = os.WriteFile(path+".new", data, 0o600)
	}
	if err != nil {
		return err
	}
	return os.Rename(path+".new", path)
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
	controllers := slices.Sorted(maps.Keys(dirs))
	if len(controllers) == 0 {
		return before, errors.New("no cgroup of the container is known")
	}
	all, err := cgroups.GetAllPids(dirs[controllers[0]])
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
