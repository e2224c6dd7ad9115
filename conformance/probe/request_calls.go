package probe

import (
	"context"

	"ocid/conformance/target"

	. "github.com/onsi/ginkgo/v2"
	"github.com/onsi/ginkgo/v2/types"
	. "github.com/onsi/gomega"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// call is a row about any other call, none of which names an object.
func call(rule, field, what string, calls ...func(context.Context, *target.T) error) TableEntry {
	return Entry(what, target.Covers(rule), requestLimit, types.NewCodeLocation(1), rule, field, calls)
}

func answerOf[A any](_ A, err error) error { return err }

// A call about one object names it: an empty ID is the mistake of a caller, and
// must not pass for the ID of an object that has gone, which Stop and Remove
// answer with success.
var _ = DescribeTable("An empty name",
	func(ctx SpecContext, rule, field string, calls []func(context.Context, *target.T) error) {
		t := target.Current()
		for _, c := range calls {
			expectInvalid(t, c(ctx, t), rule, field)
		}
		expectUntouched(t, 0)
	},
	// "ID of the PodSandbox for which to retrieve status.", "… to stop.", "… to remove."
	call("request.status.sandbox", "pod_sandbox_id", "PodSandboxStatus without an ID", func(ctx context.Context, t *target.T) error {
		return answerOf(t.Runtime.PodSandboxStatus(ctx, &runtimeapi.PodSandboxStatusRequest{}))
	}),
	call("request.stop.sandbox", "pod_sandbox_id", "StopPodSandbox without an ID", func(ctx context.Context, t *target.T) error {
		return answerOf(t.Runtime.StopPodSandbox(ctx, &runtimeapi.StopPodSandboxRequest{}))
	}),
	call("request.remove.sandbox", "pod_sandbox_id", "RemovePodSandbox without an ID", func(ctx context.Context, t *target.T) error {
		return answerOf(t.Runtime.RemovePodSandbox(ctx, &runtimeapi.RemovePodSandboxRequest{}))
	}),
	// "ID of the container to start.", "… to stop.", "… to remove.", "… for which to
	// retrieve status.", "ID of the container."
	call("request.start.container", "container_id", "StartContainer without an ID", func(ctx context.Context, t *target.T) error {
		return answerOf(t.Runtime.StartContainer(ctx, &runtimeapi.StartContainerRequest{}))
	}),
	call("request.stop.container", "container_id", "StopContainer without an ID", func(ctx context.Context, t *target.T) error {
		return answerOf(t.Runtime.StopContainer(ctx, &runtimeapi.StopContainerRequest{Timeout: 1}))
	}),
	call("request.remove.container", "container_id", "RemoveContainer without an ID", func(ctx context.Context, t *target.T) error {
		return answerOf(t.Runtime.RemoveContainer(ctx, &runtimeapi.RemoveContainerRequest{}))
	}),
	call("request.container-status.container", "container_id", "ContainerStatus without an ID", func(ctx context.Context, t *target.T) error {
		return answerOf(t.Runtime.ContainerStatus(ctx, &runtimeapi.ContainerStatusRequest{}))
	}),
	call("request.exec-sync.container", "container_id", "ExecSync without an ID", func(ctx context.Context, t *target.T) error {
		return answerOf(t.Runtime.ExecSync(ctx, &runtimeapi.ExecSyncRequest{Cmd: []string{"true"}}))
	}),
	// "Spec of the image."
	call("request.pull.image", "image.image", "PullImage without an image",
		func(ctx context.Context, t *target.T) error {
			return answerOf(t.Images.PullImage(ctx, &runtimeapi.PullImageRequest{Image: &runtimeapi.ImageSpec{}}))
		},
		func(ctx context.Context, t *target.T) error {
			return answerOf(t.Images.PullImage(ctx, &runtimeapi.PullImageRequest{}))
		}),
	call("request.image-status.image", "image.image", "ImageStatus without an image",
		func(ctx context.Context, t *target.T) error {
			return answerOf(t.Images.ImageStatus(ctx, &runtimeapi.ImageStatusRequest{Image: &runtimeapi.ImageSpec{}}))
		},
		func(ctx context.Context, t *target.T) error {
			return answerOf(t.Images.ImageStatus(ctx, &runtimeapi.ImageStatusRequest{}))
		}),
	// "CIDR to use for pod IP addresses."
	call("request.update-config.pod-cidr", "pod_cidr", "UpdateRuntimeConfig with a pod CIDR that is none",
		func(ctx context.Context, t *target.T) error { return updatePodCIDR(ctx, t, "10.0.0.1") },
		func(ctx context.Context, t *target.T) error { return updatePodCIDR(ctx, t, "10.0.0.0/8,fd00::/129") }),
	// "Spec of the image to remove."
	call("request.remove-image.image", "image.image", "RemoveImage without an image",
		func(ctx context.Context, t *target.T) error {
			return answerOf(t.Images.RemoveImage(ctx, &runtimeapi.RemoveImageRequest{Image: &runtimeapi.ImageSpec{}}))
		},
		func(ctx context.Context, t *target.T) error {
			return answerOf(t.Images.RemoveImage(ctx, &runtimeapi.RemoveImageRequest{}))
		}),
)

var _ = Describe("A request for a running container", func() {
	// "Timeout in seconds to wait for the container to stop before forcibly
	// terminating it. Default: 0 (forcibly terminate the container immediately)"
	It("is refused if the grace period is no time", target.Covers("request.stop.timeout"), requestLimit, func(ctx SpecContext) {
		t := target.Current()
		c := t.Running(ctx)
		calls := witnessed(t)
		for _, timeout := range []int64{-1, 1<<31 + 1, -1 << 63, 1<<63 - 1} {
			expectInvalid(t, c.Stop(ctx, timeout), "request.stop.timeout", "timeout")
		}
		expectUntouched(t, calls)
		Expect(c.State(ctx)).To(Equal(runtimeapi.ContainerState_CONTAINER_RUNNING))
	})

	It("is obeyed if the grace period is a long time", target.Covers("request.stop.timeout"), requestLimit, func(ctx SpecContext) {
		c := target.Current().Running(ctx)
		Expect(c.Stop(ctx, 1<<31)).To(Succeed())
		Expect(c.Status(ctx).GetExitCode()).To(BeZero(), "it ends by itself on its stop signal")
	})

	// "Command to execute."
	It("is refused without a command to execute", target.Covers("request.exec-sync.cmd"), requestLimit, func(ctx SpecContext) {
		t := target.Current()
		c := t.Running(ctx)
		calls := witnessed(t)
		_, err := t.Runtime.ExecSync(ctx, &runtimeapi.ExecSyncRequest{ContainerId: c.ID})
		expectInvalid(t, err, "request.exec-sync.cmd", "cmd")
		expectUntouched(t, calls)
	})

	// "Timeout in seconds to stop the command. Default: 0 (run forever)."
	It("is refused if the timeout of the command is no time", target.Covers("request.exec-sync.timeout"), requestLimit, func(ctx SpecContext) {
		t := target.Current()
		c := t.Running(ctx)
		calls := witnessed(t)
		for _, timeout := range []int64{-1, 1<<31 + 1, 1<<63 - 1} {
			_, err := t.Runtime.ExecSync(ctx, &runtimeapi.ExecSyncRequest{ContainerId: c.ID, Cmd: []string{"true"}, Timeout: timeout})
			expectInvalid(t, err, "request.exec-sync.timeout", "timeout")
		}
		expectUntouched(t, calls)
	})

	It("is obeyed with no timeout and with a long one", target.Covers("request.exec-sync.timeout"), requestLimit, func(ctx SpecContext) {
		t := target.Current()
		c := t.Running(ctx)
		for _, timeout := range []int64{0, 1 << 31} {
			r, err := t.Runtime.ExecSync(ctx, &runtimeapi.ExecSyncRequest{ContainerId: c.ID, Cmd: []string{"echo", "done"}, Timeout: timeout})
			Expect(err).NotTo(HaveOccurred(), "timeout %d", timeout)
			Expect(string(r.GetStdout())).To(Equal("done\n"))
		}
	})
})
