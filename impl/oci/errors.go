package oci

import "fmt"

// A FieldError says that one field of the request holds a value that cannot be
// obeyed, whatever the state of the system.
type FieldError struct {
	// Field is the path from the request's top, as in "config.mounts[2].propagation".
	Field string
	// Reason completes the sentence that starts with the field.
	Reason string
}

// Error returns the field and the reason.
func (e *FieldError) Error() string { return e.Field + ": " + e.Reason }

// An UnsupportedError says that one field asks for something CRI allows and
// this package does not do yet.
type UnsupportedError struct {
	// Field is the path from the request's top.
	Field string
	// What was asked for.
	What string
}

// Error returns the field and what it asks for.
func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("%s: %s is not supported", e.Field, e.What)
}

// invalid makes a FieldError.
func invalid(field, format string, a ...any) error {
	return &FieldError{Field: field, Reason: fmt.Sprintf(format, a...)}
}
