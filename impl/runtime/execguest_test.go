package runtime

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestGuestTable(t *testing.T) {
	all := guestTable("UID       PID       PPID      PGID      C         TTY       STIME     TIME      CMD\n" +
		"0         2         0         2         0         ?         01:19     10ms      sleep\n" +
		"1000      4         3         3         0         pts/0     01:19     0s        two words\n" +
		"short 5\n")
	assert.Equal(t, []stat{{pid: 2, group: 2}, {pid: 4, parent: 3, group: 3}}, all)
	assert.Empty(t, guestTable("PID COMMAND\n1 sh\n"), "columns that say too little")
	assert.Empty(t, guestTable(""))
}

func TestGuestBelow(t *testing.T) {
	all := []stat{
		{pid: 9, parent: 8, group: 9}, // a child of a child, in a group of its own
		{pid: 2, group: 2},            // the container's first process
		{pid: 8, parent: 4, group: 4},
		{pid: 7, parent: 2, group: 4}, // lost its parent, but not its group
		{pid: 6, parent: 2, group: 6}, // somebody else's
		{pid: 4, group: 4},            // the command
	}
	seen := map[int]bool{4: true}
	assert.ElementsMatch(t, []int{7, 8, 9}, guestBelow(all, seen))
	assert.Empty(t, guestBelow(all, seen), "nothing was born since")
}
