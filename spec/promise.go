package spec

// A Promise is a rule that no table can execute. It names the package that
// keeps it and counts only with a probe and a fault that the probe catches.
type Promise struct {
	Rule
	RPC string // the call it is about, or the first of them; "" for none
	By  string // the package that keeps it: "impl/runtime"
}
