package image

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/docker/distribution/registry/api/errcode"
	v2 "github.com/docker/distribution/registry/api/v2"
	"go.podman.io/image/v5/docker"
	"go.podman.io/image/v5/manifest"
	"go.podman.io/image/v5/signature"
	"golang.org/x/sys/unix"
)

// classify wraps the error of a transfer so that errors.Is finds its class. The
// end of ctx comes first: it explains all the others.
func classify(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if found := class(err); found != nil {
		return fmt.Errorf("%w: %w", found, err)
	}
	return err
}

// class returns the sentinel an error belongs to, nil if it is a local matter.
func class(err error) error {
	if err == nil {
		return nil
	}
	var rejected signature.PolicyRequirementError
	var unsigned signature.InvalidSignatureError
	if errors.As(err, &rejected) || errors.As(err, &unsigned) {
		return ErrSignature
	}
	if full(err) {
		return ErrNoSpace
	}
	if found := registryClass(err); found != nil {
		return found
	}
	if found := contentClass(err); found != nil {
		return found
	}
	var wire net.Error
	var request *url.Error
	if errors.As(err, &wire) || errors.As(err, &request) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, docker.ErrTooManyRequests) {
		return ErrRegistryUnavailable
	}
	return nil
}

// registryClass is the class of what a registry answered.
func registryClass(err error) error {
	var credentials docker.ErrUnauthorizedForCredentials
	if errors.As(err, &credentials) {
		return ErrUnauthorized
	}
	var coder errcode.ErrorCoder
	if errors.As(err, &coder) {
		switch coder.ErrorCode() {
		case errcode.ErrorCodeUnauthorized, errcode.ErrorCodeDenied:
			return ErrUnauthorized
		case v2.ErrorCodeManifestUnknown, v2.ErrorCodeNameUnknown:
			return ErrNotFound
		case errcode.ErrorCodeUnavailable, errcode.ErrorCodeTooManyRequests:
			return ErrRegistryUnavailable
		}
	}
	var status docker.UnexpectedHTTPStatusError
	if errors.As(err, &status) {
		switch {
		case status.StatusCode >= http.StatusInternalServerError:
			return ErrRegistryUnavailable
		case status.StatusCode == http.StatusNotFound:
			return ErrNotFound
		case status.StatusCode == http.StatusUnauthorized, status.StatusCode == http.StatusForbidden:
			return ErrUnauthorized
		}
	}
	return nil
}

// full says whether a disk or a quota is. A layer is unpacked by another process,
// of whose error only the text arrives.
func full(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) ||
		strings.Contains(err.Error(), unix.ENOSPC.Error()) || strings.Contains(err.Error(), unix.EDQUOT.Error())
}

// damaged says whether a layer that has come whole can't be unpacked. The end of
// a connection reads like the end of an archive, but the library comes to it only
// after it has tried to connect anew, and says so.
func damaged(text string) bool {
	has := func(word string) bool { return strings.Contains(text, word) }
	cut := has("storing blob to file") && strings.HasSuffix(text, io.ErrUnexpectedEOF.Error()) && !has("reconnecting") && !has("heuristic tuning data")
	return cut || has("flate: corrupt input") || has("gzip: invalid checksum") ||
		has("processing tar file("+io.ErrUnexpectedEOF.Error()+")") || has("processing tar file("+tar.ErrHeader.Error()+")")
}

// contentClass is the class of what is wrong with what the registry sent. Where
// the library has no type for an error, its text has to do.
func contentClass(err error) error {
	text := err.Error()
	has := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(text, w) })
	}
	var artifact manifest.NonImageArtifactError
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case has("no image found in image index", "no image found in manifest list"):
		return ErrPlatform
	case has("igest did not match", "does not match provided manifest digest", "does not match selected manifest digest", "does not match expected"):
		return ErrDigest
	case has("does not match config's DiffID", "image config has only", "unsupported docker v2s2 media type"), errors.As(err, &artifact), errors.As(err, &syntax),
		errors.As(err, &kind), errors.Is(err, tar.ErrHeader), errors.Is(err, gzip.ErrHeader), damaged(text):
		return ErrUnusable
	}
	return nil
}
