package probe

import (
	"strconv"
	"strings"
	"syscall"

	"ocid/conformance/target"
	"ocid/fixtures/images"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// runAs sets user, group and supplemental groups; a negative user or group is none.
func runAs(user, group int64, policy runtimeapi.SupplementalGroupsPolicy, groups ...int64) target.ContainerOption {
	return confined(func(sc *runtimeapi.LinuxContainerSecurityContext) {
		if user >= 0 {
			sc.RunAsUser = &runtimeapi.Int64Value{Value: user}
		}
		if group >= 0 {
			sc.RunAsGroup = &runtimeapi.Int64Value{Value: group}
		}
		sc.SupplementalGroups, sc.SupplementalGroupsPolicy = groups, policy
	})
}

const (
	merged = runtimeapi.SupplementalGroupsPolicy_Merge
	strict = runtimeapi.SupplementalGroupsPolicy_Strict
)

// expectIdentity looks at who the container's first process and its commands
// are, and at what the daemon says of it.
func expectIdentity(ctx SpecContext, c *target.Container, uid, gid int64, groups ...int64) {
	GinkgoHelper()
	words := func(ids ...int64) (all []string) {
		for _, id := range ids {
			all = append(all, strconv.FormatInt(id, 10))
		}
		return all
	}
	first := firstOf(ctx, c)
	Expect(strings.Fields(first.line("Uid"))).To(HaveEach(words(uid)[0]), "user")
	Expect(strings.Fields(first.line("Gid"))).To(HaveEach(words(gid)[0]), "group")
	Expect(strings.Fields(first.line("Groups"))).To(ConsistOf(words(groups...)), "groups of the first process")
	Expect(strings.Fields(c.Output(ctx, "id", "-G"))).To(ConsistOf(words(groups...)), "groups of a command")
	expectUserStatus(ctx, c, uid, gid, groups...)
}

func expectUserStatus(ctx SpecContext, c *target.Container, uid, gid int64, groups ...int64) {
	GinkgoHelper()
	user := c.Status(ctx).GetUser().GetLinux()
	Expect(user).NotTo(BeNil(), "user in the status")
	Expect([]int64{user.GetUid(), user.GetGid()}).To(Equal([]int64{uid, gid}), "user and group in the status")
	Expect(user.GetSupplementalGroups()).To(ConsistOf(groups), "groups in the status")
}

// "run_as_username: User name to run the container process as. If specified, the
// user MUST exist in the container image (i.e. in the /etc/passwd inside the
// image), and be resolved there by the runtime; otherwise, the runtime MUST
// error." (cri-api v1)
var _ = Describe("A container's user", func() {
	It("is refused if there is none of the name", target.Covers("security.user.refused"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		absent, err := t.Image(ctx, images.UserAbsent)
		Expect(err).NotTo(HaveOccurred())
		p := t.Pod(ctx)
		before := t.Now(ctx)
		for _, name := range []string{"nosuch", "1000", "www-data:staff", "root:0", " root"} {
			_, err := p.TryCreate(ctx, confined(func(sc *runtimeapi.LinuxContainerSecurityContext) { sc.RunAsUsername = name }))
			expectInvalid(t, err, "security.user.refused", "run_as_username")
		}
		_, err = p.TryCreate(ctx, target.Image(absent))
		expectInvalid(t, err, "security.user.refused", "config.image")
		t.ExpectNothingLeft(ctx, before)
	})
	It("is refused with groups that nobody can be in", target.Covers("security.user.refused"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		p := t.Pod(ctx)
		for _, group := range []int64{-1, 1 << 31, 1<<32 - 1, 1 << 40} {
			_, err := p.TryCreate(ctx, runAs(1000, -1, merged, 1, group))
			expectInvalid(t, err, "security.user.refused", "supplemental_groups")
		}
	})
	It("is refused if the image's user files can't be read", target.Covers("security.user.refused"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		var refs []string
		for _, name := range []string{images.UserFIFO, images.UserLarge} {
			ref, err := t.Image(ctx, name)
			Expect(err).NotTo(HaveOccurred())
			refs = append(refs, ref)
		}
		p := t.Pod(ctx)
		before := t.Now(ctx)
		for _, ref := range refs {
			_, err := p.TryCreate(ctx, target.Image(ref), runAs(0, -1, merged))
			expectInvalid(t, err, "security.user.refused", "config.image")
		}
		t.ExpectNothingLeft(ctx, before)
	})
	// Own. What an image says must not make the daemon read the node's files.
	It("is found through links, which stay in the image", target.Covers("security.user.links"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		ref, err := t.Image(ctx, images.UserLinks)
		Expect(err).NotTo(HaveOccurred())
		p := t.Pod(ctx)
		expectIdentity(ctx, p.Run(ctx, target.Image(ref), confined(func(sc *runtimeapi.LinuxContainerSecurityContext) {
			sc.RunAsUsername = "linked"
		})), 4321, 4322, 4322, 4323)
		_, err = p.TryCreate(ctx, target.Image(ref), confined(func(sc *runtimeapi.LinuxContainerSecurityContext) { sc.RunAsUsername = "root" }))
		expectInvalid(t, err, "security.user.refused", "run_as_username")
	})
})

var _ = Describe("Supplemental groups", func() {
	// "Merge: Supplemental groups specified by supplemental_groups, and those
	// defined in the container image for the container's primary user" (cri-api v1)
	It("come on top of the image's with the policy Merge", target.Covers("security.user.merge", "request.create.groups-policy"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		predefined, err := t.Image(ctx, images.PredefinedGroup)
		Expect(err).NotTo(HaveOccurred())
		linked, err := t.Image(ctx, images.UserLinks)
		Expect(err).NotTo(HaveOccurred())
		p := t.Pod(ctx)
		expectIdentity(ctx, p.Run(ctx, target.Image(predefined), runAs(-1, -1, merged, 1234)), 1000, 1000, 1000, 50000, 1234)
		expectIdentity(ctx, p.Run(ctx, runAs(1000, 2000, merged, 1234)), 1000, 2000, 2000, 50000, 1234)
		expectIdentity(ctx, p.Run(ctx, target.Image(linked)), 4321, 4999, 4999, 4323)
	})
	// "Strict: Groups specified by supplemental_groups are attached. The ones
	// defined in the container image are not" (cri-api v1)
	It("are the only ones with the policy Strict", target.Covers("security.user.strict"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		predefined, err := t.Image(ctx, images.PredefinedGroup)
		Expect(err).NotTo(HaveOccurred())
		p := t.Pod(ctx)
		expectIdentity(ctx, p.Run(ctx, target.Image(predefined), runAs(-1, -1, strict, 1234)), 1000, 1000, 1000, 1234)
		expectIdentity(ctx, p.Run(ctx, runAs(1000, 2000, strict)), 1000, 2000, 2000)
	})
})

// "ContainerUser: User identities of the first process in the container." "If the
// user identity is not known yet, it is left out." (cri-api v1, ContainerStatus)
var _ = Describe("The user in a container's status", func() {
	It("is who its first process began as, also after a restart", target.Covers("security.user.status"), containerLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureRestart)
		p := t.Pod(ctx)
		plain, c := p.Create(ctx), p.Create(ctx, runAs(1000, 2000, merged, 1234))
		expect := func(when string) {
			By(when)
			expectUserStatus(ctx, plain, 0, 0, 0)
			expectUserStatus(ctx, c, 1000, 2000, 2000, 50000, 1234)
		}
		expect("created")
		Expect(c.Start(ctx)).To(Succeed())
		expect("running")
		Expect(t.Restart(ctx, syscall.SIGKILL)).To(Succeed())
		expect("after a restart")
		Expect(c.Stop(ctx, 0)).To(Succeed())
		expect("exited")
	})
	// "supplemental_groups_policy should be set to true if the runtime supports
	// SupplementalGroupsPolicy and ContainerUser." (cri-api v1, RuntimeFeatures)
	It("is announced", target.Covers("security.user.feature"), containerLimit, func(ctx SpecContext) {
		r, err := target.Current().Runtime.Status(ctx, &runtimeapi.StatusRequest{})
		Expect(err).NotTo(HaveOccurred())
		Expect(r.GetFeatures().GetSupplementalGroupsPolicy()).To(BeTrue())
	})
})
