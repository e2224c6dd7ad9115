package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Text renders a report for people: a table by rule, what went wrong, and the
// verdict.
func Text(w io.Writer, r Report) error {
	var b strings.Builder
	fmt.Fprintf(&b, "daemon   %s %s (CRI %s)\nprofile  %s\nfeatures %s\n\n",
		orNone(r.Daemon.Name), orNone(r.Daemon.Version), orNone(r.Daemon.API), orNone(r.Profile), orNone(strings.Join(r.Features, ", ")))
	table(&b, r.Rules)
	details(&b, r)
	fmt.Fprintf(&b, "\n%s", Verdict(r))
	_, err := io.WriteString(w, b.String())
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

// Verdict is what a reader of the last lines needs: a line for each failed
// probe, with the start of its message, and one for the run: its status, its
// rules by status, its duration.
func Verdict(r Report) string {
	var b strings.Builder
	line := func(s Status, what, message string) {
		if !s.Good() {
			fmt.Fprintf(&b, "%s: %s: %s\n", s, what, start(message))
		}
	}
	for _, p := range r.Problems {
		line(p.Status, "suite", p.Message)
	}
	for _, p := range r.Probes {
		if !declared(r, p) {
			line(p.Status, p.Name+" ["+strings.Join(p.Rules, ", ")+"]", p.Message)
		}
	}
	for _, rule := range r.Rules {
		if len(failed(r, rule)) == 0 {
			line(rule.Status, rule.ID, rule.Message)
		}
	}
	return b.String() + summary(r) + "\n"
}

// declared reports whether all rules of a probe are well, whatever came of the
// probe.
func declared(r Report, p Probe) bool {
	return len(p.Rules) > 0 && !slices.ContainsFunc(p.Rules, func(id string) bool {
		rule, ok := r.Rule(id)
		return !ok || !rule.Status.Good()
	})
}

// start is the first lines of a message, as one of at most 400 characters.
func start(message string) string {
	lines := strings.Split(strings.TrimSpace(message), "\n")
	for i, l := range lines {
		lines[i] = strings.TrimSpace(l)
	}
	all := []rune(strings.Join(lines[:min(6, len(lines))], " "))
	return string(all[:min(400, len(all))])
}

func summary(r Report) string {
	parts := []string{}
	for _, s := range Statuses() {
		if n := r.Summary[s]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, s))
		}
	}
	took := time.Duration(r.DurationMS * float64(time.Millisecond)).Round(10 * time.Millisecond)
	return fmt.Sprintf("%s: %d rules (%s), %s probes, %s", strings.ToUpper(string(r.Status)),
		len(r.Rules), orNone(strings.Join(parts, ", ")), r.Ran(), took)
}

func table(b *strings.Builder, rules []Rule) {
	tw := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "RULE\tLEVEL\tSTATUS\tPROBES\tMS")
	for _, r := range rules {
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%.0f\n", r.ID, r.Level, r.Status, r.Ran(), r.DurationMS)
	}
	_ = tw.Flush() // a strings.Builder does not fail
}

func details(b *strings.Builder, r Report) {
	for _, rule := range r.Rules {
		if rule.Status != Pass && rule.Status.Good() && rule.Message != "" {
			fmt.Fprintf(b, "\n%s: %s: %s\n", rule.Status, rule.ID, firstLine(rule.Message))
		}
	}
	for _, p := range r.Problems {
		fmt.Fprintf(b, "\n%s: %s\n", p.Status, indent(p.Message))
	}
	for _, rule := range r.Rules {
		if !rule.Status.Good() {
			fault(b, r, rule)
		}
	}
}

// fault tells all about a rule that is not kept.
func fault(b *strings.Builder, r Report, rule Rule) {
	fmt.Fprintf(b, "\n%s: %s: %s\n", rule.Status, rule.ID, rule.Text)
	probes := failed(r, rule)
	for _, p := range probes {
		fmt.Fprintf(b, "  %s (%s)\n  %s\n", p.Name, p.Location, indent(p.Message))
	}
	if len(probes) == 0 {
		fmt.Fprintf(b, "  %s\n", indent(rule.Message))
	}
}

func failed(r Report, rule Rule) []Probe {
	var probes []Probe
	for _, p := range r.Probes {
		if !p.Status.Good() && slices.Contains(rule.Probes, p.Name) {
			probes = append(probes, p)
		}
	}
	return probes
}

func indent(s string) string {
	return strings.ReplaceAll(strings.TrimSpace(s), "\n", "\n  ")
}

func orNone(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
