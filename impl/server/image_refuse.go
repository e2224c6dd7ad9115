package server

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc/codes"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"ocid/impl/gate"
	"ocid/impl/store/image"
	"ocid/spec"
)

// refuseHandler refuses an image that is wanted for a runtime handler nobody
// configured. All handlers share the images.
func (s *Server) refuseHandler(i *runtimeapi.ImageSpec) error {
	h := i.GetRuntimeHandler()
	if _, ok := s.Runtimes[h]; ok || h == "" {
		return nil
	}
	return s.refusal("image.handler", codes.InvalidArgument, "image.runtime_handler", fmt.Errorf("is %.80q, which is not a configured handler", h))
}

// An imageRefusal is how an error of the image store is told to a client.
type imageRefusal struct {
	is     error
	code   codes.Code
	rule   spec.ID
	prefix string // what kubelet reads at the beginning of the message
	field  string // of the request, if one is wrong
}

func imageRefusals() []imageRefusal {
	return []imageRefusal{
		{is: image.ErrSignature, code: codes.Unknown, rule: "image.policy.rejected", prefix: "SignatureValidationFailed: "},
		{is: image.ErrRegistryUnavailable, code: codes.Unknown, rule: "image.pull.unavailable", prefix: "RegistryUnavailable: "},
		{is: image.ErrNoSpace, code: codes.ResourceExhausted, rule: "image.pull.space"},
		{is: image.ErrDigest, code: codes.DataLoss, rule: "image.pull.digest"},
		{is: image.ErrPlatform, code: codes.NotFound, rule: "image.pull.platform"},
		{is: image.ErrNotFound, code: codes.NotFound, rule: "image.pull.missing"},
		{is: image.ErrUnusable, code: codes.InvalidArgument, rule: "image.pull.unusable"},
		{is: image.ErrUnauthorized, code: codes.Unauthenticated, rule: "image.auth.refused"},
		{is: image.ErrInvalidAuth, code: codes.InvalidArgument, rule: "image.auth.invalid", field: "auth.auth "},
		{is: image.ErrEnforced, code: codes.InvalidArgument, rule: "image.name.enforced", field: "image.image "},
		{is: image.ErrInvalidReference, code: codes.InvalidArgument, rule: "image.name.invalid", field: "image.image "},
		{is: image.ErrAmbiguous, code: codes.InvalidArgument, rule: "list.ambiguous", field: "image.image "},
		{is: image.ErrInUse, code: codes.FailedPrecondition, rule: "image.remove.used"},
	}
}

// imageError gives an error of the image store the code, the rule and, for what
// kubelet reads out of the message, the prefix that belong to it.
func imageError(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	for _, r := range imageRefusals() {
		if errors.Is(err, r.is) {
			return &gate.Coded{Code: r.code, Rule: r.rule, Err: fmt.Errorf("%s%s: %s%w", r.prefix, r.rule, r.field, err)}
		}
	}
	return err
}
