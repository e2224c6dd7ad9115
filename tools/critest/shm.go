package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// segments are System V shared memory segments of the host, by ID.
type segments map[int]bool

func sharedMemory() (segments, error) {
	text, err := os.ReadFile("/proc/sysvipc/shm")
	if err != nil {
		return nil, err
	}
	all := segments{}
	for _, line := range strings.Split(string(text), "\n")[1:] {
		if fields := strings.Fields(line); len(fields) > 1 {
			id, err := strconv.Atoi(fields[1])
			if err != nil {
				return nil, fmt.Errorf("/proc/sysvipc/shm: %w", err)
			}
			all[id] = true
		}
	}
	return all, nil
}

// removeOthers removes the segments that are new since: critest's specs about
// the host's IPC namespace make two and leave them.
func (s segments) removeOthers() error {
	now, err := sharedMemory()
	if err != nil {
		return err
	}
	var errs []error
	for id := range now {
		if !s[id] {
			_, err := unix.SysvShmCtl(id, unix.IPC_RMID, nil)
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
