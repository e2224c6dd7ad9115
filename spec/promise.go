package spec

// A Promise is a rule that no table can execute. It names the package that
// keeps it and counts only with a probe and a fault that the probe catches.
type Promise struct {
	Rule
	RPC string // the call it is about; "" for none or several
	By  string // the package that keeps it: "impl/runtime"
}
