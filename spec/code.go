package spec

import "google.golang.org/grpc/codes"

// Code is the gRPC code that a refusal carries.
type Code = codes.Code

// The codes that rows use. cri-api names none; these are the ones that kubelet
// branches on, or that gRPC's own definitions give for the case.
const (
	InvalidArgument    = codes.InvalidArgument
	NotFound           = codes.NotFound
	AlreadyExists      = codes.AlreadyExists
	FailedPrecondition = codes.FailedPrecondition
	DeadlineExceeded   = codes.DeadlineExceeded
	Unavailable        = codes.Unavailable
	DataLoss           = codes.DataLoss
	Unimplemented      = codes.Unimplemented
	ResourceExhausted  = codes.ResourceExhausted
)
