package runtime

import (
	"errors"
	"strings"
)

// Causes that callers tell apart; they are wrapped in an *Error.
var (
	ErrNotRunning = errors.New("container is not running")            // Kill, Exec
	ErrNotFound   = errors.New("container does not exist")            // State; Kill and Exec beside ErrNotRunning
	ErrExists     = errors.New("container's run directory exists")    // Create; Delete it first
	ErrTimeout    = errors.New("command timed out and was killed")    // Exec
	ErrExecFailed = errors.New("process was not started")             // Exec
	ErrNoExit     = errors.New("process ended, exit code is unknown") // Exec
	ErrSlow       = errors.New("client does not read the output")     // Attach
)

// Error is a failed operation on a container.
type Error struct {
	Runtime   string
	Op        string // the runtime's subcommand
	Container string
	Message   string // what the runtime said, trimmed; "" if nothing
	ExitCode  int    // of the runtime's command; -1 if it did not exit by itself or is not known
	Err       error  // cause: one of the Err variables, a context's error, an error of the system; may be nil
}

// Error names runtime, operation and container, then the message and the cause.
func (e *Error) Error() string {
	parts := []string{e.Runtime + " " + e.Op + " " + e.Container}
	if e.Err != nil {
		parts = append(parts, e.Err.Error())
	}
	if e.Message != "" {
		parts = append(parts, e.Message)
	}
	return strings.Join(parts, ": ")
}

func (e *Error) Unwrap() error { return e.Err }

func (r *OCI) fail(op, id string, err error) *Error {
	return &Error{Runtime: r.name, Op: op, Container: id, ExitCode: -1, Err: err}
}
