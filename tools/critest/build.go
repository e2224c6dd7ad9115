package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"ocid/fixtures/debian"
	"ocid/fixtures/images"
)

const (
	clients    = "tools/clients" // the module that pins critest and ginkgo
	pinned     = "sha256:9700f9a2f5bf2c45f2f605a0bd3bce7cf37420ec9d3ed50ac2758413308766bf"
	constsFile = "pkg/validate/consts.go" // where critest has it
)

// standIns makes the images that critest pulls. The cache has a name that the Go
// tool passes over.
func standIns(ctx context.Context, bin string) ([]images.Image, error) {
	cache := debian.Cache(filepath.Join(bin, ".cache"))
	var parts images.Parts
	var err error
	if parts.Busybox, err = cache.Busybox(ctx); err != nil {
		return nil, err
	}
	if parts.Nginx, err = cache.Tree(ctx, "nginx", "libc6", "libcrypt1", "libpcre2-8-0", "libssl3", "zlib1g"); err != nil {
		return nil, err
	}
	parts.NoNewPrivs = filepath.Join(bin, ".cache", "nonewprivs")
	if err := goTool(ctx, ".", "build", "-o", parts.NoNewPrivs, "./fixtures/images/nonewprivs"); err != nil {
		return nil, err
	}
	return images.Critest(parts)
}

// buildCritest builds bin/critest with the digest for the pinned one, unless
// that is what is there, and bin/ginkgo, which runs it with several workers.
func buildCritest(ctx context.Context, bin, digest string) error {
	built := filepath.Join(bin, ".cache", "critest-digest")
	source, err := output(ctx, clients, "go", "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/cri-tools")
	if err != nil {
		return err
	}
	stamp := source + " " + digest
	if had, err := os.ReadFile(built); err == nil && string(had) == stamp {
		if _, err := os.Stat(filepath.Join(bin, "critest")); err == nil {
			return nil
		}
	}
	if err := goTool(ctx, clients, "build", "-o", filepath.Join(bin, "ginkgo"), "github.com/onsi/ginkgo/v2/ginkgo"); err != nil {
		return err
	}
	modfile, err := changedModule(bin, source, digest)
	if err != nil {
		return err
	}
	if err := goTool(ctx, clients, "test", "-c", "-modfile", modfile, "-o", filepath.Join(bin, "critest"), "sigs.k8s.io/cri-tools/cmd/critest"); err != nil {
		return err
	}
	return os.WriteFile(built, []byte(stamp), 0o600)
}

// changedModule copies the module of critest, with the digest for the pinned
// one, and returns a go.mod that takes the copy: the Go tool lays no overlay over
// its module cache.
func changedModule(bin, source, digest string) (modfile string, err error) {
	copied := filepath.Join(bin, ".cache", "cri-tools")
	modfile = filepath.Join(bin, ".cache", "critest.mod")
	if err := os.RemoveAll(copied); err != nil {
		return "", err
	}
	if err := os.CopyFS(copied, os.DirFS(source)); err != nil {
		return "", err
	}
	consts := filepath.Join(copied, constsFile)
	text, err := os.ReadFile(consts)
	if err != nil {
		return "", err
	}
	if n := strings.Count(string(text), pinned); n != 1 {
		return "", fmt.Errorf("%s holds the digest %s %d times, not once", constsFile, pinned, n)
	}
	mod, err := os.ReadFile(filepath.Join(clients, "go.mod"))
	if err != nil {
		return "", err
	}
	sum, err := os.ReadFile(filepath.Join(clients, "go.sum"))
	if err != nil {
		return "", err
	}
	mod = append(mod, "\nreplace sigs.k8s.io/cri-tools => "+copied+"\n"...)
	return modfile, errors.Join(
		os.Remove(consts), // the module cache is read-only, and so is the copy
		os.WriteFile(consts, []byte(strings.Replace(string(text), pinned, digest, 1)), 0o600),
		os.WriteFile(modfile, mod, 0o600),
		os.WriteFile(strings.TrimSuffix(modfile, ".mod")+".sum", sum, 0o600))
}

func goTool(ctx context.Context, dir, verb string, args ...string) error {
	_, err := output(ctx, dir, "go", append([]string{verb, "-trimpath", "-buildvcs=false"}, args...)...)
	return err
}

// output runs a program without cgo and returns what it prints.
func output(ctx context.Context, dir, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", program, strings.Join(args, " "), err, said.String())
	}
	return strings.TrimSpace(string(out)), nil
}
