package gate

import (
	"fmt"
	"net/netip"
	"path"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"ocid/spec"
)

// Validate holds a message against the rows and returns the first refusal.
func Validate(rows []spec.Requirement, m proto.Message) error {
	for _, r := range rows {
		if err := check(r, m.ProtoReflect()); err != nil {
			return err
		}
	}
	return nil
}

func check(r spec.Requirement, m protoreflect.Message) error {
	for _, s := range find(m, strings.Split(r.Field, "."), "") {
		if why := violates(r, m, s); why != "" {
			return &spec.Refusal{Rule: r.Rule, Code: r.Code, Object: s.path, Reason: why}
		}
	}
	return nil
}

// A spot is one place in a message that a field path leads to.
type spot struct {
	path   string
	parent protoreflect.Message
	field  protoreflect.FieldDescriptor
	value  protoreflect.Value // invalid if the field, or a message above it, is not set
}

// find follows a field path. A message on the way that is not set ends the way
// there: one spot without a value.
func find(m protoreflect.Message, names []string, prefix string) []spot {
	name, each := strings.CutSuffix(names[0], "[]")
	fd := m.Descriptor().Fields().ByName(protoreflect.Name(name))
	if fd == nil {
		return []spot{{path: prefix + name}}
	}
	here := prefix + name
	switch {
	case !m.Has(fd):
		if strings.Contains(strings.Join(names, "."), "[]") {
			return nil // no list, no elements
		}
		return []spot{{path: prefix + strings.Join(names, "."), parent: m, field: fd}}
	case len(names) == 1 && !each:
		return []spot{{path: here, parent: m, field: fd, value: m.Get(fd)}}
	case each:
		var all []spot
		list := m.Get(fd).List()
		for i := range list.Len() {
			if at := fmt.Sprintf("%s[%d]", here, i); fd.Message() == nil {
				all = append(all, spot{path: at, parent: m, field: fd, value: list.Get(i)})
				continue
			}
			all = append(all, find(list.Get(i).Message(), names[1:], fmt.Sprintf("%s[%d].", here, i))...)
		}
		return all
	}
	return find(m.Get(fd).Message(), names[1:], here+".")
}

// violates says in words how a spot breaks the requirement, "" if it does not.
func violates(r spec.Requirement, m protoreflect.Message, s spot) string {
	if r.Check == spec.Required {
		if !s.value.IsValid() || isEmpty(s) {
			return "is not set"
		}
		return ""
	}
	if r.Check == spec.OneSet {
		return violatesOther(r, m, s)
	}
	if !s.value.IsValid() {
		return ""
	}
	switch r.Check {
	case spec.Excludes, spec.Needs:
		return violatesOther(r, m, s)
	case spec.Between:
		if n := s.value.Int(); n < r.Lo || n > r.Hi {
			return fmt.Sprintf("is %d, not between %d and %d", n, r.Lo, r.Hi)
		}
		return ""
	case spec.Defined:
		if s.field.Enum().Values().ByNumber(s.value.Enum()) == nil {
			return fmt.Sprintf("is %d, which is not a defined value", s.value.Enum())
		}
		return ""
	case spec.OneOf:
		v := s.field.Enum().Values().ByNumber(s.value.Enum())
		if v == nil || !slices.Contains(r.Other, string(v.Name())) {
			return fmt.Sprintf("is %d, not one of %s", s.value.Enum(), strings.Join(r.Other, ", "))
		}
		return ""
	case spec.Sysctls:
		return violatesSysctls(s.value.Map())
	}
	return violatesText(r, s.text())
}

// text is the value of a field that holds text, be it of bytes.
func (s spot) text() string {
	if s.field.Kind() == protoreflect.BytesKind {
		return string(s.value.Bytes())
	}
	return s.value.String()
}

func violatesSysctls(named protoreflect.Map) (why string) {
	named.Range(func(k protoreflect.MapKey, _ protoreflect.Value) bool {
		_, ok := spec.SysctlPath(k.String())
		if !ok {
			why = fmt.Sprintf("holds %.80q, which is not the name of a sysctl", k.String())
		}
		return ok
	})
	return why
}

func isEmpty(s spot) bool {
	if s.field.IsList() || s.field.IsMap() || s.field.Message() != nil {
		return s.field.IsList() && s.value.List().Len() == 0
	}
	return s.field.Kind() == protoreflect.StringKind && s.value.String() == ""
}

// violatesOther judges a field by whether others, which may stand beside it in
// the same list element, are set.
func violatesOther(r spec.Requirement, m protoreflect.Message, s spot) string {
	set := slices.ContainsFunc(r.Other, func(o string) bool {
		if strings.Contains(o, "[]") {
			fd := s.parent.Descriptor().Fields().ByName(protoreflect.Name(o[strings.LastIndex(o, ".")+1:]))
			return fd != nil && s.parent.Has(fd)
		}
		return slices.ContainsFunc(find(m, strings.Split(o, "."), ""), func(x spot) bool { return x.value.IsValid() })
	})
	switch {
	case r.Check == spec.Excludes && set:
		return "is set together with " + strings.Join(r.Other, " or ")
	case r.Check == spec.Needs && !set:
		return "is set without " + strings.Join(r.Other, " or ")
	case r.Check == spec.OneSet && !set && !s.value.IsValid():
		return "is not set, nor is " + strings.Join(r.Other, " or ")
	}
	return ""
}

// dns1123 is one or more labels of RFC 1123, as a pod's hostname may be.
var dns1123 = regexp.MustCompile(`^[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?(\.[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?)*$`)

func violatesText(r spec.Requirement, v string) string {
	switch r.Check {
	case spec.MaxLength:
		if int64(len(v)) > r.Hi {
			return fmt.Sprintf("has %d bytes, more than %d", len(v), r.Hi)
		}
	case spec.FileName:
		if v == "." || v == ".." || strings.ContainsAny(v, "/\x00") {
			return fmt.Sprintf("is %.80q, which is not a single path element", v)
		}
	case spec.Absolute:
		if !path.IsAbs(v) {
			return fmt.Sprintf("is %.80q, which is not an absolute path", v)
		}
	case spec.Inside:
		if path.IsAbs(v) || slices.Contains(strings.Split(v, "/"), "..") || strings.Contains(v, "\x00") {
			return fmt.Sprintf("is %.80q, which leaves its directory", v)
		}
	case spec.Hostname:
		if !dns1123.MatchString(v) {
			return fmt.Sprintf("is %.80q, which is not a DNS-1123 name", v)
		}
	case spec.EnvName:
		if strings.ContainsAny(v, "=\x00") {
			return fmt.Sprintf("is %.80q, which holds '=' or NUL", v)
		}
	case spec.IPAddress:
		if _, err := netip.ParseAddr(v); err != nil {
			return fmt.Sprintf("is %.80q, which is not an IP address", v)
		}
	case spec.CIDRs:
		for cidr := range strings.SplitSeq(v, ",") {
			if _, err := netip.ParsePrefix(cidr); err != nil {
				return fmt.Sprintf("is %.80q, which is not a list of CIDRs", v)
			}
		}
	case spec.NoNUL:
		if strings.Contains(v, "\x00") {
			return fmt.Sprintf("is %.80q, which holds a NUL byte", v)
		}
	}
	return ""
}
