// Package spec holds the behaviour rules of a Container Runtime Interface
// daemon as tables, and the pure evaluators of those tables. It performs no
// I/O, takes no context, starts no goroutine and imports nothing of this
// module; everything else may import it.
package spec

// ID names a rule for ever: "container.stop.absent". It reads from general to
// specific and is never reused for another meaning.
type ID string

// Level is the strength of a rule, in the words of RFC 2119.
type Level string

// The levels of RFC 2119 that rules use.
const (
	Must   Level = "MUST"
	Should Level = "SHOULD"
	May    Level = "MAY"
)

// Feature gates a rule that not every daemon or runtime can keep; the zero
// Feature is core.
type Feature string

// The features that rules are gated by.
const (
	Core           Feature = ""
	HostNamespaces Feature = "host-namespaces" // the runtime shares the host's kernel and can join its namespaces
	Restart        Feature = "restart"         // the suite may stop and start the daemon
	Witness        Feature = "witness"         // the suite's own runtime wrapper and CNI plugin are in place
	OwnKernel      Feature = "own-kernel"      // its default runtime boots a kernel for each pod
	Keepers        Feature = "keepers"         // its default runtime's containers are no processes of the host's: a keeper stands for each
	Operations     Feature = "operations"      // it is configured, watched and told as docs/ describe
	StorageRecords Feature = "storage-records" // sandboxes and containers are records of containers/storage
)

// A Rule is the head of every row of every table.
type Rule struct {
	ID      ID
	Level   Level
	Feature Feature
	Text    string // one normative sentence, present tense, subject first
	Source  string // the sentence the rule comes from, or "own" with the reason in Text
	Since   string // the first version of SPEC.md with the rule; "" means 1.0
	// Unobservable says why no probe can see from outside that the rule is
	// broken. A MUST rule without it has to be killed by a probe when mutated.
	Unobservable string
}

// Sources that many rules share.
const (
	criRuntime = "cri-api v1, RuntimeService"
	criImage   = "cri-api v1, ImageService"
	kubelet    = "kubelet"
	own        = "own"
)

func must(id ID, text, source string) Rule {
	return Rule{ID: id, Level: Must, Text: text, Source: source}
}

func should(id ID, text, source string) Rule {
	return Rule{ID: id, Level: Should, Text: text, Source: source}
}

// needs returns the rule gated by a feature.
func (r Rule) needs(f Feature) Rule {
	r.Feature = f
	return r
}

// unseen returns the rule marked as not observable from outside.
func (r Rule) unseen(reason string) Rule {
	r.Unobservable = reason
	return r
}

// A Refusal is a table's answer "no": the row that spoke and why. The gate
// turns it into a gRPC status; nothing else makes one.
type Refusal struct {
	Rule   Rule
	Code   Code
	Object string // what the call was about: `container "3f2a…"`, `config.metadata.name`
	Reason string // the state or value that is in the way
}

func (r *Refusal) Error() string {
	s := string(r.Rule.ID) + ":"
	if r.Object != "" {
		s += " " + r.Object
	}
	if r.Reason != "" {
		s += " " + r.Reason
	}
	return s
}
