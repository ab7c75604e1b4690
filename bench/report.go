package main

import (
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Report is all that was measured.
type Report struct {
	Machine Machine       `json:"machine"`
	Span    time.Duration `json:"span_ns"`
	Rounds  int           `json:"rounds"`
	Speeds  []Speed       `json:"speeds,omitempty"`
	Joins   []Join        `json:"joins,omitempty"`
	Gaps    []Gap         `json:"gaps,omitempty"`
}

// Machine is where it was measured.
type Machine struct {
	OS    string `json:"os"`
	Arch  string `json:"arch"`
	Cores int    `json:"cores"`
	Procs int    `json:"gomaxprocs"`
	Go    string `json:"go"`
}

func thisMachine() Machine {
	return Machine{runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.GOMAXPROCS(0), runtime.Version()}
}

// base is the system that the others are compared with.
const base = "dragonboat"

// markdown writes the report as Markdown tables.
func (r Report) markdown(w io.Writer) error {
	var b strings.Builder
	m := r.Machine
	fmt.Fprintf(&b, "%d cores (GOMAXPROCS %d), %s/%s, %s; three members in one process over loopback TCP with mutual TLS,\n",
		m.Cores, m.Procs, m.OS, m.Arch, m.Go)
	fmt.Fprintf(&b, "logs in memory, 16-byte commands, each call awaited; %v per load, medians of %d rounds.\n", r.Span, r.Rounds)
	if len(r.Speeds) > 0 {
		r.ratios(&b)
		r.details(&b)
	}
	if len(r.Joins) > 0 {
		table(&b, "A fourth member joins a group of three", "consensus configuration", "open to online", "join to online", "slowest join to online", "joins")
		for _, j := range r.Joins {
			row(&b, j.Timing, short(median(j.Total)), short(median(j.Online)), short(slices.Max(j.Online)), fmt.Sprint(len(j.Online)))
		}
	}
	if len(r.Gaps) > 0 {
		table(&b, "Crash of the leader to the next acknowledged write", "consensus configuration", "median", "shortest", "longest", "crashes")
		for _, g := range r.Gaps {
			row(&b, g.Timing, short(median(g.Took)), short(slices.Min(g.Took)), short(slices.Max(g.Took)), fmt.Sprint(len(g.Took)))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// ratios writes one row for each load, with a column for each system and its
// ratio to the base.
func (r Report) ratios(b *strings.Builder) {
	var names []string
	for _, s := range r.Speeds {
		if !slices.Contains(names, s.System) {
			names = append(names, s.System)
		}
	}
	head := append([]string{"", "callers"}, names...)
	compared := slices.Contains(names, base)
	for _, name := range names {
		if compared && name != base {
			head = append(head, name+" / "+base)
		}
	}
	table(b, "Per second", head...)
	for i := 0; i < len(r.Speeds); i += len(names) {
		load := r.Speeds[i : i+len(names)]
		cells := []string{load[0].Workload, fmt.Sprint(load[0].Callers)}
		var of float64
		for _, s := range load {
			if s.System == base {
				of = s.median().PerSecond
			}
			cells = append(cells, thousands(s.median().PerSecond))
		}
		for _, s := range load {
			if compared && s.System != base {
				cells = append(cells, fmt.Sprintf("%.2f", s.median().PerSecond/of))
			}
		}
		row(b, cells...)
	}
}

// details writes one row for each load and system.
func (r Report) details(b *strings.Builder) {
	table(b, "Latency, and cost to the whole process per call", "", "callers", "system", "p50", "p99", "allocations", "bytes", "CPU", "unanswered")
	for _, s := range r.Speeds {
		m := s.median()
		row(b, s.Workload, fmt.Sprint(s.Callers), s.System, short(m.P50), short(m.P99),
			fmt.Sprintf("%.1f", m.Allocs), fmt.Sprintf("%.0f", m.Bytes), short(m.CPU), fmt.Sprint(m.Unanswered))
	}
}

func table(b *strings.Builder, title string, head ...string) {
	fmt.Fprintf(b, "\n### %s\n\n", title)
	row(b, head...)
	b.WriteString(strings.Repeat("|---", len(head)) + "|\n")
}

func row(b *strings.Builder, cells ...string) {
	b.WriteString("| " + strings.Join(cells, " | ") + " |\n")
}

// thousands prints a rate with three digits.
func thousands(n float64) string {
	switch {
	case n >= 1e6:
		return fmt.Sprintf("%.2f M", n/1e6)
	case n >= 1e5:
		return fmt.Sprintf("%.0f k", n/1e3)
	case n >= 1e4:
		return fmt.Sprintf("%.1f k", n/1e3)
	default:
		return fmt.Sprintf("%.2f k", n/1e3)
	}
}

// short prints a duration with about three digits.
func short(d time.Duration) string {
	for _, unit := range []time.Duration{time.Second, time.Millisecond, time.Microsecond} {
		if d >= unit {
			return d.Round(unit / 100).String()
		}
	}
	return d.String()
}

// median returns the middle of the values, the mean of the two in the middle of
// an even number, 0 of none.
func median[T float64 | time.Duration](values []T) T {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	mid := len(sorted) / 2
	if len(sorted)%2 == 0 {
		return (sorted[mid-1] + sorted[mid]) / 2
	}
	return sorted[mid]
}

// medianOf returns the median of one figure.
func medianOf[S any, T float64 | time.Duration](all []S, figure func(S) T) T {
	values := make([]T, len(all))
	for i, s := range all {
		values[i] = figure(s)
	}
	return median(values)
}
