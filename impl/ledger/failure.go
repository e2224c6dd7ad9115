package ledger

import (
	"errors"

	"ocid/spec"
)

// A Failure says which row the work could not be done for.
type Failure struct {
	Row spec.ID
	Err error
}

func (f *Failure) Error() string { return string(f.Row) + ": " + f.Err.Error() }

func (f *Failure) Unwrap() error { return f.Err }

// RuleID names the row for the client.
func (f *Failure) RuleID() spec.ID { return f.Row }

// failure gives an error of a row's work the row's name, if it has none that
// says more: that of a refusal, of a plan's step or of a promise.
func failure(row *spec.Transition, err error) error {
	var refusal *spec.Refusal
	var named interface{ RuleID() spec.ID }
	if err == nil || errors.As(err, &refusal) || errors.As(err, &named) && named.RuleID() != "" {
		return err
	}
	return &Failure{Row: row.ID, Err: err}
}
