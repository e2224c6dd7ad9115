package stats

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strconv"

	"github.com/opencontainers/cgroups"
	"golang.org/x/sys/unix"
)

// A file of a cgroup is opened when it is first read and stays open: a reading
// is one system call.
type file struct {
	path    string
	fd      int // -1: not open
	missing bool
}

func (f *file) close() {
	if f.fd >= 0 {
		_ = unix.Close(f.fd)
	}
	f.fd, f.missing = -1, false
}

// page is more than what the kernel hands out of a list at once.
const page = 4096

// read returns the contents, in buf if they fit; nil if there is no such file.
// ErrGone if the cgroup has been removed.
func (f *file) read(buf []byte) ([]byte, error) {
	if f.missing || f.path == "" {
		return nil, nil
	}
	if f.fd < 0 {
		fd, err := unix.Open(f.path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if errors.Is(err, unix.ENOENT) {
			f.missing = true
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("open %s: %w", f.path, err)
		}
		f.fd = fd
	}
	data := buf[:0]
	for {
		if cap(data)-len(data) < page {
			data = append(data, make([]byte, page)...)[:len(data)]
		}
		n, err := unix.Pread(f.fd, data[len(data):cap(data)], int64(len(data)))
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.ENODEV):
			return nil, fmt.Errorf("%s: %w", f.path, ErrGone)
		case errors.Is(err, unix.EOPNOTSUPP): // pressure that is switched off, a list of processes in a threaded cgroup
			return nil, nil
		case err != nil:
			return nil, fmt.Errorf("read %s: %w", f.path, err)
		}
		data = data[:len(data)+n]
		// All files but lists of processes come as a whole.
		if n < page/2 {
			return data, nil
		}
	}
}

// number reads a file of one number; "max" and what cgroup v1 means by it are
// Unlimited. Not ok if there is no such file.
func (f *file) number(buf []byte) (v uint64, ok bool, err error) {
	data, err := f.read(buf)
	if err != nil || data == nil {
		return 0, false, err
	}
	v, ok = number(bytes.TrimSpace(data))
	return v, ok, nil
}

// unlimitedV1 is less than any "no limit" of cgroup v1, which is the largest
// number of whole pages, and more than any memory.
const unlimitedV1 = math.MaxInt64 &^ (1<<20 - 1)

func number(text []byte) (uint64, bool) {
	if string(text) == "max" || string(text) == "-1" {
		return Unlimited, true
	}
	v, err := strconv.ParseUint(string(text), 10, 64)
	if err != nil {
		return 0, false
	}
	if v >= unlimitedV1 {
		return Unlimited, true
	}
	return v, true
}

// table reads lines of a key and a number.
func (f *file) table(buf []byte) (map[string]uint64, error) {
	data, err := f.read(buf)
	if err != nil || data == nil {
		return nil, err
	}
	t := map[string]uint64{}
	for line := range bytes.Lines(data) {
		key, text, _ := bytes.Cut(bytes.TrimSpace(line), []byte(" "))
		if v, ok := number(text); ok {
			t[string(key)] = v
		}
	}
	return t, nil
}

// pressure reads a pressure file.
func (f *file) pressure(buf []byte) (*cgroups.PSIStats, error) {
	data, err := f.read(buf)
	if err != nil || data == nil {
		return nil, err
	}
	var p cgroups.PSIStats
	for line := range bytes.Lines(data) {
		fields := bytes.Fields(line)
		if len(fields) == 0 {
			continue
		}
		to := map[string]*cgroups.PSIData{"some": &p.Some, "full": &p.Full}[string(fields[0])]
		if to == nil {
			continue
		}
		for _, field := range fields[1:] {
			key, text, _ := bytes.Cut(field, []byte("="))
			average, _ := strconv.ParseFloat(string(text), 64)
			switch string(key) {
			case "avg10":
				to.Avg10 = average
			case "avg60":
				to.Avg60 = average
			case "avg300":
				to.Avg300 = average
			case "total":
				to.Total, _ = strconv.ParseUint(string(text), 10, 64)
			}
		}
	}
	return &p, nil
}

// at returns a file that is not open yet; an empty directory has none.
func at(dir, name string) *file {
	if dir == "" {
		return &file{fd: -1, missing: true}
	}
	return &file{path: filepath.Join(dir, name), fd: -1}
}
