package config

import (
	"fmt"
	"time"
)

// Duration is a positive time.Duration, written as in Go: "1m30s".
type Duration struct{ time.Duration }

// UnmarshalText accepts a positive duration with a unit.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf(`%q is not a duration such as "30s" or "1m30s"`, text)
	}
	if v <= 0 {
		return fmt.Errorf("duration %q is not positive", text)
	}
	d.Duration = v
	return nil
}

// MarshalText writes the duration as Go does.
func (d Duration) MarshalText() ([]byte, error) {
	return []byte(d.String()), nil
}
