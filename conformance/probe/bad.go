package probe

import (
	"context"
	"fmt"
	"strings"

	"ocid/conformance/target"

	. "github.com/onsi/ginkgo/v2"
	"github.com/onsi/ginkgo/v2/types"
	. "github.com/onsi/gomega"
	"google.golang.org/grpc/codes"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// strangeIDs are IDs that no object has and that no daemon should take for a path,
// a pattern or a number.
func strangeIDs() []string {
	return []string{
		"unknown", strings.Repeat("0b", 32), strings.Repeat("f", 10_000), "../" + strings.Repeat("0", 61), "/", "..", "*", "a/../b", " ", "a\x00b", "\n", "%s%n", "世界",
	}
}

// strange is a row: what a call has to answer for any ID that nobody has.
func strange(rule, what string, code codes.Code, call func(context.Context, *target.T, string) error) TableEntry {
	return Entry(what, target.Covers(rule), requestLimit, types.NewCodeLocation(1), rule, code, call)
}

// The kubelet calls for objects that are long gone, other clients for what they
// misspell. Each answer is clear, short, and nothing changes.
var _ = DescribeTable("An ID that nobody has",
	func(ctx SpecContext, rule string, code codes.Code, call func(context.Context, *target.T, string) error) {
		t := target.Current()
		bystander := t.Pod(ctx).Create(ctx)
		before := t.Now(ctx)
		for _, id := range strangeIDs() {
			err := call(ctx, t, id)
			if code == codes.OK {
				Expect(err).NotTo(HaveOccurred(), "ID %.80q", id)
				continue
			}
			t.ExpectCode(err, code)
			t.ExpectRule(err, rule)
			expectShort(err)
		}
		t.ExpectNothingLeft(ctx, before)
		Expect(bystander.State(ctx)).To(Equal(runtimeapi.ContainerState_CONTAINER_CREATED))
	},
	strange("sandbox.status.absent", "is NotFound to PodSandboxStatus", codes.NotFound, func(ctx context.Context, t *target.T, id string) error {
		return answerOf(t.Runtime.PodSandboxStatus(ctx, &runtimeapi.PodSandboxStatusRequest{PodSandboxId: id}))
	}),
	strange("sandbox.stop.absent", "is no error to StopPodSandbox", codes.OK, func(ctx context.Context, t *target.T, id string) error {
		return answerOf(t.Runtime.StopPodSandbox(ctx, &runtimeapi.StopPodSandboxRequest{PodSandboxId: id}))
	}),
	strange("sandbox.remove.absent", "is no error to RemovePodSandbox", codes.OK, func(ctx context.Context, t *target.T, id string) error {
		return answerOf(t.Runtime.RemovePodSandbox(ctx, &runtimeapi.RemovePodSandboxRequest{PodSandboxId: id}))
	}),
	strange("sandbox.join.absent", "is NotFound to CreateContainer", codes.NotFound, func(ctx context.Context, t *target.T, id string) error {
		return answerOf(t.Runtime.CreateContainer(ctx, &runtimeapi.CreateContainerRequest{PodSandboxId: id, Config: t.ContainerConfig("", "")}))
	}),
	strange("container.start.absent", "is NotFound to StartContainer", codes.NotFound, func(ctx context.Context, t *target.T, id string) error {
		return (&target.Container{T: t, ID: id}).Start(ctx)
	}),
	strange("container.stop.absent", "is no error to StopContainer", codes.OK, func(ctx context.Context, t *target.T, id string) error {
		return (&target.Container{T: t, ID: id}).Stop(ctx, 1)
	}),
	strange("container.remove.absent", "is no error to RemoveContainer", codes.OK, func(ctx context.Context, t *target.T, id string) error {
		return (&target.Container{T: t, ID: id}).Remove(ctx)
	}),
	strange("container.status.absent", "is NotFound to ContainerStatus", codes.NotFound, func(ctx context.Context, t *target.T, id string) error {
		return answerOf((&target.Container{T: t, ID: id}).TryStatus(ctx))
	}),
	strange("container.exec.absent", "is NotFound to ExecSync", codes.NotFound, func(ctx context.Context, t *target.T, id string) error {
		return answerOf(t.Runtime.ExecSync(ctx, &runtimeapi.ExecSyncRequest{ContainerId: id, Cmd: []string{"true"}}))
	}),
	strange("list.sandbox-filter", "is an empty list to ListPodSandbox", codes.OK, func(ctx context.Context, t *target.T, id string) error {
		r, err := t.Runtime.ListPodSandbox(ctx, &runtimeapi.ListPodSandboxRequest{Filter: &runtimeapi.PodSandboxFilter{Id: id}})
		Expect(r.GetItems()).To(BeEmpty())
		return err
	}),
	strange("list.container-filter", "is an empty list to ListContainers", codes.OK, func(ctx context.Context, t *target.T, id string) error {
		r, err := t.Runtime.ListContainers(ctx, &runtimeapi.ListContainersRequest{Filter: &runtimeapi.ContainerFilter{Id: id}})
		Expect(r.GetContainers()).To(BeEmpty())
		r, err2 := t.Runtime.ListContainers(ctx, &runtimeapi.ListContainersRequest{Filter: &runtimeapi.ContainerFilter{PodSandboxId: id}})
		Expect(r.GetContainers()).To(BeEmpty())
		Expect(err2).NotTo(HaveOccurred())
		return err
	}),
)

// sharedBeginning makes objects until two have IDs that begin alike, and returns
// the longest beginning that both have. Of 17 IDs in hexadecimal two do.
func sharedBeginning(next func() string) (prefix string, made int) {
	GinkgoHelper()
	const most = 40
	seen := map[byte]string{}
	for made = 1; made <= most; made++ {
		id := next()
		Expect(id).NotTo(BeEmpty())
		other, ok := seen[id[0]]
		if !ok {
			seen[id[0]] = id
			continue
		}
		n := 0
		for n < len(id) && n < len(other) && id[n] == other[n] {
			n++
		}
		return id[:n], made
	}
	Fail(fmt.Sprintf("%d IDs begin with different letters", most))
	return "", 0
}

// Own: the beginning of an ID stands for it as long as no other begins so. What
// could mean two objects means neither: the wrong one would be stopped.
var _ = Describe("The beginning of several IDs", func() {
	It("names no sandbox", target.Covers("list.ambiguous"), requestLimit, func(ctx SpecContext) {
		t := target.Current()
		var pods []*target.Pod
		prefix, _ := sharedBeginning(func() string {
			pods = append(pods, t.Pod(ctx, quickPod(t)...))
			return pods[len(pods)-1].ID
		})
		nobody := &target.Pod{T: t, ID: prefix, Config: pods[0].Config}
		_, err := nobody.TryStatus(ctx)
		t.ExpectCode(err, codes.NotFound)
		_, err = nobody.TryCreate(ctx)
		t.ExpectCode(err, codes.NotFound)
		list, err := t.Runtime.ListPodSandbox(ctx, &runtimeapi.ListPodSandboxRequest{Filter: &runtimeapi.PodSandboxFilter{Id: prefix}})
		Expect(err).NotTo(HaveOccurred())
		Expect(list.GetItems()).To(BeEmpty())
		Expect(nobody.Stop(ctx)).To(Succeed(), "as for any sandbox that is not there")
		Expect(nobody.Remove(ctx)).To(Succeed(), "as for any sandbox that is not there")
		for _, p := range pods {
			expectReady(ctx, p)
		}
	})

	It("names no container", target.Covers("list.ambiguous"), requestLimit, func(ctx SpecContext) {
		t := target.Current()
		p := t.Pod(ctx, quickPod(t)...)
		var containers []*target.Container
		prefix, _ := sharedBeginning(func() string {
			containers = append(containers, p.Create(ctx))
			return containers[len(containers)-1].ID
		})
		nobody := &target.Container{T: t, Pod: p, ID: prefix}
		_, err := nobody.TryStatus(ctx)
		t.ExpectCode(err, codes.NotFound)
		t.ExpectCode(nobody.Start(ctx), codes.NotFound)
		_, _, _, err = nobody.Exec(ctx, "true")
		t.ExpectCode(err, codes.NotFound)
		list, err := t.Runtime.ListContainers(ctx, &runtimeapi.ListContainersRequest{Filter: &runtimeapi.ContainerFilter{Id: prefix}})
		Expect(err).NotTo(HaveOccurred())
		Expect(list.GetContainers()).To(BeEmpty())
		Expect(nobody.Stop(ctx, 0)).To(Succeed(), "as for any container that is not there")
		Expect(nobody.Remove(ctx)).To(Succeed(), "as for any container that is not there")
		for _, c := range containers {
			Expect(c.State(ctx)).To(Equal(runtimeapi.ContainerState_CONTAINER_CREATED))
		}
	})
})

// quickPod makes pods without network, where the daemon has that.
func quickPod(t *target.T) []target.PodOption {
	if t.Has(target.FeatureHostNetwork) {
		return []target.PodOption{target.HostNetwork()}
	}
	return nil
}

var _ = Describe("Two pods", func() {
	// "Metadata of the sandbox. This information will uniquely identify the sandbox"
	It("are two, though their names are alike when they are put together", target.Covers("sandbox.run.new"), requestLimit, func(ctx SpecContext) {
		t := target.Current()
		first, second := t.PodRequest(), t.PodRequest()
		uid := second.GetConfig().GetMetadata().GetUid()
		for req, names := range map[*runtimeapi.RunPodSandboxRequest][3]string{first: {"a_b", "c", uid}, second: {"a", "b_c", uid}} {
			m := req.GetConfig().GetMetadata()
			m.Name, m.Namespace, m.Uid = names[0], names[1], names[2]
		}
		a, err := t.RunPod(ctx, first)
		Expect(err).NotTo(HaveOccurred())
		b, err := t.RunPod(ctx, second)
		Expect(err).NotTo(HaveOccurred())
		Expect(a.ID).NotTo(Equal(b.ID))
	})
})
