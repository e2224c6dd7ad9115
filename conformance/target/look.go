package target

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/moby/sys/mountinfo"
	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"
	"golang.org/x/sys/unix"
)

// Observer returns the observers themselves, for a look without Ginkgo.
func (t *T) Observer() *Observer { return t.observer }

// ProcessesOf returns the processes in a cgroup named by the ID of a sandbox or
// container. A monitor (conmon) that sits there is left out.
func (t *T) ProcessesOf(id string) []Process {
	ginkgo.GinkgoHelper()
	all, err := t.observer.Processes()
	must(err)
	var of []Process
	for _, p := range all {
		if p.InCgroup(id) && p.State != 'Z' && !isMonitor(p) {
			of = append(of, p)
		}
	}
	return of
}

// isMonitor tells a monitor by its program or by the cgroup that CRI daemons
// give it.
func isMonitor(p Process) bool {
	if len(p.Args) > 0 && strings.HasPrefix(filepath.Base(p.Args[0]), "conmon") {
		return true
	}
	return p.InCgroup("conmon-")
}

// Mentioning returns the daemon's processes whose command line holds the text,
// for instance the monitors of a container.
func (t *T) Mentioning(text string) []Process {
	ginkgo.GinkgoHelper()
	all, err := t.observer.Ours()
	must(err)
	var some []Process
	for _, p := range all {
		if strings.Contains(strings.Join(p.Args, " "), text) {
			some = append(some, p)
		}
	}
	return some
}

// NamespaceOf returns a process's namespace in the form "net:[4026531840]".
func (t *T) NamespaceOf(pid int, kind string) string {
	ginkgo.GinkgoHelper()
	t.Need(FeatureHostProcesses)
	ns, err := Namespace(pid, kind)
	must(err)
	return ns
}

// HostNamespace returns the host's namespace in the same form.
func (t *T) HostNamespace(kind string) string {
	ginkgo.GinkgoHelper()
	ns, err := HostNamespace(kind)
	must(err)
	return ns
}

// OwnerOf returns the user namespace that owns a process's namespace of the
// kind, in the form of [T.NamespaceOf].
func (t *T) OwnerOf(pid int, kind string) string {
	ginkgo.GinkgoHelper()
	f, err := os.Open(fmt.Sprintf("/proc/%d/ns/%s", pid, kind))
	gomega.Expect(err).NotTo(gomega.HaveOccurred())
	defer f.Close()
	owner, err := unix.IoctlRetInt(int(f.Fd()), unix.NS_GET_USERNS)
	gomega.Expect(err).NotTo(gomega.HaveOccurred(), "owner of the %s namespace", kind)
	defer unix.Close(owner)
	name, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", owner))
	gomega.Expect(err).NotTo(gomega.HaveOccurred())
	return name
}

// Mounts returns the mounts below the daemon's directories whose mount point
// holds the text.
func (t *T) Mounts(text string) []*mountinfo.Info {
	ginkgo.GinkgoHelper()
	all, err := t.observer.Mounts()
	must(err)
	var some []*mountinfo.Info
	for _, m := range all {
		if strings.Contains(m.Mountpoint, text) {
			some = append(some, m)
		}
	}
	return some
}

// PinnedNetns returns the entries of the network namespace directories.
func (t *T) PinnedNetns() []PinnedNetns {
	ginkgo.GinkgoHelper()
	all, err := t.observer.Netns()
	must(err)
	return all
}

// Storage returns the records of containers/storage; the feature
// storage-records is needed.
func (t *T) Storage() Storage {
	ginkgo.GinkgoHelper()
	t.Need(FeatureStorageRecords)
	all, err := t.observer.Storage()
	must(err)
	return all
}

// StorageWritten is when a record of a container or a layer was last written; it
// is the zero time where the storage's records can't be read.
func (t *T) StorageWritten() (last time.Time) {
	ginkgo.GinkgoHelper()
	if !t.Has(FeatureStorageRecords) {
		return last
	}
	for _, root := range t.observer.at.Storage {
		for _, sort := range []string{"containers", "layers"} {
			dirs, err := filepath.Glob(filepath.Join(root, "*-"+sort))
			must(err)
			for _, dir := range dirs {
				info, err := os.Stat(dir)
				must(err)
				if info.ModTime().After(last) {
					last = info.ModTime()
				}
			}
		}
	}
	return last
}

// Record returns the container record with the ID, and whether there is one.
func (s Storage) Record(id string) (StorageContainer, bool) {
	for _, c := range s.Containers {
		if c.ID == id {
			return c, true
		}
	}
	return StorageContainer{}, false
}

// Leases returns the held addresses of a sandbox: those under its ID.
func (t *T) Leases(id string) []Lease {
	ginkgo.GinkgoHelper()
	all, err := t.observer.Leases()
	must(err)
	var some []Lease
	for _, l := range all {
		if l.Container == id {
			some = append(some, l)
		}
	}
	return some
}

// Cgroups returns the cgroup directories whose path holds the text.
func (t *T) Cgroups(text string) []string {
	ginkgo.GinkgoHelper()
	all, err := t.observer.Cgroups()
	must(err)
	return holding(all, text)
}

// Files returns the daemon's files whose path holds the text.
func (t *T) Files(text string) []string {
	ginkgo.GinkgoHelper()
	all, err := t.observer.Files()
	must(err)
	return holding(all, text)
}

// NATRules returns the daemon's NAT rules that hold the text.
func (t *T) NATRules(text string) []string {
	ginkgo.GinkgoHelper()
	all, err := t.observer.NATRules()
	must(err)
	return holding(all, text)
}

func holding(all []string, text string) []string {
	var some []string
	for _, s := range all {
		if strings.Contains(s, text) {
			some = append(some, s)
		}
	}
	return some
}

// Now takes a snapshot for a later [T.ExpectNothingLeft].
func (t *T) Now(ctx context.Context) Snapshot {
	ginkgo.GinkgoHelper()
	s, err := t.Snapshot(ctx)
	gomega.Expect(err).NotTo(gomega.HaveOccurred(), "snapshot")
	return s
}

// ExpectNothingLeft fails the case unless the host and the daemon's lists are as
// they were, within five seconds.
func (t *T) ExpectNothingLeft(ctx context.Context, before Snapshot) {
	ginkgo.GinkgoHelper()
	leaks, err := t.Settle(ctx, before)
	gomega.Expect(err).NotTo(gomega.HaveOccurred(), "snapshot")
	if len(leaks) > 0 {
		ginkgo.Fail("the call leaves a trace:\n" + leaks.String())
	}
}
