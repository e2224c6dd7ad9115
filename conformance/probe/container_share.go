package probe

import (
	"strconv"
	"strings"

	"ocid/conformance/target"
	"ocid/fixtures/images"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// inPIDsOf gives a container the PID namespace of another.
func inPIDsOf(id string) target.ContainerOption {
	return target.WithContainer(func(c *runtimeapi.ContainerConfig) {
		ns := c.GetLinux().GetSecurityContext().GetNamespaceOptions()
		ns.Pid, ns.TargetId = runtimeapi.NamespaceMode_TARGET, id
	})
}

// "TARGET targets the namespace of another container. When this is specified, a
// target_id must be specified in NamespaceOption and refer to a container
// previously created with NamespaceMode CONTAINER. This containers namespace will
// be made to match that of container target_id." (cri-api v1, NamespaceMode)
var _ = Describe("PID mode TARGET", func() {
	It("joins the container that it names", target.Covers("container.namespaces.target"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureHostNamespaces)
		pods := [][]target.PodOption{nil}
		if t.Has(target.FeatureUserNamespaces) {
			pods = append(pods, []target.PodOption{target.UserNamespace(usersFrom, usersMany)})
		}
		for _, opts := range pods {
			p := t.Pod(ctx, opts...)
			named, other := p.Run(ctx), p.Run(ctx)
			c := p.Run(ctx, inPIDsOf(named.ID))
			Expect(c.Namespace(ctx, "pid")).To(Equal(named.Namespace(ctx, "pid")))
			Expect(c.Namespace(ctx, "pid")).NotTo(Equal(other.Namespace(ctx, "pid")))
			Expect(c.Stop(ctx, 0)).To(Succeed())
			Expect(named.State(ctx)).To(Equal(runtimeapi.ContainerState_CONTAINER_RUNNING))
		}
	})
	It("names a running container of the pod with a namespace of its own", target.Covers("container.namespaces.target-refused"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		p, shared := t.Pod(ctx), t.Pod(ctx, target.SharedPID())
		foreign, created, exited := t.Running(ctx), p.Create(ctx), ranOut(ctx, p, "true")
		named := p.Run(ctx)
		chained := p.Run(ctx, inPIDsOf(named.ID))
		for what, id := range map[string]string{
			"none": "", "unknown": strings.Repeat("0a", 32), "of another pod": foreign.ID, "created": created.ID, "exited": exited.ID, "a guest itself": chained.ID,
		} {
			_, err := p.TryCreate(ctx, inPIDsOf(id))
			expectInvalid(t, err, "container.namespaces.target-refused", podContext+"namespace_options.target_id")
			Expect(err).To(HaveOccurred(), what)
		}
		_, err := shared.TryCreate(ctx, inPIDsOf(shared.Run(ctx).ID))
		expectInvalid(t, err, "container.namespaces.target-refused", podContext+"namespace_options.target_id")
	})
})

// pid_namespaces(7): "If the 'init' process of a PID namespace terminates, the
// kernel terminates all of the processes in the namespace via a SIGKILL signal."
var _ = Describe("A container in the PID namespace of another", func() {
	It("does not start when that one has ended", target.Covers("container.namespaces.target-ended"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureHostNamespaces)
		p := t.Pod(ctx)
		named := p.Run(ctx)
		c := p.Create(ctx, inPIDsOf(named.ID))
		Expect(named.Stop(ctx, 0)).To(Succeed())
		err := c.Start(ctx)
		t.ExpectCode(err, codes.FailedPrecondition)
		t.ExpectRule(err, "container.namespaces.target-ended")
		Expect(err).To(MatchError(ContainSubstring(named.ID)))
		Eventually(ctx, func() *runtimeapi.ContainerStatus { return c.Status(ctx) }).WithTimeout(happensIn()).Should(And(
			HaveField("State", isExited), HaveField("Reason", "StartError"), HaveField("Message", ContainSubstring(named.ID))))
	})
})

// CRI has no word for it; containers expect what container engines give them.
var _ = Describe("/dev/shm", func() {
	size := func(ctx SpecContext, c *target.Container) string {
		GinkgoHelper()
		return strings.Fields(c.Output(ctx, "/bin/sh", "-c", "df -k /dev/shm | tail -n 1"))[1]
	}
	It("is the pod's, of 64 MiB", target.Covers("container.shm"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureHostNamespaces)
		p := t.Pod(ctx)
		a, b, other := p.Run(ctx), p.Run(ctx), t.Running(ctx)
		a.Output(ctx, "touch", "/dev/shm/mine")
		Expect(b.Output(ctx, "ls", "/dev/shm")).To(Equal("mine"))
		Expect(other.Output(ctx, "ls", "/dev/shm")).To(BeEmpty())
		Expect(size(ctx, a)).To(Equal("65536"))
	})
	It("is the host's in the host's IPC namespace", target.Covers("container.shm"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureHostNamespaces)
		c := t.Running(ctx, target.HostIPC())
		host := t.Fresh("probe")
		c.Output(ctx, "touch", "/dev/shm/"+host)
		Expect(c.Output(ctx, "stat", "-c", "%d", "/dev/shm/"+host)).To(Equal(deviceOf("/dev/shm/" + host)))
		c.Output(ctx, "rm", "/dev/shm/"+host)
	})
})

var _ = Describe("A container", func() {
	// "Command to execute (i.e., entrypoint for docker)" (cri-api v1, ContainerConfig)
	It("without any command is refused", target.Covers("container.process.none"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		ref, err := t.Image(ctx, images.NoCommand)
		Expect(err).NotTo(HaveOccurred())
		p := t.Pod(ctx)
		before := t.Now(ctx)
		none := target.WithContainer(func(c *runtimeapi.ContainerConfig) { c.Command, c.Args = nil, nil })
		_, err = p.TryCreate(ctx, target.Image(ref), none)
		expectInvalid(t, err, "container.process.none", "config.command")
		t.ExpectNothingLeft(ctx, before)
		p.Run(ctx, target.Image(ref), none, target.WithContainer(func(c *runtimeapi.ContainerConfig) { c.Args = []string{"true"} }))
	})

	// execve(2): arguments are texts that end with a NUL byte.
	It("whose command holds a NUL byte is refused", target.Covers("container.process.text"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		p := t.Pod(ctx)
		_, err := p.TryCreate(ctx, target.Command("true", "a\x00b"))
		expectInvalid(t, err, "container.process.text", "config.command")
		_, err = p.TryCreate(ctx, target.WithContainer(func(c *runtimeapi.ContainerConfig) { c.Args = []string{"a\x00b"} }))
		expectInvalid(t, err, "container.process.text", "config.args")
	})

	// "Stop signal" (cri-api v1, ContainerStatus.stop_signal)
	It("shows its stop signal", target.Covers("container.status.stop-signal"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		ref, err := t.Image(ctx, images.StopSignal)
		Expect(err).NotTo(HaveOccurred())
		p := t.Pod(ctx)
		hup := target.WithContainer(func(c *runtimeapi.ContainerConfig) { c.StopSignal = runtimeapi.Signal_SIGNAL_SIGRTMINPLUS3 })
		Expect(p.Create(ctx).Status(ctx).GetStopSignal()).To(Equal(runtimeapi.Signal_SIGNAL_SIGTERM), "of nobody")
		Expect(p.Run(ctx, target.Image(ref)).Status(ctx).GetStopSignal()).To(Equal(runtimeapi.Signal_SIGNAL_SIGUSR1), "of the image")
		Expect(p.Run(ctx, target.Image(ref), hup).Status(ctx).GetStopSignal()).To(Equal(runtimeapi.Signal_SIGNAL_SIGRTMINPLUS3), "of the config")
	})
})

// deviceOf returns the number of the filesystem that a path of the host is on.
func deviceOf(path string) string {
	GinkgoHelper()
	var st unix.Stat_t
	Expect(unix.Stat(path, &st)).To(Succeed())
	return strconv.FormatUint(st.Dev, 10)
}
