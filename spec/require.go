package spec

import "fmt"

// Check is what a requirement demands of a field; the list is closed. Every
// check but Required and OneSet passes on a field that is not set.
type Check string

// The checks; Other, Lo and Hi are what some of them read besides the field.
const (
	Required  Check = "is set"
	MaxLength Check = "has at most %d bytes"
	FileName  Check = "is a single path element"
	Absolute  Check = "is an absolute path"
	Inside    Check = "is a relative path that does not climb"
	Between   Check = "is between %d and %d"
	Defined   Check = "is a defined value"
	Hostname  Check = "is a DNS-1123 name"
	Excludes  Check = "is not set together with %s"
	Needs     Check = "is set only together with %s"
	EnvName   Check = "is a name without '=' and NUL"
	NoNUL     Check = "holds no NUL byte"
	OneOf     Check = "is one of %s"
	IPAddress Check = "is an IP address"
	CIDRs     Check = "is a list of CIDRs"
	OneSet    Check = "is set, or %s is"
	Sysctls   Check = "has only names of sysctls as sysctl(8) reads them"
)

// A Requirement is one row of request validation: what Field of the request
// of RPC has to satisfy, or the call is refused with Code and nothing is left
// behind. A path element "[]" stands for every element of a list.
type Requirement struct {
	Rule
	RPC    string
	Field  string // "config.metadata.name", "config.mounts[].container_path"
	Check  Check
	Other  []string // Excludes, Needs, OneSet: the other fields, any of them; OneOf: the enum's values
	Lo, Hi int64    // MaxLength (Hi), Between
	Code   Code
}

// Demand is the requirement in words: "config.hostname has at most 63 bytes".
func (r Requirement) Demand() string {
	switch r.Check {
	case MaxLength:
		return r.Field + " " + fmt.Sprintf(string(r.Check), r.Hi)
	case Between:
		return r.Field + " " + fmt.Sprintf(string(r.Check), r.Lo, r.Hi)
	case Excludes, Needs, OneOf, OneSet:
		return r.Field + " " + fmt.Sprintf(string(r.Check), join(r.Other))
	}
	return r.Field + " " + string(r.Check)
}

func join(fields []string) string {
	s := ""
	for i, f := range fields {
		if i > 0 {
			s += " or "
		}
		s += f
	}
	return s
}
