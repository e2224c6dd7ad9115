package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Text renders a report for people: a table by rule, what went wrong, and a
// summary.
func Text(w io.Writer, r Report) error {
	var b strings.Builder
	fmt.Fprintf(&b, "daemon   %s %s (CRI %s)\nprofile  %s\nfeatures %s\n\n",
		orNone(r.Daemon.Name), orNone(r.Daemon.Version), orNone(r.Daemon.API), orNone(r.Profile), orNone(strings.Join(r.Features, ", ")))
	table(&b, r.Rules)
	details(&b, r)
	fmt.Fprintf(&b, "\n%s\n", Summary(r))
	_, err := io.WriteString(w, b.String())
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

// Summary is one line: the status of the run, its rules by status, its
// duration.
func Summary(r Report) string {
	parts := []string{}
	for _, s := range Statuses() {
		if n := r.Summary[s]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, s))
		}
	}
	took := time.Duration(r.DurationMS * float64(time.Millisecond)).Round(10 * time.Millisecond)
	return fmt.Sprintf("%s: %d rules (%s), %d probes, %s", strings.ToUpper(string(r.Status)),
		len(r.Rules), orNone(strings.Join(parts, ", ")), len(r.Probes), took)
}

func table(b *strings.Builder, rules []Rule) {
	tw := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "RULE\tLEVEL\tSTATUS\tPROBES\tMS")
	for _, r := range rules {
		fmt.Fprintf(tw, "%s\t%s\t%s\t%d\t%.0f\n", r.ID, r.Level, r.Status, len(r.Probes), r.DurationMS)
	}
	_ = tw.Flush() // a strings.Builder does not fail
}

func details(b *strings.Builder, r Report) {
	for _, p := range r.Problems {
		fmt.Fprintf(b, "\n%s: %s\n", p.Status, indent(p.Message))
	}
	for _, rule := range r.Rules {
		if rule.Status == Pass || rule.Message == "" {
			continue
		}
		if rule.Status.Good() {
			fmt.Fprintf(b, "\n%s: %s: %s\n", rule.Status, rule.ID, firstLine(rule.Message))
			continue
		}
		fmt.Fprintf(b, "\n%s: %s: %s\n", rule.Status, rule.ID, rule.Text)
		shown := false
		for _, p := range r.Probes {
			if !p.Status.Good() && slices.Contains(rule.Probes, p.Name) {
				fmt.Fprintf(b, "  %s (%s)\n  %s\n", p.Name, p.Location, indent(p.Message))
				shown = true
			}
		}
		if !shown {
			fmt.Fprintf(b, "  %s\n", indent(rule.Message))
		}
	}
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
