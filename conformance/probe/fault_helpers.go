package probe

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"ocid/conformance/target"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// diskSize is room for some images and pods of the suite.
const diskSize = "size=24m"

// elsewhere is a second daemon of the profile whose persistent directory is on
// a small disk. While it is there the target's calls go to it.
type elsewhere struct {
	t      *target.T
	disk   string // where the disk is mounted
	filler string // the file that fills it
	socket string
	run    string
	cmd    *exec.Cmd
	conn   *grpc.ClientConn
}

func startElsewhere(ctx context.Context, t *target.T) *elsewhere {
	GinkgoHelper()
	t.Need(target.FeatureRestart)
	top := filepath.Join(t.Work(), "elsewhere")
	d := &elsewhere{t: t, disk: filepath.Join(top, "disk"), socket: filepath.Join(t.Work(), "s2"), run: filepath.Join(top, "run")}
	d.filler = filepath.Join(d.disk, "filler")
	Expect(os.MkdirAll(d.disk, 0o755)).To(Succeed())
	Expect(unix.Mount("disk", d.disk, "tmpfs", 0, diskSize)).To(Succeed())
	runtime, images := t.Runtime, t.Images
	t.Cleanup("second daemon", func(ctx context.Context) error {
		t.Runtime, t.Images = runtime, images
		return errors.Join(d.end(ctx, unix.SIGTERM), d.conn.Close(), unmountBelow(top), os.RemoveAll(top))
	})
	conn, err := target.Dial(d.socket, 30*time.Second)
	Expect(err).NotTo(HaveOccurred())
	d.conn = conn
	d.start(ctx)
	t.Runtime, t.Images = runtimeapi.NewRuntimeServiceClient(conn), runtimeapi.NewImageServiceClient(conn)
	return d
}

// value is the profile's variable, but for the daemon's own places.
func (d *elsewhere) value(name string) string {
	switch name {
	case "ROOT":
		return filepath.Join(d.disk, "root")
	case "RUNROOT":
		return d.run
	case "LISTEN":
		return d.socket
	}
	return d.t.Var(name)
}

func (d *elsewhere) start(ctx context.Context) {
	GinkgoHelper()
	var argv []string
	for _, arg := range d.t.Profile().Daemon.Command {
		argv = append(argv, os.Expand(arg, d.value))
	}
	d.cmd = exec.Command(argv[0], argv[1:]...)
	d.cmd.Stderr = GinkgoWriter
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	Expect(d.cmd.Start()).To(Succeed())
	_, err := runtimeapi.NewRuntimeServiceClient(d.conn).Version(ctx, &runtimeapi.VersionRequest{}, grpc.WaitForReady(true))
	Expect(err).NotTo(HaveOccurred(), "Version of the second daemon")
}

// end ends the daemon; SIGTERM has to lead to exit code 0.
func (d *elsewhere) end(ctx context.Context, sig syscall.Signal) error {
	if d.cmd == nil || d.cmd.ProcessState != nil {
		return nil
	}
	kill := context.AfterFunc(ctx, func() { _ = d.cmd.Process.Kill() })
	defer kill()
	if err := d.cmd.Process.Signal(sig); err != nil {
		return err
	}
	err := d.cmd.Wait()
	var exit *exec.ExitError
	if sig == unix.SIGKILL && errors.As(err, &exit) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("second daemon: %w", err)
	}
	return nil
}

// restart kills the daemon with SIGKILL and starts it again.
func (d *elsewhere) restart(ctx context.Context) {
	GinkgoHelper()
	Expect(d.end(ctx, unix.SIGKILL)).To(Succeed())
	d.start(ctx)
}

// fill writes a file until the disk has not a byte left.
func (d *elsewhere) fill() {
	GinkgoHelper()
	f, err := os.Create(d.filler)
	Expect(err).NotTo(HaveOccurred())
	d.t.Cleanup("room on the disk", func(context.Context) error { return os.RemoveAll(d.filler) })
	defer func() { _ = f.Close() }()
	chunk := make([]byte, 4096)
	for err == nil {
		_, err = f.Write(chunk)
	}
	Expect(err).To(MatchError(unix.ENOSPC))
}

// aLittle is what a daemon may write for good in a pull that fails (bytes).
const aLittle = 64 << 10

// free returns the free bytes of the disk.
func (d *elsewhere) free() int64 {
	GinkgoHelper()
	var fs unix.Statfs_t
	Expect(unix.Statfs(d.disk, &fs)).To(Succeed())
	return int64(fs.Bfree) * fs.Bsize
}

func (d *elsewhere) size(file string) int64 {
	GinkgoHelper()
	info, err := os.Stat(file)
	Expect(err).NotTo(HaveOccurred())
	return info.Size()
}

// unmountBelow unmounts what is mounted at or below a directory.
func unmountBelow(top string) error {
	var errs []error
	mounts := target.Current().Mounts(top)
	for i := range mounts {
		errs = append(errs, unix.Unmount(mounts[len(mounts)-1-i].Mountpoint, unix.MNT_DETACH))
	}
	return errors.Join(errs...)
}
