package runtime

import (
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func pids(all []stat) (ids []int) {
	for _, s := range all {
		ids = append(ids, s.pid)
	}
	return ids
}

func TestBelow(t *testing.T) {
	ours, err := unix.Getsid(0)
	require.NoError(t, err)
	all := []stat{
		{pid: 1, session: 1},
		{pid: 1000001, parent: 1, session: ours},          // root
		{pid: 1000002, parent: 1000001, session: ours},    // child
		{pid: 1000003, parent: 1000002, session: 1000003}, // session of its own
		{pid: 1000004, parent: 1, session: 1000003},       // orphan of that session
		{pid: 1000005, parent: 1000004, session: 1000005}, // its child
		{pid: 1000006, parent: 1, session: ours},          // a stranger in our session
		{pid: 1000007, parent: 1, session: 1000007},       // a stranger
		{pid: 1000008, parent: 1000001, session: ours, state: 'Z'},
		{pid: 1000011, parent: 1, group: 1000001, session: ours}, // orphan in root's group
		{pid: 1000009, parent: 1, session: 1000010},              // dead leader's
	}
	require.Equal(t, []int{1000002, 1000003, 1000004, 1000005, 1000011}, pids(below(all, 1000001, 0)))
	require.Equal(t, []int{1000002, 1000003, 1000004, 1000005, 1000011, 1000009}, pids(below(all, 1000001, 1000010)))
	require.Empty(t, below(all, 1000006, 0))
}

func TestKillTreeGuardsItsRoot(t *testing.T) {
	cmd := exec.Command("sleep", "1000")
	require.NoError(t, cmd.Start())
	st, err := readStat(cmd.Process.Pid)
	require.NoError(t, err)
	require.NoError(t, killTree(stat{pid: st.pid, start: st.start - 1}, 0))
	require.NoError(t, unix.Kill(st.pid, 0))
	require.NoError(t, killTree(st, 0))
	require.ErrorContains(t, cmd.Wait(), "killed")
	began := time.Now()
	require.NoError(t, killTree(st, 0), "again")
	require.Less(t, time.Since(began), time.Second)
}
