package report

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// Compare renders reports of several profiles side by side, as Markdown: what
// each run came to, a table of every rule, and the reasons of the deviations.
func Compare(w io.Writer, reports []Report) error {
	var b strings.Builder
	runs(&b, reports)
	rules(&b, reports)
	reasons(&b, reports)
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write comparison: %w", err)
	}
	return nil
}

func runs(b *strings.Builder, reports []Report) {
	row(b, "Profile", "Daemon", "Pass", "Unsupported", "Unobserved", "Deviation", "Fail", "Error", "Probes", "Time")
	row(b, slices.Repeat([]string{"---"}, 10)...)
	for _, r := range reports {
		cells := []string{r.Profile, r.Daemon.Name + " " + r.Daemon.Version}
		for _, s := range Statuses() {
			cells = append(cells, fmt.Sprint(r.Summary[s]))
		}
		took := time.Duration(r.DurationMS * float64(time.Millisecond)).Round(time.Second)
		row(b, append(cells, r.Ran(), took.String())...)
	}
}

func rules(b *strings.Builder, reports []Report) {
	header := []string{"Rule"}
	known := map[string]bool{}
	for _, r := range reports {
		header = append(header, r.Profile)
		for _, rule := range r.Rules {
			known[rule.ID] = true
		}
	}
	b.WriteString("\n")
	row(b, header...)
	row(b, slices.Repeat([]string{"---"}, len(header))...)
	for _, id := range slices.Sorted(maps.Keys(known)) {
		cells := []string{"`" + id + "`"}
		for _, r := range reports {
			cells = append(cells, outcome(r, id))
		}
		row(b, cells...)
	}
}

// outcome is the status of a rule, with what it lacks if that is declared, why
// nobody can see it, and how much of it was seen if not all was.
func outcome(r Report, id string) string {
	rule, ok := r.Rule(id)
	if !ok {
		return "-"
	}
	switch {
	case rule.Status == Unsupported, rule.Status == Unobserved && rule.Message != "":
		return string(rule.Status) + ": " + firstLine(rule.Message)
	case rule.LeftOut > 0:
		return string(rule.Status) + ", " + rule.Ran() + " probes"
	}
	return string(rule.Status)
}

func reasons(b *strings.Builder, reports []Report) {
	for _, r := range reports {
		for _, rule := range r.Rules {
			if rule.Status == Deviation {
				fmt.Fprintf(b, "\n- %s deviates from `%s`: %s", r.Profile, rule.ID, firstLine(rule.Message))
			}
		}
	}
	b.WriteString("\n")
}

func row(b *strings.Builder, cells ...string) {
	b.WriteString("| " + strings.Join(cells, " | ") + " |\n")
}
