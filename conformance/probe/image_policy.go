package probe

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"ocid/conformance/target"
	"ocid/fixtures/images"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	acceptAll = `{"default": [{"type": "insecureAcceptAnything"}]}`
	rejectAll = `{"default": [{"type": "reject"}]}`
)

// expectRejected expects what kubelet reads as ErrSignatureValidationFailed.
func expectRejected(t *target.T, err error) {
	GinkgoHelper()
	t.ExpectCode(err, codes.Unknown)
	t.ExpectRule(err, "image.policy.rejected")
	Expect(status.Convert(err).Message()).To(HavePrefix("SignatureValidationFailed"))
}

// "SignatureValidationFailed: Unable to validate the image signature on the
// PullImage RPC call." The client drops the code of an error if it is Unknown, and
// the kubelet then reads the beginning of the message. (kubelet v1.37.2)
var _ = Describe("PullImage of what the policy rejects", target.Covers("image.policy.rejected"), func() {
	It("says so and leaves nothing", imageLimit, func(ctx SpecContext) {
		t := target.Current()
		configured(ctx, t, target.VarPolicy, "%s", rejectAll)
		before := t.Now(ctx)
		_, err := pullRef(ctx, t, t.Ref(images.ID1).Tagged)
		expectRejected(t, err)
		Expect(imageOf(ctx, t, t.Ref(images.ID1).Tagged)).To(BeNil())
		t.ExpectNothingLeft(ctx, before)
	})
})

// "own": namespaces of one node may trust different people.
var _ = Describe("The policy of a namespace", target.Covers("image.policy.namespace"), func() {
	It("counts for its pods, instead of the general one", imageLimit, func(ctx SpecContext) {
		t := target.Current()
		configured(ctx, t, target.VarPolicy, "%s", acceptAll)
		before := t.Now(ctx)
		ref := t.Ref(images.ID1).Tagged
		removedLater(t, ref)
		expectRejected(t, pullAs(ctx, t, ref, "distrustful", nil))
		t.ExpectNothingLeft(ctx, before)
		Expect(pullAs(ctx, t, ref, "default", nil)).To(Succeed())
		expectRejected(t, pullAs(ctx, t, ref, "distrustful", nil))
	})

	It("is looked up by a name that is one", target.Covers("request.pull.namespace"), imageLimit, func(ctx SpecContext) {
		t := target.Current()
		for _, bad := range []string{"../policy", "a/b", "."} {
			err := pullAs(ctx, t, t.DefaultImage(), bad, nil)
			t.ExpectCode(err, codes.InvalidArgument)
			t.ExpectRule(err, "request.pull.namespace")
		}
	})
})

// "signedBy: This requirement requires an image to be signed using "simple
// signing" with an expected identity, or accepts a signature if it is using an
// expected identity and key." "sigstoreSigned: …" (containers-policy.json(5))
var _ = Describe("PullImage where the policy wants a signature", target.Covers("image.policy.signed"), func() {
	kinds := map[string]struct {
		require string
		sign    func(ctx context.Context, s *images.Signer, t *target.T, ref images.Ref) error
	}{
		"simple signing": {
			`{"type": "signedBy", "keyType": "GPGKeys", "keyPath": "%s/right.gpg", "signedIdentity": {"type": "matchRepository"}}`,
			func(_ context.Context, s *images.Signer, t *target.T, ref images.Ref) error {
				return s.SignSimple(filepath.Join(t.Work(), "signatures"), ref)
			},
		},
		"sigstore": {
			`{"type": "sigstoreSigned", "keyPath": "%s/right.pub", "signedIdentity": {"type": "matchRepository"}}`,
			func(ctx context.Context, s *images.Signer, _ *target.T, ref images.Ref) error {
				return s.SignSigstore(ctx, ref)
			},
		},
	}
	for name, kind := range kinds {
		It("takes the right key only: "+name, imageLimit, func(ctx SpecContext) {
			t := target.Current()
			right, wrong := newSigner(t, "right"), newSigner(t, "wrong")
			configured(ctx, t, target.VarPolicy, `{"default": [%s]}`, fmt.Sprintf(kind.require, t.Work()))
			before := t.Now(ctx)
			// Images of this case alone: signatures stay in the registry.
			base, err := images.Content(1)
			Expect(err).NotTo(HaveOccurred())
			base.Name = t.Fresh("signed-" + kind.require[10:14])
			ref := pushed(ctx, t, base, nil)
			_, err = pullRef(ctx, t, ref.Tagged)
			expectRejected(t, err)
			Expect(kind.sign(ctx, wrong, t, ref)).To(Succeed())
			_, err = pullRef(ctx, t, ref.Tagged)
			expectRejected(t, err)
			t.ExpectNothingLeft(ctx, before)
			Expect(kind.sign(ctx, right, t, ref)).To(Succeed())
			pulled(ctx, t, ref.Tagged)
			Expect(imageOf(ctx, t, ref.ByDigest)).NotTo(BeNil(), "ImageStatus")
		})
	}
})

func newSigner(t *target.T, stem string) *images.Signer {
	GinkgoHelper()
	s, err := images.NewSigner()
	Expect(err).NotTo(HaveOccurred())
	Expect(s.WriteKeys(t.Work(), stem)).To(Succeed())
	DeferCleanup(func() {
		for _, name := range []string{stem + ".gpg", stem + ".pub", "signatures"} {
			Expect(os.RemoveAll(filepath.Join(t.Work(), name))).To(Succeed())
		}
	})
	return s
}
