package probe

import (
	"os"
	"path/filepath"
	"strings"

	"ocid/conformance/target"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"google.golang.org/grpc/codes"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// "Parent cgroup of the PodSandbox. The cgroupfs style syntax will be used, but
// the container runtime can convert it to systemd semantics if needed."
// (cri-api v1, LinuxPodSandboxConfig.cgroup_parent)
var _ = Describe("RunPodSandbox", func() {
	It("refuses a cgroup parent that the driver can't have", target.Covers("sandbox.run.cgroup-parent"), requestLimit, func(ctx SpecContext) {
		t := target.Current()
		resp, err := t.Runtime.RuntimeConfig(ctx, &runtimeapi.RuntimeConfigRequest{})
		Expect(err).NotTo(HaveOccurred())
		parents := []string{"/../x", "/a/../../b", "../a.slice"}
		if resp.GetLinux().GetCgroupDriver() == runtimeapi.CgroupDriver_SYSTEMD {
			parents = append(parents, "/kubepods", "/kubepods.slice/pod1")
		} else {
			parents = append(parents, "/kubepods.slice", "/a/kubepods-pod1.slice")
		}
		req := t.PodRequest()
		before := t.Now(ctx)
		for _, parent := range parents {
			req.GetConfig().GetLinux().CgroupParent = parent
			_, err := t.RunPod(ctx, req)
			expectInvalid(t, err, "sandbox.run.cgroup-parent", "config.linux.cgroup_parent")
		}
		t.ExpectNothingLeft(ctx, before)
	})
})

var _ = Describe("CreateContainer", func() {
	// limits.h: NAME_MAX is 255, PATH_MAX 4096 with the byte that ends it.
	It("refuses a log path that no file can have", target.Covers("container.create.log-path"), requestLimit, func(ctx SpecContext) {
		t := target.Current()
		pod := t.Pod(ctx)
		name, calls := strings.Repeat("l", 200), witnessed(t)
		for _, path := range []string{strings.Repeat("l", 256), "a/" + strings.Repeat("l", 256) + "/b", strings.Repeat(name+"/", 20) + name[:70]} {
			Expect(len(path)).To(BeNumerically("<", 4096), "another rule")
			_, err := pod.TryCreate(ctx, target.WithContainer(func(c *runtimeapi.ContainerConfig) { c.LogPath = path }))
			expectInvalid(t, err, "container.create.log-path", "config.log_path")
		}
		expectUntouched(t, calls)
		pod.Create(ctx, target.WithContainer(func(c *runtimeapi.ContainerConfig) { c.LogPath = strings.Repeat("l", 255) }))
	})

	// kubelet asks again when a call has timed out; what the first call was given
	// may have gone by then.
	It("finds its container when it is repeated, though a mount's source has gone", target.Covers("container.create.retry"), requestLimit, func(ctx SpecContext) {
		pod := target.Current().Pod(ctx)
		source := filepath.Join(GinkgoT().TempDir(), "source")
		Expect(os.Mkdir(source, 0o755)).To(Succeed())
		req := pod.ContainerRequest(target.Mount(source, "/mnt", true))
		first, err := pod.CreateFrom(ctx, req)
		Expect(err).NotTo(HaveOccurred())
		Expect(os.Remove(source)).To(Succeed())
		again, err := pod.CreateFrom(ctx, req)
		Expect(err).NotTo(HaveOccurred(), "CreateContainer again")
		Expect(again.ID).To(Equal(first.ID))
		_, err = pod.TryCreate(ctx, target.Mount(source, "/mnt", true))
		pod.T.ExpectCode(err, codes.InvalidArgument)
	})
})
