package probe

import (
	"context"
	"os"
	"path/filepath"
	"syscall"

	"ocid/conformance/target"
	"ocid/fixtures/images"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// "own": who adds a mirror or an alias does not want to restart a node's daemon.
var _ = Describe("A daemon that reads its configuration again", target.Covers("image.reload"), func() {
	It("takes registries and pinned images, unless they are wrong", restartLimit, func(ctx SpecContext) {
		t := target.Current()
		t.Need(target.FeatureOperations)
		ref := t.Ref(images.ID1)
		registries, dropIn := filepath.Join(t.Work(), "registries.conf"), filepath.Join(t.Work(), "conf.d", "30-probe.toml")
		was, err := os.ReadFile(registries)
		Expect(err).NotTo(HaveOccurred())
		write := func(text string) {
			GinkgoHelper()
			Expect(os.WriteFile(registries, []byte(text), 0o600)).To(Succeed())
			Expect(t.TellDaemon(syscall.SIGHUP)).To(Succeed())
		}
		t.Cleanup("configuration as before", func(ctx context.Context) error {
			Expect(os.RemoveAll(dropIn)).To(Succeed())
			write(string(was))
			return t.Restart(ctx, syscall.SIGTERM)
		})
		repository := ref.ByDigest[:len(ref.ByDigest)-len("@"+ref.Digest)]
		write("[aliases]\nmine = \"" + repository + "\"\n" + string(was))
		removedLater(t, ref.Tagged)
		Eventually(ctx, func() error { _, err := pullRef(ctx, t, "mine:1"); return err }).WithTimeout(happensIn()).Should(Succeed(), "PullImage by a new alias")
		write("[[registry]\n")
		Eventually(ctx, t.LogTail).WithTimeout(happensIn()).Should(ContainSubstring("everything stays as it is"))
		Expect(removeRef(ctx, t, ref.Tagged)).To(Succeed())
		_, err = pullRef(ctx, t, "mine:1")
		Expect(err).NotTo(HaveOccurred(), "PullImage while registries.conf is wrong")

		write(string(was))
		Expect(imageOf(ctx, t, ref.Tagged).GetPinned()).To(BeFalse(), "pinned")
		Expect(os.WriteFile(dropIn, []byte("[image]\npinned = ['"+ref.Tagged+"']\n"), 0o600)).To(Succeed())
		Eventually(ctx, func() bool { return imageOf(ctx, t, ref.Tagged).GetPinned() }).WithTimeout(happensIn()).Should(BeTrue(), "pinned, after a file has come")
	})
})
