package namespace

import (
	"fmt"
	"os"
	"path/filepath"
)

// writeSysctl writes on the calling thread: the kernel looks the entry up in the
// namespaces of the task that opens it.
func writeSysctl(path, value string) error {
	f, err := os.OpenFile(filepath.Join("/proc/sys", path), os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("sysctl: %w", err)
	}
	_, err = f.WriteString(value)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("sysctl %q = %q: %w", path, value, err)
	}
	return nil
}
