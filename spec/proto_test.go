package spec

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/reflect/protoreflect"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// calls returns the RPCs of both services of CRI by name.
func calls() map[string]protoreflect.MethodDescriptor {
	all := map[string]protoreflect.MethodDescriptor{}
	services := cri.File_staging_src_k8s_io_cri_api_pkg_apis_runtime_v1_api_proto.Services()
	for i := range services.Len() {
		for j := range services.Get(i).Methods().Len() {
			m := services.Get(i).Methods().Get(j)
			all[string(m.Name())] = m
		}
	}
	return all
}

// strayCalls reports RPCs that have neither a rule nor a line in Pending, that
// have both, and names that CRI does not have. An event that is no call of its
// own has a blank in its name.
func strayCalls(b *Book) (wrong []string) {
	ruled, known := b.RPCs(), calls()
	for _, name := range slices.Sorted(maps.Keys(known)) {
		if pending := slices.Contains(b.Pending, name); pending == ruled[name] {
			wrong = append(wrong, fmt.Sprintf("%s: has a rule is %v, is pending is %v", name, ruled[name], pending))
		}
	}
	for _, name := range slices.Concat(b.Pending, slices.Sorted(maps.Keys(ruled))) {
		if known[name] == nil && name != "" && !strings.Contains(name, " ") {
			wrong = append(wrong, name+": is no RPC of CRI")
		}
	}
	return wrong
}

func TestEveryCallHasARuleOrIsPending(t *testing.T) {
	b := Default()
	none(t, strayCalls(&b))
	assert.Len(t, slices.Compact(slices.Sorted(slices.Values(b.Pending))), len(b.Pending), "a call is pending twice")
}

func TestStrayCallsAreFound(t *testing.T) {
	b := Default()
	ruled := b.RPCs()
	b.Pending = nil
	for name := range calls() {
		if !ruled[name] && name != "RestorePod" {
			b.Pending = append(b.Pending, name)
		}
	}
	b.Pending = append(b.Pending, "Version", "Teleport")
	b.Promises = append(b.Promises, Promise{RPC: "Fly"}, Promise{RPC: ""})
	assert.Equal(t, []string{
		"RestorePod: has a rule is false, is pending is false",
		"Version: has a rule is true, is pending is true",
		"Teleport: is no RPC of CRI",
		"Fly: is no RPC of CRI",
	}, strayCalls(&b))
}

// resolve follows a field path in a message. Lists on the way are followed by
// "[]", the last field is not.
func resolve(m protoreflect.MessageDescriptor, path string) (protoreflect.FieldDescriptor, error) {
	names := strings.Split(path, ".")
	for i, name := range names {
		name, each := strings.CutSuffix(name, "[]")
		fd := m.Fields().ByName(protoreflect.Name(name))
		switch {
		case fd == nil:
			return nil, fmt.Errorf("%s has no field %q", m.Name(), name)
		case i == len(names)-1 && each && (!fd.IsList() || fd.Message() != nil):
			return nil, fmt.Errorf("%q ends with []", path)
		case i == len(names)-1:
			return fd, nil
		case each != fd.IsList() || fd.IsMap() || fd.Message() == nil:
			return nil, fmt.Errorf("%s.%s: a list of messages needs [], anything else has none", m.Name(), name)
		}
		m = fd.Message()
	}
	return nil, fmt.Errorf("empty path")
}

func isText(fd protoreflect.FieldDescriptor) bool {
	return fd.Kind() == protoreflect.StringKind && !fd.IsList()
}

// fits says whether a check can be held against a field of that kind.
func fits(c Check, fd protoreflect.FieldDescriptor) bool {
	switch c {
	case Required:
		return fd.IsList() || fd.Kind() == protoreflect.MessageKind || isText(fd)
	case Between:
		return fd.Kind() == protoreflect.Int32Kind || fd.Kind() == protoreflect.Int64Kind
	case Defined, OneOf:
		return !fd.IsList() && fd.Kind() == protoreflect.EnumKind
	case Excludes, Needs:
		return true
	case Sysctls:
		return fd.IsMap() && fd.MapKey().Kind() == protoreflect.StringKind
	case OneSet:
		return fd.Kind() == protoreflect.BoolKind
	case NoNUL:
		return isText(fd) || fd.Kind() == protoreflect.BytesKind
	case MaxLength, FileName, Absolute, Inside, Hostname, EnvName, IPAddress, CIDRs:
		return isText(fd)
	}
	return false
}

// strayRequirement says what is wrong with a requirement, "" if nothing.
func strayRequirement(r Requirement) string {
	call := calls()[r.RPC]
	if call == nil {
		return "is about no RPC of CRI"
	}
	fd, err := resolve(call.Input(), r.Field)
	switch {
	case err != nil:
		return err.Error()
	case !fits(r.Check, fd):
		return fmt.Sprintf("%q can't be asked of a field of kind %v", r.Check, fd.Kind())
	case r.Code == 0:
		return "has no code"
	case r.Check == Between && r.Lo >= r.Hi, r.Check == MaxLength && (r.Lo != 0 || r.Hi <= 0),
		r.Check != Between && r.Check != MaxLength && (r.Lo != 0 || r.Hi != 0):
		return fmt.Sprintf("limits %d and %d do not fit the check", r.Lo, r.Hi)
	}
	return strayOthers(r, call.Input(), fd)
}

func strayOthers(r Requirement, m protoreflect.MessageDescriptor, fd protoreflect.FieldDescriptor) string {
	if (r.Check == Excludes || r.Check == Needs || r.Check == OneOf || r.Check == OneSet) != (len(r.Other) > 0) {
		return "Other belongs to Excludes, Needs and OneOf"
	}
	for _, o := range r.Other {
		if r.Check == OneOf {
			if fd.Enum().Values().ByName(protoreflect.Name(o)) == nil {
				return fmt.Sprintf("%s has no value %q", fd.Enum().Name(), o)
			}
			continue
		}
		if _, err := resolve(m, o); err != nil {
			return err.Error()
		}
		if strings.Contains(o, "[]") && o[:strings.LastIndex(o, ".")] != r.Field[:strings.LastIndex(r.Field, ".")] {
			return fmt.Sprintf("%s does not stand beside %s in one list element", o, r.Field)
		}
	}
	return ""
}

func TestRequirementsFitTheirMessages(t *testing.T) {
	for _, r := range Default().Requests {
		assert.Empty(t, strayRequirement(r), r.ID)
	}
}

func TestFieldsOfPromisesFitTheirMessages(t *testing.T) {
	seen := map[string]ID{}
	for _, p := range Default().Promises {
		for _, f := range p.Fields {
			_, err := resolve(calls()[p.RPC].Input(), strings.TrimSuffix(f, "[]"))
			assert.NoError(t, err, p.ID)
			assert.Empty(t, seen[p.RPC+" "+f], "%s has a speaker already", f)
			seen[p.RPC+" "+f] = p.ID
		}
	}
}

func TestStrayRequirementsAreFound(t *testing.T) {
	require.Empty(t, strayRequirement(req("r", create, "config.mounts[].readonly", Needs, own).with("config.mounts[].host_path")))
	for want, r := range map[string]Requirement{
		"is about no RPC of CRI":                                   req("r", "Teleport", "config", Required, own),
		`PodSandboxConfig has no field "hostnam"`:                  req("r", runPod, "config.hostnam", Required, own),
		`"config.port_mappings[]" ends with []`:                    req("r", runPod, "config.port_mappings[]", Required, own),
		"PodSandboxConfig.port_mappings: a list of messages needs": req("r", runPod, "config.port_mappings.host_port", Required, own),
		"PodSandboxConfig.hostname: a list of messages needs":      req("r", runPod, "config.hostname.x", Required, own),
		"PodSandboxConfig.labels: a list of messages needs":        req("r", runPod, "config.labels.key", Required, own),
		`"is set" can't be asked of a field of kind int32`:         req("r", runPod, "config.port_mappings[].host_port", Required, own),
		"can't be asked of a field of kind string":                 req("r", runPod, "config.hostname", Between, own).to(0, 1),
		"can't be asked of a field of kind uint32":                 req("r", runPod, "config.metadata.attempt", Between, own).to(0, 1),
		`"is a defined value" can't`:                               req("r", runPod, "config.hostname", Defined, own),
		`"is an absolute path" can't`:                              req("r", create, "config.command", Absolute, own),
		`"is odd" can't`:                                           req("r", runPod, "config.hostname", "is odd", own),
		"limits 5 and 5 do not fit the check":                      req("r", "StopContainer", "timeout", Between, own).to(5, 5),
		"limits 0 and 0 do not fit the check":                      req("r", runPod, "config.hostname", MaxLength, own),
		"limits 0 and 9 do not fit the check":                      req("r", runPod, "config.hostname", Hostname, own).to(0, 9),
		"Other belongs to Excludes, Needs and OneOf":               req("r", runPod, podSec+"run_as_user", Needs, own),
		`NamespaceMode has no value "MOON"`:                        req("r", runPod, podSec+"namespace_options.pid", OneOf, own).with("POD", "MOON"),
		`LinuxSandboxSecurityContext has no field "x"`:             req("r", runPod, podSec+"run_as_group", Needs, own).with(podSec + "x"),
		"does not stand beside config.mounts[].readonly":           req("r", create, "config.mounts[].readonly", Needs, own).with("config.devices[].host_path"),
		"has no code": {Rule: Rule{ID: "r"}, RPC: runPod, Field: "config", Check: Required},
	} {
		assert.Contains(t, strayRequirement(r), want)
	}
}
