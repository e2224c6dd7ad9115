package probe

import (
	"encoding/base64"
	"slices"
	"strings"

	"ocid/conformance/target"
	"ocid/fixtures/images"
	"ocid/fixtures/registry"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"google.golang.org/grpc/codes"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// "AuthConfig contains authorization information for connecting to a registry."
// "IdentityToken is used to authenticate the user and get an access token for the
// registry. RegistryToken is a bearer token to be sent to a registry."
var _ = Describe("PullImage with credentials", target.Covers("image.auth.forms"), func() {
	It("uses each form", imageLimit, func(ctx SpecContext) {
		t := target.Current()
		ref := t.Ref(images.ID1).Tagged
		basic, bearer := registry.Unauthorized, registry.Bearer
		for _, c := range []struct {
			what string
			mode registry.Mode
			auth *runtimeapi.AuthConfig
		}{
			{"user name and password", basic, &runtimeapi.AuthConfig{Username: registry.User, Password: registry.Password}},
			{"user name and password, for a token", bearer, &runtimeapi.AuthConfig{Username: registry.User, Password: registry.Password}},
			{"auth", basic, &runtimeapi.AuthConfig{Auth: encoded(registry.User, registry.Password)}},
			{"auth, filled up", basic, &runtimeapi.AuthConfig{Auth: encoded(registry.User, registry.Password+"\x00\x00")}},
			{"identity token", bearer, &runtimeapi.AuthConfig{IdentityToken: registry.IdentityToken}},
			{"registry token", bearer, &runtimeapi.AuthConfig{RegistryToken: registry.Token}},
		} {
			t.Registry.Set(c.mode)
			removedLater(t, ref)
			Expect(pullAs(ctx, t, ref, "", c.auth)).To(Succeed(), c.what)
			Expect(removeRef(ctx, t, ref)).To(Succeed(), c.what)
		}
	})
})

var _ = Describe("Credentials", target.Covers("image.auth.server"), func() {
	It("go to the registry that they name", imageLimit, func(ctx SpecContext) {
		t := target.Current()
		ref := t.Ref(images.ID1).Tagged
		t.Registry.Set(registry.Unauthorized)
		removedLater(t, ref)
		with := func(server string) error {
			return pullAs(ctx, t, ref, "", &runtimeapi.AuthConfig{Username: registry.User, Password: registry.Password, ServerAddress: server})
		}
		sent := secretsSentTo(t.Registry)
		for _, other := range []string{"https://other.invalid/v1/", "other.invalid", "127.0.0.1:1"} {
			Expect(with(other)).NotTo(Succeed(), "credentials for %s", other)
		}
		Expect(secretsSentTo(t.Registry)).To(ConsistOf(sent), "what came to the registry")
		for _, this := range []string{t.Registry.Addr(), "http://" + t.Registry.Addr() + "/v2/"} {
			Expect(with(this)).To(Succeed(), "credentials for %s", this)
			Expect(removeRef(ctx, t, ref)).To(Succeed())
		}
	})

	It("go to no mirror", imageLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureRestart)
		mirror := anotherRegistry(t)
		configured(ctx, t, target.VarRegistries, "[[registry]]\nprefix = \"far.invalid/x\"\nlocation = \"${REGISTRY}/ocid-test\"\ninsecure = true\n"+
			"[[registry.mirror]]\nlocation = \"%s/ocid-test\"\ninsecure = true\n", mirror.Addr())
		for _, c := range []struct {
			mode registry.Mode
			auth *runtimeapi.AuthConfig
		}{
			{registry.Unauthorized, &runtimeapi.AuthConfig{Username: registry.User, Password: registry.Password}},
			{registry.Bearer, &runtimeapi.AuthConfig{RegistryToken: registry.Token}},
		} {
			mirror.Set(c.mode)
			removedLater(t, "far.invalid/x/id-1:1")
			_ = pullAs(ctx, t, "far.invalid/x/id-1:1", "", c.auth)
			Expect(secretsSentTo(mirror)).To(BeEmpty(), "what came to the mirror")
		}
	})
})

// secretsSentTo are the credentials that came to a registry; an empty user and
// an empty password are none.
func secretsSentTo(p *registry.Proxy) []string {
	return slices.DeleteFunc(p.Authorizations(), func(a string) bool { return a == "Basic "+encoded("", "") })
}

var _ = Describe("PullImage with wrong credentials", target.Covers("image.auth.refused"), func() {
	It("is Unauthenticated and leaves nothing", imageLimit, func(ctx SpecContext) {
		t := target.Current()
		ref := t.Ref(images.ID1).Tagged
		before := t.Now(ctx)
		for _, mode := range []registry.Mode{registry.Unauthorized, registry.Bearer} {
			t.Registry.Set(mode)
			for _, auth := range []*runtimeapi.AuthConfig{nil, {}, {Username: registry.User, Password: "wrong"}, {RegistryToken: "wrong"}} {
				err := pullAs(ctx, t, ref, "", auth)
				t.ExpectCode(err, codes.Unauthenticated)
				t.ExpectRule(err, "image.auth.refused")
				Expect(err.Error()).To(ContainSubstring(ref), "the message names the image")
			}
		}
		t.ExpectNothingLeft(ctx, before)
	})

	It("refuses an auth that can't be read", target.Covers("image.auth.invalid"), imageLimit, func(ctx SpecContext) {
		t := target.Current()
		for _, bad := range []string{"%%%", base64.StdEncoding.EncodeToString([]byte("no colon"))} {
			err := pullAs(ctx, t, t.Ref(images.ID1).Tagged, "", &runtimeapi.AuthConfig{Auth: bad})
			t.ExpectCode(err, codes.InvalidArgument)
			t.ExpectRule(err, "image.auth.invalid")
			Expect(err.Error()).To(And(ContainSubstring("auth.auth"), Not(ContainSubstring(bad))), "the message names the field, not its value")
		}
	})
})

// "own": a log is read by more people than a secret.
var _ = Describe("Credentials of a pull", target.Covers("image.auth.secret"), func() {
	It("stand nowhere", imageLimit, func(ctx SpecContext) {
		t := target.Current()
		ref := t.Ref(images.ID1).Tagged
		const secret = "Gehe1mnis-7f3a"
		seen := ""
		for _, mode := range []registry.Mode{registry.Unauthorized, registry.Bearer, registry.Unavailable, registry.Reset} {
			t.Registry.Set(mode)
			for _, auth := range []*runtimeapi.AuthConfig{
				{Username: registry.User, Password: secret}, {Auth: encoded(registry.User, secret)}, {Auth: secret}, {IdentityToken: secret}, {RegistryToken: secret},
			} {
				err := pullAs(ctx, t, ref, "", auth)
				Expect(err).To(HaveOccurred(), "PullImage with wrong credentials")
				seen += err.Error()
			}
		}
		resp, err := t.Runtime.Status(ctx, &runtimeapi.StatusRequest{Verbose: true})
		Expect(err).NotTo(HaveOccurred())
		seen += resp.String() + t.LogTail()
		for _, hidden := range []string{secret, encoded(registry.User, secret), encoded("", secret)} {
			Expect(strings.Contains(seen, hidden)).To(BeFalse(), "%q is in an error, in the log or in the status", hidden)
		}
	})
})

// "own": credentials of the node, and of the pods of one namespace.
var _ = Describe("PullImage without credentials", target.Covers("image.auth.file"), func() {
	It("gets those of the auth file", imageLimit, func(ctx SpecContext) {
		t := target.Current()
		configured(ctx, t, target.VarAuth, "%s", authFile(t.Registry.Addr()))
		t.Registry.Set(registry.Unauthorized)
		removedLater(t, t.Ref(images.ID1).Tagged)
		Expect(pullAs(ctx, t, t.Ref(images.ID1).Tagged, "", nil)).To(Succeed())
		wrong := &runtimeapi.AuthConfig{Username: registry.User, Password: "wrong"}
		Expect(pullAs(ctx, t, t.Ref(images.ID2).Tagged, "", wrong)).NotTo(Succeed(), "the request's own come first")
	})

	It("gets those of the pod's namespace", imageLimit, func(ctx SpecContext) {
		t := target.Current()
		configured(ctx, t, target.VarNamespaceAuth, "%s", authFile(t.Registry.Addr()))
		t.Registry.Set(registry.Unauthorized)
		ref := t.Ref(images.ID1).Tagged
		removedLater(t, ref)
		for _, other := range []string{"", "other"} {
			t.ExpectRule(pullAs(ctx, t, ref, other, nil), "image.auth.refused")
		}
		Expect(pullAs(ctx, t, ref, "trusted", nil)).To(Succeed())
	})
})
