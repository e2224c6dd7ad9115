// Package moment names the moments of plans between the crash test and the
// daemon that it crashes.
package moment

// Name of a moment: "RunPodSandbox: netns, after the effect".
func Name(plan, step string, undo, after bool) string {
	what := map[bool]string{false: "effect", true: "undo"}[undo]
	when := map[bool]string{false: "before", true: "after"}[after]
	return plan + ": " + step + ", " + when + " the " + what
}
