package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// kernel are settings of the machine, by their files.
type kernel map[string][]byte

// rememberKernel reads what kubelet sets.
func rememberKernel() (kernel, error) {
	k := kernel{}
	for _, name := range strings.Fields("vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops kernel/keys/root_maxkeys kernel/keys/root_maxbytes") {
		file := "/proc/sys/" + name
		value, err := os.ReadFile(file)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if err == nil {
			k[file] = value
		}
	}
	return k, nil
}

func (k kernel) restore() error {
	var errs []error
	for file, value := range k {
		if now, err := os.ReadFile(file); err == nil && string(now) != string(value) {
			errs = append(errs, os.WriteFile(file, value, 0))
		}
	}
	return errors.Join(errs...)
}

// makeCgroup makes the cgroup in which kubelet makes its own, in each hierarchy.
func makeCgroup(name string) error {
	dirs, err := filepath.Glob("/sys/fs/cgroup/*/cgroup.procs")
	if err != nil {
		return err
	}
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil {
		dirs = []string{"/sys/fs/cgroup/cgroup.procs"} // version 2 alone
	}
	for _, file := range dirs {
		dir := filepath.Dir(file)
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		// A cpuset of version 1 begins empty.
		for _, set := range []string{"cpuset.cpus", "cpuset.mems"} {
			value, err := os.ReadFile(filepath.Join(dir, set))
			if err != nil {
				continue // another hierarchy
			}
			if err := os.WriteFile(filepath.Join(dir, name, set), value, 0); err != nil {
				return err
			}
		}
	}
	return nil
}
