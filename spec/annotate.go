package spec

import "fmt"

// Objects is a set of the kinds of OCI container that carry annotations.
type Objects uint8

// The infra container is the sandbox's own; every other is a container.
const (
	InfraContainer Objects = 1 << iota
	AppContainer
)

// A Value names where an annotation's value comes from; the list is closed.
type Value string

// The values. One that has nothing to say for a sandbox leaves the key out.
const (
	ContainerType    Value = "sandbox or container"
	SandboxID        Value = "sandbox ID"
	SandboxName      Value = "pod name"
	SandboxNamespace Value = "pod namespace"
	SandboxUID       Value = "pod UID"
	SandboxKey       Value = "sandbox name, unique on the node"
	ContainerName    Value = "container name"
	ContainerID      Value = "container ID"
	ImageName        Value = "image as the request names it"
	Privileged       Value = "whether the sandbox is privileged"
	RuntimeHandler   Value = "runtime handler that the sandbox runs on"
	CPUPeriod        Value = "pod CPU period in µs"
	CPUQuota         Value = "pod CPU quota in µs"
	CPUShares        Value = "pod CPU shares"
	Memory           Value = "pod memory limit in bytes"
	Manager          Value = "name of this daemon"
)

// An Annotation is one row of what the OCI runtime is told about a container.
type Annotation struct {
	Rule
	Key   string
	Value Value
	On    Objects
}

// Annotate returns the annotations that an object of that kind carries, given
// the values that are known of it.
func Annotate(table []Annotation, on Objects, values map[Value]string) map[string]string {
	out := map[string]string{}
	for _, a := range table {
		if v, ok := values[a.Value]; ok && a.On&on != 0 {
			out[a.Key] = v
		}
	}
	return out
}

func checkAnnotations(table []Annotation) (errs []error) {
	seen := map[string]Objects{}
	for _, a := range table {
		if a.On == 0 || seen[a.Key]&a.On != 0 {
			errs = append(errs, fmt.Errorf("%s: key %q is on no object or twice on one", a.ID, a.Key))
		}
		seen[a.Key] |= a.On
	}
	return errs
}
