package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"

	"github.com/docker/distribution/registry/api/errcode"
	v2 "github.com/docker/distribution/registry/api/v2"
	"go.podman.io/image/v5/docker"
	"go.podman.io/image/v5/signature"
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
	var rejected signature.PolicyRequirementError
	var unsigned signature.InvalidSignatureError
	if errors.As(err, &rejected) || errors.As(err, &unsigned) {
		return ErrSignature
	}
	if found := registryClass(err); found != nil {
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
