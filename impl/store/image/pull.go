package image

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"go.podman.io/image/v5/copy"
	"go.podman.io/image/v5/docker"
	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/image/v5/signature"
	istorage "go.podman.io/image/v5/storage"
	"go.podman.io/image/v5/types"
	"go.podman.io/storage"

	"ocid/impl/store"
)

// Pull fetches the image from its registry and returns its ID, the ID that List
// and Status show. Equal requests share one transfer; the end of ctx ends the
// transfer only when nobody else waits for it. After a failure nothing of the
// image is left, and layers of other images are as they were. When Pull returns
// an ID the image is on disk and survives a power loss.
func (i *Images) Pull(ctx context.Context, request PullRequest) (string, error) {
	candidates, err := i.pullCandidates(request.Ref)
	if err != nil {
		return "", fmt.Errorf("pull %q: %w", request.Ref, err)
	}
	id, err := i.o.Flights.Do(ctx, key(candidates, request), func(ctx context.Context) (string, error) {
		return i.pullFirst(ctx, candidates, request)
	})
	if err != nil {
		return "", fmt.Errorf("pull %q: %w", request.Ref, err)
	}
	return id, nil
}

// pullFirst pulls the first candidate that can be pulled.
func (i *Images) pullFirst(ctx context.Context, candidates []reference.Named, r PullRequest) (id string, err error) {
	back, release, err := i.store.Hold()
	if err != nil {
		return "", err
	}
	defer release()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-i.store.Closing():
			cancel(store.ErrClosed)
		case <-ctx.Done():
		}
	}()
	t := i.pulls.begin(r.Ref)
	defer func() { t.end(err) }()

	var failures []error
	for _, named := range candidates {
		id, err := i.pullOne(ctx, pull{back: back, named: named, request: r, progress: t})
		if err == nil {
			return id, nil
		}
		if len(candidates) > 1 {
			err = fmt.Errorf("%s: %w", named, err)
		}
		failures = append(failures, err)
		if ctx.Err() != nil {
			break
		}
	}
	return "", errors.Join(failures...)
}

// A pull is one candidate's way into the storage.
type pull struct {
	back     storage.Store
	named    reference.Named
	request  PullRequest
	sys      types.SystemContext
	mark     string // directory of the pull
	progress *transfer
}

// pullOne transfers one image, flushes it, and clears up if that fails.
func (i *Images) pullOne(ctx context.Context, p pull) (id string, err error) {
	start, back, named := time.Now(), p.back, p.named
	i.gate.enter()
	defer func() {
		swept := i.gate.leave(err != nil, func() error { return store.SweepLayers(back) })
		if swept != nil {
			i.log.Warn("clean up after a failed pull", "image", named.String(), "err", swept)
		}
	}()
	if p.mark, err = i.markPull(back, named); err != nil {
		return "", classify(ctx, err)
	}
	defer func() {
		if rest := os.RemoveAll(p.mark); rest != nil {
			i.log.Warn("remove the directory of a pull", "dir", p.mark, "err", rest)
		}
	}()
	p.sys = i.sys
	if onLoopback(reference.Domain(named)) {
		p.sys.DockerInsecureSkipTLSVerify = types.OptionalBoolTrue
	}
	if own := ofNamespace(i.o.AuthDir, p.request.Namespace); own != "" {
		p.sys.AuthFilePath = own
	}
	if err := p.request.Auth.apply(&p.sys, named); err != nil {
		return "", err
	}
	id, err = i.transferAgain(ctx, &p)
	if err != nil {
		return "", err
	}
	if err := syncfs(back.GraphRoot()); err != nil {
		return "", classify(ctx, err)
	}
	i.log.Info("image pulled", "image", named.String(), "id", id, "duration", time.Since(start))
	return id, nil
}

// retries bounds how often a transfer starts again because of Remove.
const retries = 10

// transferAgain transfers the image, and starts again when that failed for a
// local reason while an image was removed: the layers that went with it may be
// the ones the transfer meant to build on.
func (i *Images) transferAgain(ctx context.Context, p *pull) (id string, err error) {
	for range retries {
		before := i.removals.Load()
		id, err = i.transfer(ctx, p)
		remote := class(err) != nil || errors.Is(err, ErrRegistryUnavailable)
		if err == nil || ctx.Err() != nil || remote || before == i.removals.Load() {
			return id, err
		}
		i.log.Debug("pull met a removal; again", "image", p.named.String(), "err", err)
	}
	return id, err
}

// transfer copies the image into the storage and names it.
func (i *Images) transfer(ctx context.Context, p *pull) (string, error) {
	blobs, cleanup, err := i.blobDir(p.mark)
	if err != nil {
		return "", classify(ctx, err)
	}
	defer cleanup()
	p.sys.BigFilesTemporaryDir = blobs

	src, err := docker.NewReference(p.named)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrInvalidReference, err)
	}
	dst, err := istorage.Transport.NewStoreReference(p.back, p.named, "")
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrInvalidReference, err)
	}
	manifest, resolved, err := i.copy(ctx, dst, src, p)
	if err != nil {
		return "", err
	}
	_, img, err := istorage.ResolveReference(resolved)
	if err != nil {
		return "", fmt.Errorf("find the pulled image: %w", err)
	}
	if err := i.refuseForeign(ctx, p.back, img); err != nil {
		return "", err
	}
	return img.ID, nameDigest(p.back, img, p.named, manifest)
}

// refuseForeign removes again an image of another operating system, which the
// library takes. Another architecture may be emulated.
func (i *Images) refuseForeign(ctx context.Context, back storage.Store, img *storage.Image) error {
	f, err := i.facts.get(img.ID, func() (fact, error) { return i.read(ctx, back, img.ID) })
	if err != nil || f.config.OS == "" || f.config.OS == runtime.GOOS {
		return err
	}
	_, err = back.DeleteImage(img.ID, true)
	return errors.Join(fmt.Errorf("%w: it is for %s", ErrPlatform, f.config.OS), err)
}

// copy copies src to dst as far as the policy allows, and returns the manifest
// and a reference to the very image.
func (i *Images) copy(ctx context.Context, dst, src types.ImageReference, p *pull) ([]byte, types.ImageReference, error) {
	policy, err := i.policy(p.request.Namespace)
	if err != nil {
		return nil, nil, err
	}
	guard, err := signature.NewPolicyContext(policy)
	if err != nil {
		return nil, nil, fmt.Errorf("signature policy: %w", err)
	}
	defer func() { _ = guard.Destroy() }()
	ctx, watch := watchStall(ctx, i.live.Load().stall, p.progress)
	defer watch.stop()
	var resolved types.ImageReference
	manifest, err := copy.Image(ctx, guard, dst, src, &copy.Options{
		SourceCtx: &p.sys, DestinationCtx: &p.sys,
		Progress: watch.events, ProgressInterval: watch.interval,
		MaxParallelDownloads:    i.o.ParallelBlob,
		ReportResolvedReference: &resolved,
	})
	if err != nil {
		return nil, nil, classify(ctx, err)
	}
	return manifest, resolved, nil
}
