package gate

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"ocid/spec"
)

// Domain is the domain of the google.rpc.ErrorInfo that refusals carry.
const Domain = "ocid"

// A Coded error knows the gRPC code of its cause, and the rule that asks for
// it if there is one; the message stays its own.
type Coded struct {
	Code spec.Code
	Rule spec.ID
	Err  error
}

func (c *Coded) Error() string { return c.Err.Error() }

func (c *Coded) Unwrap() error { return c.Err }

// RuleID names the rule, or the one that the cause names, for the client.
func (c *Coded) RuleID() spec.ID {
	var cause interface{ RuleID() spec.ID }
	if c.Rule == "" && errors.As(c.Err, &cause) {
		return cause.RuleID()
	}
	return c.Rule
}

// A Ruled error is a failure that a promise speaks for; its code is its cause's.
type Ruled struct {
	Rule spec.ID
	Err  error
}

func (r *Ruled) Error() string { return string(r.Rule) + ": " + r.Err.Error() }

func (r *Ruled) Unwrap() error { return r.Err }

// RuleID names the promise for the client.
func (r *Ruled) RuleID() spec.ID { return r.Rule }

// toStatus makes the status of an error: the row's code and name if a row
// refused, the code that a cause asks for, or Internal.
func toStatus(err error) error {
	var refusal *spec.Refusal
	var coded *Coded
	code, rule := codes.Internal, spec.ID("")
	if s, ok := err.(interface{ GRPCStatus() *status.Status }); ok { // of the generated code, or of the connection
		if s.GRPCStatus().Code() == codes.Unimplemented {
			return withRule(s.GRPCStatus(), "service.unimplemented")
		}
		return err
	}
	switch {
	case errors.As(err, &refusal):
		code, rule = refusal.Code, refusal.Rule.ID
	case errors.As(err, &coded):
		code, rule = coded.Code, coded.Rule
	case errors.Is(err, context.DeadlineExceeded):
		code = codes.DeadlineExceeded
	case errors.Is(err, context.Canceled):
		code = codes.Canceled
	}
	if rule == "" {
		rule = ruleOf(err)
	}
	if rule == "" && code == codes.Internal {
		rule, err = "service.internal", fmt.Errorf("service.internal: %w", err)
	}
	return withRule(status.New(code, short(err.Error())), rule)
}

// ruleOf is the rule that an error names, or "".
func ruleOf(err error) spec.ID {
	var refusal *spec.Refusal
	if errors.As(err, &refusal) {
		return refusal.Rule.ID
	}
	var ruled interface{ RuleID() spec.ID }
	if errors.As(err, &ruled) {
		return ruled.RuleID()
	}
	return ""
}

// withRule adds the name of the rule, if there is one, for machines.
func withRule(s *status.Status, rule spec.ID) error {
	if rule != "" {
		if with, derr := s.WithDetails(&errdetails.ErrorInfo{Reason: string(rule), Domain: Domain}); derr == nil {
			s = with
		}
	}
	return s.Err()
}

// maxMessage bounds a refusal, in bytes: with its details it has to fit into the
// 8 KiB of metadata that gRPC libraries of other languages take.
const maxMessage = 2048

// short cuts what a caller, or a program that failed, made too long.
func short(message string) string {
	if len(message) <= maxMessage {
		return message
	}
	const cut = "…"
	return strings.ToValidUTF8(message[:maxMessage-len(cut)], "") + cut
}
