package spec

import (
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestBookIsConsistent(t *testing.T) {
	b := Default()
	require.NoError(t, b.Check())
}

// none fails for each thing that is wrong, on a line of its own.
func none(t *testing.T, wrong []string) {
	t.Helper()
	for _, w := range wrong {
		t.Error(w)
	}
}

// row returns the row of a table that has the ID.
func row[T interface{ id() ID }](t *testing.T, rows []T, id ID) *T {
	i := slices.IndexFunc(rows, func(r T) bool { return r.id() == id })
	require.GreaterOrEqual(t, i, 0, "no row %s", id)
	return &rows[i]
}

func (r Rule) id() ID { return r.ID }

// A mistake is something that Check has to report.
type mistake struct {
	spoil func(t *testing.T, b *Book)
	want  string
}

func lifecycleMistakes() map[string]mistake {
	return map[string]mistake{
		"missing cell": {func(t *testing.T, b *Book) { row(t, b.Container.Rows, "container.stop.again").From = Absent }, "container: StopContainer in Exited: 0 rows []"},
		"double cell": {func(t *testing.T, b *Book) { row(t, b.Container.Rows, "container.stop.again").From |= Running },
			"container: StopContainer in Running: 2 rows [container.stop.running container.stop.again]"},
		"foreign state": {func(t *testing.T, b *Book) { row(t, b.Sandbox.Rows, "sandbox.run.new").Else = Exited },
			"sandbox.run.new: names a state the object does not have"},
		"do without an end": {func(t *testing.T, b *Book) { row(t, b.Sandbox.Rows, "sandbox.run.new").To = 0 },
			"sandbox.run.new: To belongs to Do and to nothing else"},
		"done with a way": {func(t *testing.T, b *Book) { row(t, b.Sandbox.Rows, "sandbox.stop.again").Via = Stopping },
			"sandbox.stop.again: Via belongs to Do"},
		"refusal without code": {func(t *testing.T, b *Book) { row(t, b.Sandbox.Rows, "sandbox.run.taken").Code = 0 },
			"sandbox.run.taken: Code belongs to Refuse and to nothing else"},
		"two ends": {func(t *testing.T, b *Book) { row(t, b.Sandbox.Rows, "sandbox.run.new").To = Ready | Stopped },
			"sandbox.run.new: Via, To, Else and Stuck are single states"},
	}
}

func otherMistakes() map[string]mistake {
	return map[string]mistake{
		"undecided input": {func(_ *testing.T, b *Book) { b.Privilege.Rows = b.Privilege.Rows[:4] }, "privilege: no row decides {}"},
		"shadowed row":    {func(_ *testing.T, b *Book) { slices.Reverse(b.Privilege.Rows) }, "privilege.host-ipc: shadowed by earlier rows"},
		"step before its After": {func(_ *testing.T, b *Book) { slices.Reverse(b.RemoveContainer.Steps) },
			"container.remove.record: unmount is not before record"},
		"step twice": {func(t *testing.T, b *Book) {
			row(t, b.RemoveContainer.Steps, "container.remove.unmount").Name = StepKill
		},
			"container.remove.unmount: step kill twice"},
		"undo in a plan that goes forward": {func(t *testing.T, b *Book) { row(t, b.StopPodSandbox.Steps, "sandbox.stop.ipc").Undo = true },
			"sandbox.stop.ipc: undo in a plan that only goes forward"},
		"duplicate ID": {func(t *testing.T, b *Book) { row(t, b.Requests, "request.run.uid").ID = "sandbox.stop.again" }, "sandbox.stop.again: used twice"},
		"no text":      {func(t *testing.T, b *Book) { row(t, b.Promises, "image.pull").Text = "" }, "image.pull: has no text, source or level"},
		"no source":    {func(t *testing.T, b *Book) { row(t, b.Promises, "image.pull").Source = "" }, "image.pull: has no text, source or level"},
		"no level":     {func(t *testing.T, b *Book) { row(t, b.Promises, "image.pull").Level = "" }, "image.pull: has no text, source or level"},
		"annotation key twice": {func(t *testing.T, b *Book) {
			row(t, b.Annotations, "annotation.cri.image-name").Key = "io.kubernetes.cri-o.ImageName"
		}, `annotation.cri.image-name: key "io.kubernetes.cri-o.ImageName" is on no object or twice on one`},
		"annotation on nothing": {func(t *testing.T, b *Book) { row(t, b.Annotations, "annotation.manager").On = 0 },
			`annotation.manager: key "io.container.manager" is on no object or twice on one`},
	}
}

// Every kind of mistake that Check looks for, made once.
func TestCheckReports(t *testing.T) {
	before := Default()
	for _, mistakes := range []map[string]mistake{lifecycleMistakes(), otherMistakes()} {
		for name, m := range mistakes {
			t.Run(name, func(t *testing.T) {
				b := Default()
				m.spoil(t, &b)
				require.ErrorContains(t, b.Check(), m.want)
				assert.Equal(t, before, Default(), "spoiling a copy of the tables has changed the tables")
			})
		}
	}
}

// A key may have one meaning on the infra container and another on the others.
func TestCheckAcceptsAKeyOncePerObject(t *testing.T) {
	b := Default()
	row(t, b.Annotations, "annotation.cri.image-name").On = InfraContainer
	row(t, b.Annotations, "annotation.cri.image-name").Key = "io.kubernetes.cri-o.ImageName"
	require.NoError(t, b.Check())
}

func TestRulesAreComplete(t *testing.T) {
	b := Default()
	n := 0
	for _, k := range kinds(&b) {
		n += len(k.rules)
	}
	require.Len(t, b.Rules(), n)
}

var (
	idFormat = regexp.MustCompile(`^[a-z0-9-]+(\.[a-z0-9-]+)+$`)
	sentence = regexp.MustCompile(`^[A-Z][^\n]*[^.]\.$`)
	modal    = regexp.MustCompile(`(?i)\b(must|shall|should|may|required|recommended|optional)\b`)
)

// stray returns what is wrong with the head of a row. How strong a rule is
// says its level alone, so a sentence has no modal verb.
func stray(r Rule) (wrong []string) {
	bad := func(is bool, what string) {
		if is {
			wrong = append(wrong, string(r.ID)+": "+what)
		}
	}
	bad(!idFormat.MatchString(string(r.ID)), "is no ID")
	bad(!slices.Contains([]Level{Must, Should, May}, r.Level), "has an unknown level")
	bad(!slices.Contains([]Feature{Core, HostNamespaces, Restart, Witness, Operations, OwnKernel, Keepers, StorageRecords}, r.Feature), "has an unknown feature")
	bad(!sentence.MatchString(r.Text), "is not one sentence with a full stop")
	bad(modal.MatchString(r.Text), "has a modal verb in its sentence")
	return wrong
}

func TestRuleHeads(t *testing.T) {
	b := Default()
	for _, r := range b.Rules() {
		none(t, stray(r))
	}
}

func TestStrayHeadsAreFound(t *testing.T) {
	for want, r := range map[string]Rule{
		"is no ID":                             {ID: "Container.stop", Level: Must, Text: "It stops."},
		"has an unknown level":                 {ID: "a.b", Level: "MIGHT", Text: "It stops."},
		"has an unknown feature":               {ID: "a.b", Level: Must, Feature: "moon", Text: "It stops."},
		"is not one sentence with a full stop": {ID: "a.b", Level: Must, Text: "it stops"},
		"has a modal verb in its sentence":     {ID: "a.b", Level: Must, Text: "It should stop."},
	} {
		assert.Equal(t, []string{string(r.ID) + ": " + want}, stray(r))
	}
	assert.Empty(t, stray(Rule{ID: "a.b-2.c", Level: May, Feature: Witness, Text: "It stops."}))
	for _, id := range []ID{"a", "a.", ".a", "a..b", "a b.c", "a_b.c", "a.b\n"} {
		assert.False(t, idFormat.MatchString(string(id)), "%q", id)
	}
}

func TestPromisesNameAPackage(t *testing.T) {
	for _, p := range Default().Promises {
		assert.DirExists(t, filepath.Join("..", p.By), "%s is kept by a package that is not there", p.ID)
	}
}
