package spec

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Written out from the sentence, not from the table: a sandbox is privileged
// if its flag is set or it shares the host's network, PID or IPC namespace.
func TestPrivilegeOfAllInputs(t *testing.T) {
	want := map[Facts]ID{
		0:           "privilege.none",
		HostIPC:     "privilege.host-ipc",
		HostPID:     "privilege.host-pid",
		HostNetwork: "privilege.host-network", HostNetwork | HostIPC: "privilege.host-network",
		HostPID | HostIPC: "privilege.host-pid", HostNetwork | HostPID: "privilege.host-network",
		HostNetwork | HostPID | HostIPC: "privilege.host-network",
	}
	d := Default().Privilege
	for f := Facts(0); f < 16; f++ {
		c := d.Decide(f)
		assert.Equal(t, f != 0, c.Then, "{%s}", d.Facts.String(f))
		if f&AskedPrivileged != 0 {
			assert.Equal(t, ID("privilege.flag"), c.ID)
		} else {
			assert.Equal(t, want[f], c.ID)
		}
	}
}

func TestDecideTakesTheFirstRow(t *testing.T) {
	d := Decision[string]{Name: "d", Facts: FactSet{"a", "b"}, Rows: []Choice[string]{
		{When: 1, Unless: 2, Then: "a only"}, {When: 1, Then: "a"}, {When: 2, Then: "b"},
	}}
	assert.Equal(t, "a only", d.Decide(1).Then)
	assert.Equal(t, "b", d.Decide(2).Then)
	assert.Equal(t, "a", d.Decide(3).Then)
	assert.Nil(t, d.Decide(0))
	assert.Equal(t, "a, b", d.Facts.String(3))
}

func TestNext(t *testing.T) {
	l := Default().Container
	assert.Equal(t, ID("container.stop.absent"), l.Next(Absent, StopContainer).ID)
	assert.Equal(t, ID("container.start.again"), l.Next(Running, StartContainer).ID)
	assert.Nil(t, l.Next(Ready, StartContainer))
	assert.Nil(t, l.Next(Running, "no event"))
}

func TestPlanForFacts(t *testing.T) {
	names := func(f Facts) (all []StepName) {
		for _, s := range Default().RunPodSandbox.For(f) {
			all = append(all, s.Name)
		}
		return all
	}
	assert.Equal(t, []StepName{StepRecord, StepFiles, StepNetNS, StepNetwork, StepUTS, StepIPC}, names(0))
	assert.Equal(t, []StepName{StepRecord, StepFiles, StepIPC, StepInfraCreate, StepInfraStart}, names(OnHostNetwork|HasInfra))
	assert.Equal(t, []StepName{StepRecord, StepFiles}, names(OnHostNetwork|OnHostIPC))
}

func TestAnnotate(t *testing.T) {
	table := []Annotation{
		{Key: "both", Value: SandboxID, On: bothObjects}, {Key: "app", Value: ContainerName, On: AppContainer},
		{Key: "unknown", Value: Memory, On: bothObjects}, {Key: "empty", Value: CPUQuota, On: InfraContainer},
	}
	values := map[Value]string{SandboxID: "id", ContainerName: "name", CPUQuota: ""}
	assert.Equal(t, map[string]string{"both": "id", "app": "name"}, Annotate(table, AppContainer, values))
	assert.Equal(t, map[string]string{"both": "id", "empty": ""}, Annotate(table, InfraContainer, values))
}

func TestStateNames(t *testing.T) {
	assert.Equal(t, "Absent, Running, Removing", (Removing | Absent | Running).String())
	assert.Equal(t, []State{Created, Stopped}, (Stopped | Created).Each())
	for _, s := range (containerStates | sandboxStates).Each() {
		text, err := s.MarshalText()
		require.NoError(t, err)
		var got State
		require.NoError(t, got.UnmarshalText(text))
		assert.Equal(t, s, got)
	}
	var got States
	require.NoError(t, got.UnmarshalText([]byte("Created, Stopped")))
	assert.Equal(t, Created|Stopped, got)
	assert.Error(t, got.UnmarshalText([]byte("Limbo")))
}

func TestDemand(t *testing.T) {
	for want, r := range map[string]Requirement{
		"f is set":                                 {Field: "f", Check: Required},
		"f has at most 5 bytes":                    {Field: "f", Check: MaxLength, Hi: 5},
		"f is between -1 and 2":                    {Field: "f", Check: Between, Lo: -1, Hi: 2},
		"f is set only together with g or h":       {Field: "f", Check: Needs, Other: []string{"g", "h"}},
		"f is not set together with g":             {Field: "f", Check: Excludes, Other: []string{"g"}},
		"f is one of POD or NODE":                  {Field: "f", Check: OneOf, Other: []string{"POD", "NODE"}},
		"f is a relative path that does not climb": {Field: "f", Check: Inside},
	} {
		assert.Equal(t, want, r.Demand())
	}
}

func TestRefusalNamesItsRule(t *testing.T) {
	r := Refusal{Rule: Rule{ID: "container.start.again"}, Code: FailedPrecondition, Object: `container "3f2a"`, Reason: "is Running"}
	assert.EqualError(t, &r, `container.start.again: container "3f2a" is Running`)
	assert.EqualError(t, &Refusal{Rule: Rule{ID: "a.b"}}, "a.b:")
}

func TestTheLongestPathSpeaksForAField(t *testing.T) {
	promise := func(id ID, rpc string, fields ...string) Promise {
		return Promise{Rule: Rule{ID: id}, RPC: rpc, Fields: fields}
	}
	b := Book{Promises: []Promise{
		promise("none", "Call"), promise("all", "Call", "config"), promise("mount", "Call", "config.mounts"),
		promise("image", "Call", "config.x", "config.mounts[].image"), promise("other", "Other", "config.mounts[].image.sub"),
	}}
	for field, want := range map[string]ID{
		"config":                   "all",
		"config.linux.a":           "all",
		"config.mounts":            "mount",
		"config.mounts[12]":        "mount",
		"config.mounts[1].host":    "mount",
		"config.mountsmore":        "all",
		"config.mounts[3].image":   "image",
		"config.mounts[3].image.a": "image",
		"config.x.y":               "image",
	} {
		assert.Equal(t, want, b.Speaker("Call", field).ID, field)
	}
	assert.Nil(t, b.Speaker("Call", "pod_sandbox_id"))
	assert.Nil(t, b.Speaker("Call", "configuration"))
	assert.Nil(t, b.Speaker("Other", "config.mounts"))
}
