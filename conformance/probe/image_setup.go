package probe

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"ocid/conformance/target"
	"ocid/fixtures/images"
	"ocid/fixtures/registry"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// pushed pushes an image that the suite does not have in the registry from the
// beginning.
func pushed(ctx context.Context, t *target.T, img images.Image, err error) images.Ref {
	GinkgoHelper()
	Expect(err).NotTo(HaveOccurred(), "make the image")
	refs, err := images.Push(ctx, t.Registry.Addr(), img)
	Expect(err).NotTo(HaveOccurred(), "push the image")
	return refs[img.Name]
}

// anotherRegistry is a second way, with modes of its own, to the same images.
func anotherRegistry(t *target.T) *registry.Proxy {
	GinkgoHelper()
	p, err := registry.NewProxy(t.Registry.Addr())
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(p.Close)
	return p
}

// configured restarts the daemon with one other value.
func configured(ctx context.Context, t *target.T, name, format string, args ...any) {
	GinkgoHelper()
	Expect(t.Reconfigure(ctx, map[string]string{name: fmt.Sprintf(format, args...)})).To(Succeed())
}

// removedLater removes what a name has come to mean when the case is over.
func removedLater(t *target.T, ref string) {
	t.Cleanup("image "+ref, func(ctx context.Context) error { return removeRef(ctx, t, ref) })
}

// pullAs pulls with credentials, for a pod of the namespace.
func pullAs(ctx context.Context, t *target.T, ref, namespace string, auth *runtimeapi.AuthConfig) error {
	req := &runtimeapi.PullImageRequest{Image: &runtimeapi.ImageSpec{Image: ref}, Auth: auth}
	if namespace != "" {
		req.SandboxConfig = &runtimeapi.PodSandboxConfig{Metadata: &runtimeapi.PodSandboxMetadata{Name: "n", Uid: "u", Namespace: namespace}}
	}
	_, err := t.Images.PullImage(ctx, req)
	return err
}

// encoded is a user and a password as an auth has them.
func encoded(user, password string) string {
	return base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
}

// authFile is an auth file with the proxy's credentials for a registry.
func authFile(addr string) string {
	return fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, addr, encoded(registry.User, registry.Password))
}

// A pullShown is a pull in flight as verbose Status shows it.
type pullShown struct {
	Image      string
	Age        string
	Bytes      uint64
	TotalBytes uint64
}

// pullsShown returns what verbose Status shows.
func pullsShown(ctx context.Context, t *target.T) []pullShown {
	GinkgoHelper()
	resp, err := t.Runtime.Status(ctx, &runtimeapi.StatusRequest{Verbose: true})
	Expect(err).NotTo(HaveOccurred(), "Status")
	var info struct{ Pulls []pullShown }
	Expect(json.Unmarshal([]byte(resp.GetInfo()["info"]), &info)).To(Succeed(), "info")
	return info.Pulls
}

// layersOf returns the digests of an image's layers, the lowest first.
func layersOf(img images.Image) (digests []string) {
	GinkgoHelper()
	layers, err := img.Image.Layers()
	Expect(err).NotTo(HaveOccurred())
	for _, l := range layers {
		d, err := l.Digest()
		Expect(err).NotTo(HaveOccurred())
		digests = append(digests, d.String())
	}
	return digests
}
